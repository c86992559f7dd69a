"""The keys of the rows in `deadlines` that an event of an order concerns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_args

from oms_es.kernel import Event, Key
from oms_es.schemas import order as o

HOLD_KINDS = get_args(o.HoldKind)

UNTIL_PAID, UNTIL_AVAILABLE, UNTIL_RETRIED, UNTIL_PLACED = "payment", "presale", "retry", "placement"


def key_of_order(*what: str) -> Any:
    return lambda event: tuple((f"{name}/{event.order_id}",) for name in what)


def key_of_payment(event: Event) -> Iterable[Key]:
    """Return the key of the payment's deadline; none for an order that costs nothing."""
    if isinstance(event, o.OrderAllocated) and not event.amount_minor:
        return ()
    return key_of_order(UNTIL_PAID)(event)  # type: ignore[no-any-return] # it makes keys of any event


def key_of_deferred(event: o.OrderPaymentDeferred) -> Iterable[Key]:
    if not event.again:
        return ()
    return (f"{UNTIL_PAID}/{event.order_id}",), (f"{UNTIL_RETRIED}/{event.payment_id}",)


def key_of_repeated(event: o.OrderPaymentRequested) -> Iterable[Key]:
    return (f"{UNTIL_PAID}/{event.order_id}",), (f"{UNTIL_RETRIED}/{event.replaces}",)


def key_of_secured(event: o.OrderPaymentSecured) -> Iterable[Key]:
    """Return the keys to remove: a payment that was to be asked for again has come, and the last one ends the
    deadline.
    """
    retry = ((f"{UNTIL_RETRIED}/{event.payment_id}",),)
    return retry if event.open_minor else (*key_of_order(UNTIL_PAID)(event), *retry)


def key_of_undone(event: Any) -> Iterable[Key]:
    """Return the keys to remove when payments are undone; a new amount gets a new deadline.

    An order that is released by hand, merged, or shipped by others is not held any more.
    """
    over = (
        isinstance(event, o.OrderMergedInto)
        or (isinstance(event, o.OrderOverridden) and event.to == "released")
        or (isinstance(event, o.OrderFulfilledElsewhere) and event.whole)
    )
    holds = _holds(event.order_id) if over else ()
    if not event.payments_cancelled:
        return holds
    retries = ((f"{UNTIL_RETRIED}/{payment_id}",) for payment_id in event.payments_cancelled)
    return (*key_of_order(UNTIL_PAID)(event), *retries, *holds)


UNTIL_DECIDED = "hold"


def _holds(order_id: str) -> tuple[Key, ...]:
    return tuple((f"{UNTIL_DECIDED}/{order_id}/{kind}",) for kind in HOLD_KINDS)


def key_of_hold(event: Any) -> Iterable[Key]:
    """Return the key of a hold that has an end, or that lapses with its payment; none for other holds."""
    if event.kind == "payment":
        return key_of_order(UNTIL_PAID)(event) if isinstance(event, o.OrderHeld) else ()
    if isinstance(event, o.OrderHeld) and event.until is None:
        return ()
    return ((f"{UNTIL_DECIDED}/{event.order_id}/{event.kind}",),)


def key_of_ended(event: o.OrderCancelled) -> Iterable[Key]:
    payments = event.payment_ids or ((event.payment_id,) if event.payment_id else ())
    retries = ((f"{UNTIL_RETRIED}/{payment_id}",) for payment_id in payments)
    return (*key_of_order(UNTIL_PAID, UNTIL_AVAILABLE)(event), *retries, *_holds(event.order_id))
