"""How each event changes the state of an order; `FOLDS` lists all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rpds import HashTrieMap, HashTrieSet

from oms_es.aggregates.order.evolve_early import (
    amendment_kept,
    amendment_refused,
    cancellation_kept,
    placement_overdue,
    report_disputed,
    report_kept,
)
from oms_es.aggregates.order.evolve_payment import (
    awaiting_payments,
    balance_due,
    money_back,
    money_gone,
    paid_or_not,
    payment_deferred,
    payment_requested,
    payment_secured,
)
from oms_es.aggregates.order.evolve_shipping import (
    cancellation_refused,
    cancellation_requested,
    credit_refused,
    exchange_credited,
    fold_credit_left,
    fold_delivered,
    fold_released,
    fold_shipment,
    planned_again,
    refund_requested,
    return_ended,
    return_requested,
    shipment_lost,
    shipment_returned,
)
from oms_es.aggregates.order.forgetting import fold_forgotten, fold_held, fold_lifted
from oms_es.aggregates.order.money import divided, payable
from oms_es.aggregates.order.notes import fold_added
from oms_es.aggregates.order.state import (
    CHANGEABLE,
    LineCut,
    Order,
    changed,
    feedback,
    fulfilment,
    plus,
    resting,
    with_payments,
    without_released,
)
from oms_es.aggregates.repeats import asked_of
from oms_es.schemas import order as o
from oms_es.schemas.order import returns as x


def evolve(order: Order, event: o.OrderEvent) -> Order:
    """Never refuse an event: an old stream must load under new rules."""
    fold = FOLDS.get(type(event))
    return fold(order, event) if fold else order


def _placed(order: Order, event: o.OrderPlaced) -> Order:
    placed = order._replace(phase="sourcing", placed=event, content=event, to_source=HashTrieMap(event.demand))
    if event.revision is None:
        return placed
    return placed._replace(revisions=HashTrieMap(dict.fromkeys(CHANGEABLE, event.revision)))


def _conflicting(order: Order, event: o.DuplicateConflictFound) -> Order:
    return order._replace(conflicts=order.conflicts.insert(event.fingerprint))


def _sourced(order: Order, event: o.OrderSourced) -> Order:
    asked = (((event.reservation_id, a.sku, a.location), a.quantity) for a in event.assignments)
    return order._replace(
        phase="allocating", attempt=event.attempt + 1, to_source=HashTrieMap(), requested=plus(order.requested, asked)
    )


def _backordered(order: Order, event: o.OrderBackordered) -> Order:
    return order._replace(
        phase="allocating" if order.requested else "backordered",
        attempt=event.attempt + 1,
        to_source=HashTrieMap(),
        backordered=plus(order.backordered, event.demand.items()),
    )


def _sourcing_requested(order: Order, event: o.OrderSourcingRequested) -> Order:
    asked_again = order._replace(
        phase="sourcing",
        attempt=event.attempt,
        to_source=HashTrieMap(event.demand),
        excluded=HashTrieSet((sku, location) for sku, locations in event.excluded.items() for location in locations),
    )
    if event.short is None:
        return asked_again._replace(backordered=HashTrieMap())
    held = (event.short.reservation_id, event.short.sku, event.short.location)
    return asked_again._replace(
        requested=order.requested.discard(held),
        allocated=order.allocated.discard(held),
        presale_pending=order.presale_pending.discard(held),
    )


def _exploded(order: Order, event: o.OrderBundlesExploded) -> Order:
    return order._replace(
        to_source=_bundles_exploded(order.to_source, event.bundles),
        backordered=_bundles_exploded(order.backordered, event.bundles),
        bundles=order.bundles.update(event.bundles),
    )


def _bundles_exploded(counts: HashTrieMap[str, int], bundles: Mapping[str, Mapping[str, int]]) -> HashTrieMap[str, int]:
    """Replace bundles by their components, which count as plain units even if a bundle is sold under their SKU."""
    ordered = {bundle: counts.get(bundle, 0) for bundle in bundles}
    for bundle, components in bundles.items():
        quantity = ordered[bundle]
        plain = counts.get(bundle, 0) - quantity
        left = counts.insert(bundle, plain) if plain else counts.discard(bundle)
        counts = plus(left, ((sku, quantity * each) for sku, each in components.items() if quantity))
    return counts


def _released(order: Order, event: o.OrderAssigned | o.OrderLocationFailed) -> Order:
    """Remove the released reservations; the next event says which units are asked for again."""
    return without_released(order, event.released)


def _line_allocated(order: Order, event: o.OrderLineAllocated) -> Order:
    held = (event.reservation_id, event.sku, event.location)
    if order.placed is None:
        return order._replace(transferred_in=order.transferred_in.insert(held))
    locked = order._replace(
        requested=order.requested.discard(held), allocated=order.allocated.insert(held, event.quantity)
    )
    if event.presale:
        locked = locked._replace(presale_pending=locked.presale_pending.insert(held))
    return resting(locked)


def _transfer_short(order: Order, event: o.OrderTransferShort) -> Order:
    held = (event.reservation_id, event.sku, event.location)
    return order._replace(transferred_in=order.transferred_in.discard(held), not_given=order.not_given.insert(held))


def _allocated(order: Order, event: o.OrderAllocated) -> Order:
    dues = event.payments
    if not dues and event.amount_minor:
        dues = (
            o.PaymentDue(
                payment_id=event.payment_id, amount_minor=event.amount_minor, payment_token=event.payment_token
            ),
        )
    return paid_or_not(awaiting_payments(order, dues)._replace(phase="awaiting_payment"))


def _presold(order: Order, _: o.OrderPresold) -> Order:
    return order._replace(phase="awaiting_stock")


def _covered(order: Order, event: o.OrderPresaleCovered) -> Order:
    covered = order._replace(
        presale_pending=order.presale_pending.discard((event.reservation_id, event.sku, event.location))
    )
    if covered.phase == "awaiting_stock" and not covered.presale_pending:
        return paid_or_not(covered._replace(phase="awaiting_payment"))
    return covered


def _held(order: Order, event: o.OrderHeld) -> Order:
    held_until = order.held_until.insert(event.kind, event.until) if event.until else order.held_until
    because = (event.payment_id, event.effect)
    said, at = (event.kind, event.note), event.revision
    return order._replace(
        holds=order.holds.insert(event.kind),
        held_until=held_until,
        held_at=order.held_at if at is None else order.held_at.insert(said, at),
        held_for=order.held_for.insert(because) if event.kind == "payment" else order.held_for,
        stopping=order.stopping.update(event.shipment_ids),
    )


def _hold_overdue(order: Order, event: o.OrderHoldOverdue) -> Order:
    return order._replace(held_until=order.held_until.discard(event.kind))


def _hold_released(order: Order, event: o.OrderHoldReleased) -> Order:
    return order._replace(
        holds=order.holds.discard(event.kind),
        held_until=order.held_until.discard(event.kind),
        held_for=HashTrieSet() if event.kind == "payment" else order.held_for,
    )


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


def _feedback_given(order: Order, event: x.OrderFeedbackGiven) -> Order:
    return order._replace(applied=order.applied.insert(feedback(event.feedback_id), ""))


def _fulfilled_elsewhere(order: Order, event: o.OrderFulfilledElsewhere) -> Order:
    left = changed(order, event)._replace(
        elsewhere=plus(order.elsewhere, ((line.line_id, line.quantity) for line in event.fulfilled)),
        stated_elsewhere=plus(order.stated_elsewhere, ((line.line_id, line.quantity) for line in event.told)),
    )
    if not event.fulfilment_id:
        return left
    reported = o.RecordFulfilment.model_construct(
        order_id=event.order_id, fulfilment_id=event.fulfilment_id, lines=event.told
    )
    return left._replace(applied=order.applied.insert(fulfilment(event.fulfilment_id), asked_of(reported)))


def _overridden(order: Order, event: o.OrderOverridden) -> Order:
    allocated, requested = order.allocated, order.requested
    for cut in event.released:
        held = (cut.reservation_id, cut.sku, cut.location)
        allocated, requested = allocated.discard(held), requested.discard(held)
    return with_payments(order, "void", *event.payments_cancelled)._replace(
        applied=order.applied.insert(event.override_id, event.asked),
        allocated=allocated,
        requested=requested,
        presale_pending=HashTrieSet(),
        written_off=order.written_off + event.written_off_minor,
        holds=HashTrieSet() if event.to == "released" else order.holds,
        held_for=HashTrieSet() if event.to == "released" else order.held_for,
    )


def _split(order: Order, event: o.OrderSplit) -> Order:
    left = changed(order, event)
    assert left.content
    kept, _ = divided(left.content.all_tenders, payable(left.content))
    return left._replace(
        applied=order.applied.insert(event.split_id, event.asked),
        content=left.content.model_copy(update={**o.tender_fields(kept)}),
    )


def _joined(order: Order, event: o.OrderJoined) -> Order:
    asked = {(t.reservation_id, t.sku, t.location): t.quantity for t in event.transfers}
    return order._replace(
        phase="allocating",
        attempt=order.attempt + 1,
        to_source=HashTrieMap(),
        requested=HashTrieMap({held: n for held, n in asked.items() if held not in order.transferred_in}),
        allocated=HashTrieMap({held: n for held, n in asked.items() if held in order.transferred_in}),
        bundles=HashTrieMap(event.bundles),
        joined=True,
        merging=None,
    )


def _lock_returned(order: Order, event: o.OrderLockReturned) -> Order:
    return order._replace(requested=order.requested.discard((event.reservation_id, event.sku, event.location)))


def _merge_requested(order: Order, event: o.OrderMergeRequested) -> Order:
    merged = (*order.merged, event.answer) if event.answer else order.merged
    return order._replace(merging=event, merged=merged, merge_ids=order.merge_ids.insert(event.merge_id, event.asked))


def _merge_failed(order: Order, _: o.OrderMergeFailed) -> Order:
    return order._replace(merging=None)


def _merged_into(order: Order, event: o.OrderMergedInto) -> Order:
    """Only an order at rest is merged, of which no unit is being sourced or requested."""
    return order._replace(
        phase="merged", merged_into=event.to_order_id, backordered=HashTrieMap(), allocated=HashTrieMap()
    )


def _merge_declined(order: Order, event: o.OrderMergeDeclined) -> Order:
    return order._replace(declined=order.declined.insert(event.to_order_id))


def _line_cut_requested(order: Order, event: o.OrderLinesCancellationRequested) -> Order:
    units: HashTrieMap[str, int] = HashTrieMap((line.line_id, line.quantity) for line in event.lines)
    cut = LineCut(event.reason, units, HashTrieSet((*event.shipment_ids, *event.held_shipment_ids)))
    return order._replace(
        applied=order.applied.insert(event.cancellation_id, event.asked),
        cuts=order.cuts.insert(event.cancellation_id, cut),
    )


def _cancelled(order: Order, event: o.OrderCancelled) -> Order:
    applied = order.applied.insert(event.report, event.asked) if event.report else order.applied
    return order._replace(phase="cancelled", applied=applied)


def _shipped(order: Order, _: o.OrderShipped) -> Order:
    """Set the phase, and drop all holds: nothing is left here that could be held."""
    return order._replace(phase="shipped", holds=HashTrieSet(), held_for=HashTrieSet())


def _completed(order: Order, _: o.OrderCompleted) -> Order:
    return order._replace(phase="completed")


FOLDS: dict[type[o.OrderEvent], Any] = {
    o.OrderPlaced: _placed,
    o.OrderNoteAdded: fold_added,
    o.OrderForgotten: fold_forgotten,
    o.OrderLegalHoldPlaced: fold_held,
    o.OrderLegalHoldLifted: fold_lifted,
    o.DuplicateConflictFound: _conflicting,
    o.OrderSourced: _sourced,
    o.OrderBackordered: _backordered,
    o.OrderSourcingRequested: _sourcing_requested,
    o.OrderBundlesExploded: _exploded,
    o.OrderAssigned: _released,
    o.OrderLocationFailed: _released,
    o.OrderLineAllocated: _line_allocated,
    o.OrderTransferShort: _transfer_short,
    o.OrderAllocated: _allocated,
    o.OrderBalanceDue: balance_due,
    o.OrderPaymentRequested: payment_requested,
    o.OrderPaymentDeferred: payment_deferred,
    o.OrderPaymentSecured: payment_secured,
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
    o.OrderAmendmentKept: amendment_kept,
    o.OrderAmendmentRefused: amendment_refused,
    o.OrderCancellationKept: cancellation_kept,
    o.OrderPlacementOverdue: placement_overdue,
    o.OrderFulfilledElsewhere: _fulfilled_elsewhere,
    o.OrderReportKept: report_kept,
    o.OrderReportDisputed: report_disputed,
    o.OrderOverridden: _overridden,
    o.OrderLinesCancelled: _lines_cancelled,
    o.OrderLinesCancellationRequested: _line_cut_requested,
    o.OrderReleased: fold_released,
    o.OrderShipmentPlanned: planned_again,
    o.OrderShipmentDispatched: fold_shipment("dispatched"),
    o.OrderShipmentDelivered: fold_delivered,
    o.OrderShipmentReturned: shipment_returned,
    o.OrderShipmentLost: shipment_lost,
    o.OrderShipmentCancelled: fold_shipment("cancelled"),
    o.OrderCancellationRequested: cancellation_requested,
    o.OrderCancellationRefused: cancellation_refused,
    o.OrderRefundRequested: refund_requested,
    o.OrderCreditLeft: fold_credit_left,
    o.OrderMoneyGone: money_gone,
    o.OrderMoneyBack: money_back,
    x.OrderReturnRequested: return_requested,
    x.OrderReturnEnded: return_ended,
    x.OrderFeedbackGiven: _feedback_given,
    x.OrderExchangeCredited: exchange_credited,
    x.OrderCreditRefused: credit_refused,
    o.OrderShipped: _shipped,
    o.OrderCompleted: _completed,
    o.OrderCancelled: _cancelled,
}
