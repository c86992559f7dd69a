"""What follows in an order's own stream from where it stands: the steps that several decisions end in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from oms_es.aggregates.order import money, refunding
from oms_es.aggregates.order.evolve import evolve
from oms_es.aggregates.order.state import Held, Order, by_sku, plus
from oms_es.schemas import order as o
from oms_es.schemas.values.money import apportion

BALANCE_DUE_SECONDS = 7 * 86_400
"""Where a presale does not say how long its balance may take."""
TERMS = ("channel", "kind", "priority", "delivery_option", "allow_split", "pickup", "pickup_at")
"""What sourcing weighs beside the demand."""


def request_sourcing(
    order: Order,
    lacking: Iterable[tuple[str, int]],
    excluded: Iterable[tuple[str, str]],
    short: o.Reservation | None,
) -> o.OrderSourcingRequested:
    """What is still unanswered is asked again together with `lacking`, under a new attempt: one answer meets all."""
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
    """What could not be locked, or is locked no more, is sourced elsewhere."""
    reservation_id, sku, location = held
    short = o.Reservation(reservation_id=reservation_id, sku=sku, location=location, quantity=quantity)
    return request_sourcing(order, [(sku, quantity)], {*order.excluded, (sku, location)}, short)


def held_at(order: Order, short: o.Reservation | None = None) -> set[str]:
    """Locations at which it has locked units, or asked for them; what came up short is neither."""
    gone = short and (short.reservation_id, short.sku, short.location)
    return {held[2] for held in (*order.requested, *order.allocated) if held != gone}


def sourcing_terms(order: Order, locations: Iterable[str]) -> o.SourcingTerms:
    """`locations`: where it is about to ask for locks, beside those where it has some."""
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
    """Every unit is: the money is due."""
    assert order.content
    dues = money.dues(order)
    plain = len(dues) <= 1 and all(due.method == "card" and not due.capture_now for due in dues)
    allocated = o.OrderAllocated(
        order_id=order.order_id,
        payment_id=dues[0].payment_id if dues else f"{order.order_id}.{order.payments_made or 1}",
        amount_minor=sum(due.amount_minor for due in dues),
        currency=order.content.currency,
        payment_token=dues[0].payment_token if dues else order.content.payment_token,
        payments=() if plain else dues,
    )
    yield allocated
    yield from proceed(evolve(order, allocated))


def proceed(order: Order) -> Iterator[o.OrderEvent]:
    """What a locked order does next: wait for money, for its goods, for a person, or be released."""
    assert order.content
    if order.is_unpaid:
        return
    if order.presale_pending:
        if order.phase != "awaiting_stock":
            yield o.OrderPresold(order_id=order.order_id, available_by=order.content.available_by)
    elif balance := money.dues(order):
        yield o.OrderBalanceDue(
            order_id=order.order_id,
            payments=balance,
            currency=order.content.currency,
            due_seconds=order.content.balance_due_seconds or BALANCE_DUE_SECONDS,
        )
    elif not order.holds:
        yield released(order)
        yield from _credit_left(order, order.content.total_minor)


def unheld(
    order: Order, kind: o.HoldKind, note: str, then: Callable[[Order], Iterable[o.OrderEvent]] = lambda _: ()
) -> Iterator[o.OrderEvent]:
    """A hold comes off. Without the last one the order goes on where it was kept from going on."""
    off = o.OrderHoldReleased(order_id=order.order_id, kind=kind, note=note)
    yield off
    after = evolve(order, off)
    yield from then(after)
    if after.phase == "held":
        yield from proceed(after)
    elif after.phase == "fulfilling" and not after.holds:
        yield from (planned(after, after.plans[key]) for key in after.in_status("held"))


def planned(order: Order, plan: o.ShipmentPlan) -> o.OrderShipmentPlanned:
    """In place of a parcel that was stopped; it is not requested while the order is held."""
    assert order.content
    return o.OrderShipmentPlanned(
        order_id=order.order_id,
        plan=plan,
        payment_id=payment_of(order),
        ship_to=order.content.ship_to,
        delivery_option=order.content.delivery_option,
        pickup=order.content.pickup,
        held=bool(order.holds),
    )


def released(order: Order) -> o.OrderReleased:
    """One shipment per location; each carries its lines' share of the total, and shipping by the value of its goods."""
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
        ship_to=order.content.ship_to,
        delivery_option=order.content.delivery_option,
        pickup=order.content.pickup,
    )


def payment_of(order: Order) -> str:
    """The one that bears what several do not."""
    taking = [key for key, payment in order.live_payments.items() if not payment.due.capture_now]
    return next(iter(taking or order.live_payments), order.payment_id)


def cancelled(order: Order, reason: str) -> o.OrderCancelled:
    assert order.content
    held = sorted([*order.requested.items(), *order.allocated.items()])
    payments = [
        key
        for key, payment in order.live_payments.items()
        if not (keeps_deposit(order) and payment.due.capture_now and payment.status == "secured")
    ]
    return o.OrderCancelled(
        order_id=order.order_id,
        reason=reason,
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


def ended(order: Order, reason: str) -> Iterator[o.OrderEvent]:
    """It is cancelled, and everything goes back."""
    assert order.content
    yield cancelled(order, reason)
    yield from _credit_left(order, 0)


def _credit_left(order: Order, used_minor: int) -> Iterator[o.OrderCreditLeft]:
    """Beside what was left of it before."""
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


def keeps_deposit(order: Order) -> bool:
    """The goods came, and it is the customer who does not pay the rest."""
    assert order.content
    return order.content.deposit_kept and not order.presale_pending and order.phase == "awaiting_payment"


def milestones(order: Order) -> Iterator[o.OrderEvent]:
    """What has become true of the whole order, now that one shipment moved."""
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
"""The reason where the order itself was not cancelled."""


def units_of(content: o.OrderContent) -> int:
    return sum(line.quantity for line in content.lines)
