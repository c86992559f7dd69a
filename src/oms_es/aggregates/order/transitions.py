"""The steps in an order's own stream that several decisions end in: what follows from the state that was reached."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from oms_es.aggregates.order import money, refunding
from oms_es.aggregates.order.evolve import evolve
from oms_es.aggregates.order.state import Held, Order, by_sku, plus
from oms_es.schemas import order as o
from oms_es.schemas.values.money import apportion

BALANCE_DUE_SECONDS = 7 * 86_400
"""The time to pay the balance of a presale that does not state one."""
TERMS = ("channel", "kind", "priority", "delivery_option", "allow_split", "pickup", "pickup_at")
"""What sourcing weighs besides the demand."""


def request_sourcing(
    order: Order,
    lacking: Iterable[tuple[str, int]],
    excluded: Iterable[tuple[str, str]],
    short: o.Reservation | None,
) -> o.OrderSourcingRequested:
    """Request sourcing of `lacking` and of all that is unanswered, under a new attempt: one answer covers
    everything.
    """
    assert order.content
    locations: dict[str, tuple[str, ...]] = defaultdict(tuple)
    for sku, location in sorted(excluded):
        locations[sku] += (location,)
    return o.OrderSourcingRequested(
        order_id=order.order_id,
        attempt=order.attempt + 1 if order.phase == "sourcing" else order.attempt,
        demand=by_sku(plus(order.to_source, lacking)),
        excluded=dict(locations),
        ship_to=order.content.ship_to,
        short=short,
        held=tuple(sorted(held_at(order, short))),
        bundles=order.components,
        **{name: getattr(order.content, name) for name in TERMS},
    )


def sought_elsewhere(order: Order, held: Held, quantity: int) -> o.OrderSourcingRequested:
    """Request sourcing elsewhere of units that could not be reserved, or are no longer reserved."""
    reservation_id, sku, location = held
    short = o.Reservation(reservation_id=reservation_id, sku=sku, location=location, quantity=quantity)
    return request_sourcing(order, [(sku, quantity)], {*order.excluded, (sku, location)}, short)


def held_at(order: Order, short: o.Reservation | None = None) -> set[str]:
    """Return the locations at which the order has reserved or requested units, without the reservation that came up
    short."""
    gone = short and (short.reservation_id, short.sku, short.location)
    return {held[2] for held in (*order.requested, *order.allocated) if held != gone}


def sourcing_terms(order: Order, locations: Iterable[str]) -> o.SourcingTerms:
    """Return the order's terms for sourcing. `locations` are those where it is about to request reservations."""
    assert order.content
    return o.SourcingTerms(
        channel=order.content.channel,
        kind=order.content.kind,
        delivery_option=order.content.delivery_option,
        allow_split=order.content.allow_split,
        destination=o.Destination(**order.content.ship_to.model_dump(include=set(o.Destination.model_fields))),
        held=tuple(sorted({*held_at(order), *locations})),
        pickup=order.content.pickup,
        pickup_at=order.content.pickup_at,
    )


def all_locked(order: Order) -> Iterator[o.OrderEvent]:
    """Record that every unit is reserved: the money is due."""
    assert order.content
    dues = money.dues(order)
    plain = len(dues) <= 1 and all(due.method == "card" and not due.capture_now for due in dues)
    allocated = o.OrderAllocated(
        **asking(order),
        payment_id=dues[0].payment_id if dues else f"{order.order_id}.{order.payments_made or 1}",
        amount_minor=sum(due.amount_minor for due in dues),
        payment_token=dues[0].payment_token if dues else order.content.payment_token,
        payments=() if plain else dues,
    )
    yield allocated
    yield from proceed(evolve(order, allocated))


def asking(order: Order) -> Any:
    """Return the fields of an event that asks for money."""
    assert order.content
    content = order.content
    return {
        "order_id": order.order_id,
        "currency": content.currency,
        "channel": content.channel,
        "country": content.ship_to.country,
    }


def proceed(order: Order) -> Iterator[o.OrderEvent]:
    """Decide what a reserved order does next: wait for money, for its goods or for a person, or be released."""
    assert order.content
    if order.is_unpaid:
        return
    if order.presale_pending:
        yield o.OrderPresold(order_id=order.order_id, available_by=order.content.available_by)
    elif balance := money.dues(order):
        yield o.OrderBalanceDue(
            **asking(order),
            payments=balance,
            due_seconds=order.content.balance_due_seconds or BALANCE_DUE_SECONDS,
        )
    elif not order.holds:
        yield released(order)
        yield from _credit_left(order, order.content.total_minor)


def unheld(
    order: Order, kind: o.HoldKind, note: str, then: Callable[[Order], Iterable[o.OrderEvent]] = lambda _: ()
) -> Iterator[o.OrderEvent]:
    """Release a hold; after the last one the order continues from the phase in which it was held."""
    off = o.OrderHoldReleased(order_id=order.order_id, kind=kind, note=note)
    yield off
    after = evolve(order, off)
    yield from then(after)
    if after.phase == "held":
        yield from proceed(after)
    elif not after.holds:
        yield from (planned(after, after.plans[key]) for key in after.in_status("held"))


def planned(order: Order, plan: o.ShipmentPlan) -> o.OrderShipmentPlanned:
    """Plan a parcel in place of one that was stopped; it is not requested while the order is held."""
    assert order.content
    return o.OrderShipmentPlanned(
        order_id=order.order_id,
        plan=plan,
        payment_id=payment_of(order),
        ship_to=recipient(order.content),
        delivery_option=order.content.delivery_option,
        pickup=order.content.pickup,
        held=bool(order.holds),
    )


def released(order: Order) -> o.OrderReleased:
    """Release the order: one shipment per location, with its lines' share of the total, and shipping by the value of
    its goods.
    """
    assert order.content
    by_location: dict[str, list[o.Reservation]] = defaultdict(list)
    for (reservation_id, sku, location), quantity in sorted(order.allocated.items()):
        by_location[location].append(
            o.Reservation(reservation_id=reservation_id, sku=sku, location=location, quantity=quantity)
        )
    shares = money.shares_of(order.content, order.bundles)
    lines = list(money.parcel_lines(by_location.values(), shares.lines))
    worths = [sum(line.amount_minor for line in parcel) for parcel in lines]
    shipping = apportion(shares.shipping_minor, worths)
    totals = [worth + part for worth, part in zip(worths, shipping, strict=True)]
    charges = list(money.charges(order, totals))
    payments = order.live_payments.values()
    stated = len(payments) > 1 or any(payment.due.capture_now for payment in payments)
    plans = tuple(
        o.ShipmentPlan(
            shipment_id=f"{order.order_id}.{number}",
            location=location,
            items=tuple(items),
            amount_minor=money.to_capture(order, borne),
            charges=borne if stated else (),
            lines=parcel,
            shipping_minor=part,
        )
        for number, ((location, items), parcel, part, borne) in enumerate(
            zip(by_location.items(), lines, shipping, charges, strict=True), start=1
        )
    )
    return o.OrderReleased(
        order_id=order.order_id,
        payment_id=payment_of(order),
        currency=order.content.currency,
        shipments=plans,
        ship_to=recipient(order.content),
        delivery_option=order.content.delivery_option,
        pickup=order.content.pickup,
    )


def recipient(content: o.OrderContent) -> o.Address:
    """Return the address for carriers: with the customer's telephone number if it has none of its own."""
    phone = content.ship_to.phone or (content.customer and content.customer.phone)
    return content.ship_to if phone == content.ship_to.phone else content.ship_to.model_copy(update={"phone": phone})


def payment_of(order: Order) -> str:
    """Return the payment that bears what is not distributed over several."""
    taking = [key for key, payment in order.live_payments.items() if not payment.due.capture_now]
    return next(iter(taking or order.live_payments), order.payment_id)


def cancelled(order: Order, reason: str, *, left: bool = False) -> o.OrderCancelled:
    """Return the cancellation. `left`: the customer cancelled it on their own account."""
    assert order.content
    held = sorted([*order.requested.items(), *order.allocated.items()])
    payments = [
        key
        for key, payment in order.live_payments.items()
        if not (keeps_deposit(order, left=left) and payment.due.capture_now and payment.status == "secured")
    ]
    return o.OrderCancelled(
        order_id=order.order_id,
        reason=reason,
        by_customer=left,
        reservations=tuple(
            o.Reservation(reservation_id=reservation_id, sku=sku, location=location, quantity=quantity)
            for (reservation_id, sku, location), quantity in held
        ),
        payment_id=payments[0] if payments else None,
        payment_ids=tuple(payments) if len(payments) > 1 else (),
        backordered=by_sku(order.backordered),
        channel=order.content.channel,
        placed_at=order.content.placed_at,
        currency=order.content.currency,
        total_minor=order.content.total_minor,
        units=units_of(order.content),
        customer_id=order.content.customer_id,
    )


def ended(order: Order, reason: str, *, left: bool = False) -> Iterator[o.OrderEvent]:
    """Cancel the order, and give back its credit. `left`: as for `cancelled`."""
    assert order.content
    yield cancelled(order, reason, left=left)
    yield from _credit_left(order, 0)


def _credit_left(order: Order, used_minor: int) -> Iterator[o.OrderCreditLeft]:
    """Give back the unused credit of an exchange, less what was given back before."""
    assert order.content
    amount_minor = order.content.credit_minor - order.credit_left - used_minor
    if order.content.exchange_of is not None and amount_minor > 0:
        yield o.OrderCreditLeft(
            order_id=order.order_id,
            exchange_of=order.content.exchange_of,
            amount_minor=amount_minor,
            currency=order.content.currency,
            credit_id="rest" if order.credit_left else "",
            **order.of_customer,
        )


def keeps_deposit(order: Order, *, left: bool) -> bool:
    """Return whether a deposit is kept: the goods came, and the customer does not pay the balance; or, where the terms
    say so, the customer leaves before that.
    """
    assert order.content
    if order.presale_pending:
        return left and order.content.deposit_kept_early
    return order.content.deposit_kept and order.phase == "awaiting_payment"


def milestones(order: Order) -> Iterator[o.OrderEvent]:
    """Yield what is now true of the whole order after one of its shipments moved."""
    statuses = set(order.shipments.values())
    if statuses == {"cancelled"}:
        yield from ended(order, order.cancel_reason or SHIPMENT_STOPPED)
        return
    if not statuses.isdisjoint(("open", "held")):
        return
    if order.phase in ("fulfilling", "cancelling"):
        yield o.OrderShipped(order_id=order.order_id)
        yield from _credit_left(order, refunding.credit_used(order))
    if "dispatched" not in statuses and order.phase != "completed":
        yield completed(order)


def completed(order: Order) -> o.OrderCompleted:
    payments = tuple(order.live_payments)
    return o.OrderCompleted(
        order_id=order.order_id,
        payment_id=payment_of(order),
        payment_ids=payments if len(payments) > 1 else (),
        charges=tuple(
            o.ParcelCharge(shipment_id=plan.shipment_id, **charge.model_dump())
            for plan in money.left_plans(order)
            for charge in money.charges_of(order, plan)
        ),
    )


SHIPMENT_STOPPED = "a shipment was to be stopped"
"""The reason that is recorded if the order itself was not cancelled."""


def units_of(content: o.OrderContent) -> int:
    return sum(line.quantity for line in content.lines)
