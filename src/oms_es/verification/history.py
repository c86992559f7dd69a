"""Every event once, in order: what the independent checks have seen when it ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from oms_es.aggregates.payment.state import Payment
from oms_es.aggregates.stock.decider import Stock
from oms_es.kernel import Decider, Recorded
from oms_es.processing.bulk.overflow import Overflow, Overflowing
from oms_es.processing.bulk.seen_ids import SeenIds
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas import shipment as sh
from oms_es.schemas import stock as s
from oms_es.schemas.finance.statement import StatementRecorded
from oms_es.schemas.operations.document import DocumentAttached
from oms_es.schemas.operations.report import ReportReady
from oms_es.schemas.values.currency import in_money
from oms_es.store.encoding.codec import event_id_of
from oms_es.verification.account_checks import AccountChecks
from oms_es.verification.book_checks import BookChecks
from oms_es.verification.check import Check, at
from oms_es.verification.invoice_checks import InvoiceChecks
from oms_es.verification.joined_checks import HasTaken, JoinedBook
from oms_es.verification.order_checks import OrderChecks
from oms_es.verification.stock_checks import StockCounts, TransitBook


class PaymentSums(NamedTuple):
    """A second account of a payment, from the bare amounts of its events: held, released, taken, given back."""

    authorized: int = 0
    expired: int = 0
    voided: int = 0
    captured: int = 0
    applied: int = 0
    refunded: int = 0
    disputed: int = 0
    lost: int = 0

    def in_words(self, currency: str) -> str:
        sums = (f"{name} {in_money(amount_minor, currency)}" for name, amount_minor in self._asdict().items())
        return ", ".join(sums)


BOOKED: Mapping[type[p.PaymentEvent], str] = {
    p.PaymentAuthorized: "authorized",
    p.PaymentReauthorized: "authorized",
    p.PaymentExpired: "expired",
    p.PaymentVoided: "voided",
    p.PaymentCaptured: "captured",
    p.PaymentDepositApplied: "applied",
    p.PaymentRefunded: "refunded",
    p.PaymentRefundReversed: "refunded",
    p.PaymentDisputeOpened: "disputed",
    p.PaymentDisputeWon: "disputed",
    p.PaymentDisputeLost: "lost",
}
"""Which sum each event about money adds to; a dispute that is won, and a refund that came back, is taken off again."""


class ParcelCounts(NamedTuple):
    """A second account of a shipment's stream, in units by SKU."""

    asked: tuple[tuple[str, int], ...] = ()
    dispatched: bool = False
    stopped: bool = False
    returned: tuple[tuple[str, int], ...] = ()


class History:
    """Folds the log, one event at a time, and asks after each what must be true now."""

    def __init__(
        self, deciders: Sequence[Decider[Any]], keys_gone: Collection[str] = (), overflow: Overflow | None = None
    ) -> None:
        """`keys_gone`: orders of which nothing personal can be read any more. `overflow`: has what is kept of each
        stream, and is trimmed where it came from."""
        overflow = overflow or Overflow()
        self.keys_gone = keys_gone
        self.deciders = {decider.category: decider for decider in deciders}
        self.states: Overflowing[str, tuple[Any, int]] = overflow.mapping()
        self.streams = 0
        self.position = 0
        self.event_ids = SeenIds()
        self.orders: Overflowing[tuple[str, str], str] = overflow.mapping()
        self.stock: Overflowing[str, StockCounts] = overflow.mapping()
        self.transit = TransitBook(overflow)
        self.money: Overflowing[str, PaymentSums] = overflow.mapping()
        self.promises: Overflowing[tuple[str, str, str], int] = (
            overflow.mapping()
        )  # (reservation, sku, location): units
        self.readable = Check("every event can be read, and its cause is in the log")
        self.gapless = Check("no stream has a gap, and positions only rise")
        self.sold = Check("never oversold, at any position")
        self.conserved = Check(
            "stock conserved: received + returned + moved in + variance = on hand + shipped + moved out + written off"
        )
        self.moved = Check("transfers conserved: what arrived or was lost had left another place")
        self.promised = Check("what an order counts on is reserved for it in stock")
        self.paid = Check("money conserved: captured, voided, expired <= authorised; refunded, lost <= captured")
        self.parcels: Overflowing[str, ParcelCounts] = overflow.mapping()
        self.documents: Overflowing[str, bool] = overflow.mapping()
        """Hashes of those that history points at; those that people only attached, which may be removed, with False."""
        self.shipped = Check("parcels conserved: what left was requested, and left once; what came back had left")
        self.order_checks = OrderChecks(overflow)
        self.joins = JoinedBook(overflow)
        self.books = BookChecks(overflow)
        self.accounts = AccountChecks(overflow)
        self.invoices = InvoiceChecks(overflow)
        self.once = Check("every accepted order is placed exactly once, with its content")

    @property
    def checks(self) -> tuple[Check, ...]:
        of_stock = (self.sold, self.conserved, self.moved, self.promised)
        return (
            self.readable,
            self.gapless,
            *of_stock,
            self.paid,
            *self.order_checks.checks,
            *self.books.checks,
            *self.accounts.checks,
            *self.invoices.checks,
            self.joins.joined,
            self.shipped,
            self.once,
        )

    def fold(self, recorded: Recorded) -> None:
        stream, event = recorded.stream, recorded.event
        decider = self.deciders[stream.partition("-")[0]]
        state, version = self.states.get(stream) or (decider.initial, 0)
        self.streams += not version
        self._check_place(recorded, version)
        state = decider.evolve(state, event)
        self.states[stream] = state, recorded.version
        self.order_checks.note(recorded)
        self.joins.note(recorded)
        self.books.note(recorded)
        self.accounts.note(recorded)
        self.invoices.note(recorded, self.states)
        match event:
            case s.StockEvent():
                self._check_stock(recorded, event, state)
            case p.PaymentEvent():
                self._check_money(recorded, event, state)
            case sh.ShipmentEvent():
                self._check_parcel(recorded, event)
            case o.OrderPlaced():
                self._check_placed(recorded, event)
            case StatementRecorded(document_sha256=sha256):
                self.documents[sha256] = True
            case ReportReady(files=files):
                for file in files:
                    self.documents[file.sha256] = True
            case DocumentAttached():
                self.documents[event.sha256] = self.documents.get(event.sha256, False)
            case o.OrderLineAllocated():
                promise = self.promises.get((event.reservation_id, event.sku, event.location))
                self.promised.expect(
                    promise is not None and promise >= event.quantity,  # some may be on their way back
                    lambda: f"{at(recorded)}: counts on {event.quantity} of {event.sku}, promised were {promise}",
                )

    def close(self, has_taken: HasTaken) -> None:
        """Ask what can only be asked when all of it is read."""
        self.joins.close(has_taken)
        self.invoices.close(has_taken)

    def _check_place(self, recorded: Recorded, version: int) -> None:
        self.gapless.expect(
            recorded.version == version + 1 and recorded.position > self.position,
            lambda: f"{at(recorded)}: version {recorded.version} follows {version}",
        )
        self.position = recorded.position
        known = recorded.caused_by is None or recorded.caused_by.bytes in self.event_ids
        self.readable.expect(
            known and recorded.event_id == event_id_of(recorded.stream, recorded.version),
            lambda: f"{at(recorded)}: its event id or its cause {recorded.caused_by} is not of this history",
        )
        self.event_ids.add(recorded.event_id.bytes)

    def _check_stock(self, recorded: Recorded, event: s.StockEvent, state: Stock) -> None:
        account = self.stock[recorded.stream] = self.stock.get(recorded.stream, StockCounts()).note(event)
        if isinstance(event, s.StockReserved):
            self.promises[event.reservation_id, event.sku, event.location] = event.quantity
        elif isinstance(event, s.StockReservationTransferred):
            self.promises[event.to_reservation_id, event.sku, event.location] = event.quantity
        self.sold.expect(
            account.keeps_its_promises,
            lambda: f"{at(recorded)}: {account.open} promised of {account.on_hand} on hand, {account.presold} presold",
        )
        self.conserved.expect(
            (account.on_hand, account.aside, account.open, account.presold)
            == (state.on_hand, state.physical.aside, state.promised, state.presold),
            lambda: f"{at(recorded)}: the events say {account}, the stream has {state.on_hand} on hand",
        )
        if isinstance(event, s.StockMovedOut | s.StockMovedIn | s.StockInboundCancelled):
            on_its_way = self.transit.note(event)
            self.moved.expect(
                on_its_way >= 0, lambda: f"{at(recorded)}: {-on_its_way} units came that had not left for here"
            )

    def _check_money(self, recorded: Recorded, event: p.PaymentEvent, state: Payment) -> None:
        account = self.money.get(recorded.stream, PaymentSums())
        if column := BOOKED.get(type(event)):
            sign = -1 if isinstance(event, p.PaymentDisputeWon | p.PaymentRefundReversed) else 1
            amount_minor: int = event.amount_minor  # type: ignore[attr-defined] # every event that is booked has one
            account = account._replace(**{column: getattr(account, column) + sign * amount_minor})
            self.money[recorded.stream] = account
            self.books.tie(recorded, event.payment_id, account.captured - account.refunded - account.disputed)
        currency = state.requested.currency if state.requested else ""
        in_flight = sum(self.order_checks.taking.get(event.payment_id, {}).values())
        self.paid.expect(
            account.captured + account.voided + account.expired + in_flight <= account.authorized
            and account.refunded + account.lost <= account.captured + in_flight
            and account.lost <= account.disputed
            and (account.captured, account.refunded, account.lost) == (state.captured, state.refunded, state.lost),
            lambda: f"{at(recorded)}: {account.in_words(currency)}, {in_money(in_flight, currency)} in flight",
        )

    def _check_parcel(self, recorded: Recorded, event: sh.ShipmentEvent) -> None:
        account = self.parcels.get(recorded.stream, ParcelCounts())
        match event:
            case sh.ShipmentRequested(items=items, cartons=cartons):
                account = account._replace(asked=_units(items))
                packed = _units([item for carton in cartons for item in carton.items])
                self._expect_parcel(recorded, not cartons or packed == account.asked, f"{packed} in cartons")
            case sh.ShipmentDispatched(items=items):
                holds = not account.dispatched and not account.stopped and _units(items) == account.asked
                self._expect_parcel(recorded, holds, f"{_units(items)} left, {account}")
                account = account._replace(dispatched=True)
            case sh.ShipmentCancelled():
                self._expect_parcel(recorded, not account.dispatched and not account.stopped, f"stopped, {account}")
                account = account._replace(stopped=True)
            case sh.ShipmentReturnedToSender(items=items):
                returned = Counter(dict(account.returned))
                returned.update(dict(_units(items)))
                holds = account.dispatched and returned <= Counter(dict(account.asked))
                self._expect_parcel(recorded, holds, f"{dict(returned)} came back, {account}")
                account = account._replace(returned=tuple(sorted(returned.items())))
            case sh.ShipmentLost(items=items):
                lost = Counter(dict(account.returned))
                lost.update(dict(_units(items)))
                holds = account.dispatched and lost <= Counter(dict(account.asked))
                self._expect_parcel(recorded, holds, f"{dict(lost)} came back or were lost, {account}")
            case sh.ShipmentLabelAttached(document=document):
                self.documents[document.sha256] = True
        self.parcels[recorded.stream] = account

    def _expect_parcel(self, recorded: Recorded, holds: bool, found: str) -> None:  # noqa: FBT001 - as in Check
        self.shipped.expect(holds, lambda: f"{at(recorded)}: {found}")

    def _check_placed(self, recorded: Recorded, placed: o.OrderPlaced) -> None:
        identity = (placed.channel, placed.external_id)
        first = self.orders.get(identity)
        self.orders[identity] = recorded.stream
        content = {name: getattr(placed, name) for name in o.OrderContent.model_fields}
        as_sent = o.PlaceOrder.model_construct(**content)
        self.once.expect(
            first is None and placed.order_id in o.order_ids_of(*identity) and recorded.stream == _stream_of(placed),
            lambda: f"{at(recorded)}: order {identity} was accepted before, in {first}, or is not in its stream",
        )
        self.once.expect(
            placed.fingerprint == as_sent.fingerprint or placed.order_id in self.keys_gone,
            lambda: f"{at(recorded)}: the content is not the one that was placed",
        )


def _stream_of(placed: o.OrderPlaced) -> str:
    return f"order-{placed.order_id}"


def _units(items: Iterable[o.Reservation]) -> tuple[tuple[str, int], ...]:
    units: Counter[str] = Counter()
    for item in items:
        units[item.sku] += item.quantity
    return tuple(sorted(units.items()))
