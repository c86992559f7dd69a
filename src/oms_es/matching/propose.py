"""The proposed matches and breaks of one account.

Invariant: each line and movement is in at most one match; the same input gives the same output, whatever its order;
nothing is matched by amount and date if another choice would be as good.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import combinations
from typing import NamedTuple, TypeVar

from oms_es.matching.sides import Line, Movement, Rules, days_apart
from oms_es.schemas.finance.reconciliation import SIDE_MAX, Break, BreakKind, Match, id_of
from oms_es.schemas.values.currency import to_text

OWN_KINDS = frozenset({"fee", "payout"})
"""Kinds of lines that a provider makes by itself: no movement here corresponds to them."""
REFERENCE, AMOUNT, SUM = 100, 60, 40
"""Scores of a match by its evidence; each day between the two sides lowers the score by one."""
PARTS_MAX, CANDIDATES_MAX = 4, 24
"""Limits for the search of a sum without a reference; a larger search would find sums by chance."""
Side = TypeVar("Side", Line, Movement)


class Proposal(NamedTuple):
    matches: list[Match]
    breaks: list[Break]


def propose(
    lines: Iterable[Line],
    movements: Iterable[Movement],
    rules: Rules,
    through: str,
    undone: Container[str] = frozenset(),
) -> Proposal:
    """Return the matches and breaks.

    `through` is the last day of the imported statements; `undone` are matches that a person took back.
    """
    open_lines = {one.name: one for one in sorted(lines)}
    open_movements = {one.name: one for one in sorted(movements)}
    matches: list[Match] = []
    breaks = list(_duplicates(open_lines))
    for step in (_by_own_reference, _by_reference, _by_amount, _by_sum):
        for match in step(open_lines, open_movements, rules):
            if match.match_id in undone:
                continue
            matches.append(match)
            methods = {open_movements.pop(name).method for name in match.movements}
            method = min(methods) if len(methods) == 1 else ""
            for name in match.lines:
                breaks += _fee_breaks(open_lines.pop(name), method, rules)
    breaks += _differences(open_lines, open_movements)
    matches += _own(open_lines)
    breaks += _left_over(open_lines, open_movements, rules, through)
    return Proposal(matches, breaks)


def match_of(lines: Sequence[Line], movements: Sequence[Movement], reason: str, score: int) -> Match:
    names, others = tuple(one.name for one in lines), tuple(one.name for one in movements)
    return Match(
        match_id=id_of(*names, *others),
        lines=names,
        movements=others,
        reason=reason,
        confidence=score,
        day=max(one.day for one in lines),
        amount_minor=sum(one.amount_minor for one in lines),
    )


def break_of(
    kind: BreakKind, amount_minor: int, detail: str, lines: Sequence[Line] = (), movements: Sequence[Movement] = ()
) -> Break:
    both: list[Line | Movement] = [*lines, *movements]
    names, others = tuple(one.name for one in lines), tuple(one.name for one in movements)
    return Break(
        break_id=f"{kind}/{id_of(*names, *others)}",
        kind=kind,
        day=max(one.day for one in both),
        amount_minor=amount_minor,
        currency=both[0].currency,
        lines=names,
        movements=others,
        detail=detail,
    )


def _duplicates(lines: dict[str, Line]) -> Iterator[Break]:
    """Yield a break for each line that is repeated in another statement, and remove the line, so that it matches
    nothing else.
    """
    first: dict[tuple[str, ...], Line] = {}
    for name, one in list(lines.items()):
        known = (
            first.setdefault((one.line_id, one.kind, one.currency, one.day, str(one.amount_minor)), one)
            if one.line_id
            else one
        )
        if known is not one:
            del lines[name]
            yield break_of("duplicate", one.amount_minor, f"{one.line_id} is in {known.name} too", [one])


def _by_own_reference(lines: dict[str, Line], movements: dict[str, Movement], _: Rules) -> Iterator[Match]:
    """Yield matches of a line and a movement with the same amount and the provider's own reference."""
    named: dict[tuple[str, str, int], list[Line]] = defaultdict(list)
    for line in lines.values():
        for reference in line.references:
            named[reference, line.currency, line.amount_minor].append(line)
    used: set[str] = set()
    for one in list(movements.values()):
        key = (one.references[0], one.currency, one.amount_minor) if one.references else ("", "", 0)
        found = [line for line in named[key] if line.name not in used] if key in named else []
        if found:
            used.add(found[0].name)
            yield match_of([found[0]], [one], "the same reference and amount", REFERENCE)


def _by_reference(lines: dict[str, Line], movements: dict[str, Movement], _: Rules) -> Iterator[Match]:
    for ours, theirs in list(_connected(lines.values(), movements.values())):
        if len(_currencies(ours, theirs)) > 1:
            continue
        if sum(one.amount_minor for one in ours) == sum(one.amount_minor for one in theirs):
            several = "" if len(ours) == len(theirs) == 1 else f": {len(ours)} lines are {len(theirs)} movements"
            yield match_of(ours, theirs, f"the same reference{several}", REFERENCE)
        else:
            yield from _exact_pairs(ours, theirs)


def _exact_pairs(lines: Sequence[Line], movements: Sequence[Movement]) -> Iterator[Match]:
    """Yield a match for each pair of the same amount among sides that share references."""
    left = list(movements)
    for line in lines:
        found = next((one for one in left if one.amount_minor == line.amount_minor), None)
        if found:
            left.remove(found)
            yield match_of([line], [found], "the same reference and amount", REFERENCE)


def _connected(lines: Iterable[Line], movements: Iterable[Movement]) -> Iterator[tuple[list[Line], list[Movement]]]:
    """Yield groups of lines and movements of the same direction that share references, directly or through others."""
    sides: list[Line | Movement] = [*lines, *movements]
    parent = list(range(len(sides)))
    owner: dict[tuple[str, bool], int] = {}
    for number, one in enumerate(sides):
        for reference in one.references:
            other = owner.setdefault((reference, one.amount_minor > 0), number)
            parent[_root(parent, other)] = _root(parent, number)
    groups: dict[int, tuple[list[Line], list[Movement]]] = {}
    for number, one in enumerate(sides):
        ours, theirs = groups.setdefault(_root(parent, number), ([], []))
        if isinstance(one, Line):
            ours.append(one)
        else:
            theirs.append(one)
    for ours, theirs in groups.values():
        if ours and theirs and max(len(ours), len(theirs)) <= SIDE_MAX:
            yield ours, theirs


def _root(parent: list[int], number: int) -> int:
    while parent[number] != number:
        parent[number] = parent[parent[number]]
        number = parent[number]
    return number


def _near(line: Line, movements: Iterable[Movement], rules: Rules) -> list[Movement]:
    return [one for one in movements if days_apart(one.day, line.day) <= rules.window_days]


def _by_amount(lines: dict[str, Line], movements: dict[str, Movement], rules: Rules) -> Iterator[Match]:
    """Yield matches of a line and a movement if each is the only choice for the other."""
    ours, theirs = _by_sum_of(lines.values()), _by_sum_of(movements.values())
    for key in sorted(ours.keys() & theirs.keys()):
        if len(ours[key]) == len(theirs[key]) == 1:
            (line,), (movement,) = ours[key], theirs[key]
            apart = days_apart(line.day, movement.day)
            if apart <= rules.window_days and line.kind not in OWN_KINDS:
                yield match_of([line], [movement], f"the only one of its amount within {apart} days", AMOUNT - apart)


def _by_sum_of(sides: Iterable[Side]) -> dict[tuple[str, int], list[Side]]:
    found: dict[tuple[str, int], list[Side]] = defaultdict(list)
    for one in sides:
        found[one.currency, one.amount_minor].append(one)
    return found


def _by_sum(lines: dict[str, Line], movements: dict[str, Movement], rules: Rules) -> Iterator[Match]:
    """Yield matches of a line that is the sum of several movements in exactly one way."""
    for line in list(lines.values()):
        if line.kind in OWN_KINDS:
            continue
        same = [one for one in movements.values() if one.currency == line.currency]
        near = [one for one in _near(line, same, rules) if (one.amount_minor > 0) == (line.amount_minor > 0)]
        if not 1 < len(near) <= CANDIDATES_MAX:
            continue
        ways = [
            parts
            for count in range(2, PARTS_MAX + 1)
            for parts in combinations(near, count)
            if sum(one.amount_minor for one in parts) == line.amount_minor
        ]
        if len(ways) == 1:
            yield match_of([line], ways[0], f"the only sum of {len(ways[0])} movements within days", SUM)


def _fee_breaks(line: Line, method: str, rules: Rules) -> Iterator[Break]:
    expected = rules.fee_of(line.amount_minor, method, line.day) if line.kind == "payment" else None
    if expected is not None and expected != line.fee_minor:
        said, agreed = to_text(line.fee_minor, line.currency), to_text(expected, line.currency)
        yield break_of("fee", line.fee_minor - expected, f"a fee of {said}, where {agreed} was agreed", [line])


def _currencies(lines: Sequence[Line], movements: Sequence[Movement]) -> list[str]:
    return sorted({one.currency for one in lines} | {one.currency for one in movements})


def _differences(lines: dict[str, Line], movements: dict[str, Movement]) -> Iterator[Break]:
    """Yield breaks for groups that share references and do not agree, and remove their members."""
    for ours, theirs in list(_connected(lines.values(), movements.values())):
        currencies = _currencies(ours, theirs)
        came, here = (sum(one.amount_minor for one in side) for side in (ours, theirs))
        if came == here and not currencies[1:]:
            continue  # a person has taken this match back
        if len(currencies) > 1:
            yield break_of("currency", came, f"they are in {' and '.join(currencies)}", ours, theirs)
        else:
            said, known = (to_text(amount, currencies[0]) for amount in (came, here))
            one = break_of("amount", came - here, f"{said} there, {known} here", ours, theirs)
            yield one.model_copy(update={"lines_minor": came})
        for line in ours:
            del lines[line.name]
        for movement in theirs:
            del movements[movement.name]


def _own(lines: dict[str, Line]) -> Iterator[Match]:
    for name, one in list(lines.items()):
        if one.kind in OWN_KINDS:
            del lines[name]
            yield match_of([one], [], f"a {one.kind} of the provider itself", REFERENCE)


def _left_over(lines: dict[str, Line], movements: dict[str, Movement], rules: Rules, through: str) -> Iterator[Break]:
    """Yield a break for each side that is left; `timing` if it is so recent that its counterpart may still come."""
    for line in lines.values():
        yield break_of("missing_here", line.amount_minor, f"nothing here is this {line.kind}", [line])
    for one in movements.values():
        kind: BreakKind = (
            "timing"
            if one.day >= through or days_apart(one.day, through) < rules.window_days
            else "missing_at_provider"
        )
        yield break_of(kind, one.amount_minor, "no line of a statement is this", movements=[one])
