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
        case s.StockReservationTransferred(to_reservation_id=to, to_order_id=order, quantity=n):
            was = stock.reserved.get(event.reservation_id)
            taken = Reservation(order, n, was and was.expires_at)
            left = _take(stock, event.reservation_id, n)
            return left._replace(promised=stock.promised, reserved=left.reserved.insert(to, taken))
        case s.StockReturned(return_id=returned, quantity=n):
            return stock._replace(on_hand=stock.on_hand + n, receipts=stock.receipts.insert(f"return/{returned}"))
        case s.StockShipped(reservation_id=key, quantity=n):
            return _settle(stock._replace(on_hand=stock.on_hand - n, promised=stock.promised - n), key)
        case s.StockReservationExpired(reservation_id=key, quantity=n):
            return _settle(stock._replace(promised=stock.promised - n), key)
        case s.StockReleased(reservation_id=key, quantity=n, release_id=release):
            released = _take(stock, key, n)
            return released if release is None else _remember(released, _part(key, release))
    return stock


def _part(reservation_id: str, release_id: str) -> str:
    return f"{reservation_id}\n{release_id}"


def _take(stock: Stock, key: str, n: int) -> Stock:
    """So many units leave a reservation; with the last of them it ends."""
    held = stock.reserved.get(key)
    fewer = stock._replace(promised=stock.promised - n)
    if held is None or held.quantity <= n:
        return _settle(fewer, key)
    return fewer._replace(reserved=stock.reserved.insert(key, held._replace(quantity=held.quantity - n)))


def _settle(stock: Stock, key: str) -> Stock:
    return _remember(stock._replace(reserved=stock.reserved.discard(key)), key)


def _remember(stock: Stock, key: str) -> Stock:
    settled, in_order = stock.settled.insert(key), stock.settled_in_order.enqueue(key)
    if len(settled) > SETTLED_REMEMBERED_MAX:
        settled, in_order = settled.discard(in_order.peek()), in_order.dequeue()  # type: ignore[operator,call-arg] # rpds declares both wrongly
    return stock._replace(settled=settled, settled_in_order=in_order)


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
        case s.ReleaseStock():
            yield from _release(stock, command)
        case s.TransferReservation():
            yield from _transfer(stock, command)
        case s.RestockReturn(return_id=returned):
            if f"return/{returned}" not in stock.receipts:
                yield s.StockReturned(**command.model_dump())
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
        "channel": command.channel,
        "presale": command.presale,
    }
    if command.quantity <= stock.atp:
        return s.StockReserved(**promise, expires_at=command.expires_at)
    return s.StockShort(**promise, available=max(stock.atp, 0))


def _release(stock: Stock, command: s.ReleaseStock) -> Iterator[s.StockEvent]:
    key = command.reservation_id
    held = stock.reserved.get(key)
    if held is None:
        return
    release = None if command.quantity is None else command.release_id or str(command.quantity)
    if release is not None and _part(key, release) in stock.settled:
        return
    yield s.StockReleased(
        sku=command.sku,
        location=command.location,
        reservation_id=key,
        order_id=held.order_id,
        quantity=min(held.quantity, command.quantity or held.quantity),
        release_id=release,
    )


def _transfer(stock: Stock, command: s.TransferReservation) -> Iterator[s.StockEvent]:
    held = stock.reserved.get(command.reservation_id)
    known = command.to_reservation_id in stock.reserved or command.to_reservation_id in stock.settled
    if held and not known:
        told = command.model_dump() | {"order_id": held.order_id, "quantity": min(held.quantity, command.quantity)}
        yield s.StockReservationTransferred(**told)


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
    accepts=(
        s.ReceiveStock,
        s.SetSafetyStock,
        s.ReserveStock,
        s.ReleaseStock,
        s.TransferReservation,
        s.ExpireReservation,
        s.ShipStock,
        s.RestockReturn,
    ),
    emits=(
        s.StockReceived,
        s.SafetyStockSet,
        s.StockReserved,
        s.StockShort,
        s.StockReleased,
        s.StockReservationExpired,
        s.StockShipped,
        s.StockReservationTransferred,
        s.StockReturned,
    ),
    dump=dump,
    restore=restore,
)
