"""Expected figures of reports about stock, payments, feedback, bookings and classes, in plain Python from the events
alone."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from oms_es.kernel import Recorded
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas import shipment as sh
from oms_es.schemas import stock as s
from oms_es.schemas.returns.feedback import FeedbackRecorded
from report_oracle import Oracle, Order, Rows, grouped, hours, percent, percentile, rounded

AGES = ((1, "1: under an hour"), (24, "2: under a day"), (168, "3: under a week"))
LONG = ((720, "1: under 30 days"), (2160, "2: under 90 days"), (4320, "3: under 180 days"))
SIGNS: dict[Any, int] = {
    **dict.fromkeys((s.StockReceived, s.StockReturned, s.StockMovedIn, s.StockAdjusted), 1),
    **dict.fromkeys((s.StockMovedOut, s.StockWrittenOff, s.StockShipped), -1),
}


@dataclass
class Waiting:
    since: datetime | None = None
    had_all_at: datetime | None = None
    wants: dict[str, tuple[int, datetime | None]] = field(default_factory=dict)


@dataclass
class Shelf:
    """A SKU at a location: receipts that are still there with their times, and the stock at the end of each day."""

    first_at: datetime
    layers: deque[list[Any]] = field(default_factory=deque)
    shipped_at: datetime | None = None
    ended: dict[date, int] = field(default_factory=dict)
    shipped: dict[date, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def on_hand(self) -> int:
        return sum(units for _, units in self.layers)


def banded(value: float, bands: Sequence[tuple[int, str]], last: str) -> str:
    return next((name for most, name in bands if value < most), last)


class MoreOracle(Oracle):
    def __init__(self, history: Iterable[Recorded], zone: str, now: datetime, exceptions: Sequence[Any]) -> None:
        history = list(history)
        super().__init__(history, zone, now, exceptions)
        self.waiting: dict[str, Waiting] = defaultdict(Waiting)
        self.shelves: dict[tuple[str, str], Shelf] = {}
        self.payments: dict[str, dict[str, Any]] = {}
        self.ratings: list[FeedbackRecorded] = []
        self.quotes: dict[str, sh.ShipmentBookingRequested] = {}
        self.bills: dict[str, list[sh.ShipmentFreightBilled]] = defaultdict(list)
        self.answered: dict[tuple[str, str], datetime] = {}
        for recorded in history:
            self._seen(recorded.event, recorded.recorded_at)

    def _seen(self, event: Any, at: datetime) -> None:
        match event:
            case FeedbackRecorded():
                self.ratings.append(event)
            case sh.ShipmentBookingRequested():
                self.quotes[event.shipment_id] = event
            case sh.ShipmentFreightBilled():
                self.bills[event.shipment_id].append(event)
            case p.PaymentRequested():
                self.payments[event.payment_id] = {"asked": event, "at": at, "end": "", "held": False}
            case p.PaymentAuthorized() | p.PaymentReauthorized() if event.amount_minor:
                self.payments[event.payment_id]["held"] = True
            case p.PaymentDeclined():
                self.payments[event.payment_id]["end"] = "declined"
            case p.PaymentFailed():
                self.payments[event.payment_id]["end"] = "failed"
            case p.PaymentRefunded():
                self.answered[event.payment_id, event.refund_id] = at
        if isinstance(event, p.PaymentAuthorized | p.PaymentExpired | p.PaymentVoided) and event.amount_minor:
            self.payments[event.payment_id]["end"] = ""
        if isinstance(event, o.OrderEvent):
            self._waits(event, at)
        elif isinstance(event, s.StockCounted):
            self._moves(event, event.quantity - event.expected, at)
        elif type(event) in SIGNS:
            self._moves(event, SIGNS[type(event)] * event.quantity, at)

    def _waits(self, event: Any, at: datetime) -> None:
        one = self.waiting[event.order_id]
        match event:
            case o.OrderBackordered():
                one.since = one.since or at
                for sku, units in event.demand.items():
                    one.wants[sku] = (one.wants.get(sku, (0, None))[0] + units, event.promised_at)
            case o.OrderSourcingRequested(short=None):
                for sku in event.demand:
                    one.wants.pop(sku, None)
            case o.OrderCancelled() | o.OrderMergedInto():
                one.wants.clear()
            case o.OrderAllocated():
                one.had_all_at = one.had_all_at or at
            case o.OrderAmended() | o.OrderFulfilledElsewhere() | o.OrderLinesCancelled() | o.OrderSplit():
                for sku, units in event.no_longer_backordered.items():
                    left, by = one.wants.pop(sku)
                    if left > units:
                        one.wants[sku] = (left - units, by)

    def _moves(self, event: Any, change: int, at: datetime) -> None:
        shelf = self.shelves.setdefault((event.sku, event.location), Shelf(at))
        shelf.first_at = min(shelf.first_at, at)
        if change > 0:
            shelf.layers.append([at, change])
        while change < 0:
            taken = min(-change, shelf.layers[0][1])
            shelf.layers[0][1] -= taken
            change += taken
            if not shelf.layers[0][1]:
                shelf.layers.popleft()
        if isinstance(event, s.StockShipped):
            shelf.shipped_at = max(shelf.shipped_at or at, at)
            shelf.shipped[self.day(at)] += event.quantity
        shelf.ended[self.day(at)] = shelf.on_hand

    def days(self) -> Iterator[tuple[str, str, int, int, bool, Decimal]]:
        """Yield SKU, location, stock at the end of the day, units shipped on it, whether any was available, and the
        mean shipped on such days."""
        for (sku, location), shelf in self.shelves.items():
            day, last = min(shelf.ended), max(*shelf.ended, self.day(self.now))
            level, found = 0, []
            while day <= last:
                level = shelf.ended.get(day, level)
                shipped = shelf.shipped.get(day, 0)
                found.append((level, shipped, level > 0 or shipped > 0))
                day += timedelta(days=1)
            there = sum(was for _, _, was in found)
            usual = rounded(Decimal(sum(n for _, n, _ in found)) / there, 2) if there else Decimal()
            yield from ((sku, location, *one, usual) for one in found)

    def stock_turn(self) -> Rows:
        rows: Rows = {}
        for key, of in grouped(self.days(), lambda n: (n[1],)).items():
            shipped, held = sum(n[3] for n in of), sum(n[2] for n in of)
            rows[key] = (shipped, held, float(rounded(Decimal(365 * shipped) / held, 2)) if held else None)
        return rows

    def days_of_cover(self) -> Rows:
        rows: Rows = {}
        for key, of in grouped(self.days(), lambda n: (n[0],)).items():
            shipped, held = sum(n[3] for n in of), sum(n[2] for n in of)
            rows[key] = (shipped, held, float(rounded(Decimal(held) / shipped, 2)) if shipped else None)
        return rows

    def stock_outs(self) -> Rows:
        rows: Rows = {}
        for key, of in grouped(self.days(), lambda n: n[:2]).items():
            out = sum(not n[4] for n in of)
            rows[key] = (len(of), out, percent(out, len(of)), float(sum(n[5] for n in of if not n[4])))
        return rows

    def stock_age(self) -> Rows:
        last = "4: 180 days and more"
        layers = [(place[1], hours(self.now - at), n) for place, one in self.shelves.items() for at, n in one.layers]
        found = grouped(layers, lambda n: (n[0], banded(n[1], LONG, last)))
        return {key: (sum(n[2] for n in of), max(n[1] for n in of)) for key, of in found.items()}

    def dead_stock(self) -> Rows:
        rows: Rows = {}
        for key, shelf in self.shelves.items():
            still = hours(self.now - (shelf.shipped_at or shelf.first_at))
            if shelf.on_hand and still >= LONG[-1][0]:
                rows[key] = (shelf.on_hand, still)
        return rows

    def fill_rate(self) -> Rows:
        rows: Rows = {}

        def key(one: Order) -> tuple[Any, ...] | None:
            return None if one.placed.kind == "presale" else (self.week(one.placed.placed_at), one.placed.channel)

        for where, of in self.orders(key).items():
            waits = [(n, self.waiting[n.placed.order_id]) for n in of]
            counted = [one for n, one in waits if not n.is_merged]
            tried = sum(one.since is not None or one.had_all_at is not None for one in counted)
            filled = sum(one.since is None and one.had_all_at is not None for one in counted)
            took = [
                hours(one.had_all_at - one.since)
                for _, one in waits
                if one.since and one.had_all_at and one.had_all_at >= one.since
            ]
            rows[where] = (tried, filled, percent(filled, tried), percentile(took, 50), percentile(took, 90))
        return rows

    def backorder_age(self) -> Rows:
        wanted = [
            (sku, units, by, hours(self.now - one.since))
            for one in self.waiting.values()
            if one.since
            for sku, (units, by) in one.wants.items()
        ]
        found = grouped(wanted, lambda n: (n[0], banded(n[3], AGES, "4: a week and more")))
        return {
            key: (sum(n[1] for n in of), sum(n[1] for n in of if n[2] and n[2] < self.now), max(n[3] for n in of))
            for key, of in found.items()
        }

    def quoted(self) -> Iterator[tuple[sh.ShipmentBookingRequested, dict[str, Any]]]:
        each = ((quote, self.world.parcels[name]) for name, quote in self.quotes.items() if quote.currency)
        yield from ((quote, parcel) for quote, parcel in each if parcel["left"])

    def on_time(self) -> Rows:
        rows: Rows = {}
        for key, of in grouped(self.quoted(), lambda n: (n[0].carrier, n[0].service)).items():
            due = in_time = 0
            late = []
            for quote, parcel in of:
                if not quote.transit_days:
                    continue
                by = parcel["left"] + timedelta(days=quote.transit_days)
                due += parcel["came"] is not None or by < self.now
                in_time += parcel["came"] is not None and parcel["came"] <= by
                if parcel["came"] and parcel["came"] > by:
                    late.append(hours(parcel["came"] - by))
            rows[key] = (len(of), due, in_time, percent(in_time, due), percentile(late, 50), percentile(late, 90))
        return rows

    def freight(self) -> Rows:
        rows: Rows = {}
        for key, of in grouped(self.quoted(), lambda n: (n[0].carrier, n[0].service, n[0].currency)).items():
            minor = sum(quote.quoted_minor for quote, _ in of)
            mean = int(rounded(Decimal(minor) / len(of), 0))
            billed = [(quote.quoted_minor, self._billed(quote)) for quote, _ in of if self._billed(quote) is not None]
            above = sum((bill or 0) - quoted for quoted, bill in billed)
            rows[key] = (len(of), minor, mean, len(billed), sum(bill or 0 for _, bill in billed), above)
        return rows

    def _billed(self, quote: sh.ShipmentBookingRequested) -> int | None:
        """None where nothing was billed in the currency of the quote."""
        bills = [bill.amount_minor for bill in self.bills[quote.shipment_id] if bill.currency == quote.currency]
        return sum(bills) if bills else None

    def payment_success(self) -> Rows:
        rows: Rows = {}
        for key, of in grouped(self.payments.values(), lambda n: (self.day(n["at"]), n["asked"].method)).items():
            held, declined = sum(n["held"] for n in of), sum(n["end"] == "declined" for n in of)
            failed = sum(n["end"] == "failed" for n in of)
            answered = sum(n["held"] or n["end"] != "" for n in of)
            rows[key] = (len(of), answered, held, declined, failed, percent(held, answered))
        return rows

    def refund_times(self) -> Rows:
        rows: Rows = {}
        each = [(name, one) for name, one in self.world.refunds.items() if one["cause"] == "asked for"]
        for key, of in grouped(each, lambda n: (self.week(n[1]["at"]),)).items():
            took = [hours(self.answered[name] - one["at"]) for name, one in of if name in self.answered]
            rows[key] = (len(of), *(percentile(took, at) for at in (50, 90, 99)), shared(took, 24))
        return rows

    def order_to_ship(self) -> Rows:
        rows = super().order_to_ship()
        for key, of in self.orders(lambda n: (self.by_day(n),)).items():
            took = [hours(n.left_at - n.accepted_at) for n in of if n.left_at]
            rows[key] = (*rows[key], shared(took, 24))
        return rows

    def feedback(self) -> Rows:
        rows: Rows = {}
        for key, of in grouped(self.ratings, lambda n: (n.subject, n.about)).items():
            stars = [n.rating for n in of]
            rows[key] = (len(of), float(rounded(Decimal(sum(stars)) / len(of), 2)), sum(n <= 2 for n in stars))
        return rows

    def abc_xyz(self) -> Rows:
        weeks: dict[tuple[str, str], dict[date, int]] = defaultdict(lambda: defaultdict(int))
        worth: dict[tuple[str, str], int] = defaultdict(int)
        for order in self.world.orders.values():
            for name, line in order.lines.items():
                key, now = (line.sku, order.placed.currency), order.quantity(name)
                weeks[key][self.week(order.placed.placed_at)] += now + line.gone + line.sold_elsewhere
                worth[key] += line.sold_elsewhere_minor + (0 if order.is_cancelled else now * line.price)
        seen = sorted(week for one in weeks.values() for week in one)
        count = (seen[-1] - seen[0]).days // 7 + 1 if seen else 0
        rows: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0, 0])
        for currency in {key[1] for key in weeks}:
            ranked = sorted((key for key in weeks if key[1] == currency), key=lambda key: (-worth[key], key[0]))
            whole, before = sum(max(worth[key], 0) for key in ranked), 0
            for key in ranked:
                abc = (
                    "C"
                    if worth[key] <= 0
                    else "A"
                    if 5 * before < 4 * whole
                    else "B"
                    if 20 * before < 19 * whole
                    else "C"
                )
                before += max(worth[key], 0)
                total, squares = sum(weeks[key].values()), sum(n * n for n in weeks[key].values())
                spread = squares * count - total * total
                xyz = "X" if 4 * spread <= total * total else "Y" if spread <= total * total else "Z"
                cell = rows[abc, xyz, currency]
                cell[0], cell[1], cell[2] = cell[0] + 1, cell[1] + total, cell[2] + worth[key]
        return {key: tuple(one) for key, one in rows.items()}


def shared(values: Sequence[float], within: float) -> float | None:
    return percent(sum(n <= within for n in values), len(values))
