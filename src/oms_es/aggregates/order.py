"""An order's lifecycle, and the memory of its own process: `phase` names the next step as data.

Invariant: allocated <= ordered per SKU; the shares of its shipments sum to its total; it is released once, and
cancelled or completed once, never both. What is with a carrier can no longer be cancelled.

    new -> sourcing -> allocating -> awaiting_payment -> fulfilling -> shipped -> completed
              ^            |                                  |
              |       backordered                        cancelling -> cancelled
              +------------+            (cancelled from every phase before fulfilling)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from fractions import Fraction
from typing import Any, Literal, NamedTuple, TypeVar

from rpds import HashTrieMap, HashTrieSet

from oms_es.kernel import Decider, Refused
from oms_es.schemas import order as o
from oms_es.schemas.money import apportion

ShipmentStatus = Literal["open", "dispatched", "delivered", "cancelled"]
Held = tuple[str, str, str]  # reservation id, SKU, location
K = TypeVar("K", bound=Hashable)


class Order(NamedTuple):
    phase: o.Phase = "new"
    placed: o.OrderPlaced | None = None
    conflicts: HashTrieSet[str] = HashTrieSet()
    attempt: int = 1  # of sourcing; the next answer must be to this one
    wanted: HashTrieMap[str, int] = HashTrieMap()  # by SKU, to be sourced in this attempt
    excluded: HashTrieSet[tuple[str, str]] = HashTrieSet()  # (SKU, location) that came up short in this round
    backordered: HashTrieMap[str, int] = HashTrieMap()  # by SKU
    awaited: HashTrieMap[Held, int] = HashTrieMap()  # asked of a stock stream, not answered yet
    allocated: HashTrieMap[Held, int] = HashTrieMap()
    plans: tuple[o.ShipmentPlan, ...] = ()
    shipments: HashTrieMap[str, ShipmentStatus] = HashTrieMap()
    kept: HashTrieSet[str] = HashTrieSet()  # shipments that would not be stopped
    cancel_reason: str = ""

    @property
    def payment_id(self) -> str:
        assert self.placed
        return f"{self.placed.order_id}.1"


def evolve(order: Order, event: o.OrderEvent) -> Order:
    """Never refuse a fact: an old stream must load under new rules."""
    match event:
        case o.OrderPlaced():
            return order._replace(phase="sourcing", placed=event, wanted=HashTrieMap(event.demand))
        case o.DuplicateConflictFound(fingerprint=fingerprint):
            return order._replace(conflicts=order.conflicts.insert(fingerprint))
        case o.OrderSourced():
            return _sourced(order, event)
        case o.OrderBackordered(attempt=attempt, demand=demand):
            return order._replace(
                phase="allocating" if order.awaited else "backordered",
                attempt=attempt + 1,
                wanted=HashTrieMap(),
                backordered=_sum(order.backordered, demand.items()),
            )
        case o.OrderSourcingRequested():
            return _sourcing_requested(order, event)
        case o.OrderLineAllocated():
            held = (event.reservation_id, event.sku, event.location)
            return _waiting(
                order._replace(
                    awaited=order.awaited.discard(held), allocated=order.allocated.insert(held, event.quantity)
                )
            )
        case o.OrderAllocated():
            return order._replace(phase="awaiting_payment")
        case o.OrderReleased(shipments=plans):
            opened: HashTrieMap[str, ShipmentStatus] = HashTrieMap((plan.shipment_id, "open") for plan in plans)
            return order._replace(phase="fulfilling", plans=plans, shipments=opened)
        case o.OrderShipmentDispatched(shipment_id=shipment):
            return order._replace(shipments=order.shipments.insert(shipment, "dispatched"))
        case o.OrderShipmentDelivered(shipment_id=shipment):
            return order._replace(shipments=order.shipments.insert(shipment, "delivered"))
        case o.OrderShipmentCancelled(shipment_id=shipment):
            return order._replace(shipments=order.shipments.insert(shipment, "cancelled"))
        case o.OrderCancellationRequested(reason=reason):
            return order._replace(phase="cancelling", cancel_reason=reason)
        case o.OrderCancellationRefused(shipment_ids=shipments):
            phase: o.Phase = "fulfilling" if order.phase == "cancelling" else order.phase
            return order._replace(phase=phase, kept=order.kept.update(shipments))
        case o.OrderShipped():
            return order._replace(phase="shipped")
        case o.OrderCompleted():
            return order._replace(phase="completed")
        case o.OrderCancelled():
            return order._replace(phase="cancelled")
    return order


def _sourced(order: Order, event: o.OrderSourced) -> Order:
    asked = (((event.reservation_id, a.sku, a.location), a.quantity) for a in event.assignments)
    return order._replace(
        phase="allocating", attempt=event.attempt + 1, wanted=HashTrieMap(), awaited=_sum(order.awaited, asked)
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
    return asked_anew._replace(awaited=order.awaited.discard(held))


def _waiting(order: Order) -> Order:
    """Nothing asked and something lacking: the order waits for stock."""
    if order.phase == "allocating" and order.backordered and not order.awaited:
        return order._replace(phase="backordered")
    return order


def _sum(counts: HashTrieMap[K, int], more: Iterable[tuple[K, int]]) -> HashTrieMap[K, int]:
    for key, quantity in more:
        counts = counts.insert(key, counts.get(key, 0) + quantity)
    return counts


def decide(order: Order, command: Any) -> Iterator[o.OrderEvent]:
    """Yield nothing if the command is already satisfied, so that retries are free."""
    if isinstance(command, o.PlaceOrder):
        yield from _place(order, command)
        return
    if order.placed is None:
        raise Refused("unknown_order", f"there is no order {command.order_id}; place it first")
    yield from DECISIONS[type(command)](order, command)


def _place(order: Order, command: o.PlaceOrder) -> Iterator[o.OrderEvent]:
    fingerprint = command.fingerprint
    content = {name: getattr(command, name) for name in o.OrderContent.model_fields}
    if order.placed is None:
        yield o.OrderPlaced.model_construct(order_id=command.order_id, fingerprint=fingerprint, **content)
    elif fingerprint != order.placed.fingerprint and fingerprint not in order.conflicts:
        yield o.DuplicateConflictFound(
            order_id=command.order_id, fingerprint=fingerprint, content=o.OrderContent(**content)
        )


def _source(order: Order, command: o.SourceOrder) -> Iterator[o.OrderEvent]:
    if order.phase != "sourcing" or command.attempt != order.attempt:
        return  # answered already, or the order moved on
    answered: dict[str, int] = defaultdict(int, command.backordered)
    for assignment in command.assignments:
        answered[assignment.sku] += assignment.quantity
    if answered != dict(order.wanted.items()):
        raise Refused(
            "demand_not_met",
            f"attempt {command.attempt} asked for {dict(order.wanted.items())} and was answered {dict(answered)}: "
            "every unit must be assigned or backordered",
        )
    assert order.placed
    yield o.OrderSourced(
        order_id=command.order_id,
        attempt=command.attempt,
        assignments=command.assignments,
        candidates=command.candidates,
        rule_version=command.rule_version,
        channel=order.placed.channel,
        kind=order.placed.kind,
        ruled_out=command.ruled_out,
    )
    if command.backordered:
        yield o.OrderBackordered(
            order_id=command.order_id,
            attempt=command.attempt,
            demand=command.backordered,
            placed_at=order.placed.placed_at,
            terms=_sourcing_terms(order, command),
        )


def _sourcing_terms(order: Order, command: o.SourceOrder) -> o.SourcingTerms:
    assert order.placed
    placed, held = order.placed, {*_held_at(order), *(assigned.location for assigned in command.assignments)}
    return o.SourcingTerms(
        channel=placed.channel,
        kind=placed.kind,
        delivery_option=placed.delivery_option,
        allow_split=placed.allow_split,
        destination=o.Destination(**placed.ship_to.model_dump(include=set(o.Destination.model_fields))),
        held=tuple(sorted(held)),
    )


def _held_at(order: Order, short: o.Reservation | None = None) -> set[str]:
    """Locations at which it has locked units, or asked for them; what came up short is neither."""
    gone = short and (short.reservation_id, short.sku, short.location)
    return {held[2] for held in (*order.awaited, *order.allocated) if held != gone}


def _retry(order: Order, _: o.RetrySourcing) -> Iterator[o.OrderEvent]:
    """Also while other units are being sourced or locked: the stock that came would wake nobody later."""
    if order.backordered and order.phase not in o.FINAL_PHASES:
        yield _request_sourcing(order, order.backordered.items(), (), None)


def _request_sourcing(
    order: Order,
    lacking: Iterable[tuple[str, int]],
    excluded: Iterable[tuple[str, str]],
    short: o.Reservation | None,
) -> o.OrderSourcingRequested:
    """What is still unanswered is asked again together with `lacking`, under a new attempt: one answer meets all."""
    assert order.placed
    locations: dict[str, tuple[str, ...]] = defaultdict(tuple)
    for sku, location in sorted(excluded):
        locations[sku] += (location,)
    return o.OrderSourcingRequested(
        order_id=order.placed.order_id,
        attempt=order.attempt + 1 if order.phase == "sourcing" else order.attempt,
        demand=dict(_sum(order.wanted, lacking).items()),
        excluded=dict(locations),
        ship_to=order.placed.ship_to,
        short=short,
        held=tuple(sorted(_held_at(order, short))),
        **_terms(order.placed),
    )


def _terms(placed: o.OrderPlaced) -> Any:
    """What sourcing weighs beside the demand."""
    return {name: getattr(placed, name) for name in ("channel", "kind", "priority", "delivery_option", "allow_split")}


def _record_reservation(order: Order, command: o.RecordReservation) -> Iterator[o.OrderEvent]:
    held = (command.reservation_id, command.sku, command.location)
    if held not in order.awaited or order.phase in o.FINAL_PHASES:
        return
    allocated = o.OrderLineAllocated(**command.model_dump())
    yield allocated
    after = evolve(order, allocated)
    if after.awaited or after.backordered or after.wanted:
        return
    assert order.placed
    due = o.OrderAllocated(
        order_id=command.order_id,
        payment_id=order.payment_id,
        amount_minor=order.placed.total_minor,
        currency=order.placed.currency,
        payment_token=order.placed.payment_token,
    )
    yield due
    if due.amount_minor == 0:
        yield _release(evolve(after, due))


def _record_shortage(order: Order, command: o.RecordShortage) -> Iterator[o.OrderEvent]:
    """Ask again for the short units, leaving out every location that failed in this round."""
    held = (command.reservation_id, command.sku, command.location)
    if held not in order.awaited or order.phase in o.FINAL_PHASES:
        return
    short = o.Reservation(
        reservation_id=command.reservation_id,
        sku=command.sku,
        location=command.location,
        quantity=order.awaited[held],
    )
    excluded = {*order.excluded, (short.sku, short.location)}
    yield _request_sourcing(order, [(short.sku, short.quantity)], excluded, short)


def _record_authorized(order: Order, _: o.RecordPaymentAuthorized) -> Iterator[o.OrderEvent]:
    if order.phase == "awaiting_payment":
        yield _release(order)


def _release(order: Order) -> o.OrderReleased:
    """One shipment per location; each carries its share of the total, by the value of its units."""
    assert order.placed
    by_location: dict[str, list[o.Reservation]] = defaultdict(list)
    for (reservation_id, sku, location), quantity in sorted(order.allocated.items()):
        by_location[location].append(
            o.Reservation(reservation_id=reservation_id, sku=sku, location=location, quantity=quantity)
        )
    value = _value_per_unit(order.placed)
    weights = [sum((value[item.sku] * item.quantity for item in items), Fraction(0)) for items in by_location.values()]
    shares = apportion(order.placed.total_minor, weights)
    plans = tuple(
        o.ShipmentPlan(
            shipment_id=f"{order.placed.order_id}.{number}", location=location, items=tuple(items), amount_minor=share
        )
        for number, ((location, items), share) in enumerate(zip(by_location.items(), shares, strict=True), start=1)
    )
    return o.OrderReleased(
        order_id=order.placed.order_id,
        payment_id=order.payment_id,
        currency=order.placed.currency,
        shipments=plans,
        ship_to=order.placed.ship_to,
        delivery_option=order.placed.delivery_option,
    )


def _value_per_unit(placed: o.OrderPlaced) -> dict[str, Fraction]:
    """A SKU may stand on several lines at several prices: its unit is worth their average, exactly."""
    value: dict[str, int] = defaultdict(int)
    for line in placed.lines:
        value[line.sku] += line.quantity * line.unit_price_minor
    return {sku: Fraction(value[sku], quantity) for sku, quantity in placed.demand.items()}


def _record_failed(order: Order, command: o.RecordPaymentFailed) -> Iterator[o.OrderEvent]:
    if order.phase == "awaiting_payment":
        yield _cancelled(order, f"payment: {command.reason}")


def _lapse(order: Order, _: o.LapseOrder) -> Iterator[o.OrderEvent]:
    if order.phase == "awaiting_payment":
        yield _cancelled(order, "payment overdue")


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
        yield _cancelled(order, command.reason)


def _cancelled(order: Order, reason: str) -> o.OrderCancelled:
    assert order.placed
    held = sorted([*order.awaited.items(), *order.allocated.items()])
    return o.OrderCancelled(
        order_id=order.placed.order_id,
        reason=reason,
        reservations=tuple(
            o.Reservation(reservation_id=reservation_id, sku=sku, location=location, quantity=quantity)
            for (reservation_id, sku, location), quantity in held
        ),
        payment_id=order.payment_id if order.phase not in ("sourcing", "allocating", "backordered") else None,
        backordered=dict(order.backordered.items()),
        channel=order.placed.channel,
        placed_at=order.placed.placed_at,
        currency=order.placed.currency,
        total_minor=order.placed.total_minor,
        units=sum(line.quantity for line in order.placed.lines),
    )


SHIPMENT_STOPPED = "a shipment was to be stopped"
"""The reason where nobody cancelled the order itself."""

SHIPMENT_STEPS: dict[type[o.OrderCommand], tuple[type[Any], frozenset[ShipmentStatus]]] = {
    o.RecordShipmentDispatched: (o.OrderShipmentDispatched, frozenset({"open"})),
    o.RecordShipmentDelivered: (o.OrderShipmentDelivered, frozenset({"open", "dispatched"})),
    o.RecordShipmentCancelled: (o.OrderShipmentCancelled, frozenset({"open"})),
}
"""What each report becomes, and the status in which it is news."""


def _record_shipment(order: Order, command: Any) -> Iterator[o.OrderEvent]:
    fact, news_in = SHIPMENT_STEPS[type(command)]
    if order.shipments.get(command.shipment_id) in news_in:
        event = fact(order_id=command.order_id, shipment_id=command.shipment_id)
        yield event
        yield from _milestones(evolve(order, event))


def _record_kept(order: Order, command: o.RecordShipmentKept) -> Iterator[o.OrderEvent]:
    """Whenever it is told: also of an order that has left meanwhile, and of a shipment stopped for itself."""
    if command.shipment_id in order.shipments and command.shipment_id not in order.kept:
        yield o.OrderCancellationRefused(
            order_id=command.order_id,
            reason=order.cancel_reason or SHIPMENT_STOPPED,
            shipment_ids=(command.shipment_id,),
        )


def _milestones(order: Order) -> Iterator[o.OrderEvent]:
    """What has become true of the whole order, now that one shipment moved."""
    assert order.placed
    order_id = order.placed.order_id
    statuses = set(order.shipments.values())
    if statuses == {"cancelled"}:
        yield _cancelled(order, order.cancel_reason or SHIPMENT_STOPPED)
        return
    if "open" in statuses:
        return
    if order.phase in ("fulfilling", "cancelling"):
        yield o.OrderShipped(order_id=order_id)
    if "dispatched" not in statuses:
        yield o.OrderCompleted(order_id=order_id, payment_id=order.payment_id, charges=tuple(_charges(order)))


def _charges(order: Order) -> Iterator[o.ParcelCharge]:
    """What those that left take, of each payment that bears it."""
    for plan in order.plans:
        if order.shipments[plan.shipment_id] != "cancelled":
            for charge in o.borne(plan.charges, order.payment_id, plan.amount_minor):
                yield o.ParcelCharge(shipment_id=plan.shipment_id, **charge.model_dump())


DECISIONS: dict[type[o.OrderCommand], Any] = {
    o.SourceOrder: _source,
    o.RetrySourcing: _retry,
    o.RecordReservation: _record_reservation,
    o.RecordShortage: _record_shortage,
    o.RecordPaymentAuthorized: _record_authorized,
    o.RecordPaymentFailed: _record_failed,
    o.RecordShipmentDispatched: _record_shipment,
    o.RecordShipmentDelivered: _record_shipment,
    o.RecordShipmentCancelled: _record_shipment,
    o.RecordShipmentKept: _record_kept,
    o.CancelOrder: _cancel,
    o.LapseOrder: _lapse,
}

decider = Decider(
    "order",
    Order(),
    evolve,
    decide,
    accepts=(o.PlaceOrder, *DECISIONS),
    emits=(
        o.OrderPlaced,
        o.DuplicateConflictFound,
        o.OrderSourced,
        o.OrderBackordered,
        o.OrderSourcingRequested,
        o.OrderLineAllocated,
        o.OrderAllocated,
        o.OrderReleased,
        o.OrderShipmentDispatched,
        o.OrderShipmentDelivered,
        o.OrderShipmentCancelled,
        o.OrderShipped,
        o.OrderCompleted,
        o.OrderCancellationRequested,
        o.OrderCancellationRefused,
        o.OrderCancelled,
    ),
)
