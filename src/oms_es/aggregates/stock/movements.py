"""Movements: units arrive, leave, and change their place, lot or condition. Each movement counts once, by its id.

What happened is recorded as it happened, even if it breaks promises. What is only planned, such as a move to another
location, is refused if it would break them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from oms_es.aggregates.repeats import asked_of, done_before
from oms_es.aggregates.stock.quantities import Inbound, PhysicalStock, Stock, StockPlace
from oms_es.aggregates.stock.reservations import broken_by_losing
from oms_es.kernel import Refused
from oms_es.schemas import stock as s
from oms_es.schemas.stock.refusals import StockRefusal
from oms_es.schemas.values.sentences import with_reason

PLACES_MAX = 1_000
"""How many bins and lots may distinguish the units of one SKU at one location."""
INBOUNDS_MAX = 1_000
"""How many inbound deliveries of one SKU a location may expect at once."""


def receive(stock: Stock, command: s.ReceiveStock) -> Iterator[s.StockEvent]:
    if not done_before(stock.movements.asked(f"receipt/{command.receipt_id}"), command):
        _check_room(stock, command, StockPlace(command.bin, command.lot))
        yield s.StockReceived(**command.model_dump(), asked=asked_of(command))


def admit_serials(stock: Stock, command: s.AdmitSerials) -> Iterator[s.StockEvent]:
    """Receive units with serial numbers; never refuse, because the registry has accepted the numbers already."""
    new = tuple(serial for serial in dict.fromkeys(command.serials) if serial not in stock.physical.serials)
    if new and not stock.movements.knows(f"receipt/{command.receipt_id}"):
        fields = {**command.model_dump(), "serials": new, "quantity": len(new), "asked": asked_of(command)}
        yield s.StockReceived(**fields, **_still_to_come(stock, command.inbound_id, len(new)))


def _still_to_come(stock: Stock, inbound_id: str | None, arrived: int) -> dict[str, Any]:
    known = stock.supply.inbounds.get(inbound_id) if inbound_id else None
    if known is None:
        return {}
    return {"request_id": known.request_id, "outstanding": max(known.quantity - arrived, 0)}


def restock(stock: Stock, command: s.RestockReturn) -> Iterator[s.StockEvent]:
    """Put returned units back; never refuse, because they are here.

    A serial number that is here already names no second unit.
    """
    if not stock.movements.knows(f"return/{command.return_id}"):
        named = dict.fromkeys(command.serials)
        new = tuple(serial for serial in named if serial not in stock.physical.serials)[: command.quantity]
        yield s.StockReturned(**{**command.model_dump(), "serials": new})


def count(stock: Stock, command: s.CountStock) -> Iterator[s.StockEvent]:
    if done_before(stock.movements.asked(f"count/{command.count_id}"), command):
        return
    place = StockPlace(command.bin, command.lot, command.condition)
    expected = stock.physical.quantity_at(place)
    if command.quantity and not expected:
        _check_room(stock, command, place)
    missing = _not_found(stock.physical, command, place)
    counted = s.StockCounted(**{**command.model_dump(), "serials": missing}, expected=expected, asked=asked_of(command))
    yield from _losing(stock, command, place, -counted.variance, f"counted {command.quantity}, expected {expected}")
    yield counted


def _not_found(physical: PhysicalStock, command: s.CountStock, place: StockPlace) -> tuple[str, ...]:
    """Return the serial numbers that should be there and were not found.

    Raise Refused if others were found, or too few are named.
    """
    there = _numbers_at(physical, place)
    found = set(command.serials)
    if not found <= there:
        strange = ", ".join(sorted(found - there)[:3])
        raise Refused(
            StockRefusal.SERIAL_NOT_THERE, f"{strange} should not be in {_named(place)}; receive or move it first"
        )
    if there and len(found) != command.quantity:
        raise Refused(
            StockRefusal.SERIALS_NEEDED, f"units of {command.sku} carry numbers: name the {command.quantity} found"
        )
    return tuple(sorted(there - found))


def adjust(stock: Stock, command: s.AdjustStock) -> Iterator[s.StockEvent]:
    if done_before(stock.movements.asked(f"adjustment/{command.adjustment_id}"), command) or command.quantity == 0:
        return
    place = StockPlace(command.bin, command.lot, command.condition)
    fields = {**command.model_dump(), "asked": asked_of(command)}
    if command.quantity < 0:
        fields["serials"] = _leaving(stock.physical, command, place, -command.quantity)
        yield from _losing(stock, command, place, -command.quantity, with_reason("adjusted", command.reason))
    else:
        _check_room(stock, command, place)
        if command.serials:
            raise Refused(StockRefusal.SERIAL_NOT_THERE, "numbered units come in with `oms-es serials receive`")
    yield s.StockAdjusted(**fields)


def change_condition(stock: Stock, command: s.ChangeCondition) -> Iterator[s.StockEvent]:
    known = stock.movements.asked(f"condition/{command.change_id}")
    if done_before(known, command) or command.condition == command.was:
        return
    place = StockPlace(command.bin, command.lot, command.was)
    serials = _leaving(stock.physical, command, place, command.quantity)
    yield from _losing(stock, command, place, command.quantity, with_reason(command.condition, command.reason))
    expires_at = stock.physical.places[place].lot_expires_at
    fields = {**command.model_dump(), "serials": serials, "asked": asked_of(command)}
    yield s.StockConditionChanged(**fields, lot_expires_at=expires_at)


def expire_lot(stock: Stock, command: s.ExpireLot) -> Iterator[s.StockEvent]:
    over = sorted(
        (place, units)
        for place, units in stock.physical.places.items()
        if place.lot == command.lot
        and place.condition == "sellable"
        and units.lot_expires_at
        and units.lot_expires_at <= command.now
    )
    reason = f"lot {command.lot} expired"
    yield from broken_by_losing(stock, command, sum(units.quantity for _, units in over), reason)
    for place, units in over:
        yield s.StockConditionChanged(
            sku=command.sku,
            location=command.location,
            quantity=units.quantity,
            bin=place.bin,
            lot=place.lot,
            was="sellable",
            condition="quarantine",
            change_id=f"expired/{place.lot}/{place.bin}",
            reason=reason,
            lot_expires_at=units.lot_expires_at,
            serials=tuple(sorted(_numbers_at(stock.physical, place))),
        )


def write_off(stock: Stock, command: s.WriteOffStock) -> Iterator[s.StockEvent]:
    if done_before(stock.movements.asked(f"write_off/{command.write_off_id}"), command):
        return
    place = StockPlace(command.bin, command.lot, command.condition)
    serials = _leaving(stock.physical, command, place, command.quantity)
    yield from _losing(stock, command, place, command.quantity, with_reason("written off", command.reason))
    yield s.StockWrittenOff(**{**command.model_dump(), "serials": serials}, asked=asked_of(command))


def move_to_bin(stock: Stock, command: s.MoveToBin) -> Iterator[s.StockEvent]:
    if done_before(stock.movements.asked(f"bin/{command.move_id}"), command) or command.bin == command.to_bin:
        return
    place = StockPlace(command.bin, command.lot, command.condition)
    serials = _leaving(stock.physical, command, place, command.quantity)
    _check_room(stock, command, place._replace(bin=command.to_bin))
    expires_at = stock.physical.places[place].lot_expires_at
    fields = {**command.model_dump(), "serials": serials, "asked": asked_of(command)}
    yield s.StockMovedToBin(**fields, lot_expires_at=expires_at)


def move(stock: Stock, command: s.MoveStock) -> Iterator[s.StockEvent]:
    if done_before(stock.movements.asked(f"move/{command.move_id}"), command):
        return
    if command.to_location == command.location:
        raise Refused(
            StockRefusal.SAME_LOCATION,
            f"the units are at {command.location} already; use `oms-es stock move-to-bin` to move them within it",
        )
    place = StockPlace(command.bin, command.lot, command.condition)
    serials = _leaving(stock.physical, command, place, command.quantity)
    free = stock.sellable - stock.promised
    if command.condition == "sellable" and command.quantity > free:
        raise Refused(
            StockRefusal.PROMISED, f"only {free} units are not promised to orders; move those, or release some first"
        )
    expires_at = stock.physical.places[place].lot_expires_at
    fields = {**command.model_dump(), "serials": serials, "asked": asked_of(command)}
    yield s.StockMovedOut(**fields, lot_expires_at=expires_at)


def admit_move(stock: Stock, command: s.AdmitMove) -> Iterator[s.StockEvent]:
    """Receive a move, or expect it; never refuse, because it has left the other location."""
    if stock.movements.knows(f"in/{command.from_location}/{command.move_id}"):
        return
    fields = command.model_dump(exclude={"arrives_at"})
    if command.arrives_at is None:
        yield s.StockMovedIn(**fields)
    else:
        inbound_id = inbound_of_move(command.from_location, command.move_id)
        yield s.StockInboundExpected(**fields, inbound_id=inbound_id, promised_at=command.arrives_at)


def inbound_of_move(from_location: str, move_id: str) -> str:
    """Return the inbound id under which a move is expected at its destination."""
    return f"move/{from_location}/{move_id}"


def expect_inbound(stock: Stock, command: s.ExpectInbound) -> Iterator[s.StockEvent]:
    inbounds = stock.supply.inbounds
    known = inbounds.get(command.inbound_id)
    if known and known.from_location:
        raise Refused(
            StockRefusal.IS_A_MOVE, f"{command.inbound_id} is a move from {known.from_location}; its units are known"
        )
    if known is None and done_before(stock.movements.asked(f"inbound/{command.inbound_id}"), command):
        return  # the inbound is over: all of it has come, or it was cancelled
    if known is None and len(inbounds) >= INBOUNDS_MAX:
        raise Refused(
            StockRefusal.TOO_MANY_INBOUNDS, f"{INBOUNDS_MAX} are expected already; receive or cancel some first"
        )
    asked = asked_of(command)
    same = known and known[:3] == (command.quantity, command.promised_at, command.request_id)
    if known is None or not (same or known.asked == asked):
        yield s.StockInboundExpected(**command.model_dump(), asked=asked)


def receive_inbound(stock: Stock, command: s.ReceiveInbound) -> Iterator[s.StockEvent]:
    if done_before(stock.movements.asked(f"receipt/{command.receipt_id}"), command):
        return
    known = stock.supply.inbounds.get(command.inbound_id)
    if known is None:
        raise Refused(
            StockRefusal.UNKNOWN_INBOUND,
            f"{command.stream} does not expect {command.inbound_id}; use `oms-es stock receive`",
        )
    _check_room(stock, command, StockPlace(command.bin, command.lot or known.lot, known.condition))
    quantity = command.quantity or known.quantity
    came: dict[str, Any] = {
        **command.model_dump(exclude={"quantity", "serials"}),
        "quantity": quantity,
        "lot": command.lot or known.lot,
        "lot_expires_at": command.lot_expires_at or known.lot_expires_at,
        "condition": known.condition,
        "asked": asked_of(command),
    }
    if known.from_location is None:
        if command.serials:
            raise Refused(StockRefusal.SERIAL_NOT_THERE, "numbered units come in with `oms-es serials receive`")
        yield s.StockReceived(**came, **_still_to_come(stock, command.inbound_id, quantity))
        return
    if quantity > known.quantity:
        raise Refused(
            StockRefusal.EXCEEDS_TRANSIT, f"only {known.quantity} units are on their way; adjust what came beyond them"
        )
    serials = _arriving(known, command, quantity)
    yield s.StockMovedIn(**came, move_id=known.move_id, from_location=known.from_location, serials=serials)


def _arriving(known: Inbound, command: s.ReceiveInbound, quantity: int) -> tuple[str, ...]:
    if quantity == known.quantity:
        return known.serials
    if not set(command.serials) <= set(known.serials):
        raise Refused(
            StockRefusal.SERIAL_NOT_THERE, f"{command.inbound_id} does not carry all of {', '.join(command.serials)}"
        )
    if known.serials and len(set(command.serials)) != quantity:
        raise Refused(
            StockRefusal.SERIALS_NEEDED, f"units of {command.sku} carry numbers: name the {quantity} that came"
        )
    return tuple(dict.fromkeys(command.serials))


def cancel_inbound(stock: Stock, command: s.CancelInbound) -> Iterator[s.StockEvent]:
    if known := stock.supply.inbounds.get(command.inbound_id):
        yield s.StockInboundCancelled(
            **command.model_dump(),
            quantity=known.quantity,
            request_id=known.request_id,
            move_id=known.move_id,
            from_location=known.from_location,
            serials=known.serials,
        )


def _losing(
    stock: Stock, command: s.StockCommand, place: StockPlace, units: int, reason: str
) -> Iterator[s.StockReservationBroken]:
    if units > 0 and place.condition == "sellable":
        yield from broken_by_losing(stock, command, units, reason)


def _leaving(physical: PhysicalStock, command: Any, place: StockPlace, quantity: int) -> tuple[str, ...]:
    """Return the serial numbers of the units that leave a place.

    Raise Refused if the units are not there, or the numbers are not named.
    """
    there = physical.quantity_at(place)
    if quantity > there:
        raise Refused(
            StockRefusal.NOT_THERE, f"{_named(place)} holds {there} units, not {quantity}; count it or name another"
        )
    numbers = _numbers_at(physical, place)
    named = tuple(dict.fromkeys(command.serials))
    if not numbers.issuperset(named):
        raise Refused(StockRefusal.SERIAL_NOT_THERE, f"not all of {', '.join(named[:3])} are in {_named(place)}")
    if numbers and quantity == there:
        return tuple(sorted(numbers))
    if numbers and len(named) != quantity:
        raise Refused(
            StockRefusal.SERIALS_NEEDED, f"units in {_named(place)} carry numbers: name the {quantity} that are meant"
        )
    return named


def _numbers_at(physical: PhysicalStock, place: StockPlace) -> set[str]:
    return {serial for serial, at in physical.serials.items() if at == place}


def _check_room(stock: Stock, command: s.StockCommand, place: StockPlace) -> None:
    places = stock.physical.places
    if place not in places and len(places) >= PLACES_MAX:
        raise Refused(
            StockRefusal.TOO_MANY_PLACES, f"{command.stream} has {PLACES_MAX} bins and lots already; use one of those"
        )


def _named(place: StockPlace) -> str:
    names = [f"bin {place.bin}"] if place.bin else []
    names += [f"lot {place.lot}"] if place.lot else []
    return f"{', '.join(names) or 'no bin'} ({place.condition})"
