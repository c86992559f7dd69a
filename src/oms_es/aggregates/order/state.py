"""What an order's stream folds to: where its units are, who pays, and what its `phase` waits for.

Invariant: every unit of its content is in exactly one of wanted, backordered, awaited and allocated.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Literal, NamedTuple, TypeVar

from rpds import HashTrieMap, HashTrieSet

from oms_es.aggregates.fast_replace import wide
from oms_es.aggregates.repeats import asked_of
from oms_es.schemas import order as o
from oms_es.schemas.order import returns as x
from oms_es.schemas.values.types import Moment

ShipmentStatus = Literal["open", "dispatched", "delivered", "returned", "lost", "cancelled"]
PaymentStatus = Literal["asked", "deferred", "secured", "void"]
"""`deferred`: declined, to be asked for again."""
Held = tuple[str, str, str]  # reservation id, SKU, location
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
    """Units of lines that are to be cancelled while parcels with them are asked to stop."""

    reason: str
    units: HashTrieMap[str, int]  # by line
    shipments: HashTrieSet[str]  # that have not answered yet


class Return(NamedTuple):
    """Units by line: `asked` to come back, `ended` without having come, `credited`."""

    asked: HashTrieMap[str, int]
    replacement: tuple[o.OrderLine, ...]
    requested_at: Moment
    ended: HashTrieMap[str, int] = HashTrieMap()
    credited: HashTrieMap[str, int] = HashTrieMap()

    @property
    def open(self) -> dict[str, int]:
        """What is still to be credited, perhaps."""
        return {line: n - self.ended.get(line, 0) - self.credited.get(line, 0) for line, n in self.asked.items()}


@wide
class Order(NamedTuple):
    phase: o.Phase = "new"
    placed: o.OrderPlaced | None = None
    content: o.OrderContent | None = None  # what it is now: as placed, then as amended
    conflicts: HashTrieSet[str] = HashTrieSet()
    attempt: int = 1  # of sourcing; the next answer must be to this one
    wanted: HashTrieMap[str, int] = HashTrieMap()  # by SKU, to be sourced in this attempt
    excluded: HashTrieSet[tuple[str, str]] = HashTrieSet()  # (SKU, location) that came up short in this round
    backordered: HashTrieMap[str, int] = HashTrieMap()  # by SKU
    awaited: HashTrieMap[Held, int] = HashTrieMap()  # asked of a stock stream, not answered yet
    allocated: HashTrieMap[Held, int] = HashTrieMap()
    uncovered: HashTrieSet[Held] = HashTrieSet()  # allocated of a presale, and still to come
    bundles: HashTrieMap[str, Mapping[str, int]] = HashTrieMap()  # SKU of a line to the units that it is made of
    payments: HashTrieMap[str, Payment] = HashTrieMap()
    payments_made: int = 0
    holds: HashTrieSet[str] = HashTrieSet()
    held_until: HashTrieMap[str, Moment] = HashTrieMap()  # by kind, while it is not overdue
    applied: HashTrieMap[str, str] = HashTrieMap()  # amendments, refunds and the like, each once: what was asked
    revisions: HashTrieMap[str, int] = HashTrieMap()  # by field, the highest that was told
    plans: HashTrieMap[str, o.ShipmentPlan] = HashTrieMap()
    shipments: HashTrieMap[str, ShipmentStatus] = HashTrieMap()
    kept: HashTrieSet[str] = HashTrieSet()  # shipments that would not be stopped
    came_back: HashTrieMap[str, o.OrderShipmentReturned] = HashTrieMap()  # undelivered, by return
    lost: HashTrieMap[str, o.OrderShipmentLost] = HashTrieMap()  # by shipment
    cuts: HashTrieMap[str, LineCut] = HashTrieMap()
    refunded: HashTrieMap[tuple[str, str], int] = HashTrieMap()  # by kind and line
    refunded_units: HashTrieMap[str, int] = HashTrieMap()  # by line
    given_back: HashTrieMap[str, int] = HashTrieMap()  # by payment
    gone: HashTrieMap[tuple[str, str], o.OrderMoneyGone] = HashTrieMap()  # by payment and effect
    written_off: int = 0  # of the total, what nobody is charged for
    returns: HashTrieMap[str, Return] = HashTrieMap()
    credited: int = 0  # of what was paid, what pays for an exchange now
    credit_left: int = 0  # of its own credit, what it did not use
    credit_back: int = 0  # of its own credit, what it used and gives back
    delivered_at: Moment | None = None  # the last delivery
    joined: bool = False  # it began with locks of other orders
    given: HashTrieMap[Held, int] = HashTrieMap()  # locks of other orders that came before it began
    merging: o.OrderMergeRequested | None = None  # the order that was asked last to become part of this one
    merged: tuple[o.OrderMergedInto, ...] = ()  # those that did
    merge_ids: HashTrieMap[str, str] = HashTrieMap()
    declined: HashTrieSet[str] = HashTrieSet()  # orders that it would not become part of
    merged_into: str | None = None
    cancel_reason: str = ""
    early: HashTrieMap[str, o.AmendOrder] = HashTrieMap()  # amendments that came before the order
    early_reports: HashTrieMap[str, o.RecordFulfilment | o.RecordChannelRefund] = HashTrieMap()  # as these
    elsewhere: HashTrieMap[str, int] = HashTrieMap()  # by line, the units that others shipped
    stated_elsewhere: HashTrieMap[str, int] = HashTrieMap()  # by line, the units of fulfilments that were told
    refund_revision: int = 0  # of the channel's last refund that took units off
    early_cancellation: str | None = None

    @property
    def order_id(self) -> str:
        assert self.placed
        return self.placed.order_id

    @property
    def payment_id(self) -> str:
        """The first payment, whether or not it was asked for."""
        return f"{self.order_id}.1"

    @property
    def is_locked(self) -> bool:
        """Every unit is."""
        return not (self.wanted or self.awaited or self.backordered)

    @property
    def live_payments(self) -> dict[str, Payment]:
        """In the order in which they were asked for."""
        live = {key: payment for key, payment in self.payments.items() if payment.status != "void"}
        if len(live) < 2:  # noqa: PLR2004 - nothing to sort
            return live
        return dict(sorted(live.items(), key=lambda item: number_of(item[0])))

    @property
    def components(self) -> dict[str, dict[str, int]]:
        """What its bundles are made of, by the bundles' SKUs."""
        return {sku: dict(made_of) for sku, made_of in sorted(self.bundles.items())}

    @property
    def holds_as_told(self) -> tuple[o.Hold, ...]:
        kinds: Any = sorted(self.holds)
        return tuple(o.Hold(kind=kind, until=self.held_until.get(kind)) for kind in kinds)

    @property
    def is_unpaid(self) -> bool:
        """Whether money that was asked for has not come yet."""
        return any(payment.status in ("asked", "deferred") for payment in self.payments.values())


def by_sku(counts: HashTrieMap[str, int]) -> dict[str, int]:
    """As an event tells it: by SKU. A persistent map gives out its entries in an order that no other process shares."""
    return dict(sorted(counts.items()))


def number_of(payment_id: str) -> int:
    return int(payment_id.rpartition(".")[2])


def evolve(order: Order, event: o.OrderEvent) -> Order:
    """Never refuse a fact: an old stream must load under new rules."""
    fold = FOLDS.get(type(event))
    return fold(order, event) if fold else order


def _placed(order: Order, event: o.OrderPlaced) -> Order:
    placed = order._replace(phase="sourcing", placed=event, content=event, wanted=HashTrieMap(event.demand))
    if event.revision is None:
        return placed
    return placed._replace(revisions=HashTrieMap(dict.fromkeys(CHANGEABLE, event.revision)))


def _told_differently(order: Order, event: o.DuplicateConflictFound) -> Order:
    return order._replace(conflicts=order.conflicts.insert(event.fingerprint))


def _sourced(order: Order, event: o.OrderSourced) -> Order:
    asked = (((event.reservation_id, a.sku, a.location), a.quantity) for a in event.assignments)
    return order._replace(
        phase="allocating", attempt=event.attempt + 1, wanted=HashTrieMap(), awaited=plus(order.awaited, asked)
    )


def _backordered(order: Order, event: o.OrderBackordered) -> Order:
    return order._replace(
        phase="allocating" if order.awaited else "backordered",
        attempt=event.attempt + 1,
        wanted=HashTrieMap(),
        backordered=plus(order.backordered, event.demand.items()),
    )


def _sourcing_requested(order: Order, event: o.OrderSourcingRequested) -> Order:
    asked_anew = order._replace(
        phase="sourcing",
        attempt=event.attempt,
        wanted=HashTrieMap(event.demand),
        excluded=HashTrieSet((sku, location) for sku, locations in event.excluded.items() for location in locations),
    )
    if event.short is None:
        return asked_anew._replace(backordered=HashTrieMap())
    held = (event.short.reservation_id, event.short.sku, event.short.location)
    return asked_anew._replace(
        awaited=order.awaited.discard(held),
        allocated=order.allocated.discard(held),
        uncovered=order.uncovered.discard(held),
    )


def _exploded(order: Order, event: o.OrderBundlesExploded) -> Order:
    return order._replace(
        wanted=_apart(order.wanted, event.bundles),
        backordered=_apart(order.backordered, event.bundles),
        bundles=order.bundles.update(event.bundles),
    )


def _apart(counts: HashTrieMap[str, int], bundles: Mapping[str, Mapping[str, int]]) -> HashTrieMap[str, int]:
    """What a bundle is made of is a plain unit, also where another of them is sold under its name."""
    ordered = {bundle: counts.get(bundle, 0) for bundle in bundles}
    for bundle, components in bundles.items():
        quantity = ordered[bundle]
        plain = counts.get(bundle, 0) - quantity
        left = counts.insert(bundle, plain) if plain else counts.discard(bundle)
        counts = plus(left, ((sku, quantity * each) for sku, each in components.items() if quantity))
    return counts


def _let_go(order: Order, event: o.OrderAssigned | o.OrderLocationFailed) -> Order:
    """What is asked for anew is told by the event after it."""
    awaited, allocated, uncovered = order.awaited, order.allocated, order.uncovered
    for cut in event.released:
        held = (cut.reservation_id, cut.sku, cut.location)
        awaited, allocated = _lowered(awaited, held, cut.remaining), _lowered(allocated, held, cut.remaining)
        if not cut.remaining:
            uncovered = uncovered.discard(held)
    return order._replace(awaited=awaited, allocated=allocated, uncovered=uncovered)


def _line_allocated(order: Order, event: o.OrderLineAllocated) -> Order:
    held = (event.reservation_id, event.sku, event.location)
    if order.placed is None:
        return order._replace(given=order.given.insert(held, event.quantity))
    locked = order._replace(awaited=order.awaited.discard(held), allocated=order.allocated.insert(held, event.quantity))
    if event.presale:
        locked = locked._replace(uncovered=locked.uncovered.insert(held))
    return _resting(locked)


def _resting(order: Order) -> Order:
    """Nothing asked and something lacking: the order waits for stock."""
    if order.phase in ("sourcing", "allocating") and not order.wanted:
        waits = order.backordered and not order.awaited
        return order._replace(phase="backordered" if waits else "allocating")
    return order


def _allocated(order: Order, event: o.OrderAllocated) -> Order:
    dues = event.payments
    if not dues and event.amount_minor:
        dues = (
            o.PaymentDue(
                payment_id=event.payment_id, amount_minor=event.amount_minor, payment_token=event.payment_token
            ),
        )
    return _paid_or_not(_asked(order, dues)._replace(phase="awaiting_payment"))


def _balance_due(order: Order, event: o.OrderBalanceDue) -> Order:
    return _asked(order, event.payments)._replace(phase="awaiting_payment")


def _asked(order: Order, dues: Iterable[o.PaymentDue], attempt: int = 1) -> Order:
    for due in dues:
        order = order._replace(
            payments=order.payments.insert(due.payment_id, Payment(due, attempt=attempt)),
            payments_made=max(order.payments_made, number_of(due.payment_id)),
        )
    return order


def _payment_requested(order: Order, event: o.OrderPaymentRequested) -> Order:
    due = o.PaymentDue(**{name: getattr(event, name) for name in o.PaymentDue.model_fields})
    return _asked(_with_payments(order, "void", event.replaces), [due], event.attempt)


def _payment_deferred(order: Order, event: o.OrderPaymentDeferred) -> Order:
    """Also of what was paid: an order that waited for a person waits for money again."""
    deferred = _with_payments(order, "deferred", event.payment_id)
    return deferred._replace(phase="awaiting_payment") if deferred.phase == "held" else deferred


def _payment_secured(order: Order, event: o.OrderPaymentSecured) -> Order:
    return _paid_or_not(_with_payments(order, "secured", event.payment_id))


def _with_payments(order: Order, status: PaymentStatus, *payment_ids: str) -> Order:
    payments = order.payments
    for payment_id in payment_ids:
        if payment := payments.get(payment_id):
            payments = payments.insert(payment_id, payment._replace(status=status))
    return order._replace(payments=payments)


def _paid_or_not(order: Order) -> Order:
    """Paid and locked, an order is released in the same breath, unless it is held."""
    if order.phase == "awaiting_payment" and order.holds and not order.is_unpaid and not order.uncovered:
        return order._replace(phase="held")
    return order


def _presold(order: Order, _: o.OrderPresold) -> Order:
    return order._replace(phase="awaiting_stock")


def _covered(order: Order, event: o.OrderPresaleCovered) -> Order:
    covered = order._replace(uncovered=order.uncovered.discard((event.reservation_id, event.sku, event.location)))
    if covered.phase == "awaiting_stock" and not covered.uncovered:
        return _paid_or_not(covered._replace(phase="awaiting_payment"))
    return covered


def _held(order: Order, event: o.OrderHeld) -> Order:
    held_until = order.held_until.insert(event.kind, event.until) if event.until else order.held_until
    return order._replace(holds=order.holds.insert(event.kind), held_until=held_until)


def _hold_overdue(order: Order, event: o.OrderHoldOverdue) -> Order:
    return order._replace(held_until=order.held_until.discard(event.kind))


def _hold_released(order: Order, event: o.OrderHoldReleased) -> Order:
    return order._replace(holds=order.holds.discard(event.kind), held_until=order.held_until.discard(event.kind))


def _amended(order: Order, event: o.OrderAmended) -> Order:
    named = [name for name in CHANGEABLE if getattr(event, name) is not None]
    revisions = order.revisions
    if event.revision is not None:
        for name in named:
            revisions = revisions.insert(name, event.revision)
    return changed(order, event)._replace(
        applied=order.applied.insert(event.amendment_id, event.asked), revisions=revisions
    )


def _lines_cancelled(order: Order, event: o.OrderLinesCancelled) -> Order:
    asked = event.asked or order.applied.get(event.cancellation_id, "")
    left = changed(order, event)._replace(
        applied=order.applied.insert(event.cancellation_id, asked),
        refund_revision=max(order.refund_revision, event.revision or 0),
    )
    cut = order.cuts.get(event.cancellation_id)
    if cut is None:
        return left
    units = cut.units
    for line in event.cancelled:
        units = units.insert(line.line_id, units[line.line_id] - line.quantity)
    return left._replace(cuts=order.cuts.insert(event.cancellation_id, cut._replace(units=units)))


def changed(order: Order, event: o.ContentChange) -> Order:
    """The order as its content became. Answers to what is no longer asked are void."""
    assert order.content
    told = {name: getattr(event, name) for name in CHANGEABLE if getattr(event, name) is not None}
    sought = order.phase == "sourcing" and bool(event.no_longer_sought)
    awaited, allocated, uncovered = order.awaited, order.allocated, order.uncovered
    for cut in event.released:
        held = (cut.reservation_id, cut.sku, cut.location)
        awaited, allocated = _lowered(awaited, held, cut.remaining), _lowered(allocated, held, cut.remaining)
        if not cut.remaining:
            uncovered = uncovered.discard(held)
    return _resting(
        _with_payments(order, "void", *event.payments_cancelled)._replace(
            content=order.content.model_copy(update=told),
            attempt=order.attempt + sought,
            wanted=minus(order.wanted, event.no_longer_sought.items()),
            backordered=minus(order.backordered, event.no_longer_backordered.items()),
            awaited=awaited,
            allocated=allocated,
            uncovered=uncovered,
        )
    )


def _lowered(held: HashTrieMap[Held, int], key: Held, remaining: int) -> HashTrieMap[Held, int]:
    if key not in held:
        return held
    return held.insert(key, remaining) if remaining else held.discard(key)


def _amendment_kept(order: Order, event: o.OrderAmendmentKept) -> Order:
    return order._replace(early=order.early.insert(event.amendment.amendment_id, event.amendment))


def _amendment_refused(order: Order, event: o.OrderAmendmentRefused) -> Order:
    kept = order.early.get(event.amendment_id)
    return order._replace(applied=order.applied.insert(event.amendment_id, asked_of(kept) if kept else ""))


def _cancellation_kept(order: Order, event: o.OrderCancellationKept) -> Order:
    return order._replace(early_cancellation=event.reason)


def fulfilment(fulfilment_id: str) -> str:
    """What it is called among the things that are applied once."""
    return f"fulfilment/{fulfilment_id}"


def channel_refund(refund_id: str) -> str:
    return f"channel_refund/{refund_id}"


def _fulfilled_elsewhere(order: Order, event: o.OrderFulfilledElsewhere) -> Order:
    left = changed(order, event)._replace(
        elsewhere=plus(order.elsewhere, ((line.line_id, line.quantity) for line in event.fulfilled)),
        stated_elsewhere=plus(order.stated_elsewhere, ((line.line_id, line.quantity) for line in event.told)),
    )
    if not event.fulfilment_id:
        return left
    told = o.RecordFulfilment.model_construct(
        order_id=event.order_id, fulfilment_id=event.fulfilment_id, lines=event.told
    )
    return left._replace(applied=order.applied.insert(fulfilment(event.fulfilment_id), asked_of(told)))


def _report_kept(order: Order, event: o.OrderReportKept) -> Order:
    reports = order.early_reports
    if event.fulfilment:
        reports = reports.insert(fulfilment(event.fulfilment.fulfilment_id), event.fulfilment)
    if event.refund:
        reports = reports.insert(channel_refund(event.refund.refund_id), event.refund)
    return order._replace(early_reports=reports)


def _report_disputed(order: Order, event: o.OrderReportDisputed) -> Order:
    asked = order.applied.get(event.report, "") or event.asked
    return order._replace(applied=order.applied.insert(event.report, asked))


def _overridden(order: Order, event: o.OrderOverridden) -> Order:
    allocated, awaited = order.allocated, order.awaited
    for cut in event.released:
        held = (cut.reservation_id, cut.sku, cut.location)
        allocated, awaited = allocated.discard(held), awaited.discard(held)
    return _with_payments(order, "void", *event.payments_cancelled)._replace(
        applied=order.applied.insert(event.override_id, event.asked),
        allocated=allocated,
        awaited=awaited,
        uncovered=HashTrieSet() if event.released else order.uncovered,
        written_off=order.written_off + event.written_off_minor,
        holds=HashTrieSet() if event.to == "released" else order.holds,
    )


def _split(order: Order, event: o.OrderSplit) -> Order:
    return changed(order, event)._replace(applied=order.applied.insert(event.split_id, event.asked))


def _joined(order: Order, event: o.OrderJoined) -> Order:
    asked = {(t.reservation_id, t.sku, t.location): t.quantity for t in event.transfers}
    return order._replace(
        phase="allocating",
        attempt=order.attempt + 1,
        wanted=HashTrieMap(),
        awaited=HashTrieMap({held: n for held, n in asked.items() if held not in order.given}),
        allocated=HashTrieMap({held: n for held, n in asked.items() if held in order.given}),
        given=HashTrieMap(),
        bundles=HashTrieMap(event.bundles),
        joined=True,
        merging=None,
    )


def _lock_returned(order: Order, event: o.OrderLockReturned) -> Order:
    return order._replace(awaited=order.awaited.discard((event.reservation_id, event.sku, event.location)))


def _merge_requested(order: Order, event: o.OrderMergeRequested) -> Order:
    merged = (*order.merged, event.answer) if event.answer else order.merged
    return order._replace(merging=event, merged=merged, merge_ids=order.merge_ids.insert(event.merge_id, event.asked))


def _merge_failed(order: Order, _: o.OrderMergeFailed) -> Order:
    return order._replace(merging=None)


def _merged_into(order: Order, event: o.OrderMergedInto) -> Order:
    return order._replace(
        phase="merged",
        merged_into=event.to_order_id,
        wanted=HashTrieMap(),
        backordered=HashTrieMap(),
        awaited=HashTrieMap(),
        allocated=HashTrieMap(),
    )


def _merge_declined(order: Order, event: o.OrderMergeDeclined) -> Order:
    return order._replace(declined=order.declined.insert(event.to_order_id))


def _line_cut_requested(order: Order, event: o.OrderLinesCancellationRequested) -> Order:
    units: HashTrieMap[str, int] = HashTrieMap((line.line_id, line.quantity) for line in event.lines)
    cut = LineCut(event.reason, units, HashTrieSet(event.shipment_ids))
    return order._replace(
        applied=order.applied.insert(event.cancellation_id, event.asked),
        cuts=order.cuts.insert(event.cancellation_id, cut),
    )


def _released(order: Order, event: o.OrderReleased) -> Order:
    payments = [key for key, payment in order.payments.items() if payment.status == "asked"]
    for plan in event.shipments:
        order = _planned(order, plan)
    return _with_payments(order, "secured", *payments)._replace(phase="fulfilling")


def _planned_anew(order: Order, event: o.OrderShipmentPlanned) -> Order:
    return _planned(order, event.plan)


def _planned(order: Order, plan: o.ShipmentPlan) -> Order:
    return order._replace(
        plans=order.plans.insert(plan.shipment_id, plan), shipments=order.shipments.insert(plan.shipment_id, "open")
    )


def _shipment(status: ShipmentStatus) -> Any:
    def fold(order: Order, event: Any) -> Order:
        moved = order._replace(shipments=order.shipments.insert(event.shipment_id, status))
        return answered(moved, event.shipment_id)

    return fold


def answered(order: Order, shipment_id: str) -> Order:
    """It stopped, left, or would not stop: nobody waits for its answer any more."""
    if not order.cuts:
        return order
    cuts = order.cuts
    for key, cut in order.cuts.items():
        if shipment_id in cut.shipments:
            left = cut.shipments.discard(shipment_id)
            cuts = cuts.insert(key, cut._replace(shipments=left))
    return order._replace(cuts=cuts)


def _cancellation_requested(order: Order, event: o.OrderCancellationRequested) -> Order:
    return order._replace(phase="cancelling", cancel_reason=event.reason)


def _cancellation_refused(order: Order, event: o.OrderCancellationRefused) -> Order:
    phase: o.Phase = "fulfilling" if order.phase == "cancelling" else order.phase
    order = order._replace(phase=phase, kept=order.kept.update(event.shipment_ids))
    for shipment_id in event.shipment_ids:
        order = answered(order, shipment_id)
    return order


def _refund_requested(order: Order, event: o.OrderRefundRequested) -> Order:
    refunded, given_back = order.refunded, order.given_back
    credit = 0
    for part in event.parts:
        given_back = plus(given_back, [(part.payment_id, part.amount_minor)])
        refunded = plus(refunded, (((a.kind, a.line_id), a.amount_minor) for a in part.allocations))
        credit += sum(a.amount_minor for a in part.allocations if a.kind == "credit")
    if event.rma_id is not None and event.refunded_units:
        order = _return_credited(order, event.rma_id, event.refunded_units)
    if event.credit:
        refunded = plus(refunded, (((a.kind, a.line_id), a.amount_minor) for a in event.credit.allocations))
        credit += sum(a.amount_minor for a in event.credit.allocations if a.kind == "credit")
    return order._replace(
        applied=order.applied.insert(event.refund_id, event.asked),
        refunded=refunded,
        given_back=given_back,
        refunded_units=plus(order.refunded_units, event.refunded_units.items()),
        credited=order.credited - credit,
        credit_back=order.credit_back + (event.credit.amount_minor if event.credit else 0),
    )


def _money_gone(order: Order, event: o.OrderMoneyGone) -> Order:
    return order._replace(gone=order.gone.insert((event.payment_id, event.effect), event))


def _money_back(order: Order, event: o.OrderMoneyBack) -> Order:
    return order._replace(gone=order.gone.discard((event.payment_id, event.effect)))


def _cancelled(order: Order, event: o.OrderCancelled) -> Order:
    applied = order.applied.insert(event.report, event.asked) if event.report else order.applied
    return order._replace(phase="cancelled", applied=applied)


def _credit_left(order: Order, event: o.OrderCreditLeft) -> Order:
    """Unless it is of another order, that has its name."""
    own = order.content is not None and event.exchange_of == order.content.exchange_of
    return order._replace(credit_left=order.credit_left + event.amount_minor) if own else order


def _delivered(order: Order, event: o.OrderShipmentDelivered) -> Order:
    moments = [moment for moment in (order.delivered_at, event.delivered_at) if moment]
    moved: Order = _shipment("delivered")(order, event)
    return moved._replace(delivered_at=max(moments, default=None))


def _shipment_returned(order: Order, event: o.OrderShipmentReturned) -> Order:
    back = order._replace(came_back=order.came_back.insert(event.return_id, event))
    if event.complete and order.shipments.get(event.shipment_id) != "delivered":
        back = _shipment("returned")(back, event)
    return back


def _shipment_lost(order: Order, event: o.OrderShipmentLost) -> Order:
    gone: Order = _shipment("lost")(order, event)
    return gone._replace(lost=order.lost.insert(event.shipment_id, event))


def _return_requested(order: Order, event: x.OrderReturnRequested) -> Order:
    asked = plus(HashTrieMap(), ((line.line_id, line.quantity) for line in event.lines))
    return order._replace(
        returns=order.returns.insert(event.rma_id, Return(asked, event.replacement, event.requested_at)),
        applied=order.applied.insert(f"return/{event.rma_id}", event.asked),
    )


def _return_ended(order: Order, event: x.OrderReturnEnded) -> Order:
    known = order.returns[event.rma_id]
    ended = plus(known.ended, ((line.line_id, line.quantity) for line in event.lines))
    return order._replace(returns=order.returns.insert(event.rma_id, known._replace(ended=ended)))


def _return_credited(order: Order, rma_id: str, units: Mapping[str, int]) -> Order:
    known = order.returns.get(rma_id)
    if known is None:  # for a parcel that was lost: nothing comes back
        return order
    credited = plus(known.credited, units.items())
    return order._replace(returns=order.returns.insert(rma_id, known._replace(credited=credited)))


def _exchange_credited(order: Order, event: x.OrderExchangeCredited) -> Order:
    return _return_credited(order, event.rma_id, event.credited_units)._replace(
        applied=order.applied.insert(event.credit_id, ""),
        refunded=plus(order.refunded, (((a.kind, a.line_id), a.amount_minor) for a in event.allocations)),
        refunded_units=plus(order.refunded_units, event.credited_units.items()),
        credited=order.credited + event.content.credit_minor,
    )


def _credit_refused(order: Order, event: x.OrderCreditRefused) -> Order:
    return order._replace(applied=order.applied.insert(event.credit_id, ""))


def _in_phase(phase: o.Phase) -> Any:
    return lambda order, _: order._replace(phase=phase)


FOLDS: dict[type[o.OrderEvent], Any] = {
    o.OrderPlaced: _placed,
    o.DuplicateConflictFound: _told_differently,
    o.OrderSourced: _sourced,
    o.OrderBackordered: _backordered,
    o.OrderSourcingRequested: _sourcing_requested,
    o.OrderBundlesExploded: _exploded,
    o.OrderAssigned: _let_go,
    o.OrderLocationFailed: _let_go,
    o.OrderLineAllocated: _line_allocated,
    o.OrderAllocated: _allocated,
    o.OrderBalanceDue: _balance_due,
    o.OrderPaymentRequested: _payment_requested,
    o.OrderPaymentDeferred: _payment_deferred,
    o.OrderPaymentSecured: _payment_secured,
    o.OrderPresold: _presold,
    o.OrderPresaleCovered: _covered,
    o.OrderHeld: _held,
    o.OrderHoldOverdue: _hold_overdue,
    o.OrderHoldReleased: _hold_released,
    o.OrderAmended: _amended,
    o.OrderSplit: _split,
    o.OrderJoined: _joined,
    o.OrderLockReturned: _lock_returned,
    o.OrderMergeRequested: _merge_requested,
    o.OrderMergeFailed: _merge_failed,
    o.OrderMergedInto: _merged_into,
    o.OrderMergeDeclined: _merge_declined,
    o.OrderAmendmentKept: _amendment_kept,
    o.OrderAmendmentRefused: _amendment_refused,
    o.OrderCancellationKept: _cancellation_kept,
    o.OrderFulfilledElsewhere: _fulfilled_elsewhere,
    o.OrderReportKept: _report_kept,
    o.OrderReportDisputed: _report_disputed,
    o.OrderOverridden: _overridden,
    o.OrderLinesCancelled: _lines_cancelled,
    o.OrderLinesCancellationRequested: _line_cut_requested,
    o.OrderReleased: _released,
    o.OrderShipmentPlanned: _planned_anew,
    o.OrderShipmentDispatched: _shipment("dispatched"),
    o.OrderShipmentDelivered: _delivered,
    o.OrderShipmentReturned: _shipment_returned,
    o.OrderShipmentLost: _shipment_lost,
    o.OrderShipmentCancelled: _shipment("cancelled"),
    o.OrderCancellationRequested: _cancellation_requested,
    o.OrderCancellationRefused: _cancellation_refused,
    o.OrderRefundRequested: _refund_requested,
    o.OrderCreditLeft: _credit_left,
    o.OrderMoneyGone: _money_gone,
    o.OrderMoneyBack: _money_back,
    x.OrderReturnRequested: _return_requested,
    x.OrderReturnEnded: _return_ended,
    x.OrderExchangeCredited: _exchange_credited,
    x.OrderCreditRefused: _credit_refused,
    o.OrderShipped: _in_phase("shipped"),
    o.OrderCompleted: _in_phase("completed"),
    o.OrderCancelled: _cancelled,
}


def plus(counts: HashTrieMap[K, int], more: Iterable[tuple[K, int]]) -> HashTrieMap[K, int]:
    for key, quantity in more:
        counts = counts.insert(key, counts.get(key, 0) + quantity)
    return counts


def minus(counts: HashTrieMap[K, int], less: Iterable[tuple[K, int]]) -> HashTrieMap[K, int]:
    for key, quantity in less:
        left = counts.get(key, 0) - quantity
        counts = counts.insert(key, left) if left > 0 else counts.discard(key)
    return counts
