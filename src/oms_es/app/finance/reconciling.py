"""Import of statements, and reconciliation of accounts with the money that moved here.

Invariant: the bytes are stored before an event names them, and a file that is refused leaves no event. A run that was
killed is run again, and does not repeat what it had done.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from hashlib import sha1
from typing import NamedTuple

import psycopg

from oms_es.aggregates.finance.reconciliation import Reconciliation
from oms_es.app.engine import Runtime
from oms_es.errors import NotFound
from oms_es.kernel import BadInput
from oms_es.matching.chain import balance_breaks
from oms_es.matching.propose import Proposal, propose
from oms_es.matching.sides import Agreed, Rules
from oms_es.reports import queries
from oms_es.reports.finance import reconciliation
from oms_es.schemas.finance.reconciliation import MATCHES_MAX, RecordReconciliation
from oms_es.schemas.finance.statement import RecordStatement
from oms_es.schemas.inputs import Input
from oms_es.schemas.values.cards import looks_like_a_card_number
from oms_es.schemas.values.types import SHORT_NAME_LENGTH_MAX
from oms_es.statements import FORMATS
from oms_es.statements.reading import Options, Statement
from oms_es.store.documents import table as documents
from oms_es.store.encoding.codec import Cause

MEDIA_TYPES = {"camt.053": "application/xml", "mt940": "text/plain"}
ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


class File(NamedTuple):
    """The file that a person gives. `account`: our name of the account; `sha1`: the file's digest, as the provider
    states it."""

    content: bytes
    format: str
    account: str | None = None
    statement_id: str | None = None
    sha1: str | None = None
    options: Options = Options()


class Taken(NamedTuple):
    """The result for one statement. `outcome`: imported, or repeated if it was imported before. `position`: of its last
    event, if it is new."""

    account: str
    statement_id: str
    currency: str
    opened_on: str
    closed_on: str
    lines: int
    outcome: str
    position: int | None = None


def import_statements(runtime: Runtime, actor: str, file: File) -> Sequence[Taken]:
    """Import the statements in the file. Raise BadInput, or Refused if a statement with that id has other content."""
    _require_sha1(file)
    found = FORMATS[file.format](file.content, file.options)
    with psycopg.connect(runtime.database_url) as connection:
        kept = documents.keep(connection, file.content, MEDIA_TYPES.get(file.format, "text/csv"))
    commands = [_command(one, file, kept.sha256, alone=len(found) == 1) for one in found]
    recorded = runtime.store.execute([(Cause(actor), [command]) for command in commands])
    positions = {one.stream: one.position for one in recorded}
    return [_taken(command, positions.get(command.stream)) for command in commands]


def _require_sha1(file: File) -> None:
    if file.sha1 is not None and sha1(file.content, usedforsecurity=False).hexdigest() != file.sha1.lower():
        raise BadInput(Input.BAD_STATEMENT, "the file is not the one of this SHA-1: fetch it again")


def _command(statement: Statement, file: File, sha256: str, *, alone: bool) -> RecordStatement:
    """Return the command for a statement. Raise BadInput."""
    if file.statement_id is not None and not alone:
        raise BadInput(Input.BAD_STATEMENT, "there are several statements in it, which name themselves")
    said = statement._asdict() | {"statement_id": _id_of(statement, file), "account": _account_of(statement, file)}
    if looks_like_a_card_number(statement.account_number):
        said["account_number"] = ""
    return RecordStatement(**said, document_sha256=sha256)


def _id_of(statement: Statement, file: File) -> str:
    statement_id = file.statement_id or statement.statement_id
    if not 0 < len(statement_id) <= SHORT_NAME_LENGTH_MAX:
        raise BadInput(Input.BAD_STATEMENT, "the statement has no id of its own: give one with --statement-id")
    return statement_id


def _account_of(statement: Statement, file: File) -> str:
    """Return our name of the account, or its number. Raise BadInput."""
    account = file.account or statement.account_number.replace(" ", "")
    if not ACCOUNT.fullmatch(account) or looks_like_a_card_number(account):
        raise BadInput(
            Input.BAD_STATEMENT,
            "say with --account what the account is called here: letters, digits, dots and dashes, 40 at most, "
            "and no card number",
        )
    return account


def _taken(command: RecordStatement, position: int | None) -> Taken:
    return Taken(
        *(command.account, command.statement_id, command.currency, command.opened_on, command.closed_on),
        len(command.lines),
        "repeated" if position is None else "imported",
        position,
    )


COMMANDS_OF_A_BATCH = 50


class Asked(NamedTuple):
    """A run. `methods`: only payments by these, or all. `payouts_of`: accounts whose payouts arrive here, in place of
    payments."""

    account: str
    until: str | None = None
    methods: tuple[str, ...] = ()
    payouts_of: tuple[str, ...] = ()
    rules: Rules = Rules()


class Ran(NamedTuple):
    through: str
    lines: int
    movements: int
    matched: int
    breaks: int
    position: int | None = None
    """The position of the last event, or None if nothing is new."""


def run(
    runtime: Runtime, actor: str, asked: Asked, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> Ran:
    """Match an account's lines with movements and record what is new. Raise NotFound if no statement of the account was
    imported.

    `progress` gets the number of commands given and of all, and may end the run by raising between two batches.
    """
    state, _ = runtime.store.state_of(f"reconciliation-{asked.account}")
    through, lines, movements, proposal = _proposed(runtime, asked, state)
    commands = _commands(asked.account, proposal)
    position = None
    for first in range(0, len(commands), COMMANDS_OF_A_BATCH):
        progress(first, len(commands))
        batch = commands[first : first + COMMANDS_OF_A_BATCH]
        recorded = runtime.store.execute([(Cause(actor), [command]) for command in batch])
        position = recorded[-1].position if recorded else position
    return Ran(through, lines, movements, len(proposal.matches), len(proposal.breaks), position)


def _proposed(runtime: Runtime, asked: Asked, state: Reconciliation) -> tuple[str, int, int, Proposal]:
    with queries.reading(runtime.database_url) as connection:
        of = reconciliation.period(connection, asked.account)
        if of is None:
            raise NotFound(
                f"no statement of {asked.account} was imported; do that first, or see `reconcile statements`"
            )
        until = min(asked.until or of.last, of.last)
        lines = reconciliation.lines(connection, asked.account, until)
        if asked.payouts_of:
            movements = reconciliation.payouts(connection, of, until, asked.payouts_of)
        else:
            movements = reconciliation.movements(connection, of, until, asked.methods)
        elsewhere = reconciliation.matched_elsewhere(connection, asked.account)
        chain = list(balance_breaks(reconciliation.ends(connection, asked.account, until)))
    left = [one for one in lines if one.name not in state.taken]
    others = [one for one in movements if one.name not in state.taken and one.name not in elsewhere]
    agreed = tuple(Agreed(since, terms) for since, terms in sorted(state.fees.items()))
    proposal = propose(left, others, asked.rules._replace(agreed=agreed), until, state.undone)
    return until, len(lines), len(movements), proposal._replace(breaks=[*proposal.breaks, *chain])


def _commands(account: str, proposal: Proposal) -> Sequence[RecordReconciliation]:
    pages = [
        RecordReconciliation(account=account, matches=tuple(proposal.matches[first : first + MATCHES_MAX]))
        for first in range(0, len(proposal.matches), MATCHES_MAX)
    ]
    return [*pages, RecordReconciliation(account=account, breaks=tuple(proposal.breaks), is_complete=True)]
