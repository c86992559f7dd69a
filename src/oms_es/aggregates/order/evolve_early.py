"""How the state of an order changes with reports that come before the order: kept, applied with it, or missed."""

from __future__ import annotations

from oms_es.aggregates.order.state import Order, channel_refund, fulfilment
from oms_es.aggregates.repeats import asked_of
from oms_es.schemas import order as o


def amendment_kept(order: Order, event: o.OrderAmendmentKept) -> Order:
    amendment = event.amendment
    return _waited_for(order, amendment.called)._replace(early=order.early.insert(amendment.amendment_id, amendment))


def amendment_refused(order: Order, event: o.OrderAmendmentRefused) -> Order:
    kept = order.early.get(event.amendment_id)
    return order._replace(applied=order.applied.insert(event.amendment_id, asked_of(kept) if kept else ""))


def cancellation_kept(order: Order, event: o.OrderCancellationKept) -> Order:
    return _waited_for(order, event.called)._replace(early_cancellation=event.reason)


def report_kept(order: Order, event: o.OrderReportKept) -> Order:
    reports, called = order.early_reports, ""
    if event.fulfilment:
        reports, called = (
            reports.insert(fulfilment(event.fulfilment.fulfilment_id), event.fulfilment),
            event.fulfilment.called,
        )
    if event.refund:
        reports, called = reports.insert(channel_refund(event.refund.refund_id), event.refund), event.refund.called
    return _waited_for(order, called)._replace(early_reports=reports)


def _waited_for(order: Order, called: str) -> Order:
    """Note that something new waits for the order, so that its absence may be reported again."""
    return order._replace(early_called=called or order.early_called, missed=False)


def placement_overdue(order: Order, _: o.OrderPlacementOverdue) -> Order:
    return order._replace(missed=True)


def report_disputed(order: Order, event: o.OrderReportDisputed) -> Order:
    asked = order.applied.get(event.report, "") or event.asked
    return order._replace(applied=order.applied.insert(event.report, asked))
