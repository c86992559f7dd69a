"""An order's lifecycle, and the memory of its own process: `phase` names the next step as data.

Invariant: allocated <= ordered per SKU; the shares of its shipments sum to its total; it is released once, and
cancelled or completed once, never both. What is with a carrier can no longer be cancelled.

    new -> sourcing -> allocating -> awaiting_payment -> fulfilling -> shipped -> completed
              ^            |            |         ^           |
              |       backordered       held   awaiting_stock cancelling -> cancelled
              +------------+            (cancelled from every phase before fulfilling)

An amendment leads back to any phase before the release. `held` is paid and reserved, and waits for a person;
`awaiting_stock` is a presale that waits for its goods.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from oms_es.aggregates.order import (
    cancellation,
    elsewhere,
    forgetting,
    holds,
    losses,
    missing_money,
    notes,
    refunding,
    returns,
    sourcing,
)
from oms_es.aggregates.order import split_merge as parts
from oms_es.aggregates.order import transitions as steps
from oms_es.aggregates.order.ending import cancel_order, is_merged, lapse
from oms_es.aggregates.order.evolve import evolve
from oms_es.aggregates.order.overrides import override
from oms_es.aggregates.order.payments import (
    record_authorized,
    record_failed,
    record_withdrawn,
    repeat_payment,
    retry_payment,
)
from oms_es.aggregates.order.placement import (
    FROM_WITHIN,
    KEPT,
    chase_placement,
    keep,
    place_exchange,
    place_order,
    record_given,
    record_not_given,
    require_granted,
)
from oms_es.aggregates.order.state import BEFORE_RELEASE, Order, ShipmentStatus
from oms_es.aggregates.repeats import asked_of, done_before
from oms_es.kernel import Decider, Refused
from oms_es.schemas import order as o
from oms_es.schemas.order import returns as x
from oms_es.schemas.order.refusals import OrderRefusal

__all__ = ["Order", "decide", "decider", "evolve"]


def decide(order: Order, command: Any) -> Iterator[o.OrderEvent]:
    """Yield nothing if the command is already satisfied, so that retries are free."""
    if order.forgotten:
        yield from forgetting.decide_afterwards(order, command, _decide)
    else:
        yield from _decide(order, command)


def _decide(order: Order, command: Any) -> Iterator[o.OrderEvent]:
    if isinstance(command, o.PlaceOrder):
        if order.placed is None or command.fingerprint != order.placed.fingerprint:
            require_granted(command)
        yield from place_order(order, command)
    elif type(command) in BEGINNINGS:
        yield from BEGINNINGS[type(command)](order, command)
    elif order.placed is not None:
        yield from _of_placed(order, command)
    elif isinstance(command, KEPT) and command.keep:
        yield from keep(order, command)
    elif isinstance(command, o.RecordReservation):
        yield from record_given(order, command)
    elif isinstance(command, o.RecordShortage):
        yield from record_not_given(order, command)
    elif not isinstance(command, FROM_WITHIN):
        raise Refused(OrderRefusal.UNKNOWN_ORDER, f"there is no order {command.order_id}; place it first")


def _of_placed(order: Order, command: Any) -> Iterator[o.OrderEvent]:
    """Decide a command for a placed order. If the order was merged, Refused names the order that it is part of."""
    try:
        yield from DECISIONS[type(command)](order, command)
    except Refused as refused:
        if order.phase == "merged" and refused.reason != OrderRefusal.MERGED:
            raise is_merged(order) from refused
        raise


def _record_reservation(order: Order, command: o.RecordReservation) -> Iterator[o.OrderEvent]:
    """Record a confirmed reservation, for as many of its units as the order still wants."""
    held = (command.reservation_id, command.sku, command.location)
    if held not in order.requested:
        return
    if order.phase in o.FINAL_PHASES:
        if order.joined:  # the reservation was received from another order, and that order cannot take it back
            fields = command.model_dump(exclude={"presale", "quantity"})
            yield o.OrderLockReturned(**fields, quantity=order.requested[held])
        return
    allocated = o.OrderLineAllocated(
        order_id=command.order_id,
        reservation_id=command.reservation_id,
        sku=command.sku,
        location=command.location,
        quantity=order.requested[held],
        presale=command.presale,
    )
    yield allocated
    after = evolve(order, allocated)
    if after.is_locked:
        yield from steps.all_locked(after)


def _record_shortage(order: Order, command: o.RecordShortage) -> Iterator[o.OrderEvent]:
    """Ask again for the short units, leaving out every location that failed in this round.

    While no money is due this also applies to units that were reserved and are no longer there; after that a person
    decides.
    """
    held = (command.reservation_id, command.sku, command.location)
    lacking = order.requested.get(held)
    if lacking is None and order.phase in ("sourcing", "allocating", "backordered"):
        lacking = order.allocated.get(held)
    if lacking is not None and order.phase not in o.FINAL_PHASES:
        yield steps.sought_elsewhere(order, held, lacking)


def _record_covered(order: Order, command: o.RecordPresaleCovered) -> Iterator[o.OrderEvent]:
    if (command.reservation_id, command.sku, command.location) not in order.presale_pending:
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
    if order.phase in BEFORE_RELEASE and (order.presale_pending or not order.is_locked):
        yield from steps.ended(order, "the goods did not come in time")


SHIPMENT_STEPS: dict[type[o.OrderCommand], tuple[type[Any], frozenset[ShipmentStatus]]] = {
    o.RecordShipmentDispatched: (o.OrderShipmentDispatched, frozenset({"open"})),
    o.RecordShipmentDelivered: (o.OrderShipmentDelivered, frozenset({"open", "dispatched"})),
}
"""For each report: the event that it becomes, and the parcel's statuses in which it is news."""


def _record_shipment(order: Order, command: Any) -> Iterator[o.OrderEvent]:
    shape, news_in = SHIPMENT_STEPS[type(command)]
    if order.shipments.get(command.shipment_id) in news_in:
        event = shape(**command.model_dump())
        yield event
        yield from steps.milestones(evolve(order, event))


def _record_returned(order: Order, command: o.RecordShipmentReturned) -> Iterator[o.OrderEvent]:
    """Record each returned carton once; a parcel that came back whole is no longer expected to arrive."""
    if command.return_id in order.came_back or order.shipments.get(command.shipment_id) in (None, "cancelled"):
        return
    returned = o.OrderShipmentReturned(
        **dict(command), lines=refunding.shares_back(order, command.shipment_id, command.items)
    )
    yield returned
    after = evolve(order, returned)
    if after.phase not in o.FINAL_PHASES:
        yield from steps.milestones(after)


def _record_stopped(order: Order, command: o.RecordShipmentCancelled) -> Iterator[o.OrderEvent]:
    if order.shipments.get(command.shipment_id) == "open":
        yield from cancellation.stopped(order, command.shipment_id)


def _record_kept(order: Order, command: o.RecordShipmentKept) -> Iterator[o.OrderEvent]:
    """Record that a parcel could not be stopped.

    The report counts at any time: also if the order was completed meanwhile, and if only this parcel was to be stopped.
    """
    if command.shipment_id in order.shipments and command.shipment_id not in order.kept:
        cuts = [cut.reason for _, cut in sorted(order.cuts.items()) if command.shipment_id in cut.shipments]
        yield o.OrderCancellationRefused(
            order_id=command.order_id,
            reason=order.cancel_reason or next(iter(cuts), steps.SHIPMENT_STOPPED),
            shipment_ids=(command.shipment_id,),
        )


def _refund(order: Order, command: o.RefundOrder) -> Iterator[o.OrderEvent]:
    if not done_before(order.applied.get(command.refund_id), command):
        returns.require_own_name("refund_id", command.refund_id)
        yield refunding.refund(order, command).model_copy(update={"asked": asked_of(command)})


BEGINNINGS: dict[type[Any], Any] = {
    o.PlaceExchange: place_exchange,
    o.PlaceJoined: parts.place_joined,
    o.MergeOrders: parts.merge,
    o.YieldToMerge: parts.yield_to_merge,
    o.RecordMergeAnswer: parts.record_answer,
    o.ChasePlacement: chase_placement,
}
"""The decisions that apply whether or not the order was placed."""

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
    o.RecordPaymentAuthorized: record_authorized,
    o.RecordPaymentFailed: record_failed,
    o.RecordPaymentWithdrawn: record_withdrawn,
    o.RepeatPayment: repeat_payment,
    o.RecordMoneyGone: missing_money.record_gone,
    o.RecordMoneyBack: missing_money.record_back,
    o.RetryPayment: retry_payment,
    o.RecordShipmentDispatched: _record_shipment,
    o.RecordShipmentDelivered: _record_shipment,
    o.RecordShipmentReturned: _record_returned,
    o.RecordShipmentLost: losses.record_lost,
    o.RecordShipmentCancelled: _record_stopped,
    o.RecordShipmentKept: _record_kept,
    o.AmendOrder: elsewhere.amend,
    o.RecordFulfilment: elsewhere.record_fulfilment,
    o.RecordChannelRefund: elsewhere.record_refund,
    o.CancelOrderLines: cancellation.cancel_lines,
    o.SplitOrder: parts.split,
    o.HoldOrder: holds.hold,
    o.ChaseHold: holds.chase_hold,
    o.ReleaseHold: holds.release_hold,
    o.RefundOrder: _refund,
    o.AddNote: notes.add,
    o.ForgetOrder: forgetting.forget,
    o.PlaceLegalHold: forgetting.place_hold,
    o.LiftLegalHold: forgetting.lift_hold,
    o.OverrideOrder: override,
    o.CancelOrder: cancel_order,
    o.LapseOrder: lapse,
    x.RequestReturn: returns.request,
    x.CreditReturn: returns.credit,
    x.RefundCredit: returns.refund_credit,
    x.RecordReturnEnded: returns.record_ended,
    x.RecordFeedbackGiven: returns.record_feedback,
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
        o.OrderTransferShort,
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
        o.OrderPlacementOverdue,
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
        o.OrderNoteAdded,
        o.OrderForgotten,
        o.OrderLegalHoldPlaced,
        o.OrderLegalHoldLifted,
        o.OrderRefundRequested,
        o.OrderCreditLeft,
        o.OrderMoneyGone,
        o.OrderMoneyBack,
        x.OrderReturnRequested,
        x.OrderReturnEnded,
        x.OrderExchangeCredited,
        x.OrderCreditRefused,
        x.OrderFeedbackGiven,
        o.OrderCancellationRequested,
        o.OrderCancellationRefused,
        o.OrderCancelled,
    ),
)
