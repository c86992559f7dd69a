"""Where an order's units come from: sourcing answers, assignments by a person, and locations that fail.

Invariant: an answer is for exactly what was asked; a bundle is exploded once, and is its components from then on;
whatever is released is asked for again or waits.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from oms_es.aggregates.order import amendments as changes
from oms_es.aggregates.order import money
from oms_es.aggregates.order import transitions as steps
from oms_es.aggregates.order.evolve import evolve
from oms_es.aggregates.order.state import BEFORE_RELEASE, Held, Order, by_sku
from oms_es.kernel import Refused
from oms_es.schemas import order as o
from oms_es.schemas.order.refusals import OrderRefusal

MANUAL = "manual"
"""The rules' version that is recorded where a person decided."""


def source(order: Order, command: o.SourceOrder) -> Iterator[o.OrderEvent]:
    if order.phase != "sourcing" or command.attempt != order.attempt:
        return  # answered already, or the order moved on
    answered: dict[str, int] = defaultdict(int, command.backordered)
    for assignment in command.assignments:
        answered[assignment.sku] += assignment.quantity
    asked = by_sku(order.to_source)
    if answered != asked:
        raise Refused(
            OrderRefusal.DEMAND_NOT_MET,
            f"attempt {command.attempt} asked for {asked} and was answered {dict(answered)}: "
            "every unit must be assigned or backordered",
        )
    yield from _answered(order, command)


def _answered(order: Order, command: o.SourceOrder, reason: str = "") -> Iterator[o.OrderEvent]:
    assert order.content
    yield o.OrderSourced(
        order_id=command.order_id,
        attempt=command.attempt,
        assignments=command.assignments,
        candidates=command.candidates,
        rule_version=command.rule_version,
        channel=order.content.channel,
        kind=order.content.kind,
        ruled_out=command.ruled_out,
        reason=reason,
    )
    if command.backordered:
        yield o.OrderBackordered(
            order_id=command.order_id,
            attempt=command.attempt,
            demand=command.backordered,
            placed_at=order.content.placed_at,
            priority=order.content.priority,
            terms=steps.sourcing_terms(order, (assigned.location for assigned in command.assignments)),
            promised_at=command.promised_at,
        )


def retry(order: Order, _: o.RetrySourcing) -> Iterator[o.OrderEvent]:
    """Source the backordered units again, even while others are being sourced or reserved: stock that came now would
    not wake the order later."""
    if order.backordered and order.phase not in o.FINAL_PHASES:
        yield steps.request_sourcing(order, order.backordered.items(), (), None)


def explode(order: Order, command: o.ExplodeBundles) -> Iterator[o.OrderEvent]:
    """Ask for the units of all components, over all lines and bundles, at once.

    A SKU that became a bundle after the order reserved it, or asked for it, stays a plain unit.
    """
    if order.phase != "sourcing" or command.attempt != order.attempt:
        return
    held = {sku for _, sku, _ in (*order.requested, *order.allocated)}
    bundles = {
        sku: {sku: 1} if sku in held else dict(made_of)
        for sku, made_of in command.bundles.items()
        if sku in order.to_source and sku not in order.bundles and made_of
    }
    if bundles:
        exploded = o.OrderBundlesExploded(order_id=command.order_id, attempt=command.attempt, bundles=bundles)
        yield exploded
        apart = evolve(order, exploded)
        yield steps.request_sourcing(apart, apart.backordered.items(), (), None)


def assign(order: Order, command: o.AssignOrder) -> Iterator[o.OrderEvent]:
    """Assign the units as a person says: reservations that fit stay, others are released, and units that are not
    assigned wait."""
    assert order.content
    wished: dict[tuple[str, str], int] = defaultdict(int)
    for assignment in command.assignments:
        wished[assignment.sku, assignment.location] += assignment.quantity
    if wished == _held_units(order):
        return
    changes.require_before_release(order, "assigned")
    if any(_in_flight(held) for held in order.requested):
        raise Refused(
            OrderRefusal.BEING_SOURCED, f"reservations of order {order.order_id} are still going over to it; try again"
        )
    _require_ordered(order, wished)
    cuts, missing = _fitted(order, wished)
    attempt = order.attempt + 1 if order.phase == "sourcing" else order.attempt
    assigned = o.OrderAssigned(order_id=command.order_id, attempt=attempt, released=cuts, reason=command.reason)
    yield assigned
    left = evolve(order, assigned)
    request = steps.request_sourcing(left, [*order.backordered.items(), *_units(cuts)], (), None)
    yield request
    lacking = dict(request.demand)
    for (sku, _), quantity in missing.items():
        lacking[sku] -= quantity
    answer = o.SourceOrder(
        order_id=command.order_id,
        attempt=request.attempt,
        assignments=tuple(o.Assignment(sku=sku, location=at, quantity=n) for (sku, at), n in missing.items()),
        backordered={sku: n for sku, n in lacking.items() if n},
        rule_version=MANUAL,
    )
    yield from _answered(left, answer, command.reason)


def _held_units(order: Order) -> dict[tuple[str, str], int]:
    units: dict[tuple[str, str], int] = defaultdict(int)
    for (_, sku, location), quantity in (*order.requested.items(), *order.allocated.items()):
        units[sku, location] += quantity
    return units


def _require_ordered(order: Order, wished: dict[tuple[str, str], int]) -> None:
    assert order.content
    bundles = dict(order.bundles.items())
    ordered = money.exploded(order.content.demand, bundles)
    units: dict[str, int] = defaultdict(int)
    for (sku, _), quantity in wished.items():
        units[sku] += quantity
    for sku, quantity in units.items():
        if quantity > ordered.get(sku, 0):
            raise Refused(
                OrderRefusal.TOO_MANY_UNITS,
                f"order {order.order_id} needs {ordered.get(sku, 0)} of {sku} and {quantity} are assigned; "
                f"it needs {ordered}",
            )


def _fitted(order: Order, wished: dict[tuple[str, str], int]) -> tuple[tuple[o.Cut, ...], dict[tuple[str, str], int]]:
    """Return the reservations to release and the units still to ask for, by SKU and location, so that the reservations
    match the wish."""
    open_wish = dict(wished)
    cuts: list[o.Cut] = []
    for held, quantity in sorted([*order.allocated.items(), *order.requested.items()]):
        _, sku, location = held
        kept = min(quantity, open_wish.get((sku, location), 0))
        if kept:
            open_wish[sku, location] -= kept
        if kept < quantity:
            cuts.append(changes.cut_of(held, quantity - kept, kept))
    return tuple(cuts), {where: n for where, n in open_wish.items() if n}


def _units(cuts: Iterable[o.Cut]) -> list[tuple[str, int]]:
    return [(cut.sku, cut.quantity) for cut in cuts]


def _in_flight(held: Held) -> bool:
    """Return whether a requested reservation comes from another order, so that it cannot be released before it has
    arrived."""
    return not held[0].rpartition("/")[2].isdecimal()


def record_location_failed(order: Order, command: o.RecordLocationFailed) -> Iterator[o.OrderEvent]:
    """Source elsewhere what is reserved or requested at the failed location.

    After the release the warehouse sees to its own.
    """
    asked = [(held, quantity) for held, quantity in order.requested.items() if not _in_flight(held)]
    there: list[tuple[Held, int]] = [
        (held, quantity) for held, quantity in sorted([*asked, *order.allocated.items()]) if held[2] == command.location
    ]
    if not there or order.phase not in BEFORE_RELEASE:
        return
    failed = o.OrderLocationFailed(
        order_id=command.order_id,
        location=command.location,
        released=tuple(changes.cut_of(held, quantity, 0) for held, quantity in there),
        reason=command.reason,
    )
    yield failed
    lacking = [*order.backordered.items(), *_units(failed.released)]
    excluded = {*order.excluded, *((held[1], command.location) for held, _ in there)}
    yield steps.request_sourcing(evolve(order, failed), lacking, excluded, None)
