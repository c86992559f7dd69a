"""Statements and their reconciliation in the books: posted, matched, written off, undone, and never posted twice."""

from __future__ import annotations

from typing import Any

from folding import as_recorded
from oms_es.books import chart
from oms_es.books.journal import Balances, Books
from oms_es.kernel import Event
from oms_es.processing.bulk.overflow import Overflow
from oms_es.schemas import payment as p
from oms_es.schemas.finance import reconciliation as rec
from oms_es.schemas.finance.statement import StatementLine, StatementLinesRecorded
from oms_es.verification.book_checks import BookChecks

OF: Any = {"account": "stripe"}
CARD, HERE, OPEN = "assets:clearing:card", "assets:statements:stripe", "assets:unreconciled:stripe"
MONEY: Any = {"order_id": "order", "payment_id": "order.1", "currency": "EUR"}
CAME = (
    p.PaymentRequested(**MONEY, amount_minor=600, payment_token="t"),
    p.PaymentCaptured(**MONEY, capture_id="c", amount_minor=600, reference="r"),
)
"""The capture is at position 2."""
CAPTURED = {CARD: 600, chart.ADVANCES: -600}


def line(amount: int, kind: Any = "payment", fee: int = 0, *, pending: bool = False) -> StatementLine:
    return StatementLine(kind=kind, booked_on="2026-01-05", amount_minor=amount - fee, fee_minor=fee, pending=pending)


def lines(*some: StatementLine, account: str = "stripe") -> StatementLinesRecorded:
    return StatementLinesRecorded(account=account, statement_id="s", currency="EUR", first=1, lines=some)


def match(*names: str, movements: tuple[str, ...] = (), amount: int, match_id: str = "m") -> rec.Match:
    return rec.Match(
        match_id=match_id,
        lines=names,
        movements=movements,
        reason="x",
        confidence=100,
        day="2026-01-06",
        amount_minor=amount,
    )


def matched(*matches: rec.Match, account: str = "stripe") -> rec.ReconciliationMatched:
    return rec.ReconciliationMatched(account=account, matches=matches)


def found(kind: Any, *names: str, movements: tuple[str, ...] = ()) -> rec.ReconciliationBreaksFound:
    one = rec.Break(
        break_id="b",
        kind=kind,
        day="2026-01-05",
        amount_minor=1,
        currency="EUR",
        lines=names,
        movements=movements,
        detail="x",
    )
    return rec.ReconciliationBreaksFound(**OF, breaks=(one,))


def resolved(resolution: str = "written_off") -> rec.ReconciliationBreakResolved:
    return rec.ReconciliationBreakResolved(**OF, break_id="b", resolution=resolution, amount_minor=1, currency="EUR")


REOPENED = rec.ReconciliationBreakReopened(**OF, break_id="b")
UNDONE = rec.ReconciliationMatchUndone(**OF, match_id="m")


def balances(*events: Event) -> dict[str, int]:
    books, checks, sums = Books(), BookChecks(Overflow()), Balances()
    for recorded in as_recorded(events):
        for entry in books.fold(recorded):
            sums.add(entry.postings)
        assert books.fold(recorded) == []
        checks.note(recorded)
    assert not [check.differences for check in checks.checks if check.failed]
    return {account: amount for (account, _), amount in sums.of.items() if amount}


def test_a_line_is_booked_and_cleared_by_its_match_which_can_be_taken_back() -> None:
    begin = (*CAME, lines(line(600, fee=20), line(50, pending=True)))
    booked = {**CAPTURED, HERE: 580, chart.FEES: 20, OPEN: -600}
    assert balances(*begin) == booked
    took = matched(match("s/1", movements=("capture/2",), amount=600))
    assert balances(*begin, took) == {HERE: 580, chart.FEES: 20, chart.ADVANCES: -600}
    assert balances(*begin, took, UNDONE, UNDONE) == booked
    books = Books()
    assert [len(books.fold(one)) for one in as_recorded([*begin, took, took])] == [0, 1, 1, 1, 0]


def test_a_payout_is_in_transit_until_the_bank_has_it() -> None:
    out = (lines(line(-500, "payout"), line(-7, "fee")), matched(match("s/1", amount=-500)))
    assert balances(*out, matched(match("s/2", amount=-7, match_id="f"))) == {
        HERE: -507,
        "assets:in-transit:stripe": 500,
        chart.FEES: 7,
    }
    bank = lines(line(500, "transfer"), account="bank")
    here = matched(match("s/1", movements=("payout/stripe/s/1",), amount=500), account="bank")
    assert balances(*out[:1], out[1], bank, here) == {
        HERE: -507,
        OPEN: 7,
        "assets:statements:bank": 500,
    }


def test_only_what_is_written_off_is_posted_and_a_later_match_takes_that_back() -> None:
    begin = (*CAME, lines(line(599)), found("amount", "s/1", movements=("capture/2",)))
    open_ = {**CAPTURED, HERE: 599, OPEN: -599}
    assert balances(*begin, resolved("accepted")) == open_
    assert balances(*begin, resolved()) == {HERE: 599, chart.WRITE_OFF: 1, chart.ADVANCES: -600}
    assert balances(*begin, resolved(), REOPENED, REOPENED) == open_
    alone = (lines(line(600)), found("missing_here", "s/1"), resolved())
    assert balances(*alone) == {HERE: 600, chart.WRITE_OFF: -600}
    late = (*alone, *CAME)
    took = matched(match("s/1", movements=("capture/5",), amount=600))
    assert balances(*late, took) == {HERE: 600, chart.ADVANCES: -600}
    assert balances(*late, took, REOPENED) == {HERE: 600, chart.ADVANCES: -600}


def test_a_line_that_two_statements_have_is_in_the_account_once_when_that_is_settled() -> None:
    again = StatementLinesRecorded(account="stripe", statement_id="t", currency="EUR", first=1, lines=(line(600),))
    begin = (lines(line(600)), again, found("duplicate", "t/1"))
    assert balances(*begin) == {HERE: 1_200, OPEN: -1_200}
    assert balances(*begin, resolved()) == {HERE: 600, OPEN: -600}


def test_what_touches_a_closed_period_is_booked_when_it_is_recorded() -> None:
    books = Books()
    closed = rec.ReconciliationPeriodClosed(**OF, through="2026-01-31")
    days = [entry.day for one in as_recorded([closed, lines(line(600))]) for entry in books.fold(one)]
    assert days == ["2026-01-01"]  # the day of `as_recorded`, not the line's


def test_the_verifier_finds_a_match_that_is_not_what_its_lines_sum_to() -> None:
    checks = BookChecks(Overflow())
    wrong = matched(match("s/1", movements=("capture/2",), amount=599))
    for recorded in as_recorded([*CAME, lines(line(600)), wrong]):
        checks.note(recorded)
    assert [check.failed for check in checks.checks] == [0, 1, 0]
