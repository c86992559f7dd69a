"""One statement of an account. Invariant: it is recorded once, and its lines sum to what its balances say."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any, NamedTuple

from pydantic_core import to_json

from oms_es.kernel import Decider, Refused
from oms_es.schemas.finance import statement as f
from oms_es.schemas.finance.refusals import FinanceRefusal
from oms_es.schemas.values.currency import to_text


class Statement(NamedTuple):
    fingerprint: str = ""


def evolve(statement: Statement, event: f.StatementEvent) -> Statement:
    """Never refuse an event: an old stream must load under new rules."""
    return Statement(event.fingerprint) if isinstance(event, f.StatementRecorded) else statement


def decide(statement: Statement, command: f.RecordStatement) -> Iterator[f.StatementEvent]:
    fingerprint = fingerprint_of(command)
    if statement.fingerprint:
        _require_same(statement, fingerprint, command)
        return
    booked_minor = sum(line.amount_minor for line in command.lines if not line.pending)
    _require_balance(command, booked_minor)
    of: Any = {name: getattr(command, name) for name in f.StatementEvent.model_fields}
    said = {name: getattr(command, name) for name in f.StatementRecorded.model_fields if hasattr(command, name)}
    yield f.StatementRecorded(**said, booked_minor=booked_minor, line_count=len(command.lines), fingerprint=fingerprint)
    for first in range(0, len(command.lines), f.LINES_OF_AN_EVENT_MAX):
        lines = command.lines[first : first + f.LINES_OF_AN_EVENT_MAX]
        yield f.StatementLinesRecorded(**of, first=first + 1, lines=lines)


def fingerprint_of(command: f.RecordStatement) -> str:
    """Return the hash of the statement's content, without its file and format: another file with the same content is
    the same statement.
    """
    said = command.model_copy(update={"document_sha256": "", "format": ""})
    return sha256(to_json(said)).hexdigest()


def _require_same(statement: Statement, fingerprint: str, command: f.RecordStatement) -> None:
    if statement.fingerprint != fingerprint:
        raise Refused(
            FinanceRefusal.STATEMENT_DIFFERS,
            f"statement {command.statement_id} of {command.account} was imported before, and this file says something "
            "else; compare both, and import the newer one with another --statement-id if it is right",
        )


def _require_balance(command: f.RecordStatement, booked_minor: int) -> None:
    opening, closing = command.opening_minor, command.closing_minor
    if opening is None or closing is None or opening + booked_minor == closing:
        return
    raise Refused(FinanceRefusal.STATEMENT_UNBALANCED, difference_of(opening, booked_minor, closing, command.currency))


def difference_of(opening_minor: int, booked_minor: int, closing_minor: int, currency: str) -> str:
    left = to_text(closing_minor - opening_minor - booked_minor, currency)
    sums = (to_text(amount, currency) for amount in (opening_minor, booked_minor, closing_minor))
    return "{} and {} of lines are not {}: {} is missing; fetch the whole statement again".format(*sums, left)


decider: Decider[Statement] = Decider(
    "statement",
    Statement(),
    evolve,
    decide,
    accepts=(f.RecordStatement,),
    emits=(f.StatementRecorded, f.StatementLinesRecorded),
)
