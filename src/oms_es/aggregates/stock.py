"""Stock of one SKU at one location.

Invariant: reserved <= on hand, at every version; a promise never reaches into the safety stock; a reservation ends
once, by being released, shipped or expired. The stream is the lock: whoever races for the last unit, only one append
finds its version free.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from rpds import HashTrieMap, HashTrieSet, Queue

from oms_es.kernel import Decider, Refused
from oms_es.schemas import stock as s

SETTLED_REMEMBERED_MAX = 10_000
"""Ended reservations remembered, so that a command that comes again decides nothing. Older repeats are caught by the
consumer's position; the bound keeps a stream's state and snapshot small however long it lives."""


class Reservation(NamedTuple):
    order_id: str
    quantity: int
    expires_at: datetime | None = None


class Stock(NamedTuple):
    on_hand: int = 0
    promised: int = 0  # the sum of `reserved`, kept so that ATP costs nothing to know
    safety_stock: int = 0
    receipts: HashTrieSet[str] = HashTrieSet()
    reserved: HashTrieMap[str, Reservation] = HashTrieMap()
    settled: HashTrieSet[str] = HashTrieSet()
    settled_in_order: Queue[str] = Queue()

    @property
    def atp(self) -> int:
        """Available to promise: on hand, less what is promised, less what is kept back."""
        return self.on_hand - self.promised - self.safety_stock


def evolve(stock: Stock, event: s.StockEvent) -> Stock:
    """Never refuse a fact: an old stream must load under new rules."""
    match event:
        case s.StockReceived(receipt_id=receipt, quantity=n):
            return stock._replace(on_hand=stock.on_hand + n, receipts=stock.receipts.insert(receipt))
        case s.SafetyStockSet(quantity=n):
            return stock._replace(safety_stock=n)
        case s.StockReserved(reservation_id=key, order_id=order, quantity=n, expires_at=expires_at):
            held = stock.reserved.insert(key, Reservation(order, n, expires_at))
            return stock._replace(promised=stock.promised + n, reserved=held)
        case s.StockShort(reservation_id=key):
            return _settle(stock, key)
        case s.StockShipped(reservation_id=key, quantity=n):
            return _settle(stock._replace(on_hand=stock.on_hand - n, promised=stock.promised - n), key)
        case (
            s.StockReleased(reservation_id=key, quantity=n) | s.StockReservationExpired(reservation_id=key, quantity=n)
        ):
            return _settle(stock._replace(promised=stock.promised - n), key)
    return stock


def _settle(stock: Stock, key: str) -> Stock:
    settled, in_order = stock.settled.insert(key), stock.settled_in_order.enqueue(key)
    if len(settled) > SETTLED_REMEMBERED_MAX:
        settled, in_order = settled.discard(in_order.peek()), in_order.dequeue()  # type: ignore[operator,call-arg] # rpds declares both wrongly
    return stock._replace(reserved=stock.reserved.discard(key), settled=settled, settled_in_order=in_order)


def decide(stock: Stock, command: s.StockCommand) -> Iterator[s.StockEvent]:
    """Yield nothing if the command is already satisfied, so that retries are free."""
    at = {"sku": command.sku, "location": command.location}
    match command:
        case s.ReceiveStock(receipt_id=receipt, quantity=n):
            if receipt not in stock.receipts:
                yield s.StockReceived(**at, receipt_id=receipt, quantity=n)
        case s.SetSafetyStock(quantity=n):
            if n != stock.safety_stock:
                yield s.SafetyStockSet(**at, quantity=n)
        case s.ReserveStock(reservation_id=key):
            if key not in stock.reserved and key not in stock.settled:
                yield _promise(stock, command)
        case s.ReleaseStock(reservation_id=key):
            if held := stock.reserved.get(key):
                yield s.StockReleased(**at, reservation_id=key, order_id=held.order_id, quantity=held.quantity)
        case s.ExpireReservation(reservation_id=key, now=now):
            held = stock.reserved.get(key)
            if held and held.expires_at and held.expires_at <= now:
                yield s.StockReservationExpired(
                    **at, reservation_id=key, order_id=held.order_id, quantity=held.quantity
                )
        case s.ShipStock():
            yield from _ship(stock, command)


def _promise(stock: Stock, command: s.ReserveStock) -> s.StockEvent:
    promise: dict[str, Any] = {
        "sku": command.sku,
        "location": command.location,
        "quantity": command.quantity,
        "reservation_id": command.reservation_id,
        "order_id": command.order_id,
    }
    if command.quantity <= stock.atp:
        return s.StockReserved(**promise, expires_at=command.expires_at)
    return s.StockShort(**promise, available=max(stock.atp, 0))


def _ship(stock: Stock, command: s.ShipStock) -> Iterator[s.StockEvent]:
    if command.reservation_id in stock.settled:
        return
    held = stock.reserved.get(command.reservation_id)
    if held is None:
        raise Refused(
            "not_reserved",
            f"{command.stream} holds nothing for reservation {command.reservation_id}; reserve before shipping",
        )
    yield s.StockShipped(**command.model_dump(), quantity=held.quantity)


def dump(stock: Stock) -> Any:
    """The state as JSON, for snapshots."""
    return {
        **stock._asdict(),
        "receipts": list(stock.receipts),
        "reserved": list(stock.reserved.items()),
        "settled": None,
        "settled_in_order": list(stock.settled_in_order),
    }


def restore(snapshot: Any) -> Stock:
    ended = snapshot["settled_in_order"]
    return Stock(
        on_hand=snapshot["on_hand"],
        promised=snapshot["promised"],
        safety_stock=snapshot["safety_stock"],
        receipts=HashTrieSet(snapshot["receipts"]),
        reserved=HashTrieMap(
            (key, Reservation(order, quantity, expires_at and datetime.fromisoformat(expires_at)))
            for key, (order, quantity, expires_at) in snapshot["reserved"]
        ),
        settled=HashTrieSet(ended),
        settled_in_order=Queue(ended),
    )


decider = Decider(
    "stock",
    Stock(),
    evolve,
    decide,
    accepts=(s.ReceiveStock, s.SetSafetyStock, s.ReserveStock, s.ReleaseStock, s.ExpireReservation, s.ShipStock),
    emits=(
        s.StockReceived,
        s.SafetyStockSet,
        s.StockReserved,
        s.StockShort,
        s.StockReleased,
        s.StockReservationExpired,
        s.StockShipped,
    ),
    dump=dump,
    restore=restore,
)
