"""The reconciliation of one account.

Invariant: a statement line or a movement is in one match at most. A closed period changes by adjustments only, and
their events say so. Agreed fees are in force from a day on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from rpds import HashTrieMap, HashTrieSet

from oms_es.kernel import Decider, Refused
from oms_es.schemas.finance import reconciliation as rec
from oms_es.schemas.finance.refusals import FinanceRefusal
from oms_es.schemas.values.currency import to_text
from oms_es.schemas.values.types import AMOUNT_MINOR_MAX


class Found(NamedTuple):
    """A break; `resolution` is empty while the break is open."""

    day: str
    amount_minor: int
    currency: str
    resolution: str = ""
    note: str = ""
    kind: str = ""
    lines: tuple[str, ...] = ()
    movements: tuple[str, ...] = ()
    lines_minor: int | None = None

    @property
    def sums(self) -> tuple[int, int] | None:
        """Return the sums of its lines and of its movements in minor units; None if it cannot be part of a match."""
        if self.kind == "missing_here":
            return self.amount_minor, 0
        if self.kind in ("missing_at_provider", "timing"):
            return 0, self.amount_minor
        if self.kind == "amount" and self.lines_minor is not None:
            return self.lines_minor, self.lines_minor - self.amount_minor
        return None


class Reconciliation(NamedTuple):
    """The state of a reconciliation.

    `taken` has the lines and movements that are in a match. `by_hand` has the id of the match that a person made, by
    the ids of the breaks that the match settled.
    """

    matches: HashTrieMap[str, rec.Match] = HashTrieMap()
    taken: HashTrieSet[str] = HashTrieSet()
    undone: HashTrieSet[str] = HashTrieSet()
    breaks: HashTrieMap[str, Found] = HashTrieMap()
    by_hand: HashTrieMap[tuple[str, ...], str] = HashTrieMap()
    closed_through: str = ""
    fees: HashTrieMap[str, tuple[rec.FeeTerm, ...]] = HashTrieMap()
    """The agreed fees by the day from which they are in force."""

    def adjusts(self, days: Iterable[str]) -> str:
        return self.closed_through if any(day <= self.closed_through for day in days) else ""


def evolve(state: Reconciliation, event: rec.ReconciliationEvent) -> Reconciliation:
    """Never refuse an event: an old stream must load under new rules."""
    match event:
        case rec.ReconciliationMatched(matches=matches):
            for one in matches:
                state = _matched(state, one)
                if event.settles:
                    state = state._replace(by_hand=state.by_hand.insert(event.settles, one.match_id))
        case rec.ReconciliationMatchUndone(match_id=match_id):
            return _undone(state, match_id)
        case rec.ReconciliationBreaksFound(breaks=breaks):
            for its in breaks:
                state = state._replace(breaks=state.breaks.insert(its.break_id, found_of(its)))
        case rec.ReconciliationBreaksCleared(break_ids=break_ids):
            for break_id in break_ids:
                state = state._replace(breaks=state.breaks.discard(break_id))
        case rec.ReconciliationBreakResolved(break_id=break_id):
            return _settled(state, break_id, event.resolution, event.note)
        case rec.ReconciliationBreakReopened(break_id=break_id):
            return _settled(state, break_id, "", "")
        case rec.ReconciliationPeriodClosed(through=through):
            return state._replace(closed_through=max(state.closed_through, through))
        case rec.FeeTermsSet():
            return state._replace(fees=state.fees.insert(event.since, event.terms))
    return state


def decide(state: Reconciliation, command: rec.ReconciliationCommand) -> Iterator[rec.ReconciliationEvent]:
    """Yield nothing if the command is already satisfied, so that retries are free."""
    match command:
        case rec.RecordReconciliation():
            yield from _record(state, command)
        case rec.ResolveReconciliation():
            yield from _resolve(state, command)
        case rec.ReopenReconciliation():
            known = _break(state, command.account, command.difference)
            if known.resolution:
                adjusts = state.adjusts([known.day])
                yield rec.ReconciliationBreakReopened(
                    account=command.account, break_id=command.difference, note=command.note, adjusts=adjusts
                )
        case rec.MatchReconciliation():
            yield from match_by_hand(state, command)
        case rec.UndoReconciliation():
            yield from _undo(state, command)
        case rec.CloseReconciliation():
            yield from _close(state, command)
        case rec.SetFeeTerms():
            if state.fees.get(command.since) != command.terms:
                yield rec.FeeTermsSet(account=command.account, since=command.since, terms=command.terms)


def found_of(one: rec.Break) -> Found:
    same = {name: getattr(one, name) for name in ("kind", "lines", "movements", "lines_minor")}
    return Found(one.day, one.amount_minor, one.currency, **same)


def sides(match: rec.Match) -> tuple[str, ...]:
    return (*match.lines, *match.movements)


def _matched(state: Reconciliation, match: rec.Match) -> Reconciliation:
    undone = state.undone.discard(match.match_id)
    matches, taken = state.matches.insert(match.match_id, match), state.taken.update(sides(match))
    return state._replace(matches=matches, taken=taken, undone=undone)


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


def _record(state: Reconciliation, command: rec.RecordReconciliation) -> Iterator[rec.ReconciliationEvent]:
    of: Any = {"account": command.account}
    if matches := tuple(_new_matches(state, command.matches)):
        yield rec.ReconciliationMatched(**of, matches=matches, adjusts=state.adjusts(one.day for one in matches))
    named = {one.break_id: one for one in reversed(command.breaks)}
    new = [one for break_id, one in sorted(named.items()) if break_id not in state.breaks]
    for some in _in_pages(new):
        yield rec.ReconciliationBreaksFound(**of, breaks=tuple(some), adjusts=state.adjusts(one.day for one in some))
    if command.is_complete:
        gone = sorted(name for name, known in state.breaks.items() if name not in named and not known.resolution)
        for ids in _in_pages(gone):
            yield rec.ReconciliationBreaksCleared(**of, break_ids=tuple(ids))


def _new_matches(state: Reconciliation, matches: Iterable[rec.Match]) -> Iterator[rec.Match]:
    """Yield the matches that are new; skip those with a line or movement that is in a match by now."""
    taken: set[str] = set()
    for one in matches:
        names = (f"match {one.match_id}", *dict.fromkeys(sides(one)))
        known = one.match_id in state.matches or one.match_id in state.undone
        if not known and not any(name in state.taken or name in taken for name in names):
            taken.update(names)
            yield one


def _in_pages(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (items[first : first + rec.MATCHES_MAX] for first in range(0, len(items), rec.MATCHES_MAX))


def _break(state: Reconciliation, account: str, break_id: str) -> Found:
    known = state.breaks.get(break_id)
    if known is None:
        raise Refused(
            FinanceRefusal.UNKNOWN_BREAK,
            f"{account} has no break {break_id}; see `oms-es reconcile breaks {account}`",
        )
    return known


def _resolve(state: Reconciliation, command: rec.ResolveReconciliation) -> Iterator[rec.ReconciliationEvent]:
    known = _break(state, command.account, command.difference)
    if not known.resolution:
        said: Any = {
            "amount_minor": known.amount_minor,
            "currency": known.currency,
            "adjusts": state.adjusts([known.day]),
        }
        yield rec.ReconciliationBreakResolved(
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


def match_by_hand(state: Reconciliation, command: rec.MatchReconciliation) -> Iterator[rec.ReconciliationEvent]:
    """Decide that several breaks are one match. A run may propose the same match; the envelope names who made it."""
    names = tuple(sorted(set(command.differences)))
    if state.by_hand.get(names) in state.matches:
        return
    found = [_break(state, command.account, name) for name in names]
    lines = tuple(sorted({name for one in found for name in one.lines}))
    movements = tuple(sorted({name for one in found for name in one.movements}))
    match = rec.Match(
        match_id=rec.id_of(*lines, *movements),
        lines=lines[: rec.SIDE_MAX],
        movements=movements[: rec.SIDE_MAX],
        reason=f"by hand: {command.note}".removesuffix(": ")[: rec.REASON_MAX],
        confidence=100,
        day=max(one.day for one in found),
        amount_minor=_require_one(state, found, (*lines, *movements)),
    )
    adjusts = state.adjusts(one.day for one in found)
    yield rec.ReconciliationMatched(account=command.account, matches=(match,), adjusts=adjusts, settles=names)
    yield rec.ReconciliationBreaksCleared(account=command.account, break_ids=names)


def _require_one(state: Reconciliation, found: Sequence[Found], sides: Sequence[str]) -> int:
    """Return the sum of the breaks' lines in minor units. Raise Refused if the breaks do not make one match."""
    sums = [one.sums for one in found if one.sums]
    came, here = sum(lines for lines, _ in sums), sum(movements for _, movements in sums)
    currencies = sorted({one.currency for one in found})
    if resolved := next((one for one in found if one.resolution), None):
        why = f"one of them is {resolved.resolution}; reopen it first"
    elif odd := next((one for one in found if one.sums is None), None):
        why = f"a break of kind {odd.kind} is no part of a match; resolve it"
    elif not sides:
        why = "they name no line and no movement"
    elif len(sides) < sum(len(one.lines) + len(one.movements) for one in found):
        why = "two of them name the same line or movement; run the reconciliation again, and see the breaks"
    elif currencies[1:]:
        why = f"they are in {' and '.join(currencies)}; resolve them"
    elif came != here:
        said, known, left = (to_text(amount, currencies[0]) for amount in (came, here, came - here))
        why = f"{said} of lines is not {known} here, {left} differs; name the break with the rest, or resolve them"
    elif len(sides) > rec.SIDE_MAX or abs(came) > AMOUNT_MINOR_MAX:
        why = f"at most {rec.SIDE_MAX} lines and movements are matched at once; name fewer"
    elif any(name in state.taken for name in sides):
        why = "some of it is in a match since; run the reconciliation again, and see the breaks"
    else:
        return came
    raise Refused(FinanceRefusal.NOT_A_MATCH, why)


def _undo(state: Reconciliation, command: rec.UndoReconciliation) -> Iterator[rec.ReconciliationEvent]:
    if command.match in state.undone:
        return
    known = state.matches.get(command.match)
    if known is None:
        raise Refused(
            FinanceRefusal.UNKNOWN_MATCH,
            f"{command.account} has no match {command.match}; `oms-es reconcile explain` names that of a line",
        )
    yield rec.ReconciliationMatchUndone(
        account=command.account, match_id=command.match, note=command.note, adjusts=state.adjusts([known.day])
    )


def _close(state: Reconciliation, command: rec.CloseReconciliation) -> Iterator[rec.ReconciliationEvent]:
    if command.through <= state.closed_through:
        return
    left = [name for name, known in state.breaks.items() if known.day <= command.through and not known.resolution]
    if left:
        raise Refused(
            FinanceRefusal.BREAKS_OPEN,
            f"{len(left)} breaks up to {command.through} are open, such as {min(left)}; resolve them first",
        )
    yield rec.ReconciliationPeriodClosed(account=command.account, through=command.through)


decider: Decider[Reconciliation] = Decider(
    "reconciliation",
    Reconciliation(),
    evolve,
    decide,
    accepts=(
        rec.RecordReconciliation,
        rec.ResolveReconciliation,
        rec.ReopenReconciliation,
        rec.MatchReconciliation,
        rec.UndoReconciliation,
        rec.CloseReconciliation,
        rec.SetFeeTerms,
    ),
    emits=(
        rec.ReconciliationMatched,
        rec.ReconciliationBreaksFound,
        rec.ReconciliationBreaksCleared,
        rec.ReconciliationBreakResolved,
        rec.ReconciliationBreakReopened,
        rec.ReconciliationMatchUndone,
        rec.ReconciliationPeriodClosed,
        rec.FeeTermsSet,
    ),
)
