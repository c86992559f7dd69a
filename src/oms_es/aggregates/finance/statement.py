"""One statement of an account. Invariant: it is recorded once, and its lines sum to what its balances say."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any, NamedTuple

from pydantic_core import to_json
from rpds import HashTrieMap

from oms_es.kernel import Decider, Refused
from oms_es.schemas.finance import statement as f
from oms_es.schemas.finance import statement_privacy as ps
from oms_es.schemas.finance.refusals import FinanceRefusal
from oms_es.schemas.refusals import SharedRefusal
from oms_es.schemas.values.currency import to_text


class Statement(NamedTuple):
    """`legal_holds`: by case, whether its hold is in force. `forgotten`: the texts of its lines cannot be read."""

    fingerprint: str = ""
    currency: str = ""
    legal_holds: HashTrieMap[str, bool] = HashTrieMap()
    forgotten: bool = False


def evolve(statement: Statement, event: f.StatementEvent) -> Statement:
    """Never refuse an event: an old stream must load under new rules."""
    match event:
        case f.StatementRecorded():
            return statement._replace(fingerprint=event.fingerprint, currency=event.currency)
        case ps.StatementLegalHoldPlaced() | ps.StatementLegalHoldLifted():
            in_force = isinstance(event, ps.StatementLegalHoldPlaced)
            return statement._replace(legal_holds=statement.legal_holds.insert(event.case_id, in_force))
        case ps.StatementForgotten():
            return statement._replace(forgotten=True)
    return statement


def decide(statement: Statement, command: f.RecordStatement | ps.StatementCommand) -> Iterator[f.StatementEvent]:
    if isinstance(command, f.RecordStatement):
        yield from _record(statement, command)
    else:
        if not statement.fingerprint:
            raise Refused(
                FinanceRefusal.UNKNOWN_STATEMENT,
                f"{command.account} has no statement {command.statement_id}; import it with `oms-es reconcile import`",
            )
        yield from _about_people(statement, command)


def _about_people(statement: Statement, command: Any) -> Iterator[f.StatementEvent]:
    said = {**command.model_dump(), "currency": statement.currency}
    called = f"statement {command.account}/{command.statement_id}"
    held = statement.legal_holds.get(getattr(command, "case_id", None) or "")
    match command:
        case ps.ForgetStatement() if not statement.forgotten:
            if cases := ", ".join(sorted(case_id for case_id, holds in statement.legal_holds.items() if holds)):
                raise Refused(
                    SharedRefusal.LEGAL_HOLD, f"{called} cannot be forgotten: {cases} holds it; lift that first"
                )
            yield ps.StatementForgotten(**said)
        case ps.PlaceStatementLegalHold():
            if held is False:
                raise Refused(
                    SharedRefusal.LEGAL_HOLD_LIFTED,
                    f"{command.case_id} held {called} and was lifted: hold it by another case id",
                )
            if statement.forgotten and held is None:
                raise Refused(SharedRefusal.FORGOTTEN, f"{called} was forgotten: nothing is left to hold")
            if held is None:
                yield ps.StatementLegalHoldPlaced(**said)
        case ps.LiftStatementLegalHold():
            if held is None:
                raise Refused(
                    SharedRefusal.NO_LEGAL_HOLD, f"{command.case_id} does not hold {called}; name the case that does"
                )
            if held:
                yield ps.StatementLegalHoldLifted(**said)


def _record(statement: Statement, command: f.RecordStatement) -> Iterator[f.StatementEvent]:
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
    accepts=(f.RecordStatement, ps.ForgetStatement, ps.PlaceStatementLegalHold, ps.LiftStatementLegalHold),
    emits=(
        *(f.StatementRecorded, f.StatementLinesRecorded),
        *(ps.StatementForgotten, ps.StatementLegalHoldPlaced, ps.StatementLegalHoldLifted),
    ),
)
