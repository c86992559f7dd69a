"""How events change the state of a stock stream: its physical units, promises, policy and supply.

State is made of persistent maps: an event costs O(log n), however many reservations, bins and lots there are.
"""

from __future__ import annotations

from typing import Any

from rpds import HashTrieMap

from oms_es.aggregates.stock.quantities import (
    MOVEMENTS_REMEMBERED_MAX,
    NO_SHARE,
    SETTLED_REMEMBERED_MAX,
    SOMEWHERE,
    Inbound,
    PhysicalStock,
    Reservation,
    Share,
    Stock,
    StockPlace,
)
from oms_es.schemas import stock as s


def evolve(stock: Stock, event: s.StockEvent) -> Stock:
    """Never refuse an event: an old stream must load under new rules."""
    after: Stock = EVOLUTIONS[type(event)](stock, event)
    if after.supply.low and after.supplied > after.policy.reorder_point:
        return after._replace(supply=after.supply._replace(low=False))
    return after


# --- promises


def _reserved(stock: Stock, event: s.StockReserved) -> Stock:
    key, n = event.reservation_id, event.quantity
    promises = stock.promises + 1
    made = Reservation(event.order_id, n, event.expires_at, event.channel, event.presale, promises, event.asked)
    held = stock.reserved.insert(key, made)
    holds = stock.holds.insert(event.order_id, key) if event.expires_at else stock.holds
    if event.presale:
        return stock._replace(presold=stock.presold + n, reserved=held, promises=promises, holds=holds)
    of_channels = _counted(stock, event.channel, n)
    return stock._replace(
        promised=stock.promised + n, reserved=held, promises=promises, holds=holds, of_channels=of_channels
    )


def _counted(stock: Stock, channel: str, n: int) -> HashTrieMap[str, int]:
    if not channel or not n:
        return stock.of_channels
    units = stock.of_channels.get(channel, 0) + n
    return stock.of_channels.insert(channel, units) if units else stock.of_channels.discard(channel)


def _short(stock: Stock, event: s.StockShort) -> Stock:
    return settle(stock, event.reservation_id, event.asked)


def _released(stock: Stock, event: s.StockReleased | s.StockReservationExpired) -> Stock:
    left = _less(stock, event.reservation_id, event.quantity)
    release = getattr(event, "release_id", None)
    if release is None:
        return left
    return settle(left, part_of(event.reservation_id, release), getattr(event, "asked", ""))


def part_of(reservation_id: str, release_id: str) -> str:
    """Return the name under which the release of a part of a reservation is remembered."""
    return f"{reservation_id}\n{release_id}"


def _less(stock: Stock, key: str, n: int, physical: PhysicalStock | None = None) -> Stock:
    """Take units from a reservation; it ends with the last of them."""
    held = stock.reserved.get(key) or Reservation("", n)
    presale = n if held.presale else 0
    ends = held.quantity <= n
    less = held._replace(quantity=held.quantity - n)
    holds = stock.holds
    if ends and held.expires_at and holds.get(held.order_id) == key:
        holds = holds.discard(held.order_id)
    return stock._replace(  # in one go: most events come here
        promised=stock.promised - n + presale,
        presold=stock.presold - presale,
        reserved=stock.reserved.discard(key) if ends else stock.reserved.insert(key, less),
        settled=stock.settled.add(key, SETTLED_REMEMBERED_MAX, held.asked) if ends else stock.settled,
        of_channels=_counted(stock, held.channel, presale - n),
        holds=holds,
        broken=_remembered(stock) if ends and stock.broken else stock.broken,
        physical=physical or stock.physical,
    )


def settle(stock: Stock, key: str, asked: str = "") -> Stock:
    settled = stock.settled.add(key, SETTLED_REMEMBERED_MAX, asked)
    return stock._replace(settled=settled, broken=_remembered(stock) if stock.broken else stock.broken)


def _remembered(stock: Stock) -> HashTrieMap[str, Reservation]:
    """Return the broken promises once one more reservation has ended: a broken one is forgotten with the memory of its
    end.
    """
    full = len(stock.settled.names) >= SETTLED_REMEMBERED_MAX
    return stock.broken.discard(stock.settled.oldest) if full else stock.broken


def _transferred(stock: Stock, event: s.StockReservationTransferred) -> Stock:
    was = stock.reserved.get(event.reservation_id) or Reservation(event.order_id, event.quantity)
    taken = was._replace(order_id=event.to_order_id, quantity=event.quantity, asked="")
    left = _less(stock, event.reservation_id, event.quantity)
    holds = left.holds.insert(event.to_order_id, event.to_reservation_id) if was.expires_at else left.holds
    return left._replace(
        promised=stock.promised,
        presold=stock.presold,
        of_channels=stock.of_channels,
        reserved=left.reserved.insert(event.to_reservation_id, taken),
        holds=holds,
    )


def _broken(stock: Stock, event: s.StockReservationBroken) -> Stock:
    held = stock.reserved.get(event.reservation_id) or Reservation(event.order_id, event.quantity)
    left = _less(stock, event.reservation_id, event.quantity)
    return left._replace(broken=left.broken.insert(event.reservation_id, held))


def _broken_settled(stock: Stock, event: s.StockBrokenPromiseSettled) -> Stock:
    key, known = event.reservation_id, stock.broken.get(event.reservation_id)
    left = stock.broken.insert(key, known._replace(quantity=event.left)) if known and event.left else None
    changed = stock._replace(broken=stock.broken.discard(key) if left is None else left)
    return changed if event.release_id is None else settle(changed, part_of(key, event.release_id), event.asked)


def _covered(stock: Stock, event: s.StockPresaleCovered) -> Stock:
    held = stock.reserved.get(event.reservation_id) or Reservation(event.order_id, event.quantity)
    return stock._replace(
        promised=stock.promised + event.quantity,
        presold=stock.presold - event.quantity,
        reserved=stock.reserved.insert(event.reservation_id, held._replace(presale=False)),
        of_channels=_counted(stock, held.channel, event.quantity),
    )


def _shipped(stock: Stock, event: s.StockShipped) -> Stock:
    physical = stock.physical
    if event.picks:
        for pick in event.picks:
            physical = physical.put(StockPlace(pick.bin, pick.lot), -pick.quantity)
    else:
        physical = physical.put(SOMEWHERE, -event.quantity)
    if event.serials:
        physical = physical.name(event.serials, None)
    if event.broken:
        return stock._replace(physical=physical, broken=stock.broken.discard(event.reservation_id))
    return _less(stock, event.reservation_id, event.quantity, physical)


# --- physical


def _moved(stock: Stock, name: str, physical: PhysicalStock, asked: str = "") -> Stock:
    return stock._replace(movements=stock.movements.add(name, MOVEMENTS_REMEMBERED_MAX, asked), physical=physical)


def _units_arrived(stock: Stock, name: str, event: s.StockReceived | s.StockReturned | s.StockMovedIn) -> Stock:
    place = StockPlace(event.bin, event.lot, event.condition)
    physical = stock.physical.put(place, event.quantity, event.lot_expires_at)
    there = _moved(stock, name, physical.name(event.serials, place) if event.serials else physical, event.asked)
    inbound_id = getattr(event, "inbound_id", None)
    return there if inbound_id is None else _no_longer_outstanding(there, inbound_id, event.quantity, event.serials)


def _received(stock: Stock, event: s.StockReceived) -> Stock:
    return _units_arrived(stock, f"receipt/{event.receipt_id}", event)


def _returned(stock: Stock, event: s.StockReturned) -> Stock:
    return _units_arrived(stock, f"return/{event.return_id}", event)


def _moved_in(stock: Stock, event: s.StockMovedIn) -> Stock:
    name = f"receipt/{event.receipt_id}" if event.receipt_id else f"in/{event.from_location}/{event.move_id}"
    return _units_arrived(stock, name, event)


def _counted_there(stock: Stock, event: s.StockCounted) -> Stock:
    physical = stock.physical.put(StockPlace(event.bin, event.lot, event.condition), event.variance)
    return _moved(stock, f"count/{event.count_id}", physical.name(event.serials, None), event.asked)


def _adjusted(stock: Stock, event: s.StockAdjusted) -> Stock:
    physical = stock.physical.put(StockPlace(event.bin, event.lot, event.condition), event.quantity)
    return _moved(stock, f"adjustment/{event.adjustment_id}", physical.name(event.serials, None), event.asked)


def _written_off(stock: Stock, event: s.StockWrittenOff) -> Stock:
    physical = stock.physical.put(StockPlace(event.bin, event.lot, event.condition), -event.quantity)
    return _moved(stock, f"write_off/{event.write_off_id}", physical.name(event.serials, None), event.asked)


def _moved_out(stock: Stock, event: s.StockMovedOut) -> Stock:
    physical = stock.physical.put(StockPlace(event.bin, event.lot, event.condition), -event.quantity)
    return _moved(stock, f"move/{event.move_id}", physical.name(event.serials, None), event.asked)


def _condition_changed(stock: Stock, event: s.StockConditionChanged) -> Stock:
    was, now = StockPlace(event.bin, event.lot, event.was), StockPlace(event.bin, event.lot, event.condition)
    return _moved(stock, f"condition/{event.change_id}", _shifted(stock.physical, was, now, event), event.asked)


def _moved_to_bin(stock: Stock, event: s.StockMovedToBin) -> Stock:
    was, now = StockPlace(event.bin, event.lot, event.condition), StockPlace(event.to_bin, event.lot, event.condition)
    return _moved(stock, f"bin/{event.move_id}", _shifted(stock.physical, was, now, event), event.asked)


def _shifted(
    physical: PhysicalStock, was: StockPlace, now: StockPlace, event: s.StockConditionChanged | s.StockMovedToBin
) -> PhysicalStock:
    taken = physical.put(was, -event.quantity)
    return taken.put(now, event.quantity, event.lot_expires_at).name(event.serials, now)


# --- policy and supply


def _safety_set(stock: Stock, event: s.SafetyStockSet) -> Stock:
    return stock._replace(policy=stock.policy._replace(safety_stock=event.quantity))


def _presale_set(stock: Stock, event: s.PresaleLimitSet) -> Stock:
    return stock._replace(policy=stock.policy._replace(presale_limit=event.quantity))


def _share_set(stock: Stock, event: s.ChannelShareSet) -> Stock:
    share = Share(event.share_percent, event.quantity)
    shares = stock.policy.shares
    lifted = share == NO_SHARE
    return stock._replace(
        policy=stock.policy._replace(
            shares=shares.discard(event.channel) if lifted else shares.insert(event.channel, share)
        )
    )


def _reorder_set(stock: Stock, event: s.ReorderPointSet) -> Stock:
    return stock._replace(
        policy=stock.policy._replace(reorder_point=event.quantity, up_to=event.up_to),
        supply=stock.supply._replace(low=False),
    )


def _ran_low(stock: Stock, event: s.StockRanLow) -> Stock:
    return stock._replace(supply=stock.supply._replace(low=True, occasions=event.occasion))


def _requested(stock: Stock, event: s.ReplenishmentRequested) -> Stock:
    return _moved(stock, f"request/{event.request_id}", stock.physical)


def _expected(stock: Stock, event: s.StockInboundExpected) -> Stock:
    known = stock.supply.inbounds.get(event.inbound_id)
    expected = Inbound(
        event.quantity,
        event.promised_at,
        event.request_id,
        event.move_id,
        event.from_location,
        event.lot,
        event.lot_expires_at,
        event.condition,
        event.serials,
        event.asked,
    )
    supply = stock.supply._replace(
        inbound=stock.supply.inbound + event.quantity - (known.quantity if known else 0),
        inbounds=stock.supply.inbounds.insert(event.inbound_id, expected),
    )
    changed = stock._replace(supply=supply)
    if event.from_location is None:
        return changed
    return _moved(changed, f"in/{event.from_location}/{event.move_id}", stock.physical)


def _no_longer_outstanding(stock: Stock, inbound_id: str, quantity: int, serials: tuple[str, ...]) -> Stock:
    """Take arrived units from an inbound; it is over with the last of them. More units may come than were expected."""
    known = stock.supply.inbounds.get(inbound_id)
    if known is None:
        return stock
    fewer = min(quantity, known.quantity)
    left = known._replace(
        quantity=known.quantity - fewer, serials=tuple(serial for serial in known.serials if serial not in serials)
    )
    supply, inbounds = stock.supply._replace(inbound=stock.supply.inbound - fewer), stock.supply.inbounds
    if left.quantity:
        return stock._replace(supply=supply._replace(inbounds=inbounds.insert(inbound_id, left)))
    over = stock._replace(supply=supply._replace(inbounds=inbounds.discard(inbound_id)))
    return _moved(over, f"inbound/{inbound_id}", stock.physical, known.asked)


def _inbound_cancelled(stock: Stock, event: s.StockInboundCancelled) -> Stock:
    return _no_longer_outstanding(stock, event.inbound_id, event.quantity, event.serials)


EVOLUTIONS: dict[type[s.StockEvent], Any] = {
    s.StockReserved: _reserved,
    s.StockShort: _short,
    s.StockReleased: _released,
    s.StockReservationExpired: _released,
    s.StockReservationTransferred: _transferred,
    s.StockReservationBroken: _broken,
    s.StockBrokenPromiseSettled: _broken_settled,
    s.StockPresaleCovered: _covered,
    s.StockShipped: _shipped,
    s.StockReceived: _received,
    s.StockReturned: _returned,
    s.StockMovedIn: _moved_in,
    s.StockMovedOut: _moved_out,
    s.StockMovedToBin: _moved_to_bin,
    s.StockCounted: _counted_there,
    s.StockAdjusted: _adjusted,
    s.StockConditionChanged: _condition_changed,
    s.StockWrittenOff: _written_off,
    s.SafetyStockSet: _safety_set,
    s.PresaleLimitSet: _presale_set,
    s.ChannelShareSet: _share_set,
    s.ReorderPointSet: _reorder_set,
    s.StockRanLow: _ran_low,
    s.ReplenishmentRequested: _requested,
    s.StockInboundExpected: _expected,
    s.StockInboundCancelled: _inbound_cancelled,
}
"""The fold of each event."""
