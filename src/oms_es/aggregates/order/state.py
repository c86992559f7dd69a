"""The state of an order: where its units are, who pays, and what its `phase` waits for.

Invariant: every unit of its content is in exactly one of to_source, backordered, requested and allocated.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Literal, NamedTuple, TypeVar

from rpds import HashTrieMap, HashTrieSet

from oms_es.aggregates.fast_replace import fast_replace
from oms_es.schemas import order as o
from oms_es.schemas.values.types import Moment

ShipmentStatus = Literal["open", "held", "dispatched", "delivered", "returned", "lost", "cancelled"]
"""A "held" shipment is planned, and is not requested from its warehouse as long as the order is held."""

PaymentStatus = Literal["asked", "deferred", "secured", "void"]
"""A "deferred" payment was declined and is to be asked for again."""

Held = tuple[str, str, str]  # reservation id, SKU, location
Effect = tuple[str, str]  # payment, and the refund, dispute or capture of it
OTHERWISE: Effect = ("", "")
"""The reason of a payment hold without missing money: a payment did not come, or a person placed the hold."""
HOLD_CAUSES_MAX = 3
"""How many refunds and disputes are named in a hold that is passed on to another order."""

K = TypeVar("K", bound=Hashable)

BEFORE_RELEASE: frozenset[o.Phase] = frozenset(
    {"sourcing", "allocating", "backordered", "awaiting_payment", "awaiting_stock", "held"}
)

CHANGEABLE = o.AMENDABLE


class Payment(NamedTuple):
    due: o.PaymentDue
    status: PaymentStatus = "asked"
    attempt: int = 1


class LineCut(NamedTuple):
    """Units of lines that are to be cancelled while parcels with these units are asked to stop."""

    reason: str
    units: HashTrieMap[str, int]  # by line
    shipments: HashTrieSet[str]  # parcels that have not answered yet


class Return(NamedTuple):
    """A return's units by line: `asked` to come back, `ended` without having come, `credited`."""

    asked: HashTrieMap[str, int]
    replacement: tuple[o.OrderLine, ...]
    requested_at: Moment
    ended: HashTrieMap[str, int] = HashTrieMap()
    credited: HashTrieMap[str, int] = HashTrieMap()
    to_account: str = ""

    @property
    def open(self) -> dict[str, int]:
        """The units by line that may still be credited."""
        return {line: n - self.ended.get(line, 0) - self.credited.get(line, 0) for line, n in self.asked.items()}


@fast_replace
class Order(NamedTuple):
    phase: o.Phase = "new"
    placed: o.OrderPlaced | None = None
    content: o.OrderContent | None = None  # the content now: as placed, then as amended
    conflicts: HashTrieSet[str] = HashTrieSet()
    attempt: int = 1  # the number of the sourcing attempt; the next answer must be to this one
    to_source: HashTrieMap[str, int] = HashTrieMap()  # by SKU, units to be sourced in this attempt
    excluded: HashTrieSet[tuple[str, str]] = HashTrieSet()  # (SKU, location) that came up short in this round
    backordered: HashTrieMap[str, int] = HashTrieMap()  # by SKU
    requested: HashTrieMap[Held, int] = HashTrieMap()  # asked of a stock stream, not answered yet
    allocated: HashTrieMap[Held, int] = HashTrieMap()
    presale_pending: HashTrieSet[Held] = HashTrieSet()  # allocated units of a presale that have not come yet
    # by SKU of a line, the units by SKU that it is made of
    bundles: HashTrieMap[str, Mapping[str, int]] = HashTrieMap()
    payments: HashTrieMap[str, Payment] = HashTrieMap()
    payments_made: int = 0
    holds: HashTrieSet[str] = HashTrieSet()
    held_until: HashTrieMap[str, Moment] = HashTrieMap()  # by kind, while it is not overdue
    # by kind and note, the channel's revision that asked for the hold last
    held_at: HashTrieMap[tuple[str, str], int] = HashTrieMap()
    held_for: HashTrieSet[Effect] = HashTrieSet()  # the reasons of a payment hold: missing money, and OTHERWISE
    stopping: HashTrieSet[str] = HashTrieSet()  # parcels that are asked to stop because the order is held
    # amendments, refunds and the like, each applied once: a digest of what was asked
    applied: HashTrieMap[str, str] = HashTrieMap()
    revisions: HashTrieMap[str, int] = HashTrieMap()  # by field, the highest revision that was received
    plans: HashTrieMap[str, o.ShipmentPlan] = HashTrieMap()
    shipments: HashTrieMap[str, ShipmentStatus] = HashTrieMap()
    kept: HashTrieSet[str] = HashTrieSet()  # parcels that could not be stopped
    came_back: HashTrieMap[str, o.OrderShipmentReturned] = HashTrieMap()  # undelivered parcels, by return
    lost: HashTrieMap[str, o.OrderShipmentLost] = HashTrieMap()  # by shipment
    cuts: HashTrieMap[str, LineCut] = HashTrieMap()
    refunded: HashTrieMap[tuple[str, str], int] = HashTrieMap()  # by kind and line
    refunded_units: HashTrieMap[str, int] = HashTrieMap()  # by line
    given_back: HashTrieMap[str, int] = HashTrieMap()  # by payment
    gone: HashTrieMap[Effect, o.OrderMoneyGone] = HashTrieMap()
    written_off: int = 0  # the part of the total that is not charged
    returns: HashTrieMap[str, Return] = HashTrieMap()
    credited: int = 0  # the part of what was paid that pays for exchanges now
    exchanges: tuple[tuple[str, int], ...] = ()  # granted exchanges in order, with the credit of each
    exchanges_back: HashTrieMap[str, int] = HashTrieMap()  # by exchange, the part of its credit that came back
    credit_left: int = 0  # of its own credit, the amount that was not used
    credit_back: int = 0  # of its own credit, the amount that was used and is given back
    delivered_at: Moment | None = None  # the last delivery
    not_given: HashTrieSet[Held] = HashTrieSet()  # reservations of other orders that were short before this order began
    joined: bool = False  # it began with reservations of other orders
    transferred_in: HashTrieSet[Held] = HashTrieSet()  # reservations of other orders that came before it began
    merging: o.OrderMergeRequested | None = None  # the order that was asked last to become part of this one
    merged: tuple[o.OrderMergedInto, ...] = ()  # the orders that became part of this one
    merge_ids: HashTrieMap[str, str] = HashTrieMap()
    declined: HashTrieSet[str] = HashTrieSet()  # orders that this one refused to become part of
    merged_into: str | None = None
    cancel_reason: str | None = None
    early: HashTrieMap[str, o.AmendOrder] = HashTrieMap()  # amendments that came before the order
    # fulfilments and refunds that came before the order
    early_reports: HashTrieMap[str, o.RecordFulfilment | o.RecordChannelRefund] = HashTrieMap()
    elsewhere: HashTrieMap[str, int] = HashTrieMap()  # by line, the units that others shipped
    stated_elsewhere: HashTrieMap[str, int] = HashTrieMap()  # by line, the units of reported fulfilments
    refund_revision: int = 0  # the channel's revision of its last refund that cancelled units
    early_cancellation: str | None = None  # the reason of a cancellation that came before the order
    early_called: str = ""  # the channel's name for the order that has not come
    notes: HashTrieMap[str, str] = HashTrieMap()  # notes of people, by id: a digest of what was asked
    legal_holds: HashTrieMap[str, bool] = HashTrieMap()  # by case, whether the hold still applies
    forgotten: bool = False  # the person of the order is not known any more
    missed: bool = False  # the order has not come in time; reported since the last message that waits for it

    @property
    def order_id(self) -> str:
        assert self.placed
        return self.placed.order_id

    @property
    def of_customer(self) -> dict[str, Any]:
        """The channel and customer id as events carry them; empty if the order names no customer."""
        if self.content is None or not self.content.customer_id:
            return {}
        return {"channel": self.content.channel, "customer_id": self.content.customer_id}

    @property
    def payment_id(self) -> str:
        """The id of the first payment, whether or not it was asked for."""
        return f"{self.order_id}.1"

    @property
    def is_locked(self) -> bool:
        """Return whether every unit is reserved."""
        return not (self.to_source or self.requested or self.backordered)

    @property
    def live_payments(self) -> dict[str, Payment]:
        """The payments that are not void, in the order in which they were asked for."""
        live = {key: payment for key, payment in self.payments.items() if payment.status != "void"}
        if len(live) < 2:  # noqa: PLR2004 - nothing to sort
            return live
        return dict(sorted(live.items(), key=lambda item: number_of(item[0])))

    @property
    def components(self) -> dict[str, dict[str, int]]:
        """The components of its bundles, by the bundles' SKUs."""
        return {sku: dict(made_of) for sku, made_of in sorted(self.bundles.items())}

    @property
    def holds_as_stated(self) -> tuple[o.Hold, ...]:
        kinds: Any = sorted(self.holds)
        return tuple(o.Hold(kind=kind, until=self.held_until.get(kind), note=self._why_held(kind)) for kind in kinds)

    def _why_held(self, kind: o.HoldKind) -> str:
        because = sorted(why for why in self.held_for if why != OTHERWISE) if kind == "payment" else []
        return ", ".join(
            f"money of {payment_id} is gone ({effect})" for payment_id, effect in because[:HOLD_CAUSES_MAX]
        )

    def is_held(self, kind: o.HoldKind) -> bool:
        """Return whether an order is held for another reason than missing money, as by a person."""
        return OTHERWISE in self.held_for if kind == "payment" else kind in self.holds

    def in_status(self, *statuses: ShipmentStatus) -> tuple[str, ...]:
        return tuple(sorted(key for key, status in self.shipments.items() if status in statuses))

    @property
    def stoppable(self) -> tuple[str, ...]:
        """Parcels that have not left, and that no warehouse or carrier refused to stop."""
        return tuple(key for key in self.in_status("open") if key not in self.kept)

    @property
    def is_unpaid(self) -> bool:
        """Return whether requested money has not arrived yet."""
        return any(payment.status in ("asked", "deferred") for payment in self.payments.values())


def by_sku(counts: HashTrieMap[str, int]) -> dict[str, int]:
    """Return the counts sorted by SKU, as events state them: the iteration order of a persistent map differs between
    processes.
    """
    return dict(sorted(counts.items()))


def number_of(payment_id: str) -> int:
    return int(payment_id.rpartition(".")[2])


def resting(order: Order) -> Order:
    """Return the order in its resting phase: "backordered" if nothing is requested and units are lacking, else
    "allocating".
    """
    if order.phase in ("sourcing", "allocating") and not order.to_source:
        waits = order.backordered and not order.requested
        return order._replace(phase="backordered" if waits else "allocating")
    return order


def with_payments(order: Order, status: PaymentStatus, *payment_ids: str) -> Order:
    payments = order.payments
    for payment_id in payment_ids:
        if payment := payments.get(payment_id):
            payments = payments.insert(payment_id, payment._replace(status=status))
    return order._replace(payments=payments)


def changed(order: Order, event: o.ContentChange) -> Order:
    """Return the order with its changed content. Answers to what is no longer asked for become void."""
    assert order.content
    altered = {name: getattr(event, name) for name in CHANGEABLE if getattr(event, name) is not None}
    sourced_again = order.phase == "sourcing" and bool(event.no_longer_sought)
    return resting(
        with_payments(without_released(order, event.released), "void", *event.payments_cancelled)._replace(
            content=order.content.model_copy(update=altered),
            attempt=order.attempt + sourced_again,
            to_source=minus(order.to_source, event.no_longer_sought.items()),
            backordered=minus(order.backordered, event.no_longer_backordered.items()),
        )
    )


def without_released(order: Order, released: Iterable[o.Cut]) -> Order:
    """Return the order with each reservation lowered to what remains of it."""
    requested, allocated, presale_pending = order.requested, order.allocated, order.presale_pending
    for cut in released:
        held = (cut.reservation_id, cut.sku, cut.location)
        requested, allocated = lowered(requested, held, cut.remaining), lowered(allocated, held, cut.remaining)
        if not cut.remaining:
            presale_pending = presale_pending.discard(held)
    return order._replace(requested=requested, allocated=allocated, presale_pending=presale_pending)


def lowered(held: HashTrieMap[Held, int], key: Held, remaining: int) -> HashTrieMap[Held, int]:
    if key not in held:
        return held
    return held.insert(key, remaining) if remaining else held.discard(key)


def fulfilment(fulfilment_id: str) -> str:
    """Return the key of a fulfilment among the things that are applied once."""
    return f"fulfilment/{fulfilment_id}"


def channel_refund(refund_id: str) -> str:
    return f"channel_refund/{refund_id}"


def feedback(feedback_id: str) -> str:
    return f"feedback/{feedback_id}"


def plus(counts: HashTrieMap[K, int], more: Iterable[tuple[K, int]]) -> HashTrieMap[K, int]:
    for key, quantity in more:
        counts = counts.insert(key, counts.get(key, 0) + quantity)
    return counts


def minus(counts: HashTrieMap[K, int], less: Iterable[tuple[K, int]]) -> HashTrieMap[K, int]:
    for key, quantity in less:
        left = counts.get(key, 0) - quantity
        counts = counts.insert(key, left) if left > 0 else counts.discard(key)
    return counts
