"""Then and now, side by side: an order, or the stock of a SKU, at a past moment and now.

Pure: turns two answers of the API into rows, each of which says whether it differs; and lists the moments to choose
from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from oms_es.console.rendering import moment_of

TICKS_MAX = 500
CHANGES_MAX = 60
BOOKKEEPING = frozenset({"movements"})
"""Fields of a state that only serve to recognise a repeated command."""
MONEY = frozenset({"total_minor", "refunded_minor", "amount_minor"})
MOMENTS = frozenset({"promised_at", "next_inbound_at"})
FACTS = (
    *("phase", "total_minor", "refunded_minor", "units", "backordered", "dispatched", "delivered", "holds"),
    *("promised_at", "reason"),
)
PARTS: Sequence[tuple[str, str, tuple[str, ...]]] = (
    ("lines", "line_id", ("quantity",)),
    ("shipments", "shipment_id", ("step",)),
    ("payments", "payment_id", ("status", "amount_minor")),
)


class Fact(NamedTuple):
    """One value, then and now. `prefix`: of the keys of its words. `subject`: the line, parcel or place that it belongs
    to."""

    prefix: str
    name: str
    subject: str
    kind: str
    then: Any
    now: Any

    @property
    def is_changed(self) -> bool:
        return bool(self.then != self.now)


class Change(NamedTuple):
    """A value inside a state that a command would change. `path`: the field names that lead to it."""

    path: tuple[str, ...]
    before: Any
    after: Any


class Tick(NamedTuple):
    """A moment that can be shown. `at`: the value for the page's address."""

    at: str
    label: str


class Ticks(NamedTuple):
    """The moments to choose from. `place`: the index of the moment that is shown; the number of ticks if
    that is now."""

    ticks: Sequence[Tick]
    place: int

    @property
    def before(self) -> Tick | None:
        return self.ticks[self.place - 1] if 0 < self.place <= len(self.ticks) else None

    @property
    def after(self) -> Tick | None:
        return self.ticks[self.place + 1] if self.place + 1 < len(self.ticks) else None


def of_order(then: Mapping[str, Any], now: Mapping[str, Any], order_id: str) -> list[Fact]:
    """Return the order's fields, then those of each of its parts, including parts that exist at one of the two times
    only."""
    found = [_fact("fact", name, "", then, now) for name in FACTS if then.get(name) or now.get(name)]
    for part, key, names in PARTS:
        before, after = ({one[key]: one for one in whole.get(part) or ()} for whole in (then, now))
        for subject in {**before, **after}:
            called = subject.removeprefix(order_id).lstrip(".") or subject
            found += [
                _fact(f"part.{part}", name, called, before.get(subject, {}), after.get(subject, {})) for name in names
            ]
    return found


def of_stock(then: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]], names: Iterable[str]) -> list[Fact]:
    """Return the counts by location; those that are zero at both times are left out."""
    before, after = ({one["location"]: one for one in levels} for levels in (then, now))
    facts = (
        _fact("stock.count", name, location, before.get(location, {}), after.get(location, {}))
        for location in {**before, **after}
        for name in names
    )
    return [fact for fact in facts if fact.then or fact.now]


def of_preview(changed: Mapping[str, Mapping[str, Any]]) -> list[Change]:
    """Return the values that differ, at any depth: the first CHANGES_MAX of them."""
    found = (
        change
        for name, one in changed.items()
        if name not in BOOKKEEPING
        for change in _changes((name,), one["from"], one["to"])
    )
    return list(islice(found, CHANGES_MAX))


def _changes(path: tuple[str, ...], before: Any, after: Any) -> Iterator[Change]:
    if before == after:
        return
    if isinstance(before or {}, Mapping) and isinstance(after or {}, Mapping) and (before or after):
        before, after = before or {}, after or {}
        for key in {**before, **after}:
            yield from _changes((*path, key), before.get(key), after.get(key))
    else:
        yield Change(path, before, after)


def _fact(prefix: str, name: str, subject: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> Fact:
    kind = "money" if name in MONEY else "moment" if name in MOMENTS else "phase" if name == "phase" else "text"
    return Fact(prefix, name, subject, kind, then.get(name), now.get(name))


def ticks(rows: Iterable[Mapping[str, Any]], at: str | None) -> Ticks:
    """Return one tick for each moment at which something was recorded: the last TICKS_MAX of them."""
    found: dict[datetime, str] = {}
    for row in rows:
        moment = moment_of(row["recorded_at"])
        found[moment] = f"{found[moment]}, {row['event']}" if moment in found else str(row["event"])
    kept = list(_labelled(found))[-TICKS_MAX:]
    if at is None:
        return Ticks(kept, len(kept))
    wanted = moment_of(at)
    return Ticks(kept, sum(moment_of(tick.at) <= wanted for tick in kept) - 1)


def _labelled(found: Mapping[datetime, str]) -> Iterator[Tick]:
    for moment, events in found.items():
        yield Tick(moment.isoformat().replace("+00:00", "Z"), f"{moment:%Y-%m-%d %H:%M:%S} {events}")
