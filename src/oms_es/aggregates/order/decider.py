"""An order's lifecycle, and the memory of its own process: `phase` names the next step as data.

Invariant: allocated <= ordered per SKU; the shares of its shipments sum to its total; it is released once, and
cancelled or completed once, never both. What is with a carrier can no longer be cancelled.

    new -> sourcing -> allocating -> awaiting_payment -> fulfilling -> shipped -> completed
              ^            |            |         ^           |
              |       backordered       held   awaiting_stock cancelling -> cancelled
              +------------+            (cancelled from every phase before fulfilling)

An amendment leads back to any phase before the release. `held` is paid and locked, and waits for a person;
`awaiting_stock` is a presale that waits for its goods.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from oms_es.aggregates.order import amendments as changes
from oms_es.aggregates.order import elsewhere, losses, money, returns, sourcing
from oms_es.aggregates.order import split_merge as parts
from oms_es.aggregates.order import transitions as steps
from oms_es.aggregates.order.state import BEFORE_RELEASE, Order, ShipmentStatus, evolve
from oms_es.aggregates.repeats import asked_of, told_before
from oms_es.kernel import Decider, Refused
from oms_es.schemas import order as o
from oms_es.schemas.order import returns as x
from oms_es.schemas.values import names

__all__ = ["PAYMENT_ATTEMPTS_MAX", "Order", "decide", "decider", "evolve"]

PAYMENT_ATTEMPTS_MAX = 3
"""How often a payment that may still come is asked for by itself, before the order is held for a person."""


def decide(order: Order, command: Any) -> Iterator[o.OrderEvent]:
    """Yield nothing if the command is already satisfied, so that retries are free."""
    if isinstance(command, o.PlaceOrder):
        if order.placed is None:
            _require_granted(command)
        yield from _place(order, command)
    elif type(command) in BEGINNINGS:
        yield from BEGINNINGS[type(command)](order, command)
    elif order.placed is not None:
        yield from DECISIONS[type(command)](order, command)
    elif isinstance(command, KEPT) and command.keep:
        yield from _keep(order, command)
    elif isinstance(command, o.RecordReservation):
        yield from _record_given(order, command)
    elif not isinstance(command, FROM_WITHIN):
        raise Refused("unknown_order", f"there is no order {command.order_id}; place it first")


Kept = o.AmendOrder | o.CancelOrder | o.RecordFulfilment | o.RecordChannelRefund
KEPT = get_args(Kept)
"""What a channel says of an order, which may come before it."""

FROM_WITHIN = (
    o.SourceOrder,
    o.RetrySourcing,
    o.RecordShortage,
    o.RecordPresaleCovered,
    o.LapsePresale,
    o.RecordPaymentAuthorized,
    o.RecordPaymentFailed,
    o.RecordPaymentWithdrawn,
    o.RepeatPayment,
    o.RecordMoneyGone,
    o.RecordMoneyBack,
    o.RecordShipmentDispatched,
    o.RecordShipmentDelivered,
    o.RecordShipmentReturned,
    o.RecordShipmentLost,
    o.RecordShipmentCancelled,
    o.RecordShipmentKept,
    o.LapseOrder,
    x.CreditReturn,
    x.RefundCredit,
    x.RecordReturnEnded,
)
"""What the engine tells an order of stock, money and parcels: also of those that somebody made by hand for no order."""


def _require_granted(command: o.PlaceOrder) -> None:
    """What the engine makes of others, nobody sends. Raises Refused."""
    if command.kind == "exchange":
        raise Refused(
            "not_granted",
            f"order {command.external_id} is an exchange, and no return of ours granted it; request the return with "
            "resolution exchange, and its order is sent by itself",
        )
    if names.is_made(command.external_id):
        raise Refused(
            "reserved_name",
            f"external_id {command.external_id} begins with {command.external_id.partition('/')[0]}/, as only names do "
            "that are made here; give the order another name",
        )


def _place_exchange(order: Order, command: o.PlaceExchange) -> Iterator[o.OrderEvent]:
    """Where its name was taken before such names were refused, nothing is sent, and the credit goes back."""
    content = command.content
    fields = {name: getattr(content, name) for name in o.OrderContent.model_fields}
    told = o.PlaceOrder.model_construct(**fields)
    taken = order.placed is not None and told.fingerprint not in (order.placed.fingerprint, *order.conflicts)
    yield from _place(order, told)
    if taken and content.credit_minor:
        yield o.OrderCreditLeft(
            order_id=command.order_id,
            exchange_of=content.exchange_of or "",
            amount_minor=content.credit_minor,
            currency=content.currency,
        )


def _place(order: Order, command: o.PlaceOrder) -> Iterator[o.OrderEvent]:
    fingerprint = command.fingerprint
    content = command.content
    if order.placed is None:
        placed = o.OrderPlaced.model_construct(
            order_id=command.order_id, fingerprint=fingerprint, revision=command.revision, **content
        )
        yield placed
        after = evolve(order, placed)
        if command.cancelled:
            yield from steps.ended(after, command.cancelled)
        else:
            yield from elsewhere.catch_up(after, command.fulfilled)
    elif command.cancelled:
        yield from _cancel(order, o.CancelOrder(order_id=command.order_id, reason=command.cancelled))
    elif fingerprint == order.placed.fingerprint:
        if command.fulfilled:
            yield from elsewhere.follow(order, elsewhere.units_of(command.fulfilled), elsewhere.PLACED_ANEW)
    elif fingerprint not in order.conflicts:
        yield o.DuplicateConflictFound(
            order_id=command.order_id, fingerprint=fingerprint, content=o.OrderContent(**content)
        )


def _keep(order: Order, command: Kept) -> Iterator[o.OrderEvent]:
    """The channel's messages came in another order than it sent them."""
    if isinstance(command, o.CancelOrder):
        if order.early_cancellation is None:
            yield o.OrderCancellationKept(order_id=command.order_id, reason=command.reason)
    elif not isinstance(command, o.AmendOrder):
        yield from elsewhere.keep(order, command)
    elif not told_before(_asked_early(order, command), command):
        yield o.OrderAmendmentKept(order_id=command.order_id, amendment=command)


def _asked_early(order: Order, command: o.AmendOrder) -> str | None:
    kept = order.early.get(command.amendment_id)
    return asked_of(kept) if kept else None


def _record_given(order: Order, command: o.RecordReservation) -> Iterator[o.OrderEvent]:
    """The order that these units go over to begins any moment: stock may be told of a split before it is."""
    held = (command.reservation_id, command.sku, command.location)
    if o.was_transferred(command.reservation_id) and held not in order.given:
        yield o.OrderLineAllocated(**command.model_dump())


def _record_reservation(order: Order, command: o.RecordReservation) -> Iterator[o.OrderEvent]:
    """Of units that were cancelled meanwhile, only those count that the order still wants."""
    held = (command.reservation_id, command.sku, command.location)
    if held not in order.awaited:
        return
    if order.phase in o.FINAL_PHASES:
        if order.joined:  # it was given, and nobody took it back
            told = command.model_dump(exclude={"presale", "quantity"})
            yield o.OrderLockReturned(**told, quantity=order.awaited[held])
        return
    allocated = o.OrderLineAllocated(
        order_id=command.order_id,
        reservation_id=command.reservation_id,
        sku=command.sku,
        location=command.location,
        quantity=order.awaited[held],
        presale=command.presale,
    )
    yield allocated
    after = evolve(order, allocated)
    if after.is_locked:
        yield from steps.all_locked(after)


def _record_shortage(order: Order, command: o.RecordShortage) -> Iterator[o.OrderEvent]:
    """Ask again for the short units, leaving out every location that failed in this round.

    Also where they were locked and are no longer there, while no money is due; from then on a person decides.
    """
    held = (command.reservation_id, command.sku, command.location)
    lacking = order.awaited.get(held)
    if lacking is None and order.phase in ("sourcing", "allocating", "backordered"):
        lacking = order.allocated.get(held)
    if lacking is None or order.phase in o.FINAL_PHASES:
        return
    short = o.Reservation(
        reservation_id=command.reservation_id,
        sku=command.sku,
        location=command.location,
        quantity=lacking,
    )
    excluded = {*order.excluded, (short.sku, short.location)}
    yield steps.request_sourcing(order, [(short.sku, short.quantity)], excluded, short)


def _record_covered(order: Order, command: o.RecordPresaleCovered) -> Iterator[o.OrderEvent]:
    if (command.reservation_id, command.sku, command.location) not in order.uncovered:
        return
    if order.phase in o.FINAL_PHASES:
        return
    covered = o.OrderPresaleCovered(**command.model_dump())
    after = evolve(order, covered)
    if after.phase == order.phase:
        yield covered
    else:
        yield covered.model_copy(update={"phase": after.phase})
        yield from steps.proceed(after)


def _lapse_presale(order: Order, _: o.LapsePresale) -> Iterator[o.OrderEvent]:
    if order.phase in BEFORE_RELEASE and (order.uncovered or not order.is_locked):
        yield from steps.ended(order, "the goods did not come in time")


def _record_authorized(order: Order, command: o.RecordPaymentAuthorized) -> Iterator[o.OrderEvent]:
    """The last payment of an order that nothing else keeps releases it; that it is paid goes without saying then."""
    payment = order.payments.get(command.payment_id)
    if payment is None or payment.status not in ("asked", "deferred") or order.phase in o.FINAL_PHASES:
        return
    live = order.live_payments.values()
    open_minor = sum(p.due.amount_minor for p in live if p.status != "secured") - payment.due.amount_minor
    secured = o.OrderPaymentSecured(order_id=order.order_id, payment_id=command.payment_id, open_minor=open_minor)
    after = evolve(order, secured)
    if after.phase != "awaiting_payment" or not after.is_locked:
        yield secured  # an amendment is being sourced, or it is held
        return
    following = list(steps.proceed(after))
    goes_without_saying = any(isinstance(event, o.OrderReleased) for event in following) and len(order.payments) == 1
    if not goes_without_saying or payment.status == "deferred":
        yield secured
    yield from following


def _record_failed(order: Order, command: o.RecordPaymentFailed) -> Iterator[o.OrderEvent]:
    payment = order.payments.get(command.payment_id)
    if payment is None or payment.status != "asked" or order.phase in o.FINAL_PHASES:
        return
    if not command.retriable:
        yield from steps.ended(order, f"payment: {command.reason}"[: o.REASON_LENGTH_MAX])
        return
    again = payment.attempt < PAYMENT_ATTEMPTS_MAX
    yield o.OrderPaymentDeferred(
        order_id=order.order_id,
        payment_id=command.payment_id,
        attempt=payment.attempt,
        reason=command.reason,
        again=again,
    )
    if not again and "payment" not in order.holds:
        yield o.OrderHeld(order_id=order.order_id, kind="payment", note=command.reason)


def _record_withdrawn(order: Order, command: o.RecordPaymentWithdrawn) -> Iterator[o.OrderEvent]:
    """Before the release a person decides whether to ask for it again; after it, what has not left is stopped."""
    payment = order.payments.get(command.payment_id)
    if payment is None or payment.status not in ("asked", "secured"):
        return
    if order.phase in BEFORE_RELEASE:
        yield o.OrderPaymentDeferred(
            order_id=order.order_id,
            payment_id=command.payment_id,
            attempt=payment.attempt,
            reason=command.reason,
            again=False,
        )
        if "payment" not in order.holds:
            yield o.OrderHeld(order_id=order.order_id, kind="payment", note=command.reason)
    elif order.phase == "fulfilling" and not order.kept and "open" in order.shipments.values():
        reason = f"payment: {command.reason}"[: o.REASON_LENGTH_MAX]
        yield from _cancel(order, o.CancelOrder(order_id=order.order_id, reason=reason))


def _repeat_payment(order: Order, command: o.RepeatPayment) -> Iterator[o.OrderEvent]:
    payment = order.payments.get(command.payment_id)
    if payment and payment.status == "deferred" and order.phase not in o.FINAL_PHASES:
        yield from _ask_again(order, None, payment.attempt + 1)


def _retry_payment(order: Order, command: o.RetryPayment) -> Iterator[o.OrderEvent]:
    """A person looked at it: the count of attempts begins anew."""
    if order.phase in o.FINAL_PHASES or not order.is_unpaid:
        raise Refused("nothing_to_pay", f"order {command.order_id} waits for no payment; there is nothing to retry")
    if "payment" in order.holds:
        yield o.OrderHoldReleased(order_id=order.order_id, kind="payment", note="another attempt")
    yield from _ask_again(order, command.payment_token, 1)


def _ask_again(order: Order, token: str | None, attempt: int) -> Iterator[o.OrderEvent]:
    assert order.content
    made = order.payments_made
    for payment_id, payment in order.live_payments.items():
        if payment.status == "deferred":
            made += 1
            due = payment.due.model_copy(update={"payment_id": f"{order.order_id}.{made}"})
            if token is not None:
                due = due.model_copy(update={"payment_token": token})
            yield o.OrderPaymentRequested(
                order_id=order.order_id,
                currency=order.content.currency,
                replaces=payment_id,
                attempt=attempt,
                **due.model_dump(),
            )


def _lapse(order: Order, command: o.LapseOrder) -> Iterator[o.OrderEvent]:
    if command.payment_id not in (None, f"{order.order_id}.{order.payments_made}"):
        return  # it was given more time since
    if order.phase == "awaiting_payment":
        yield from steps.ended(order, "payment overdue")


def _hold(order: Order, command: o.HoldOrder) -> Iterator[o.OrderEvent]:
    """Told again with another time, that one holds."""
    if command.kind in order.holds and command.until in (None, order.held_until.get(command.kind)):
        return
    changes.require_before_release(order, "held")
    yield o.OrderHeld(order_id=command.order_id, kind=command.kind, note=command.note, until=command.until)


def _chase_hold(order: Order, command: o.ChaseHold) -> Iterator[o.OrderEvent]:
    until = order.held_until.get(command.kind)
    if until and until <= command.now and command.kind in order.holds and order.phase not in o.FINAL_PHASES:
        yield o.OrderHoldOverdue(order_id=command.order_id, kind=command.kind, until=until)


def _release_hold(order: Order, command: o.ReleaseHold) -> Iterator[o.OrderEvent]:
    """Money that was given up on is asked for again once nothing else says that it should not be."""
    if command.kind not in order.holds or order.phase in o.FINAL_PHASES:
        return
    off = o.OrderHoldReleased(order_id=command.order_id, kind=command.kind, note=command.note)
    yield off
    after = evolve(order, off)
    if command.kind == "payment":
        yield from _ask_again(after, None, 1)
    if after.phase == "held":
        yield from steps.proceed(after)


def _cancel(order: Order, command: o.CancelOrder) -> Iterator[o.OrderEvent]:
    if order.phase in ("cancelled", "cancelling"):
        return
    open_shipments = tuple(sorted(s for s, status in order.shipments.items() if status == "open"))
    if order.phase in ("shipped", "completed") or (order.shipments and not open_shipments):
        raise Refused("already_shipped", f"order {command.order_id} has left; ask for a return instead")
    if order.kept:
        raise Refused("with_carrier", f"order {command.order_id} is with the carrier; ask for a return instead")
    if order.phase == "fulfilling":
        yield o.OrderCancellationRequested(
            order_id=command.order_id, reason=command.reason, shipment_ids=open_shipments
        )
    else:
        yield from steps.ended(order, command.reason)


SHIPMENT_STEPS: dict[type[o.OrderCommand], tuple[type[Any], frozenset[ShipmentStatus]]] = {
    o.RecordShipmentDispatched: (o.OrderShipmentDispatched, frozenset({"open"})),
    o.RecordShipmentDelivered: (o.OrderShipmentDelivered, frozenset({"open", "dispatched"})),
}
"""What each report becomes, and the status in which it is news."""


def _record_shipment(order: Order, command: Any) -> Iterator[o.OrderEvent]:
    fact, news_in = SHIPMENT_STEPS[type(command)]
    if order.shipments.get(command.shipment_id) in news_in:
        event = fact(**command.model_dump())
        yield event
        yield from steps.milestones(evolve(order, event))


def _record_returned(order: Order, command: o.RecordShipmentReturned) -> Iterator[o.OrderEvent]:
    """Each carton that came back is news once; of a parcel that came back whole nobody waits for an arrival."""
    if command.return_id in order.came_back or order.shipments.get(command.shipment_id) in (None, "cancelled"):
        return
    returned = o.OrderShipmentReturned(
        **dict(command), lines=money.shares_back(order, command.shipment_id, command.items)
    )
    yield returned
    after = evolve(order, returned)
    if after.phase not in o.FINAL_PHASES:
        yield from steps.milestones(after)


def _record_stopped(order: Order, command: o.RecordShipmentCancelled) -> Iterator[o.OrderEvent]:
    if order.shipments.get(command.shipment_id) == "open":
        yield from changes.stopped(order, command.shipment_id)


def _record_kept(order: Order, command: o.RecordShipmentKept) -> Iterator[o.OrderEvent]:
    """Whenever it is told: also of an order that has left meanwhile, and of a shipment stopped for itself."""
    if command.shipment_id in order.shipments and command.shipment_id not in order.kept:
        cuts = [cut.reason for _, cut in sorted(order.cuts.items()) if command.shipment_id in cut.shipments]
        yield o.OrderCancellationRefused(
            order_id=command.order_id,
            reason=order.cancel_reason or next(iter(cuts), steps.SHIPMENT_STOPPED),
            shipment_ids=(command.shipment_id,),
        )


def _refund(order: Order, command: o.RefundOrder) -> Iterator[o.OrderEvent]:
    if not told_before(order.applied.get(command.refund_id), command):
        returns.require_own_name("refund_id", command.refund_id)
        yield money.refund(order, command).model_copy(update={"asked": asked_of(command)})


def _override(order: Order, command: o.OverrideOrder) -> Iterator[o.OrderEvent]:
    if not told_before(order.applied.get(command.override_id), command):
        yield from OVERRIDES[command.to](order, command)


def _source_anew(order: Order, command: o.OverrideOrder) -> Iterator[o.OrderEvent]:
    changes.require_before_release(order, "sourced anew")
    assert order.content
    held = [*order.awaited.items(), *order.allocated.items()]
    overridden = _overridden(
        command, released=tuple(changes.cut_of(key, quantity, 0) for key, quantity in sorted(held))
    )
    yield overridden
    lacking = [*order.backordered.items(), *((sku, quantity) for (_, sku, _), quantity in sorted(held))]
    yield steps.request_sourcing(evolve(order, overridden), lacking, (), None)


def _release_anyway(order: Order, command: o.OverrideOrder) -> Iterator[o.OrderEvent]:
    changes.require_before_release(order, "released")
    assert order.content
    if not order.is_locked or order.uncovered:
        raise Refused("not_locked", f"not every unit of order {command.order_id} is locked; cancel the lines that lack")
    unpaid = {key: p for key, p in order.live_payments.items() if p.status != "secured"}
    secured = sum(p.due.amount_minor for p in order.live_payments.values()) - sum(
        p.due.amount_minor for p in unpaid.values()
    )
    overridden = _overridden(
        command,
        payments_cancelled=tuple(unpaid),
        written_off_minor=max(money.payable(order.content) - order.written_off - secured, 0),
    )
    yield overridden
    yield from steps.proceed(evolve(order, overridden))


def _complete_anyway(order: Order, command: o.OverrideOrder) -> Iterator[o.OrderEvent]:
    if order.phase in o.FINAL_PHASES:
        return
    if order.phase != "shipped":
        raise Refused(
            "not_shipped", f"order {command.order_id} is {order.phase}; what has not left cannot have arrived"
        )
    overridden = _overridden(command)
    yield overridden
    yield steps.completed(evolve(order, overridden))


def _overridden(command: o.OverrideOrder, **more: Any) -> o.OrderOverridden:
    return o.OrderOverridden(
        order_id=command.order_id,
        override_id=command.override_id,
        to=command.to,
        reason=command.reason,
        asked=asked_of(command),
        **more,
    )


OVERRIDES: dict[o.OverrideTarget, Any] = {
    "sourcing": _source_anew,
    "released": _release_anyway,
    "completed": _complete_anyway,
}

BEGINNINGS: dict[type[Any], Any] = {
    o.PlaceExchange: _place_exchange,
    o.PlaceJoined: parts.place_joined,
    o.MergeOrders: parts.merge,
    o.YieldToMerge: parts.yield_to_merge,
    o.RecordMergeAnswer: parts.record_answer,
}
"""What is decided whether or not there is an order yet."""
DECISIONS: dict[type[o.OrderCommand], Any] = {
    o.SourceOrder: sourcing.source,
    o.RetrySourcing: sourcing.retry,
    o.ExplodeBundles: sourcing.explode,
    o.AssignOrder: sourcing.assign,
    o.RecordLocationFailed: sourcing.record_location_failed,
    o.RecordReservation: _record_reservation,
    o.RecordShortage: _record_shortage,
    o.RecordPresaleCovered: _record_covered,
    o.LapsePresale: _lapse_presale,
    o.RecordPaymentAuthorized: _record_authorized,
    o.RecordPaymentFailed: _record_failed,
    o.RecordPaymentWithdrawn: _record_withdrawn,
    o.RepeatPayment: _repeat_payment,
    o.RecordMoneyGone: money.record_gone,
    o.RecordMoneyBack: money.record_back,
    o.RetryPayment: _retry_payment,
    o.RecordShipmentDispatched: _record_shipment,
    o.RecordShipmentDelivered: _record_shipment,
    o.RecordShipmentReturned: _record_returned,
    o.RecordShipmentLost: losses.record_lost,
    o.RecordShipmentCancelled: _record_stopped,
    o.RecordShipmentKept: _record_kept,
    o.AmendOrder: elsewhere.amend,
    o.RecordFulfilment: elsewhere.record_fulfilment,
    o.RecordChannelRefund: elsewhere.record_refund,
    o.CancelOrderLines: changes.cancel_lines,
    o.SplitOrder: parts.split,
    o.HoldOrder: _hold,
    o.ChaseHold: _chase_hold,
    o.ReleaseHold: _release_hold,
    o.RefundOrder: _refund,
    o.OverrideOrder: _override,
    o.CancelOrder: _cancel,
    o.LapseOrder: _lapse,
    x.RequestReturn: returns.request,
    x.CreditReturn: returns.credit,
    x.RefundCredit: returns.refund_credit,
    x.RecordReturnEnded: returns.record_ended,
}

decider = Decider(
    "order",
    Order(),
    evolve,
    decide,
    accepts=(o.PlaceOrder, *BEGINNINGS, *DECISIONS),
    emits=(
        o.OrderPlaced,
        o.DuplicateConflictFound,
        o.OrderSourced,
        o.OrderBackordered,
        o.OrderSourcingRequested,
        o.OrderBundlesExploded,
        o.OrderAssigned,
        o.OrderLocationFailed,
        o.OrderLineAllocated,
        o.OrderAllocated,
        o.OrderPaymentRequested,
        o.OrderPaymentDeferred,
        o.OrderPaymentSecured,
        o.OrderPresold,
        o.OrderPresaleCovered,
        o.OrderBalanceDue,
        o.OrderHeld,
        o.OrderHoldReleased,
        o.OrderHoldOverdue,
        o.OrderAmended,
        o.OrderAmendmentKept,
        o.OrderAmendmentRefused,
        o.OrderCancellationKept,
        o.OrderFulfilledElsewhere,
        o.OrderReportKept,
        o.OrderReportDisputed,
        o.OrderLinesCancellationRequested,
        o.OrderLinesCancelled,
        o.OrderSplit,
        o.OrderJoined,
        o.OrderLockReturned,
        o.OrderMergeRequested,
        o.OrderMergedInto,
        o.OrderMergeDeclined,
        o.OrderMergeFailed,
        o.OrderOverridden,
        o.OrderReleased,
        o.OrderShipmentPlanned,
        o.OrderShipmentDispatched,
        o.OrderShipmentDelivered,
        o.OrderShipmentReturned,
        o.OrderShipmentLost,
        o.OrderShipmentCancelled,
        o.OrderShipped,
        o.OrderCompleted,
        o.OrderRefundRequested,
        o.OrderCreditLeft,
        o.OrderMoneyGone,
        o.OrderMoneyBack,
        x.OrderReturnRequested,
        x.OrderReturnEnded,
        x.OrderExchangeCredited,
        x.OrderCreditRefused,
        o.OrderCancellationRequested,
        o.OrderCancellationRefused,
        o.OrderCancelled,
    ),
)
