"""expected(name, history, zone, now): what a built-in report should say, counted in plain Python from the events alone.

Nothing of the projections or of the reports is used: an order's content is followed by its own arithmetic. Only which
exceptions are open is read from the rows of their read model, which `verify` holds against history.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from math import floor
from typing import Any
from zoneinfo import ZoneInfo

from oms_es.kernel import Recorded
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas import shipment as sh
from oms_es.schemas import stock as s
from oms_es.schemas.returns import rma as r

Rows = dict[tuple[Any, ...], tuple[Any, ...]]
CONTENT = ("lines", "shipping_minor", "tax_minor", "discount_minor")


@dataclass
class Line:
    sku: str = ""
    price: int = 0
    gone: int = 0
    gone_minor: int = 0
    sold_elsewhere: int = 0
    sold_elsewhere_minor: int = 0
    returned: int = 0


@dataclass
class Order:
    placed: o.OrderPlaced
    accepted_at: datetime
    content: dict[str, Any]
    units: int
    gross: int
    cancelled_units: int = 0
    cancelled: int = 0
    refunded: int = 0
    is_cancelled: bool = False
    is_merged: bool = False
    is_shipped: bool = False
    parcels: int = 0
    released_at: datetime | None = None
    left_at: datetime | None = None
    lines: dict[str, Line] = field(default_factory=lambda: defaultdict(Line))

    @property
    def total(self) -> int:
        goods = sum(line.quantity * line.unit_price_minor for line in self.content["lines"])
        return int(goods + self.content["shipping_minor"] + self.content["tax_minor"] - self.content["discount_minor"])

    @property
    def now(self) -> int:
        return sum(line.quantity for line in self.content["lines"])

    @property
    def credit(self) -> int:
        return min(self.placed.credit_minor, max(self.gross - self.cancelled, 0))

    def quantity(self, line_id: str) -> int:
        """Return the units of a line; 0 for a merged order, whose units are counted in the other order."""
        return 0 if self.is_merged else sum(n.quantity for n in self.content["lines"] if n.line_id == line_id)

    def state(self) -> None:
        for line in self.content["lines"]:
            self.lines[line.line_id].sku, self.lines[line.line_id].price = line.sku, line.unit_price_minor


@dataclass
class World:
    orders: dict[str, Order] = field(default_factory=dict)
    parcels: dict[str, dict[str, Any]] = field(default_factory=dict)
    refunds: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    movements: list[tuple[str, str, int]] = field(default_factory=list)


def world_of(history: Iterable[Recorded]) -> World:
    world = World()
    for recorded in history:
        event = recorded.event
        if isinstance(event, o.OrderEvent):
            _order(world, event, recorded.recorded_at)
        elif isinstance(event, sh.ShipmentEvent):
            _parcel(world, event)
        elif isinstance(event, p.PaymentEvent):
            _refund(world, event, recorded.recorded_at)
        elif isinstance(event, r.RmaReceived):
            for units in event.lines:
                world.orders[event.order_id].lines[units.line_id].returned += units.quantity
        elif isinstance(event, s.StockEvent):
            _movement(world, event)
    for refund in world.refunds.values():
        if refund["order_id"] in world.orders and refund["cause"] != "payment undone":
            world.orders[refund["order_id"]].refunded += refund["refunded"]
    return world


def _order(world: World, event: Any, at: datetime) -> None:
    if isinstance(event, o.OrderPlaced):
        content = {name: getattr(event, name) for name in CONTENT}
        order = world.orders[event.order_id] = Order(event, at, content, 0, 0)
        order.units, order.gross = order.now, order.total
        order.state()
    elif (known := world.orders.get(event.order_id)) is None:
        return
    elif isinstance(event, o.ContentChange):
        _changed(known, event)
    elif isinstance(event, o.OrderCancelled):
        known.is_cancelled = True
        known.cancelled_units += known.now
        known.cancelled += known.total
    elif isinstance(event, o.OrderMergedInto):
        known.is_merged = True
        known.units -= known.now
        known.gross -= known.total
    elif isinstance(event, o.OrderReleased):
        known.parcels, known.released_at = known.parcels or len(event.shipments), known.released_at or at
    elif isinstance(event, o.OrderShipmentDispatched):
        known.left_at = known.left_at or at
    elif isinstance(event, o.OrderShipped):
        known.is_shipped = True


def _changed(order: Order, event: Any) -> None:
    before, minor = order.now, order.total
    if event.lines is not None and not isinstance(event, o.OrderSplit | o.OrderAmended):
        elsewhere = isinstance(event, o.OrderFulfilledElsewhere)
        for units in event.fulfilled if elsewhere else event.cancelled:
            line = order.lines[units.line_id]
            if elsewhere:
                line.sold_elsewhere += units.quantity
                line.sold_elsewhere_minor += units.quantity * line.price
            else:
                line.gone += units.quantity
                line.gone_minor += units.quantity * line.price
    order.content |= {name: getattr(event, name) for name in CONTENT if getattr(event, name) is not None}
    order.state()
    if isinstance(event, o.OrderLinesCancelled):
        order.cancelled_units += before - order.now
        order.cancelled += minor - order.total
    elif isinstance(event, o.OrderAmended | o.OrderSplit):
        order.units += order.now - before
        order.gross += order.total - minor


def _parcel(world: World, event: Any) -> None:
    if isinstance(event, sh.ShipmentRequested):
        world.parcels[event.shipment_id] = {"carrier": "", "left": None, "came": None}
    parcel = world.parcels.get(event.shipment_id)
    if parcel is None:
        return
    match event:
        case sh.ShipmentBooked(carrier=carrier):
            parcel["carrier"] = carrier
        case sh.ShipmentBookingCancelled():
            parcel["carrier"] = ""
        case sh.ShipmentDispatched(dispatched_at=at):
            parcel["left"] = at
        case sh.ShipmentDelivered(delivered_at=at):
            parcel["came"] = at


ENDS: dict[Any, str] = {
    p.PaymentRefundRefused: "refused",
    p.PaymentRefundFailed: "failed",
    p.PaymentRefunded: "refunded",
    p.PaymentRefundReversed: "reversed",
}


def _refund(world: World, event: Any, at: datetime) -> None:
    if type(event) not in (p.PaymentRefundRequested, *ENDS):
        return
    nothing = {"order_id": event.order_id, "currency": event.currency, "at": None, "cause": "at the provider"}
    counts = dict.fromkeys(("requested", "refunded", "line", "shipping", "goodwill"), 0)
    refund = world.refunds.setdefault((event.payment_id, event.refund_id), {**nothing, **counts})
    if isinstance(event, p.PaymentRefundRequested):
        refund |= {"status": "requested", "requested": event.amount_minor, "at": at}
        refund["cause"] = "asked for" if sum(a.amount_minor for a in event.allocations) else "payment undone"
        for kind in ("line", "shipping", "goodwill"):
            refund[kind] = sum(a.amount_minor for a in event.allocations if a.kind == kind)
        return
    refund["status"] = ENDS[type(event)]
    if isinstance(event, p.PaymentRefunded):
        refund["refunded"] += event.amount_minor
        refund["at"] = at if refund["cause"] == "at the provider" else refund["at"]
    elif isinstance(event, p.PaymentRefundReversed):
        refund["refunded"] -= event.amount_minor


def _movement(world: World, event: Any) -> None:
    moves: dict[Any, tuple[str, int]] = {
        s.StockReceived: ("received", 1),
        s.StockReturned: ("returned", 1),
        s.StockMovedIn: ("moved_in", 1),
        s.StockMovedOut: ("moved_out", -1),
        s.StockAdjusted: ("adjusted", 1),
        s.StockWrittenOff: ("written_off", -1),
        s.StockShipped: ("shipped", -1),
    }
    if isinstance(event, s.StockCounted):
        world.movements.append((event.location, "counted", event.quantity - event.expected))
    elif type(event) in moves:
        kind, sign = moves[type(event)]
        world.movements.append((event.location, kind, sign * event.quantity))


def percent(above: int, below: int) -> float | None:
    return float(rounded(Decimal(100 * above) / below, 2)) if below else None


def rounded(value: Decimal, decimals: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)


def percentile(values: Sequence[float], at: float) -> float | None:
    """Return the percentile, interpolated between two values, or None without values."""
    if not values:
        return None
    there = sorted(values)
    place = at / 100 * (len(there) - 1)
    low = floor(place)
    high = min(low + 1, len(there) - 1)
    return there[low] + (there[high] - there[low]) * (place - low)


def hours(span: timedelta) -> float:
    return span / timedelta(hours=1)


def grouped(things: Iterable[Any], key: Callable[[Any], tuple[Any, ...] | None]) -> Mapping[tuple[Any, ...], list[Any]]:
    found: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
    for one in things:
        if (where := key(one)) is not None:
            found[where].append(one)
    return found


class Oracle:
    def __init__(self, history: Iterable[Recorded], zone: str, now: datetime, exceptions: Sequence[Any]) -> None:
        self.world = world_of(history)
        self.zone = ZoneInfo(zone)
        self.now = now
        self.exceptions = exceptions

    def expected(self, name: str) -> Rows:
        found: Rows = getattr(self, {"exceptions": "open_exceptions"}.get(name, name.replace("-", "_")))()
        return found

    def day(self, at: datetime) -> date:
        return at.astimezone(self.zone).date()

    def week(self, at: datetime) -> date:
        day = self.day(at)
        return day - timedelta(days=day.weekday())

    def orders(self, key: Callable[[Order], tuple[Any, ...] | None]) -> Mapping[tuple[Any, ...], list[Order]]:
        return grouped(self.world.orders.values(), key)

    def by_day(self, order: Order) -> date:
        return self.day(order.placed.placed_at)

    def order_volume(self) -> Rows:
        found = self.orders(lambda n: (self.by_day(n), n.placed.channel))
        return {key: (_count(of), sum(n.units for n in of)) for key, of in found.items()}

    def sales(self) -> Rows:
        rows: Rows = {}
        for key, of in self.orders(lambda n: (self.by_day(n), n.placed.channel, n.placed.currency)).items():
            gross, off = sum(n.gross for n in of), sum(n.cancelled for n in of)
            credit, back = sum(n.credit for n in of), sum(n.refunded for n in of)
            rows[key] = (_count(of), gross, off, credit, back, gross - off - credit - back)
        return rows

    def average_order_value(self) -> Rows:
        rows: Rows = {}
        for key, of in self.orders(lambda n: (self.by_day(n), n.placed.currency)).items():
            gross, count = sum(n.gross for n in of), _count(of)
            rows[key] = (gross, count, int(rounded(Decimal(gross) / count, 0)) if count else None)
        return rows

    def lines(self, key: Callable[[Order, Line], tuple[Any, ...]]) -> Mapping[tuple[Any, ...], list[Any]]:
        each = ((order, name, line) for order in self.world.orders.values() for name, line in order.lines.items())
        return grouped(each, lambda one: key(one[0], one[2]))

    def units_by_sku(self) -> Rows:
        rows: Rows = {}
        for key, of in self.lines(lambda order, line: (line.sku, order.placed.currency)).items():
            units = sum(n.quantity(name) + line.gone + line.sold_elsewhere for n, name, line in of)
            off = sum(line.gone + (n.quantity(name) if n.is_cancelled else 0) for n, name, line in of)
            worth = sum(
                line.sold_elsewhere_minor + (0 if n.is_cancelled else n.quantity(name) * line.price)
                for n, name, line in of
            )
            rows[key] = (units, off, units - off, worth)
        return rows

    def return_rate(self) -> Rows:
        rows: Rows = {}
        for key, of in self.lines(lambda order, _: (self.week(order.placed.placed_at),)).items():
            sold = sum(line.sold_elsewhere + (0 if n.is_cancelled else n.quantity(name)) for n, name, line in of)
            back = sum(line.returned for _, _, line in of)
            rows[key] = (sold, back, percent(back, sold))
        return rows

    def cancellation_rate(self) -> Rows:
        rows: Rows = {}
        for key, of in self.orders(lambda n: (self.week(n.placed.placed_at), n.placed.channel)).items():
            count, off = _count(of), sum(n.is_cancelled for n in of)
            units, gone = sum(n.units for n in of), sum(n.cancelled_units for n in of)
            rows[key] = (count, off, percent(off, count), units, gone, percent(gone, units))
        return rows

    def order_to_ship(self) -> Rows:
        rows: Rows = {}
        for key, of in self.orders(lambda n: (self.by_day(n),)).items():
            took = [hours(n.left_at - n.accepted_at) for n in of if n.left_at]
            rows[key] = (sum(n.is_shipped for n in of), *(percentile(took, at) for at in (50, 90, 99)))
        return rows

    def ship_to_door(self) -> Rows:
        rows: Rows = {}
        for key, of in grouped(self.world.parcels.values(), lambda n: (n["carrier"],)).items():
            took = [hours(n["came"] - n["left"]) for n in of if n["came"] and n["left"]]
            rows[key] = (sum(n["came"] is not None for n in of), *(percentile(took, at) for at in (50, 90, 99)))
        return rows

    def split_rate(self) -> Rows:
        rows: Rows = {}
        for key, of in self.orders(lambda n: (self.day(n.released_at),) if n.released_at else None).items():
            split = sum(n.parcels > 1 for n in of)
            rows[key] = (len(of), split, percent(split, len(of)), sum(n.parcels for n in of))
        return rows

    def refunds(self) -> Rows:
        named = ("requested", "refunded", "line", "shipping", "goodwill")
        found = grouped(
            self.world.refunds.values(),
            lambda n: (self.day(n["at"]), n["cause"], n["status"], n["currency"]) if n["at"] else None,
        )
        return {key: (len(of), *(sum(n[name] for n in of) for name in named)) for key, of in found.items()}

    def stock_movements(self) -> Rows:
        rows: Rows = {}
        for key, of in grouped(self.world.movements, lambda n: n[:2]).items():
            units = [n for _, _, n in of]
            rows[key] = (sum(n for n in units if n > 0), -sum(n for n in units if n < 0), sum(units))
        return rows

    def open_exceptions(self) -> Rows:
        bands = ((1, "1: under an hour"), (24, "2: under a day"), (168, "3: under a week"))
        aged = [(one["kind"], hours(self.now - one["raised_at"])) for one in self.exceptions]
        found = grouped(
            aged, lambda n: (n[0], next((name for most, name in bands if n[1] < most), "4: a week and more"))
        )
        return {key: (len(of), max(age for _, age in of)) for key, of in found.items()}


def _count(orders: Iterable[Order]) -> int:
    return sum(not order.is_merged for order in orders)
