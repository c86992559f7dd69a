"""A run records what is new; people settle breaks, take matches back and close periods, and can take that back."""

from __future__ import annotations

from typing import Any

from dsl import Given
from oms_es.aggregates.finance import reconciliation
from oms_es.schemas.finance import reconciliation as r

OF: Any = {"account": "stripe"}
MATCH = r.Match(
    match_id="m1",
    lines=("1/1",),
    movements=("capture/1",),
    reason="x",
    confidence=100,
    day="2026-01-05",
    amount_minor=5,
)
BREAK = r.Break(
    break_id="b1", kind="amount", day="2026-01-05", amount_minor=-1, currency="EUR", lines=("1/2",), detail="x"
)
MATCHED = r.ReconciliationMatched(**OF, matches=(MATCH,))
FOUND = r.ReconciliationBreaksFound(**OF, breaks=(BREAK,))
RESOLVE = r.ResolveReconciliation(**OF, difference="b1", resolution="written_off", note="a cent")
RESOLVED = r.ReconciliationBreakResolved(
    **OF, break_id="b1", resolution="written_off", note="a cent", amount_minor=-1, currency="EUR"
)
CLOSE = r.CloseReconciliation(**OF, through="2026-01-31")
CLOSED = r.ReconciliationPeriodClosed(**OF, through="2026-01-31")
UNDO = r.UndoReconciliation(**OF, match="m1")
UNDONE = r.ReconciliationMatchUndone(**OF, match_id="m1")


def record(*, matches: Any = (), breaks: Any = (), complete: bool = False) -> r.RecordReconciliation:
    return r.RecordReconciliation(**OF, matches=matches, breaks=breaks, is_complete=complete)


def test_a_run_records_what_is_new_and_nothing_twice() -> None:
    command = record(matches=(MATCH,), breaks=(BREAK,))
    Given(reconciliation.decider).when(command).then(MATCHED, FOUND)
    Given(reconciliation.decider, MATCHED, FOUND).when(command).then()
    other = MATCH.model_copy(update={"match_id": "m2"})
    Given(reconciliation.decider, MATCHED).when(record(matches=(other,))).then()


def test_a_break_that_is_gone_is_cleared_unless_it_was_resolved() -> None:
    cleared = r.ReconciliationBreaksCleared(**OF, break_ids=("b1",))
    Given(reconciliation.decider, FOUND).when(record(complete=True)).then(cleared)
    Given(reconciliation.decider, FOUND).when(record(breaks=(BREAK,), complete=True)).then()
    Given(reconciliation.decider, FOUND, RESOLVED).when(record(complete=True)).then()


def test_a_break_is_resolved_once_and_reopened() -> None:
    Given(reconciliation.decider, FOUND).when(RESOLVE).then(RESOLVED)
    Given(reconciliation.decider, FOUND, RESOLVED).when(RESOLVE).then()
    otherwise = RESOLVE.model_copy(update={"resolution": "accepted"})
    Given(reconciliation.decider, FOUND, RESOLVED).when(otherwise).then_refused("break_resolved")
    Given(reconciliation.decider).when(RESOLVE).then_refused("unknown_break")
    reopen = r.ReopenReconciliation(**OF, difference="b1")
    reopened = r.ReconciliationBreakReopened(**OF, break_id="b1")
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
