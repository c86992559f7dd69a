"""Cancelling lines of an order: at once before the release; after it, if the parcel can be stopped."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from typing import Any

from oms_es.aggregates.order import money, refunding
from oms_es.aggregates.order import transitions as steps
from oms_es.aggregates.order.amendments import amended, change, cut_of, some, totals
from oms_es.aggregates.order.evolve import evolve
from oms_es.aggregates.order.state import BEFORE_RELEASE, LineCut, Order
from oms_es.aggregates.repeats import asked_of, done_before
from oms_es.kernel import Refused
from oms_es.schemas import order as o
from oms_es.schemas.order.refusals import OrderRefusal


def cancel_lines(order: Order, command: o.CancelOrderLines) -> Iterator[o.OrderEvent]:
    assert order.content
    known = order.applied.get(command.cancellation_id)
    if done_before(known, command) or order.phase in ("cancelling", "cancelled"):
        return
    units: dict[str, int] = defaultdict(int)
    for line in command.lines:
        units[line.line_id] += line.quantity
    if order.phase in BEFORE_RELEASE:
        require_units(order, units)
        if units == {line.line_id: line.quantity for line in order.content.lines}:
            yield from steps.ended(order, command.reason)
        else:
            yield from _cancel_unreleased(order, command, units)
    elif order.phase == "fulfilling":
        require_units(order, units)
        yield from ask_parcels(order, command, units)
    else:
        raise Refused(
            OrderRefusal.ALREADY_SHIPPED, f"order {command.order_id} is {order.phase}; ask for a return instead"
        )


def require_units(order: Order, units: Mapping[str, int]) -> None:
    assert order.content
    there = {line.line_id: line.quantity for line in order.content.lines}
    for line_id, quantity in units.items():
        if quantity > there.get(line_id, 0):
            raise Refused(
                OrderRefusal.NO_SUCH_UNITS,
                f"line {line_id} has {there.get(line_id, 0)} units and {quantity} are to be cancelled",
            )


def _cancel_unreleased(order: Order, command: o.CancelOrderLines, units: Mapping[str, int]) -> Iterator[o.OrderEvent]:
    assert order.content
    off = shares_off(order.content, units)
    changed = refunding.reduced(order.content, units, off)
    after = amended(order.content, changed)
    yield from change(order, after, o.OrderLinesCancelled, _cancellation(command, units), changed)


def shares_off(content: o.OrderContent, units: Mapping[str, int]) -> list[o.LineShare]:
    """Return the shares of the order's total for these units.

    A bundle counts as one thing: split into its components it would lose a cent to rounding.
    """
    return [
        money.taken(share, units[share.line_id])[0]
        for share in money.shares_of(content, {}).lines
        if share.line_id in units
    ]


def _cancellation(command: o.CancelOrderLines, units: Mapping[str, int]) -> dict[str, Any]:
    return {
        "cancellation_id": command.cancellation_id,
        "cancelled": tuple(o.LineUnits(line_id=line_id, quantity=n) for line_id, n in units.items()),
        "reason": command.reason,
        "asked": asked_of(command),
    }


def ask_parcels(
    order: Order, command: o.CancelOrderLines, units: Mapping[str, int], asked: str | None = None
) -> Iterator[o.OrderEvent]:
    """Ask for as many stoppable parcels as hold the units to be stopped.

    `asked` is the digest of the request, by which a repeat is recognised; by default that of `command`.
    """
    parcels = _parcels_with(order, units)
    requested = o.OrderLinesCancellationRequested(
        order_id=command.order_id,
        cancellation_id=command.cancellation_id,
        lines=tuple(o.LineUnits(line_id=line_id, quantity=n) for line_id, n in units.items()),
        shipment_ids=tuple(key for key in parcels if order.shipments[key] == "open"),
        held_shipment_ids=tuple(key for key in parcels if order.shipments[key] == "held"),
        reason=command.reason,
        asked=asked_of(command) if asked is None else asked,
    )
    yield requested
    yield from stop_held(evolve(order, requested), requested.held_shipment_ids)


def stop_held(order: Order, shipment_ids: Iterable[str]) -> Iterator[o.OrderEvent]:
    """Stop held parcels at once: no warehouse has been asked to make them, so none has to agree."""
    for shipment_id in shipment_ids:
        events = list(stopped(order, shipment_id))
        yield from events
        order = reduce(evolve, events, order)


def _parcels_with(order: Order, units: Mapping[str, int]) -> tuple[str, ...]:
    """Return the parcels that hold the units. Raise Refused if not all of the units can still be stopped."""
    assert order.content
    bundles: Any = order.bundles
    skus = {line.line_id: line.sku for line in order.content.lines}
    asked: dict[str, None] = {}
    for line_id, quantity in units.items():
        for sku, needed in money.exploded({skus[line_id]: quantity}, bundles).items():
            short = needed
            for shipment_id, share in _open_shares(order, line_id, sku):
                if short > 0:
                    asked[shipment_id] = None
                    short -= share.quantity
            if short > 0:
                raise Refused(
                    OrderRefusal.ALREADY_SHIPPED,
                    f"{needed - short} of the {needed} units of line {line_id} can still be stopped; cancel fewer, or "
                    "ask for a return",
                )
    return tuple(asked)


def units_asked_for(order: Order, line_id: str) -> int:
    """Return the units of a line that parcels were asked to be stopped for, and have not answered."""
    return sum(cut.units.get(line_id, 0) for cut in order.cuts.values() if cut.shipments)


def _open_shares(order: Order, line_id: str, sku: str) -> Iterator[tuple[str, o.LineShare]]:
    """Yield the shares in stoppable parcels, less the units that another cancellation waits for."""
    spoken_for = units_asked_for(order, line_id)
    for shipment_id in sorted((*order.stoppable, *order.in_status("held"))):
        if shipment_id in order.plans:
            for share in order.plans[shipment_id].lines:
                if share.line_id == line_id and share.sku == sku:
                    free = share.quantity - min(share.quantity, spoken_for)
                    spoken_for -= share.quantity - free
                    if free:
                        yield shipment_id, share.model_copy(update={"quantity": free})


def stopped(order: Order, shipment_id: str) -> Iterator[o.OrderEvent]:
    """Decide what follows from a stopped parcel: its cancelled units are released, and the rest is planned again.

    If no lines of the parcel were cancelled and no hold stopped it, all of it is released.
    """
    cuts = {key: cut for key, cut in order.cuts.items() if shipment_id in cut.shipments}
    plan = order.plans.get(shipment_id)
    kept = bool(cuts) or shipment_id in order.stopping
    whole = order.phase == "cancelling" or not kept or plan is None
    released = tuple(_whole_cuts(plan)) if whole and plan else ()
    event = o.OrderShipmentCancelled(order_id=order.order_id, shipment_id=shipment_id, released=released)
    yield event
    after = evolve(order, event)
    if not whole and plan:
        for cancellation_id, cut in sorted(cuts.items()):
            for change_event, rest in _cut_plan(after, plan, cancellation_id, cut):
                yield change_event
                after, plan = evolve(after, change_event), rest
        if plan.items:
            name = f"{order.order_id}.{len(order.shipments) + 1}"
            planned = steps.planned(after, plan.model_copy(update={"shipment_id": name}))
            yield planned
            after = evolve(after, planned)
    yield from steps.milestones(after)


def _whole_cuts(plan: o.ShipmentPlan) -> Iterator[o.Cut]:
    for item in plan.items:
        yield cut_of((item.reservation_id, item.sku, item.location), item.quantity, 0)


def _cut_plan(
    order: Order, plan: o.ShipmentPlan, cancellation_id: str, cut: LineCut
) -> Iterator[tuple[o.OrderLinesCancelled, o.ShipmentPlan]]:
    """Yield, for the units that this cancellation still has to find in the plan, the event with their worth, and the
    plan without them.
    """
    assert order.content
    bundles: Any = order.bundles
    skus = {line.line_id: line.sku for line in order.content.lines}
    units: dict[str, int] = {}
    for line_id, wanted in sorted(cut.units.items()):
        each = money.exploded({skus[line_id]: 1}, bundles) if line_id in skus else {}
        there = {sku: sum(s.quantity for s in plan.lines if (s.line_id, s.sku) == (line_id, sku)) for sku in each}
        units[line_id] = min(wanted, *(there[sku] // n for sku, n in each.items())) if each else 0
    units = some(units)
    if not units:
        return
    need = {
        (line_id, sku): n * q
        for line_id, q in units.items()
        for sku, n in money.exploded({skus[line_id]: 1}, bundles).items()
    }
    off, kept = _split_shares(plan.lines, need)
    items, cuts = _split_items(plan.items, off)
    worth = sum(share.amount_minor for share in off)
    changed = refunding.reduced(order.content, units, off)
    borne = money.lowered(money.charges_of(order, plan), worth)
    rest = plan.model_copy(
        update={
            "items": items,
            "lines": kept,
            "amount_minor": money.to_capture(order, borne),
            "charges": borne if plan.charges else (),
        }
    )
    after = order.content.model_copy(update=changed)
    yield (
        o.OrderLinesCancelled(
            order_id=order.order_id,
            cancellation_id=cancellation_id,
            cancelled=tuple(o.LineUnits(line_id=line_id, quantity=n) for line_id, n in units.items()),
            reason=cut.reason,
            **changed,
            released=cuts,
            **totals(order.content, after),
        ),
        rest,
    )


def _split_shares(
    lines: Iterable[o.LineShare], need: Mapping[tuple[str, str], int]
) -> tuple[list[o.LineShare], tuple[o.LineShare, ...]]:
    open_units = dict(need)
    off: list[o.LineShare] = []
    kept: list[o.LineShare] = []
    for share in lines:
        n = min(open_units.get((share.line_id, share.sku), 0), share.quantity)
        if n:
            open_units[share.line_id, share.sku] -= n
            part, share = money.taken(share, n)  # noqa: PLW2901 - what is left of it
            off.append(part)
        if share.quantity:
            kept.append(share)
    return off, tuple(kept)


def _split_items(
    items: Iterable[o.Reservation], off: Iterable[o.LineShare]
) -> tuple[tuple[o.Reservation, ...], tuple[o.Cut, ...]]:
    less: dict[str, int] = defaultdict(int)
    for share in off:
        less[share.sku] += share.quantity
    left: list[o.Reservation] = []
    cuts: list[o.Cut] = []
    for item in items:
        n = min(less[item.sku], item.quantity)
        less[item.sku] -= n
        if n:
            cuts.append(cut_of((item.reservation_id, item.sku, item.location), n, item.quantity - n))
        if item.quantity > n:
            left.append(item.model_copy(update={"quantity": item.quantity - n}))
    return tuple(left), tuple(cuts)
