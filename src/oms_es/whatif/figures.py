"""Figures of a history: parcels, cost, times, shortages; by day and by location.

Invariant: a figure is a fold of events alone, so that history and a fork are measured by the same code.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from statistics import mean
from typing import NamedTuple

from oms_es.kernel import Key, Recorded, Row
from oms_es.processing.read_models.folding import fold
from oms_es.projections.stock import stock_levels
from oms_es.schemas import order as o
from oms_es.schemas import shipment as sh
from oms_es.schemas import stock as s

MEASURES: Mapping[str, str] = {
    "orders": "orders that were placed",
    "parcels": "parcels that warehouses were asked for",
    "split_percent": "of the orders that were released, how many of a hundred went in several parcels",
    "cost_minor": "what sourcing expected shipping to cost, of the plans that it chose",
    "freight_minor": "what carriers quoted for the parcels that were booked",
    "distance_km": "how far the chosen plans sent goods, in all",
    "hours_to_ship": "from the order to its first parcel with the carrier, on average",
    "fill_percent": "of the orders that were sourced, how many of a hundred never waited for stock",
    "backorders": "orders that waited for stock",
    "cancellations": "orders that were cancelled",
    "stock_outs": "times that a SKU at a location had nothing left to promise",
}
"""The figures, each with its meaning."""
BY_DAY = (
    "orders",
    "parcels",
    "cost_minor",
    "freight_minor",
    "distance_km",
    "backorders",
    "cancellations",
    "stock_outs",
)
BY_LOCATION = ("parcels", "freight_minor", "stock_outs")
Numbers = dict[str, float]


class Figures(NamedTuple):
    total: Numbers
    by_day: Mapping[str, Numbers]
    by_location: Mapping[str, Numbers]


class Plan(NamedTuple):
    """A plan that sourcing chose. If stock comes up short, the next plan for as many units replaces it."""

    recorded: Recorded
    units: int
    cost_minor: int
    distance_km: int


class Measuring:
    def __init__(self) -> None:
        self.sums: Counter[str] = Counter()
        self.by_day: dict[str, Counter[str]] = defaultdict(Counter)
        self.by_location: dict[str, Counter[str]] = defaultdict(Counter)
        self.placed: dict[str, datetime] = {}
        self.parcels: Counter[str] = Counter()
        self.sourced: set[str] = set()
        self.waited: set[str] = set()
        self.short: set[str] = set()
        self.plans: dict[str, Plan] = {}
        self.hours: dict[str, float] = {}
        self.location_of: dict[str, str] = {}
        self.levels: dict[Key, Row | None] = {}

    def begin(self, recorded: Recorded) -> None:
        """Note an event before the measured range: it gives the state at the beginning."""
        match recorded.event:
            case o.OrderPlaced():
                self.placed[recorded.stream] = recorded.recorded_at
            case sh.ShipmentRequested(shipment_id=shipment, location=location):
                self.location_of[shipment] = location
        self._promised_all(recorded)

    def note(self, recorded: Recorded) -> None:
        event = recorded.event
        match event:
            case o.OrderPlaced():
                self.placed[recorded.stream] = recorded.recorded_at
                self._count(recorded, "orders", 1)
            case o.OrderSourced():
                self._sourced(recorded, event)
            case s.StockShort(order_id=order):
                self.short.add(order)
            case o.OrderBackordered(order_id=order) if order not in self.waited:
                self.waited.add(order)
                self._count(recorded, "backorders", 1)
            case o.OrderCancelled():
                self._count(recorded, "cancellations", 1)
            case sh.ShipmentRequested(order_id=order, shipment_id=shipment, location=location):
                self.parcels[order] += 1
                self.location_of[shipment] = location
                self._count(recorded, "parcels", 1, location)
            case sh.ShipmentBookingRequested(shipment_id=shipment, quoted_minor=quoted) if quoted:
                self._count(recorded, "freight_minor", quoted, self.location_of.get(shipment, ""))
            case sh.ShipmentDispatched(order_id=order):
                since = self.placed.get(f"order-{order}")
                if since is not None and order not in self.hours:
                    self.hours[order] = (recorded.recorded_at - since).total_seconds() / 3600
        if out := self._promised_all(recorded):
            self._count(recorded, "stock_outs", len(out), out[0])

    def figures(self) -> Figures:
        released, sourced = len(self.parcels), len(self.sourced)
        split = sum(count > 1 for count in self.parcels.values())
        total: Numbers = {name: float(self.sums[name]) for name in MEASURES} | {
            "split_percent": 100 * split / released if released else 0.0,
            "hours_to_ship": mean(self.hours.values()) if self.hours else 0.0,
            "fill_percent": 100 * len(self.sourced - self.waited) / sourced if sourced else 0.0,
        }
        return Figures(
            total,
            {day: {name: float(sums[name]) for name in BY_DAY} for day, sums in sorted(self.by_day.items())},
            {at: {name: float(sums[name]) for name in BY_LOCATION} for at, sums in sorted(self.by_location.items())},
        )

    def _sourced(self, recorded: Recorded, event: o.OrderSourced) -> None:
        self.sourced.add(event.order_id)
        if event.assignments and event.candidates:
            best = min(event.candidates, key=lambda one: (-one.covers_units, one.score))
            units = sum(one.quantity for one in event.assignments)
            plan = Plan(recorded, units, best.cost_minor, best.distance_km)
            before = self.plans.get(event.order_id)
            if before and before.units == units and event.order_id in self.short:
                self._plan(before, -1)
            self._plan(plan, 1)
            self.plans[event.order_id] = plan
            self.short.discard(event.order_id)

    def _plan(self, plan: Plan, times: int) -> None:
        self._count(plan.recorded, "cost_minor", times * plan.cost_minor)
        self._count(plan.recorded, "distance_km", times * plan.distance_km)

    def _count(self, recorded: Recorded, name: str, more: int, location: str = "") -> None:
        self.sums[name] += more
        self.by_day[f"{recorded.recorded_at:%Y-%m-%d}"][name] += more
        if location:
            self.by_location[location][name] += more

    def _promised_all(self, recorded: Recorded) -> list[str]:
        """Return the locations at which a SKU has nothing left to promise after this event, and had before it."""
        folded = stock_levels.projection.folds.get(type(recorded.event))
        if folded is None:
            return []
        keys = list(folded.keys(recorded))
        before = {key: self.levels.get(key) for key in keys}
        touched = dict(before)
        fold(stock_levels.projection, touched, [recorded])
        self.levels |= touched
        return [str(key[1]) for key in keys if _left(before[key]) > 0 >= _left(touched[key])]


def _left(level: Row | None) -> int:
    return int(level["atp"]) if level else 0


def measured(before: Iterable[Recorded], during: Iterable[Recorded]) -> Figures:
    measuring = Measuring()
    for recorded in before:
        measuring.begin(recorded)
    for recorded in during:
        measuring.note(recorded)
    return measuring.figures()


def days_of(*sides: Figures) -> Sequence[str]:
    return sorted({day for side in sides for day in side.by_day})


def locations_of(*sides: Figures) -> Sequence[str]:
    return sorted({location for side in sides for location in side.by_location})
