"""The reconciliation of one account. Invariant: a line, and what moved here, is in one match at most; a closed period
changes by adjustments only, which say so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from rpds import HashTrieMap, HashTrieSet

from oms_es.kernel import Decider, Refused
from oms_es.schemas.finance import reconciliation as r
from oms_es.schemas.finance.refusals import FinanceRefusal


class Found(NamedTuple):
    """A break; `resolution` is empty while it is open."""

    day: str
    amount_minor: int
    currency: str
    resolution: str = ""
    note: str = ""


class Reconciliation(NamedTuple):
    """`taken`: each line and movement, and the match that it is in."""

    matches: HashTrieMap[str, r.Match] = HashTrieMap()
    taken: HashTrieMap[str, str] = HashTrieMap()
    undone: HashTrieSet[str] = HashTrieSet()
    breaks: HashTrieMap[str, Found] = HashTrieMap()
    closed_through: str = ""

    def adjusts(self, days: Iterable[str]) -> str:
        return self.closed_through if any(day <= self.closed_through for day in days) else ""


def sides(match: r.Match) -> tuple[str, ...]:
    return (*match.lines, *match.movements)


def evolve(state: Reconciliation, event: r.ReconciliationEvent) -> Reconciliation:
    """Never refuse an event: an old stream must load under new rules."""
    match event:
        case r.ReconciliationMatched(matches=matches):
            for one in matches:
                state = _matched(state, one)
        case r.ReconciliationMatchUndone(match_id=match_id):
            return _undone(state, match_id)
        case r.ReconciliationBreaksFound(breaks=breaks):
            for its in breaks:
                found = Found(its.day, its.amount_minor, its.currency)
                state = state._replace(breaks=state.breaks.insert(its.break_id, found))
        case r.ReconciliationBreaksCleared(break_ids=break_ids):
            for break_id in break_ids:
                state = state._replace(breaks=state.breaks.discard(break_id))
        case r.ReconciliationBreakResolved(break_id=break_id):
            return _settled(state, break_id, event.resolution, event.note)
        case r.ReconciliationBreakReopened(break_id=break_id):
            return _settled(state, break_id, "", "")
        case r.ReconciliationPeriodClosed(through=through):
            return state._replace(closed_through=max(state.closed_through, through))
    return state


def _matched(state: Reconciliation, match: r.Match) -> Reconciliation:
    taken = state.taken
    for one in sides(match):
        taken = taken.insert(one, match.match_id)
    return state._replace(matches=state.matches.insert(match.match_id, match), taken=taken)


def _undone(state: Reconciliation, match_id: str) -> Reconciliation:
    taken = state.taken
    known = state.matches.get(match_id)
    for one in sides(known) if known else ():
        taken = taken.discard(one)
    return state._replace(matches=state.matches.discard(match_id), taken=taken, undone=state.undone.insert(match_id))


def _settled(state: Reconciliation, break_id: str, resolution: str, note: str) -> Reconciliation:
    known = state.breaks.get(break_id)
    if known is None:
        return state
    return state._replace(breaks=state.breaks.insert(break_id, known._replace(resolution=resolution, note=note)))


def decide(state: Reconciliation, command: r.ReconciliationCommand) -> Iterator[r.ReconciliationEvent]:
    """Yield nothing if the command is already satisfied, so that retries are free."""
    match command:
        case r.RecordReconciliation():
            yield from _record(state, command)
        case r.ResolveReconciliation():
            yield from _resolve(state, command)
        case r.ReopenReconciliation():
            known = _break(state, command)
            if known.resolution:
                adjusts = state.adjusts([known.day])
                yield r.ReconciliationBreakReopened(
                    account=command.account, break_id=command.difference, note=command.note, adjusts=adjusts
                )
        case r.UndoReconciliation():
            yield from _undo(state, command)
        case r.CloseReconciliation():
            yield from _close(state, command)


def _record(state: Reconciliation, command: r.RecordReconciliation) -> Iterator[r.ReconciliationEvent]:
    of: Any = {"account": command.account}
    if matches := tuple(_new_matches(state, command.matches)):
        yield r.ReconciliationMatched(**of, matches=matches, adjusts=state.adjusts(one.day for one in matches))
    named = {one.break_id: one for one in reversed(command.breaks)}
    new = [one for break_id, one in sorted(named.items()) if break_id not in state.breaks]
    for some in _in_pages(new):
        yield r.ReconciliationBreaksFound(**of, breaks=tuple(some), adjusts=state.adjusts(one.day for one in some))
    if command.is_complete:
        gone = sorted(name for name, known in state.breaks.items() if name not in named and not known.resolution)
        for ids in _in_pages(gone):
            yield r.ReconciliationBreaksCleared(**of, break_ids=tuple(ids))


def _new_matches(state: Reconciliation, matches: Iterable[r.Match]) -> Iterator[r.Match]:
    """What is in a match already, also since the run read it, is left there."""
    taken: set[str] = set()
    for one in matches:
        names = (f"match {one.match_id}", *dict.fromkeys(sides(one)))
        known = one.match_id in state.matches or one.match_id in state.undone
        if not known and not any(name in state.taken or name in taken for name in names):
            taken.update(names)
            yield one


def _in_pages(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (items[first : first + r.MATCHES_MAX] for first in range(0, len(items), r.MATCHES_MAX))


def _break(state: Reconciliation, command: r.ResolveReconciliation | r.ReopenReconciliation) -> Found:
    known = state.breaks.get(command.difference)
    if known is None:
        raise Refused(
            FinanceRefusal.UNKNOWN_BREAK,
            f"{command.account} has no break {command.difference}; see `oms-es reconcile breaks {command.account}`",
        )
    return known


def _resolve(state: Reconciliation, command: r.ResolveReconciliation) -> Iterator[r.ReconciliationEvent]:
    known = _break(state, command)
    if not known.resolution:
        said: Any = {
            "amount_minor": known.amount_minor,
            "currency": known.currency,
            "adjusts": state.adjusts([known.day]),
        }
        yield r.ReconciliationBreakResolved(
            account=command.account,
            break_id=command.difference,
            resolution=command.resolution,
            note=command.note,
            **said,
        )
    elif (known.resolution, known.note) != (command.resolution, command.note):
        raise Refused(
            FinanceRefusal.BREAK_RESOLVED,
            f"{command.difference} is {known.resolution} already: {known.note or 'no note'}; reopen it first",
        )


def _undo(state: Reconciliation, command: r.UndoReconciliation) -> Iterator[r.ReconciliationEvent]:
    if command.match in state.undone:
        return
    known = state.matches.get(command.match)
    if known is None:
        raise Refused(
            FinanceRefusal.UNKNOWN_MATCH,
            f"{command.account} has no match {command.match}; `oms-es reconcile explain` names that of a line",
        )
    yield r.ReconciliationMatchUndone(
        account=command.account, match_id=command.match, note=command.note, adjusts=state.adjusts([known.day])
    )


def _close(state: Reconciliation, command: r.CloseReconciliation) -> Iterator[r.ReconciliationEvent]:
    if command.through <= state.closed_through:
        return
    left = [name for name, known in state.breaks.items() if known.day <= command.through and not known.resolution]
    if left:
        raise Refused(
            FinanceRefusal.BREAKS_OPEN,
            f"{len(left)} breaks up to {command.through} are open, such as {min(left)}; resolve them first",
        )
    yield r.ReconciliationPeriodClosed(account=command.account, through=command.through)


decider: Decider[Reconciliation] = Decider(
    "reconciliation",
    Reconciliation(),
    evolve,
    decide,
    accepts=(
        r.RecordReconciliation,
        r.ResolveReconciliation,
        r.ReopenReconciliation,
        r.UndoReconciliation,
        r.CloseReconciliation,
    ),
    emits=(
        r.ReconciliationMatched,
        r.ReconciliationBreaksFound,
        r.ReconciliationBreaksCleared,
        r.ReconciliationBreakResolved,
        r.ReconciliationBreakReopened,
        r.ReconciliationMatchUndone,
        r.ReconciliationPeriodClosed,
    ),
)
