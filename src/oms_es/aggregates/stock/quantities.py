"""Units by place and lot, and their promises: the values that the state of stock is made of."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from rpds import HashTrieMap, Queue

from oms_es.aggregates.fast_replace import fast_replace
from oms_es.schemas import stock as s

SETTLED_REMEMBERED_MAX = 10_000
"""How many ended reservations are remembered, so that a repeated command decides nothing. Older repeats are caught by
the consumer's position; the bound keeps a stream's state and snapshot small however long it lives."""

MOVEMENTS_REMEMBERED_MAX = 10_000
"""How many receipts, counts, moves and the like are remembered for the same reason."""


@fast_replace
class Memory(NamedTuple):
    """Names that were seen, with a digest of what was asked under each; the oldest names are forgotten."""

    names: HashTrieMap[str, str] = HashTrieMap()
    in_order: Queue[str] = Queue()

    def knows(self, name: str) -> bool:
        return name in self.names

    def asked(self, name: str) -> str | None:
        """Return the digest for a name: None for an unknown name, empty if what was asked is not known."""
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
        """Return a memory of names for which it is not known what was asked."""
        return cls.restored((name, "") for name in names)

    @classmethod
    def restored(cls, known: Iterable[tuple[str, str]]) -> Memory:
        pairs = [(name, asked) for name, asked in known]
        return cls(HashTrieMap(pairs), Queue(name for name, _ in pairs))

    @property
    def known(self) -> list[tuple[str, str]]:
        """The remembered names with their digests, in the order in which they came."""
        return [(name, self.names[name]) for name in self.in_order]


class StockPlace(NamedTuple):
    bin: str = ""
    lot: str = ""
    condition: s.Condition = "sellable"


class Units(NamedTuple):
    quantity: int
    lot_expires_at: datetime | None = None


SOMEWHERE = StockPlace()
"""Sellable units whose bin was not reported."""


class PhysicalStock(NamedTuple):
    """The units that are physically there. `aside` counts those that are not sellable."""

    on_hand: int = 0
    aside: int = 0
    places: HashTrieMap[StockPlace, Units] = HashTrieMap()
    serials: HashTrieMap[str, StockPlace] = HashTrieMap()

    def quantity_at(self, place: StockPlace) -> int:
        units = self.places.get(place)
        return units.quantity if units else 0

    def put(self, place: StockPlace, quantity: int, expires_at: datetime | None = None) -> PhysicalStock:
        """Return the stock with units added to a place, or taken from it if `quantity` is negative."""
        known = self.places.get(place)
        there = Units((known.quantity if known else 0) + quantity, expires_at or (known and known.lot_expires_at))
        places = self.places.insert(place, there) if there.quantity else self.places.discard(place)
        aside = self.aside if place.condition == "sellable" else self.aside + quantity
        return PhysicalStock(self.on_hand + quantity, aside, places, self.serials)

    def name(self, serials: Iterable[str], place: StockPlace | None) -> PhysicalStock:
        """Return the stock with the place of these serial numbers set; None if they are no longer here."""
        known = self.serials
        for serial in serials:
            known = known.insert(serial, place) if place else known.discard(serial)
        return self._replace(serials=known)


class Share(NamedTuple):
    share_percent: int
    buffer_units: int


class Policy(NamedTuple):
    """The settings of a merchant for this stock."""

    safety_stock: int = 0
    presale_limit: int = 0
    shares: HashTrieMap[str, Share] = HashTrieMap()  # by channel
    reorder_point: int = 0
    up_to: int = 0


class Inbound(NamedTuple):
    """Outstanding units of an expected delivery. With `from_location` they are in transit from there."""

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
    occasions: int = 0  # how often it ran low


class Reservation(NamedTuple):
    order_id: str
    quantity: int
    expires_at: datetime | None = None
    channel: str = ""
    presale: bool = False  # not covered by units on hand yet
    since: int = 0  # a running number of the promises made here: the first promised has the lowest
    asked: str = ""


@fast_replace
class Stock(NamedTuple):
    promised: int = 0  # units on hand that `reserved` counts, kept so that ATP costs nothing to know
    presold: int = 0  # units in `reserved` that are not there yet
    reserved: HashTrieMap[str, Reservation] = HashTrieMap()
    settled: Memory = Memory()
    promises: int = 0
    of_channels: HashTrieMap[str, int] = HashTrieMap()  # promised units, by channel
    holds: HashTrieMap[str, str] = HashTrieMap()  # the temporary reservation of each holder
    broken: HashTrieMap[str, Reservation] = HashTrieMap()  # broken promises, as long as they are remembered
    physical: PhysicalStock = PhysicalStock()
    policy: Policy = Policy()
    supply: Supply = Supply()
    movements: Memory = Memory()

    @property
    def on_hand(self) -> int:
        return self.physical.on_hand

    @property
    def sellable(self) -> int:
        return self.physical.on_hand - self.physical.aside

    @property
    def safety_stock(self) -> int:
        return self.policy.safety_stock

    @property
    def atp(self) -> int:
        """Available to promise: sellable units less those that are promised, presold or kept as safety stock."""
        return self.sellable - self.promised - self.presold - self.policy.safety_stock

    @property
    def presale_left(self) -> int:
        """Units that may still be sold before they exist."""
        return self.policy.presale_limit - self.presold

    @property
    def supplied(self) -> int:
        """The units that can be promised now or when inbound units arrive."""
        return self.atp + self.supply.inbound

    def promisable(self, channel: str) -> int:
        """Return the ATP that a channel may use: without its buffer, and at most its share of the sellable stock."""
        share = self.policy.shares.get(channel) if channel else None
        if share is None:
            return self.atp
        of_the_stock = (self.sellable - self.policy.safety_stock) * share.share_percent // 100
        return min(self.atp - share.buffer_units, of_the_stock - self.of_channels.get(channel, 0))


NO_SHARE = Share(100, 0)
