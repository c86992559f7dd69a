"""A run records what is new. People settle breaks, undo matches, and close and reopen periods."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from dsl import Given
from oms_es.aggregates.finance import reconciliation
from oms_es.schemas.finance import reconciliation as rec
from oms_es.schemas.values.types import AMOUNT_MINOR_MAX

OF: Any = {"account": "stripe"}
MATCH = rec.Match(
    match_id="m1",
    lines=("1/1",),
    movements=("capture/1",),
    reason="x",
    confidence=100,
    day="2026-01-05",
    amount_minor=5,
)
BREAK = rec.Break(
    break_id="b1", kind="amount", day="2026-01-05", amount_minor=-1, currency="EUR", lines=("1/2",), detail="x"
)
MATCHED = rec.ReconciliationMatched(**OF, matches=(MATCH,))
FOUND = rec.ReconciliationBreaksFound(**OF, breaks=(BREAK,))
RESOLVE = rec.ResolveReconciliation(**OF, difference="b1", resolution="written_off", note="a cent")
RESOLVED = rec.ReconciliationBreakResolved(
    **OF, break_id="b1", resolution="written_off", note="a cent", amount_minor=-1, currency="EUR"
)
CLOSE = rec.CloseReconciliation(**OF, through="2026-01-31")
CLOSED = rec.ReconciliationPeriodClosed(**OF, through="2026-01-31")
UNDO = rec.UndoReconciliation(**OF, match="m1")
UNDONE = rec.ReconciliationMatchUndone(**OF, match_id="m1")


def record(*, matches: Any = (), breaks: Any = (), complete: bool = False) -> rec.RecordReconciliation:
    return rec.RecordReconciliation(**OF, matches=matches, breaks=breaks, is_complete=complete)


def test_a_run_records_what_is_new_and_nothing_twice() -> None:
    command = record(matches=(MATCH,), breaks=(BREAK,))
    Given(reconciliation.decider).when(command).then(MATCHED, FOUND)
    Given(reconciliation.decider, MATCHED, FOUND).when(command).then()
    other = MATCH.model_copy(update={"match_id": "m2"})
    Given(reconciliation.decider, MATCHED).when(record(matches=(other,))).then()


def test_a_break_that_is_gone_is_cleared_unless_it_was_resolved() -> None:
    cleared = rec.ReconciliationBreaksCleared(**OF, break_ids=("b1",))
    Given(reconciliation.decider, FOUND).when(record(complete=True)).then(cleared)
    Given(reconciliation.decider, FOUND).when(record(breaks=(BREAK,), complete=True)).then()
    Given(reconciliation.decider, FOUND, RESOLVED).when(record(complete=True)).then()


def test_a_break_is_resolved_once_and_reopened() -> None:
    Given(reconciliation.decider, FOUND).when(RESOLVE).then(RESOLVED)
    Given(reconciliation.decider, FOUND, RESOLVED).when(RESOLVE).then()
    otherwise = RESOLVE.model_copy(update={"resolution": "accepted"})
    Given(reconciliation.decider, FOUND, RESOLVED).when(otherwise).then_refused("break_resolved")
    Given(reconciliation.decider).when(RESOLVE).then_refused("unknown_break")
    reopen = rec.ReopenReconciliation(**OF, difference="b1")
    reopened = rec.ReconciliationBreakReopened(**OF, break_id="b1")
    Given(reconciliation.decider, FOUND, RESOLVED).when(reopen).then(reopened)
    Given(reconciliation.decider, FOUND, RESOLVED, reopened).when(reopen).then()
    Given(reconciliation.decider).when(reopen).then_refused("unknown_break")


def test_a_match_is_undone_and_not_proposed_again() -> None:
    Given(reconciliation.decider, MATCHED).when(UNDO).then(UNDONE)
    Given(reconciliation.decider, MATCHED, UNDONE).when(UNDO).then()
    Given(reconciliation.decider, MATCHED, UNDONE).when(record(matches=(MATCH,))).then()
    Given(reconciliation.decider).when(UNDO).then_refused("unknown_match")


def test_a_period_is_closed_once_all_is_settled_and_changes_by_adjustments() -> None:
    Given(reconciliation.decider, FOUND).when(CLOSE).then_refused("breaks_open")
    Given(reconciliation.decider, MATCHED, FOUND, RESOLVED).when(CLOSE).then(CLOSED)
    Given(reconciliation.decider, CLOSED).when(CLOSE).then()
    adjusted = UNDONE.model_copy(update={"adjusts": "2026-01-31"})
    Given(reconciliation.decider, MATCHED, CLOSED).when(UNDO).then(adjusted)
    later = MATCHED.model_copy(update={"adjusts": "2026-01-31"})
    Given(reconciliation.decider, CLOSED).when(record(matches=(MATCH,))).then(later)


def test_a_match_that_is_undone_stays_undone_although_it_was_never_seen_here() -> None:
    Given(reconciliation.decider, UNDONE).when(record(matches=(MATCH,))).then()


def test_what_happens_on_a_day_of_a_closed_period_is_an_adjustment_of_it_and_no_later_day_is() -> None:
    begin, adjusts = (MATCHED, FOUND, RESOLVED, CLOSED), "2026-01-31"
    reopen = rec.ReopenReconciliation(**OF, difference="b1", note="it came after all")
    reopened = rec.ReconciliationBreakReopened(**OF, break_id="b1", note="it came after all", adjusts=adjusts)
    Given(reconciliation.decider, *begin).when(reopen).then(reopened)
    resolved = RESOLVED.model_copy(update={"adjusts": adjusts})
    Given(reconciliation.decider, *begin, reopened).when(RESOLVE).then(resolved)
    for day, said in (("2026-01-31", adjusts), ("2026-02-01", "")):
        match = MATCH.model_copy(update={"day": day})
        one = BREAK.model_copy(update={"day": day})
        Given(reconciliation.decider, CLOSED).when(record(matches=(match,), breaks=(one,))).then(
            rec.ReconciliationMatched(**OF, matches=(match,), adjusts=said),
            rec.ReconciliationBreaksFound(**OF, breaks=(one,), adjusts=said),
        )


def test_a_reopened_break_is_as_it_was_found() -> None:
    reopened = rec.ReconciliationBreakReopened(**OF, break_id="b1")
    assert Given(reconciliation.decider, FOUND, RESOLVED, reopened).state == Given(reconciliation.decider, FOUND).state
    assert Given(reconciliation.decider, reopened).state == reconciliation.decider.initial, "it was cleared meanwhile"


def test_a_match_is_undone_with_the_reason_that_a_person_gives() -> None:
    undo = UNDO.model_copy(update={"note": "of another shop"})
    Given(reconciliation.decider, MATCHED).when(undo).then(UNDONE.model_copy(update={"note": "of another shop"}))


def test_a_break_on_the_last_day_of_a_period_keeps_it_open_and_one_of_the_next_day_does_not() -> None:
    for day, refused in (("2026-01-31", True), ("2026-02-01", False)):
        found = rec.ReconciliationBreaksFound(**OF, breaks=(BREAK.model_copy(update={"day": day}),))
        closing = Given(reconciliation.decider, found).when(CLOSE)
        if refused:
            closing.then_refused("breaks_open", "1 breaks up to 2026-01-31 are open, such as b1")
        else:
            closing.then(CLOSED)


def test_what_names_an_unknown_break_is_refused_with_where_breaks_are_listed() -> None:
    detail = "stripe has no break b1; see `oms-es reconcile breaks stripe`"
    match = rec.MatchReconciliation(**OF, differences=("b1",))
    for command in (RESOLVE, rec.ReopenReconciliation(**OF, difference="b1"), match):
        Given(reconciliation.decider).when(command).then_refused("unknown_break", detail=detail)


def test_many_breaks_are_found_and_cleared_in_pages() -> None:
    many = [BREAK.model_copy(update={"break_id": f"b{n:04}"}) for n in range(2 * rec.MATCHES_MAX + 1)]
    pages = [tuple(many[first : first + rec.MATCHES_MAX]) for first in range(0, len(many), rec.MATCHES_MAX)]
    found = [rec.ReconciliationBreaksFound(**OF, breaks=page) for page in pages]
    Given(reconciliation.decider).when(record(breaks=many)).then(*found)
    gone = [rec.ReconciliationBreaksCleared(**OF, break_ids=tuple(one.break_id for one in page)) for page in pages]
    Given(reconciliation.decider, *found).when(record(complete=True)).then(*gone)


def broken(break_id: str, kind: Any, amount: int, *names: str, **more: Any) -> rec.Break:
    side = "lines" if kind == "missing_here" else "movements"
    fields: dict[str, Any] = {side: names, "day": "2026-01-05", "currency": "EUR", "detail": "x", **more}
    return rec.Break(break_id=break_id, kind=kind, amount_minor=amount, **fields)


HALVES = (
    broken("b1", "missing_here", 400, "1/1"),
    broken("b2", "missing_here", 200, "1/2"),
    broken("b3", "timing", 600, "capture/9"),
)
MATCH_THEM = rec.MatchReconciliation(**OF, differences=("b3", "b1", "b2", "b1"), note="paid in two parts")


def test_a_person_matches_what_breaks_name_once_and_can_take_it_back() -> None:
    found = rec.ReconciliationBreaksFound(**OF, breaks=HALVES)
    match = rec.Match(
        match_id=rec.id_of("1/1", "1/2", "capture/9"),
        lines=("1/1", "1/2"),
        movements=("capture/9",),
        reason="by hand: paid in two parts",
        confidence=100,
        day="2026-01-05",
        amount_minor=600,
    )
    matched = rec.ReconciliationMatched(**OF, matches=(match,), settles=("b1", "b2", "b3"))
    cleared = rec.ReconciliationBreaksCleared(**OF, break_ids=("b1", "b2", "b3"))
    Given(reconciliation.decider, found).when(MATCH_THEM).then(matched, cleared)
    Given(reconciliation.decider, found, matched, cleared).when(MATCH_THEM).then()
    undone = rec.ReconciliationMatchUndone(**OF, match_id=match.match_id)
    undo = rec.UndoReconciliation(**OF, match=match.match_id)
    begin = (found, matched, cleared, undone, found)
    Given(reconciliation.decider, *begin).when(MATCH_THEM).then(matched, cleared)
    Given(reconciliation.decider, *begin, matched, cleared).when(undo).then(undone)


def test_what_does_not_sum_to_the_same_or_is_settled_or_matched_is_no_match() -> None:
    found = rec.ReconciliationBreaksFound(**OF, breaks=HALVES)
    some = rec.MatchReconciliation(**OF, differences=("b1", "b3"))
    Given(reconciliation.decider, found).when(some).then_refused("not_a_match")
    Given(reconciliation.decider).when(some).then_refused("unknown_break")
    Given(reconciliation.decider, found, RESOLVED).when(MATCH_THEM).then_refused("not_a_match")
    taken = rec.ReconciliationMatched(**OF, matches=(MATCH.model_copy(update={"movements": ("capture/9",)}),))
    Given(reconciliation.decider, found, taken).when(MATCH_THEM).then_refused("not_a_match")
    foreign = broken("b3", "timing", 600, "capture/9", currency="USD")
    other = rec.ReconciliationBreaksFound(**OF, breaks=(*HALVES[:2], foreign))
    Given(reconciliation.decider, other).when(MATCH_THEM).then_refused("not_a_match")
    fee = rec.ReconciliationBreaksFound(**OF, breaks=(broken("f", "fee", 1, lines=("1/1",)),))
    alone = rec.MatchReconciliation(**OF, differences=("f",))
    Given(reconciliation.decider, fee).when(alone).then_refused("not_a_match")


SEE = "run the reconciliation again, and see the breaks"


@pytest.mark.parametrize(
    ("breaks", "detail"),
    [
        ((broken("a", "fee", 1, lines=("1/1",)),), "a break of kind fee is no part of a match; resolve it"),
        ((broken("a", "missing_here", 0),), "they name no line and no movement"),
        (
            (broken("a", "timing", 5, "capture/1"), broken("b", "timing", -5, "capture/1")),
            f"two of them name the same line or movement; {SEE}",
        ),
        (
            (broken("a", "missing_here", 5, "1/1"), broken("b", "timing", 5, "capture/1", currency="USD")),
            "they are in EUR and USD; resolve them",
        ),
        (
            (broken("a", "missing_here", 250, "1/1"), broken("b", "timing", 600, "capture/1")),
            "2.50 EUR of lines is not 6.00 EUR here, -3.50 EUR differs; name the break with the rest, or resolve them",
        ),
    ],
)
def test_the_refusal_of_a_match_says_what_is_in_its_way(breaks: tuple[rec.Break, ...], detail: str) -> None:
    found = rec.ReconciliationBreaksFound(**OF, breaks=breaks)
    command = rec.MatchReconciliation(**OF, differences=tuple(one.break_id for one in breaks))
    Given(reconciliation.decider, found).when(command).then_refused("not_a_match", detail=detail)


def test_what_is_resolved_or_matched_meanwhile_is_no_part_of_another_match() -> None:
    found = rec.ReconciliationBreaksFound(**OF, breaks=HALVES)
    Given(reconciliation.decider, found, RESOLVED).when(MATCH_THEM).then_refused(
        "not_a_match", detail="one of them is written_off; reopen it first"
    )
    taken = rec.ReconciliationMatched(**OF, matches=(MATCH.model_copy(update={"movements": ("capture/9",)}),))
    Given(reconciliation.decider, found, taken).when(MATCH_THEM).then_refused(
        "not_a_match", detail=f"some of it is in a match since; {SEE}"
    )


def test_a_match_by_hand_is_as_large_as_one_event_can_hold_and_no_larger() -> None:
    lines = tuple(f"1/{n:04}" for n in range(rec.SIDE_MAX - 1))
    detail = f"at most {rec.SIDE_MAX} lines and movements are matched at once; name fewer"
    command = rec.MatchReconciliation(**OF, differences=("a", "b"))

    def named(amount_minor: int, *lines: str) -> Given:
        sides = (broken("a", "missing_here", amount_minor, *lines), broken("b", "timing", amount_minor, "capture/1"))
        return Given(reconciliation.decider, rec.ReconciliationBreaksFound(**OF, breaks=sides)).when(command)

    def matched(amount_minor: int, *lines: str) -> list[Any]:
        match = rec.Match(
            match_id=rec.id_of(*lines, "capture/1"),
            lines=lines,
            movements=("capture/1",),
            reason="by hand",
            confidence=100,
            day="2026-01-05",
            amount_minor=amount_minor,
        )
        return [
            rec.ReconciliationMatched(**OF, matches=(match,), settles=("a", "b")),
            rec.ReconciliationBreaksCleared(**OF, break_ids=("a", "b")),
        ]

    named(5, *lines).then(*matched(5, *lines))
    named(5, *lines, "1/last").then_refused("not_a_match", detail=detail)
    for amount in (AMOUNT_MINOR_MAX, -AMOUNT_MINOR_MAX):
        named(amount, "1/1").then(*matched(amount, "1/1"))
    in_halves = [broken(name, "missing_here", AMOUNT_MINOR_MAX, name) for name in ("a", "b")]
    in_halves += [broken(name, "timing", AMOUNT_MINOR_MAX, name) for name in ("c", "d")]
    found = rec.ReconciliationBreaksFound(**OF, breaks=tuple(in_halves))
    all_four = rec.MatchReconciliation(**OF, differences=("a", "b", "c", "d"))
    Given(reconciliation.decider, found).when(all_four).then_refused("not_a_match", detail=detail)


def test_a_match_by_hand_of_a_closed_period_adjusts_it() -> None:
    found = rec.ReconciliationBreaksFound(**OF, breaks=HALVES)
    closed = rec.ReconciliationPeriodClosed(**OF, through="2026-01-31")
    (matched, _) = reconciliation.decider.decide(Given(reconciliation.decider, found, closed).state, MATCH_THEM)
    assert isinstance(matched, rec.ReconciliationMatched)
    assert matched.adjusts == "2026-01-31"


def test_the_rest_of_a_break_of_amount_may_be_in_another() -> None:
    less = broken("a", "amount", -200, "capture/9", lines=("1/1",), lines_minor=400)
    found = rec.ReconciliationBreaksFound(**OF, breaks=(less, HALVES[1]))
    command = rec.MatchReconciliation(**OF, differences=("a", "b2"))
    match = rec.Match(
        match_id=rec.id_of("1/1", "1/2", "capture/9"),
        lines=("1/1", "1/2"),
        movements=("capture/9",),
        reason="by hand",
        confidence=100,
        day="2026-01-05",
        amount_minor=600,
    )
    matched = rec.ReconciliationMatched(**OF, matches=(match,), settles=("a", "b2"))
    cleared = rec.ReconciliationBreaksCleared(**OF, break_ids=("a", "b2"))
    Given(reconciliation.decider, found).when(command).then(matched, cleared)


def test_agreed_fees_hold_from_their_day_and_are_set_once() -> None:
    command = rec.SetFeeTerms(
        **OF, since="2026-01-01", terms=(rec.FeeTerm(method="card", basis_points=140, fixed_minor=25),)
    )
    agreed = rec.FeeTermsSet(**OF, since="2026-01-01", terms=command.terms)
    Given(reconciliation.decider).when(command).then(agreed)
    Given(reconciliation.decider, agreed).when(command).then()
    other = command.model_copy(update={"terms": (rec.FeeTerm(basis_points=100),)})
    Given(reconciliation.decider, agreed).when(other).then(rec.FeeTermsSet(**OF, since="2026-01-01", terms=other.terms))
    later = command.model_copy(update={"since": "2026-02-01"})
    Given(reconciliation.decider, agreed).when(later).then(agreed.model_copy(update={"since": "2026-02-01"}))


def test_a_method_has_one_fee_at_a_time() -> None:
    with pytest.raises(ValidationError, match="two names are the same"):
        rec.SetFeeTerms(**OF, since="2026-01-01", terms=(rec.FeeTerm(basis_points=1), rec.FeeTerm(basis_points=2)))
