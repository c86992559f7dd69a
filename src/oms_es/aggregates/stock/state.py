"""What a stock stream folds to: shelves, promises, policy and supply, each in a part of its own.

State is made of persistent maps: an event costs O(log n), however many reservations, bins and lots there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from rpds import HashTrieMap, Queue

from oms_es.aggregates.fast_replace import wide
from oms_es.schemas import stock as s

SETTLED_REMEMBERED_MAX = 10_000
"""Ended reservations remembered, so that a command that comes again decides nothing. Older repeats are caught by the
consumer's position; the bound keeps a stream's state and snapshot small however long it lives."""
MOVEMENTS_REMEMBERED_MAX = 10_000
"""Receipts, counts, moves and the like that are remembered for the same reason."""


@wide
class Memory(NamedTuple):
    """Names that were seen, and what was asked under each; the oldest are forgotten."""

    names: HashTrieMap[str, str] = HashTrieMap()
    in_order: Queue[str] = Queue()

    def knows(self, name: str) -> bool:
        return name in self.names

    def asked(self, name: str) -> str | None:
        """None: nothing of that name is known; empty: what was asked is not."""
        return self.names.get(name)

    @property
    def oldest(self) -> str:
        name: str = self.in_order.peek()  # type: ignore[operator] # rpds declares it wrongly
        return name

    def add(self, name: str, remembered_max: int, asked: str = "") -> Memory:
        if name in self.names:
            return self
        names, in_order = self.names.insert(name, asked), self.in_order.enqueue(name)
        if len(names) > remembered_max:
            names, in_order = names.discard(self.oldest), in_order.dequeue()  # type: ignore[call-arg] # rpds declares it wrongly
        return Memory(names, in_order)

    @classmethod
    def of(cls, names: Iterable[str]) -> Memory:
        """Where nobody knows what was asked under them."""
        return cls.restored((name, "") for name in names)

    @classmethod
    def restored(cls, known: Iterable[tuple[str, str]]) -> Memory:
        pairs = [(name, asked) for name, asked in known]
        return cls(HashTrieMap(pairs), Queue(name for name, _ in pairs))

    @property
    def known(self) -> list[tuple[str, str]]:
        """In the order in which they came."""
        return [(name, self.names[name]) for name in self.in_order]


class Place(NamedTuple):
    bin: str = ""
    lot: str = ""
    condition: s.Condition = "sellable"


class Units(NamedTuple):
    quantity: int
    lot_expires_at: datetime | None = None


SOMEWHERE = Place()
"""Where sellable units are of which nobody said where."""


class Shelves(NamedTuple):
    """What is physically there. `aside`: the units of it that are not sellable."""

    on_hand: int = 0
    aside: int = 0
    places: HashTrieMap[Place, Units] = HashTrieMap()
    serials: HashTrieMap[str, Place] = HashTrieMap()

    def quantity_at(self, place: Place) -> int:
        units = self.places.get(place)
        return units.quantity if units else 0

    def put(self, place: Place, quantity: int, expires_at: datetime | None = None) -> Shelves:
        """Or take, where `quantity` is negative."""
        known = self.places.get(place)
        there = Units((known.quantity if known else 0) + quantity, expires_at or (known and known.lot_expires_at))
        places = self.places.insert(place, there) if there.quantity else self.places.discard(place)
        aside = self.aside if place.condition == "sellable" else self.aside + quantity
        return Shelves(self.on_hand + quantity, aside, places, self.serials)

    def name(self, serials: Iterable[str], place: Place | None) -> Shelves:
        """Say where units with these numbers are; None: no longer here."""
        known = self.serials
        for serial in serials:
            known = known.insert(serial, place) if place else known.discard(serial)
        return self._replace(serials=known)


class Share(NamedTuple):
    share_percent: int
    buffer_units: int


class Policy(NamedTuple):
    """What a merchant has decided."""

    safety_stock: int = 0
    presale_limit: int = 0
    shares: HashTrieMap[str, Share] = HashTrieMap()  # by channel
    reorder_point: int = 0
    up_to: int = 0


class Inbound(NamedTuple):
    """Units that are still outstanding of what was expected. `from_location`: they are in transit from there."""

    quantity: int
    promised_at: datetime
    request_id: str | None = None
    move_id: str | None = None
    from_location: str | None = None
    lot: str = ""
    lot_expires_at: datetime | None = None
    condition: s.Condition = "sellable"
    serials: tuple[str, ...] = ()
    asked: str = ""


class Supply(NamedTuple):
    inbound: int = 0  # the sum of `inbounds`
    inbounds: HashTrieMap[str, Inbound] = HashTrieMap()
    low: bool = False
    occasions: int = 0  # on which it ran low


class Reservation(NamedTuple):
    order_id: str
    quantity: int
    expires_at: datetime | None = None
    channel: str = ""
    presale: bool = False  # not covered by units on hand yet
    since: int = 0  # counts the promises made here: the first promised has the lowest
    asked: str = ""


@wide
class Stock(NamedTuple):
    promised: int = 0  # units on hand that `reserved` locks, kept so that ATP costs nothing to know
    presold: int = 0  # units in `reserved` that are not there yet
    reserved: HashTrieMap[str, Reservation] = HashTrieMap()
    settled: Memory = Memory()
    promises: int = 0
    of_channels: HashTrieMap[str, int] = HashTrieMap()  # units promised, by channel
    holds: HashTrieMap[str, str] = HashTrieMap()  # by holder, the reservation with an end
    broken: HashTrieMap[str, Reservation] = HashTrieMap()  # promises that did not hold, while they are remembered
    shelves: Shelves = Shelves()
    policy: Policy = Policy()
    supply: Supply = Supply()
    movements: Memory = Memory()

    @property
    def on_hand(self) -> int:
        return self.shelves.on_hand

    @property
    def sellable(self) -> int:
        return self.shelves.on_hand - self.shelves.aside

    @property
    def safety_stock(self) -> int:
        return self.policy.safety_stock

    @property
    def atp(self) -> int:
        """Available to promise: what is sellable, less what is promised, already sold or kept back."""
        return self.sellable - self.promised - self.presold - self.policy.safety_stock

    @property
    def presale_left(self) -> int:
        """Units that may still be sold before they exist."""
        return self.policy.presale_limit - self.presold

    @property
    def supplied(self) -> int:
        """What can be promised, and what will be."""
        return self.atp + self.supply.inbound

    def promisable(self, channel: str) -> int:
        """ATP as far as a channel may use it: not its buffer, and no more than its share of what is here."""
        share = self.policy.shares.get(channel) if channel else None
        if share is None:
            return self.atp
        of_the_stock = (self.sellable - self.policy.safety_stock) * share.share_percent // 100
        return min(self.atp - share.buffer_units, of_the_stock - self.of_channels.get(channel, 0))


def evolve(stock: Stock, event: s.StockEvent) -> Stock:
    """Never refuse a fact: an old stream must load under new rules."""
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


def _let_go(stock: Stock, event: s.StockReleased | s.StockReservationExpired) -> Stock:
    left = _less(stock, event.reservation_id, event.quantity)
    release = getattr(event, "release_id", None)
    if release is None:
        return left
    return settle(left, part_of(event.reservation_id, release), getattr(event, "asked", ""))


def part_of(reservation_id: str, release_id: str) -> str:
    """The name under which the release of a part is remembered."""
    return f"{reservation_id}\n{release_id}"


def _less(stock: Stock, key: str, n: int, shelves: Shelves | None = None) -> Stock:
    """So many units leave a reservation; with the last of them it ends."""
    held = stock.reserved.get(key) or Reservation("", n)
    presale = n if held.presale else 0
    ends = held.quantity <= n
    less = held._replace(quantity=held.quantity - n)
    holds = stock.holds
    if ends and held.expires_at and holds.get(held.order_id) == key:
        holds = holds.discard(held.order_id)
    return stock._replace(  # in one go: most facts come here
        promised=stock.promised - n + presale,
        presold=stock.presold - presale,
        reserved=stock.reserved.discard(key) if ends else stock.reserved.insert(key, less),
        settled=stock.settled.add(key, SETTLED_REMEMBERED_MAX, held.asked) if ends else stock.settled,
        of_channels=_counted(stock, held.channel, presale - n),
        holds=holds,
        broken=_remembered(stock) if ends and stock.broken else stock.broken,
        shelves=shelves or stock.shelves,
    )


def settle(stock: Stock, key: str, asked: str = "") -> Stock:
    settled = stock.settled.add(key, SETTLED_REMEMBERED_MAX, asked)
    return stock._replace(settled=settled, broken=_remembered(stock) if stock.broken else stock.broken)


def _remembered(stock: Stock) -> HashTrieMap[str, Reservation]:
    """What is broken, when one more reservation has ended: with the memory of its end it is forgotten."""
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
    told = stock._replace(broken=stock.broken.discard(key) if left is None else left)
    return told if event.release_id is None else settle(told, part_of(key, event.release_id), event.asked)


def _covered(stock: Stock, event: s.StockPresaleCovered) -> Stock:
    held = stock.reserved.get(event.reservation_id) or Reservation(event.order_id, event.quantity)
    return stock._replace(
        promised=stock.promised + event.quantity,
        presold=stock.presold - event.quantity,
        reserved=stock.reserved.insert(event.reservation_id, held._replace(presale=False)),
        of_channels=_counted(stock, held.channel, event.quantity),
    )


def _shipped(stock: Stock, event: s.StockShipped) -> Stock:
    shelves = stock.shelves
    if event.picks:
        for pick in event.picks:
            shelves = shelves.put(Place(pick.bin, pick.lot), -pick.quantity)
    else:
        shelves = shelves.put(SOMEWHERE, -event.quantity)
    if event.serials:
        shelves = shelves.name(event.serials, None)
    if event.broken:
        return stock._replace(shelves=shelves, broken=stock.broken.discard(event.reservation_id))
    return _less(stock, event.reservation_id, event.quantity, shelves)


# --- shelves


def _moved(stock: Stock, name: str, shelves: Shelves, asked: str = "") -> Stock:
    return stock._replace(movements=stock.movements.add(name, MOVEMENTS_REMEMBERED_MAX, asked), shelves=shelves)


def _came(stock: Stock, name: str, event: s.StockReceived | s.StockReturned | s.StockMovedIn) -> Stock:
    place = Place(event.bin, event.lot, event.condition)
    shelves = stock.shelves.put(place, event.quantity, event.lot_expires_at)
    there = _moved(stock, name, shelves.name(event.serials, place) if event.serials else shelves, event.asked)
    inbound_id = getattr(event, "inbound_id", None)
    return there if inbound_id is None else _no_longer_outstanding(there, inbound_id, event.quantity, event.serials)


def _received(stock: Stock, event: s.StockReceived) -> Stock:
    return _came(stock, f"receipt/{event.receipt_id}", event)


def _returned(stock: Stock, event: s.StockReturned) -> Stock:
    return _came(stock, f"return/{event.return_id}", event)


def _moved_in(stock: Stock, event: s.StockMovedIn) -> Stock:
    name = f"receipt/{event.receipt_id}" if event.receipt_id else f"in/{event.from_location}/{event.move_id}"
    return _came(stock, name, event)


def _counted_there(stock: Stock, event: s.StockCounted) -> Stock:
    shelves = stock.shelves.put(Place(event.bin, event.lot, event.condition), event.variance)
    return _moved(stock, f"count/{event.count_id}", shelves.name(event.serials, None), event.asked)


def _adjusted(stock: Stock, event: s.StockAdjusted) -> Stock:
    shelves = stock.shelves.put(Place(event.bin, event.lot, event.condition), event.quantity)
    return _moved(stock, f"adjustment/{event.adjustment_id}", shelves.name(event.serials, None), event.asked)


def _written_off(stock: Stock, event: s.StockWrittenOff) -> Stock:
    shelves = stock.shelves.put(Place(event.bin, event.lot, event.condition), -event.quantity)
    return _moved(stock, f"write_off/{event.write_off_id}", shelves.name(event.serials, None), event.asked)


def _moved_out(stock: Stock, event: s.StockMovedOut) -> Stock:
    shelves = stock.shelves.put(Place(event.bin, event.lot, event.condition), -event.quantity)
    return _moved(stock, f"move/{event.move_id}", shelves.name(event.serials, None), event.asked)


def _condition_changed(stock: Stock, event: s.StockConditionChanged) -> Stock:
    was, now = Place(event.bin, event.lot, event.was), Place(event.bin, event.lot, event.condition)
    return _moved(stock, f"condition/{event.change_id}", _shifted(stock.shelves, was, now, event), event.asked)


def _moved_to_bin(stock: Stock, event: s.StockMovedToBin) -> Stock:
    was, now = Place(event.bin, event.lot, event.condition), Place(event.to_bin, event.lot, event.condition)
    return _moved(stock, f"bin/{event.move_id}", _shifted(stock.shelves, was, now, event), event.asked)


def _shifted(shelves: Shelves, was: Place, now: Place, event: s.StockConditionChanged | s.StockMovedToBin) -> Shelves:
    taken = shelves.put(was, -event.quantity)
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


NO_SHARE = Share(100, 0)


def _reorder_set(stock: Stock, event: s.ReorderPointSet) -> Stock:
    return stock._replace(
        policy=stock.policy._replace(reorder_point=event.quantity, up_to=event.up_to),
        supply=stock.supply._replace(low=False),
    )


def _ran_low(stock: Stock, event: s.StockRanLow) -> Stock:
    return stock._replace(supply=stock.supply._replace(low=True, occasions=event.occasion))


def _requested(stock: Stock, event: s.ReplenishmentRequested) -> Stock:
    return _moved(stock, f"request/{event.request_id}", stock.shelves)


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
    told = stock._replace(supply=supply)
    if event.from_location is None:
        return told
    return _moved(told, f"in/{event.from_location}/{event.move_id}", stock.shelves)


def _no_longer_outstanding(stock: Stock, inbound_id: str, quantity: int, serials: tuple[str, ...]) -> Stock:
    """More may come than was expected; with the last of it an inbound is over."""
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
    return _moved(over, f"inbound/{inbound_id}", stock.shelves, known.asked)


def _inbound_cancelled(stock: Stock, event: s.StockInboundCancelled) -> Stock:
    return _no_longer_outstanding(stock, event.inbound_id, event.quantity, event.serials)


EVOLUTIONS: dict[type[s.StockEvent], Any] = {
    s.StockReserved: _reserved,
    s.StockShort: _short,
    s.StockReleased: _let_go,
    s.StockReservationExpired: _let_go,
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
"""What each fact means."""
