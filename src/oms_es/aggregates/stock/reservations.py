"""Reservations: made, transferred, covered, broken, and ended once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from heapq import nsmallest
from typing import Any

from oms_es.aggregates.repeats import asked_of, done_before
from oms_es.aggregates.stock.quantities import SOMEWHERE, Reservation, Stock, StockPlace
from oms_es.aggregates.stock.state import evolve, part_of
from oms_es.kernel import Refused
from oms_es.schemas import stock as s
from oms_es.schemas.stock.refusals import StockRefusal

COVERED_MAX = 200
"""How many presales one command covers; the last event says whether there are `more`."""
NEVER = datetime.max.replace(tzinfo=UTC)


def reserve(stock: Stock, command: s.ReserveStock) -> Iterator[s.StockEvent]:
    key, n = command.reservation_id, command.quantity
    held = stock.reserved.get(key)
    if done_before(held.asked if held else stock.settled.asked(key), command):
        return
    promise: dict[str, Any] = {
        "sku": command.sku,
        "location": command.location,
        "quantity": n,
        "reservation_id": key,
        "order_id": command.order_id,
        "channel": command.channel,
    }
    superseded = _hold_of(stock, command)
    if superseded:
        stock = evolve(stock, superseded)
    available = stock.promisable(command.channel)
    presale = command.presale and n > available
    if n > available and not (presale and n <= stock.presale_left):
        most = max(available, stock.presale_left) if presale else available
        short = max(most, 0)
        yield s.StockShort(**promise, presale=command.presale, available=short, asked=asked_of(command))
        return
    if superseded:
        yield superseded
    yield s.StockReserved(**promise, presale=command.presale, expires_at=command.expires_at, asked=asked_of(command))


def _hold_of(stock: Stock, command: s.ReserveStock) -> s.StockReleased | None:
    """Return the release of the claimant's temporary reservation here, which the new claim replaces."""
    key = stock.holds.get(command.order_id) if stock.holds else None
    return _released(command, key, stock.reserved[key]) if key else None


def _released(
    command: s.StockCommand,
    key: str,
    held: Reservation,
    n: int | None = None,
    release: str | None = None,
    asked: str = "",
) -> s.StockReleased:
    return s.StockReleased(**_of(command, key, held, n), release_id=release, asked=asked)


def _of(command: s.StockCommand, key: str, held: Reservation, n: int | None = None) -> dict[str, Any]:
    """Return the fields that all events of a reservation have."""
    return {
        "sku": command.sku,
        "location": command.location,
        "quantity": held.quantity if n is None else n,
        "reservation_id": key,
        "order_id": held.order_id,
        "channel": held.channel,
        "presale": held.presale,
    }


def release(stock: Stock, command: s.ReleaseStock) -> Iterator[s.StockEvent]:
    key = command.reservation_id
    held, broken = stock.reserved.get(key), stock.broken.get(key)
    part = None if command.quantity is None else command.release_id or str(command.quantity)
    asked = asked_of(command) if part and command.release_id else ""
    if asked and done_before(stock.settled.asked(part_of(key, str(part))), command):
        return
    if held is None:
        if broken and not (part and stock.settled.knows(part_of(key, part))):
            n = min(command.quantity or broken.quantity, broken.quantity)
            yield s.StockBrokenPromiseSettled(
                **_of(command, key, broken, n), left=broken.quantity - n, release_id=part, asked=asked
            )
    elif part is None:
        yield _released(command, key, held)
    elif not stock.settled.knows(part_of(key, part)):
        yield _released(command, key, held, min(held.quantity, command.quantity or 0), part, asked)


def transfer(stock: Stock, command: s.TransferReservation) -> Iterator[s.StockEvent]:
    key, n = command.reservation_id, command.quantity
    if command.to_reservation_id in stock.reserved or stock.settled.knows(command.to_reservation_id):
        return
    held = stock.reserved.get(key)
    if held and held.quantity >= n:
        yield s.StockReservationTransferred(
            **_of(command, key, held, n),
            to_reservation_id=command.to_reservation_id,
            to_order_id=command.to_order_id,
        )
    else:
        yield from _not_transferred(stock, command)


def _not_transferred(stock: Stock, command: s.TransferReservation) -> Iterator[s.StockEvent]:
    """Record that the units are not there, or not reserved any more; the order that was to receive them is sourced
    elsewhere.
    """
    key, n = command.reservation_id, command.quantity
    held, broken = stock.reserved.get(key), stock.broken.get(key)
    if held and command.remaining is not None and held.quantity > command.remaining:
        yield _released(command, key, held, held.quantity - command.remaining)
    elif broken:
        settled = min(n, broken.quantity)
        yield s.StockBrokenPromiseSettled(**_of(command, key, broken, settled), left=broken.quantity - settled)
    yield s.StockShort(
        sku=command.sku,
        location=command.location,
        reservation_id=command.to_reservation_id,
        order_id=command.to_order_id,
        quantity=n,
        channel=(held or broken or Reservation("", n)).channel,
        available=held.quantity if held else 0,
    )


def expire(stock: Stock, command: s.ExpireReservation) -> Iterator[s.StockEvent]:
    held = stock.reserved.get(command.reservation_id)
    if held and held.expires_at and held.expires_at <= command.now:
        yield s.StockReservationExpired(**_of(command, command.reservation_id, held))


def cover(stock: Stock, command: s.StockCommand) -> Iterator[s.StockPresaleCovered]:
    """Cover presales in the order of their promises; if the next one is too large, wait for it, so that small ones do
    not starve it.
    """
    free = stock.sellable - stock.promised - stock.policy.safety_stock
    if free <= 0 or not stock.presold:
        return
    waiting = ((held.since, key, held) for key, held in stock.reserved.items() if held.presale)
    first = nsmallest(COVERED_MAX + 1, waiting)
    covered: list[tuple[str, Reservation]] = []
    for _, key, held in first:
        if held.quantity > free:
            break
        free -= held.quantity
        covered.append((key, held))
    for number, (key, held) in enumerate(covered[:COVERED_MAX], start=1):
        more = number == COVERED_MAX < len(covered)
        yield s.StockPresaleCovered(**{**_of(command, key, held), "presale": False}, more=more)


def broken_by_losing(
    stock: Stock, command: s.StockCommand, units: int, reason: str
) -> Iterator[s.StockReservationBroken]:
    """Break the promises that cannot be kept after a loss of sellable units: temporary reservations first, then the
    newest.

    The broken promises are recorded before the loss, so that reserved <= on hand at every version.
    """
    excess = stock.promised - (stock.sellable - units)
    if excess <= 0:
        return
    kept = ((held.expires_at is None, -held.since, key, held) for key, held in stock.reserved.items())
    for _, _, key, held in sorted(order for order in kept if not order[3].presale):
        if excess <= 0:
            return
        excess -= held.quantity
        yield s.StockReservationBroken(**_of(command, key, held), reason=reason)


def ship(stock: Stock, command: s.ShipStock) -> Iterator[s.StockEvent]:
    key = command.reservation_id
    if broken := stock.broken.get(key):
        yield from _ship_nevertheless(stock, command, broken)
        return
    if stock.settled.knows(key):
        return
    held = stock.reserved.get(key)
    if held is None:
        raise Refused(
            StockRefusal.NOT_RESERVED, f"{command.stream} holds nothing for reservation {key}; reserve before shipping"
        )
    if held.presale:
        raise Refused(
            StockRefusal.NOT_COVERED, f"{key} was sold before it exists; it cannot leave before stock has come"
        )
    yield _shipped(stock, command, key, held)


def _ship_nevertheless(stock: Stock, command: s.ShipStock, broken: Reservation) -> Iterator[s.StockEvent]:
    """Ship units that left although fewer were recorded: the difference is adjusted, and promises that it breaks are
    recorded.
    """
    found = broken.quantity - stock.sellable
    if found > 0:
        adjusted = s.StockAdjusted(
            sku=command.sku,
            location=command.location,
            quantity=found,
            adjustment_id=f"found/{command.shipment_id}/{command.reservation_id}",
            reason=f"left in {command.shipment_id} though it was not recorded there",
        )
        yield adjusted
        stock = evolve(stock, adjusted)
    for event in broken_by_losing(stock, command, broken.quantity, f"left in {command.shipment_id} for another order"):
        yield event
        stock = evolve(stock, event)
    yield _shipped(stock, command, command.reservation_id, broken)


def _shipped(stock: Stock, command: s.ShipStock, key: str, held: Reservation) -> s.StockShipped:
    picks, serials = pick(stock, held.quantity, command.serials)
    return s.StockShipped(
        **_of(command, key, held),
        shipment_id=command.shipment_id,
        picks=picks,
        serials=tuple(serials),
        broken=key in stock.broken,
    )


def pick(stock: Stock, quantity: int, named: tuple[str, ...] = ()) -> tuple[tuple[s.Pick, ...], list[str]]:
    """Return the places from which units are taken, and their serial numbers: named units first, then those that expire
    first. Both are empty if all units are in the one unnamed place.
    """
    places = stock.physical.places
    if len(places) == 1 and SOMEWHERE in places and not stock.physical.serials:
        return (), []
    taken: dict[StockPlace, int] = {}
    serials: list[str] = []
    for serial in named:
        place = stock.physical.serials.get(serial)
        if place and place.condition == "sellable" and len(serials) < quantity and serial not in serials:
            serials.append(serial)
            taken[place] = taken.get(place, 0) + 1
    left = quantity - len(serials)
    for place, units in sorted(places.items(), key=lambda item: (item[1].lot_expires_at or NEVER, item[0])):
        more = min(units.quantity - taken.get(place, 0), left) if place.condition == "sellable" else 0
        if more > 0:
            serials += _unnamed(stock, place, more, serials)
            taken[place] = taken.get(place, 0) + more
            left -= more
    picks = tuple(s.Pick(bin=place.bin, lot=place.lot, quantity=n) for place, n in taken.items())
    return picks, serials


def _unnamed(stock: Stock, place: StockPlace, quantity: int, named: list[str]) -> list[str]:
    if not stock.physical.serials:
        return []
    there = (serial for serial, at in stock.physical.serials.items() if at == place and serial not in named)
    return nsmallest(quantity, there)
