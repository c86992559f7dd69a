"""The keys of the rows in `open_exceptions` that an event concerns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, get_args

from oms_es.kernel import Key
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas import shipment as sh
from oms_es.schemas import stock as s
from oms_es.schemas.operations import aside as a
from oms_es.schemas.operations import subscription as sub
from oms_es.schemas.operations.exception import ExceptionOpened
from oms_es.schemas.shipment import tracker as t

HOLD_KINDS = get_args(o.HoldKind)

Keys = Callable[[Any], Iterable[Key]]


def key_of_exception(kind: str, subject: str) -> Keys:
    """Return a function for the key of an exception; `subject` is the event's field that names what it is about."""
    return lambda event: ((f"{kind}/{getattr(event, subject)}",),)


def key_of_opened(event: ExceptionOpened) -> Iterable[Key]:
    return ((event.exception_id,),)


def each_of(*keys: Keys) -> Keys:
    return lambda event: tuple(key for of in keys for key in of(event))


def key_of_new_round(event: o.OrderSourcingRequested) -> Iterable[Key]:
    return key_of_exception("backordered", "order_id")(event) if event.short is None else ()


def key_of_promise(event: Any) -> Iterable[Key]:
    if isinstance(event, s.StockShipped) and not event.broken:
        return ()
    if not event.reservation_id.startswith(f"{event.order_id}/"):
        return ()  # a temporary reservation, such as a cart's, belongs to no order
    return ((f"promise_broken/{event.sku}@{event.location}/{event.reservation_id}",),)


def key_of_numbers(event: Any) -> Iterable[Key]:
    return tuple((f"serial_conflict/{event.sku}/{event.location}/{number}",) for number in event.serials)


def key_of_hold(event: o.OrderHeld | o.OrderHoldOverdue | o.OrderHoldReleased) -> Iterable[Key]:
    return ((f"held_{event.kind}/{event.order_id}",),)


def key_of_holds(
    event: o.OrderReleased | o.OrderShipped | o.OrderCancelled | o.OrderMergedInto | o.OrderFulfilledElsewhere,
) -> Iterable[Key]:
    """Return the keys of the order's holds; for an order that ended or that others shipped, also the key of its
    backorder.
    """
    if isinstance(event, o.OrderFulfilledElsewhere) and not event.whole:
        return key_of_exception("backordered", "order_id")(event)
    ended = [f"held_{kind}" for kind in HOLD_KINDS]
    if not isinstance(event, o.OrderReleased | o.OrderShipped):
        ended.append("backordered")
    return tuple((f"{name}/{event.order_id}",) for name in ended)


def key_of_question(event: Any) -> Iterable[Key]:
    """Return the key of a capture, void or refund without a known outcome."""
    match event:
        case p.PaymentUnanswered(operation=operation, part=part):
            return ((f"payment_unanswered/{event.payment_id}/{operation}/{part}",),)
        case p.PaymentCaptured() | p.PaymentCaptureFailed():
            return ((f"payment_unanswered/{event.payment_id}/capture/{event.capture_id}",),)
        case p.PaymentVoided() | p.PaymentVoidFailed():
            return ((f"payment_unanswered/{event.payment_id}/void/{event.void_id}",),)
    return ((f"payment_unanswered/{event.payment_id}/refund/{event.refund_id}",),)


def key_of_unasked(event: Any) -> Iterable[Key]:
    """Return the keys of an operation at the provider that was not requested, and of exceptions that a completed
    refund ends.
    """
    answered = tuple(key_of_question(event))
    if isinstance(event, p.PaymentRefunded):
        answered = (*answered, (f"refund_failed/{event.refund_id}",))
    if event.asked:
        return answered
    name = "let_go_elsewhere" if isinstance(event, p.PaymentVoided) else f"refunded_elsewhere/{event.refund_id}"
    return (*answered, (f"{name}/{event.payment_id}",))


def key_of_unpaid_exchange(event: o.OrderMoneyGone | o.OrderMoneyBack) -> Iterable[Key]:
    """Return the key for goods that left although the money of their credit is gone; none if nothing left."""
    if isinstance(event, o.OrderMoneyGone) and not event.left_minor:
        return ()
    return ((f"exchange_unpaid/{event.order_id}/{event.payment_id}/{event.effect}",),)


def key_of_kept(event: Any) -> Iterable[Key]:
    return ((f"payment_contradiction/{event.payment_id}/{event.kept_id}",),)


def key_of_report(event: Any) -> Iterable[Key]:
    return ((f"unmatched_report/{event.provider}/{event.report_id}",),)


def key_of_shipment(event: Any) -> Iterable[Key]:
    return (("/".join(part for part in ("delivery_exception", event.shipment_id, event.carton_id) if part),),)


def key_of_shared_number(event: t.TrackingNumberShared) -> Iterable[Key]:
    return ((f"number_shared/{event.carrier}/{event.tracking_number}",),)


def key_of_reaction(event: a.AsideEvent) -> Iterable[Key]:
    return ((f"put_aside/{event.reader}/{event.fact_id}",),)


def key_of_receiver(event: sub.SubscriptionEvent) -> Iterable[Key]:
    """Return the key of a disabled subscription; none if a person disabled it, as no one has to look then."""
    is_meant = isinstance(event, sub.SubscriptionDisabled) and not event.failed
    return () if is_meant else ((f"subscription_disabled/{event.name}",),)


UNBOOKED = key_of_exception("booking_failed", "shipment_id")

SILENT = key_of_exception("parcel_silent", "shipment_id")

NOT_PICKED = key_of_exception("not_picked", "shipment_id")

NOT_LEFT = key_of_exception("dispatch_overdue", "shipment_id")


def key_of_returned_shipment(event: sh.ShipmentReturnedToSender) -> Iterable[Key]:
    return [("/".join(("returned_to_sender", event.shipment_id, *event.carton_ids[:1])).rstrip("/"),)]
