"""Changes of an order: amendments, and lines that are cancelled, with the undo that their stage needs.

Invariant: only the difference moves. Units that stay keep their locks; money is asked for anew only where the amount
is another; after the release, what is already shared out is not shared out again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError
from rpds import HashTrieMap

from oms_es.aggregates.order import money
from oms_es.aggregates.order import transitions as steps
from oms_es.aggregates.order.state import BEFORE_RELEASE, Held, LineCut, Order, evolve
from oms_es.aggregates.repeats import asked_of, told_before
from oms_es.kernel import Refused
from oms_es.schemas import order as o
from oms_es.schemas.problems import problems


class Undo(NamedTuple):
    """From where units are taken that are no longer wanted: first from what nobody has done anything for."""

    no_longer_sought: dict[str, int]
    no_longer_backordered: dict[str, int]
    released: tuple[o.Cut, ...]


def amend(order: Order, command: o.AmendOrder, asked: str = "") -> Iterator[o.OrderEvent]:
    """`asked`: what the channel said, where `command` is only the part of it that is left to do."""
    assert order.content
    known = order.applied.get(command.amendment_id)
    if told_before(known, command) or (command.keep and order.phase == "cancelled"):
        return
    revision = command.revision
    told = {
        name: value
        for name, value in command.changes.items()
        if revision is None or (revision > order.revisions.get(name, 0) and revision >= order.refund_revision)
    }
    tied = {} if revision is None else _tied(order, command, revision)
    told |= tied
    same = all(getattr(order.content, name) == value for name, value in told.items())
    if same and (revision is None or not told or order.phase not in BEFORE_RELEASE):
        return  # a channel tells of whatever happens to an order, also when it ships
    require_before_release(order, "amended")
    after = amended(order.content, told)
    own = {"amendment_id": command.amendment_id, "revision": revision, "asked": asked or asked_of(command)}
    yield from change(order, after, o.OrderAmended, own, told)
    if tied:
        yield o.OrderReportDisputed(
            order_id=order.order_id,
            report=command.amendment_id,
            detail=_two_things(order.content, after, revision, sorted(tied)),
        )


DETAIL_CHARACTERS_MAX = 400


def _two_things(before: o.OrderContent, after: o.OrderContent, revision: int | None, names: Iterable[str]) -> str:
    """What differs, and how a side is taken."""
    said = "; ".join(f"{name} {_short(getattr(before, name))} and {_short(getattr(after, name))}" for name in names)
    way = "the latter holds here, also if the former is told again: where it is wrong, amend the order by hand"
    told = f"of revision {revision} the channel has said two things: {said}"
    return f"{told[: DETAIL_CHARACTERS_MAX - len(way) - 2]}; {way}"


def _short(value: Any) -> str:
    """An address is not repeated where everybody reads."""
    if isinstance(value, tuple):
        return ", ".join(f"{line.quantity} x {line.sku} at {line.unit_price_minor}" for line in value)
    return f"in {value.country}" if isinstance(value, o.Address) else str(value)


def _tied(order: Order, command: o.AmendOrder, revision: int) -> dict[str, Any]:
    """What was said otherwise under the same revision: it does not say which came later."""
    return {
        name: value
        for name, value in command.changes.items()
        if revision == order.revisions.get(name, 0) and getattr(order.content, name) != value
    }


def require_before_release(order: Order, what: str) -> None:
    if order.phase not in BEFORE_RELEASE:
        raise Refused(
            "already_released",
            f"order {order.order_id} is {order.phase} and can no longer be {what}; cancel lines of it or ask for a "
            "return",
        )


def amended(content: o.OrderContent, told: Mapping[str, Any]) -> o.OrderContent:
    """As it would have been accepted. Tenders are fitted to what is due when it is asked for."""
    fields = {name: getattr(content, name) for name in o.OrderContent.model_fields}
    try:
        return o.OrderContent(**{**fields, "tenders": (), "further_tenders": (), **told})
    except ValidationError as error:
        raise Refused("invalid_amendment", f"{problems(error)}; correct it") from error


def change(
    order: Order,
    after: o.OrderContent,
    shape: type[o.OrderAmended | o.OrderLinesCancelled | o.OrderSplit | o.OrderFulfilledElsewhere],
    own: Mapping[str, Any],
    told: Mapping[str, Any],
) -> Iterator[o.OrderEvent]:
    """The order's content becomes `after`; units and money follow."""
    assert order.content
    bundles: Any = order.bundles
    before_units, after_units = (money.exploded(content.demand, bundles) for content in (order.content, after))
    skus = dict.fromkeys((*before_units, *after_units))
    more = {sku: n for sku in skus if (n := after_units.get(sku, 0) - before_units.get(sku, 0)) > 0}
    less = {sku: n for sku in skus if (n := before_units.get(sku, 0) - after_units.get(sku, 0)) > 0}
    undo = _undo(order, less)
    void = _void_payments(order, after)
    changed: Any = shape(
        order_id=order.order_id,
        **own,
        **told,
        **undo._asdict(),
        payments_cancelled=void,
        **totals(order.content, after),
    )
    yield changed
    left = evolve(order, changed)
    elsewhere = bool(left.backordered) and not told.keys().isdisjoint(("ship_to", "delivery_option"))
    if more or elsewhere or (undo.no_longer_sought and left.wanted):
        yield steps.request_sourcing(left, _all(left.backordered, more), (), None)
    elif left.is_locked and (order.phase in LACKING or void or money.dues(left) or _came_by_leaving_out(order, left)):
        yield from steps.all_locked(left)


def _came_by_leaving_out(order: Order, left: Order) -> bool:
    """Nothing is to come any more."""
    return order.phase == "awaiting_stock" and not left.uncovered


def totals(before: o.OrderContent, after: o.OrderContent) -> Any:
    units = steps.units_of(after)
    return {
        "total_minor": after.total_minor,
        "units": units,
        "channel": before.channel,
        "placed_at": before.placed_at,
        "currency": before.currency,
        "more_minor": after.total_minor - before.total_minor,
        "more_units": units - steps.units_of(before),
    }


LACKING: frozenset[o.Phase] = frozenset({"sourcing", "allocating", "backordered"})


def _all(backordered: HashTrieMap[str, int], more: Mapping[str, int]) -> Iterable[tuple[str, int]]:
    return [*backordered.items(), *more.items()]


def _void_payments(order: Order, after: o.OrderContent) -> tuple[str, ...]:
    """Of another amount than is due now. A deposit stays as long as it is not more than what is to be paid."""
    assert order.content
    if money.payable(after) == money.payable(order.content):
        return ()
    live = order.live_payments
    deposits = sum(payment.due.amount_minor for payment in live.values() if payment.due.capture_now)
    if deposits > money.payable(after):
        raise Refused(
            "below_deposit",
            f"order {order.order_id} has a deposit of {deposits} and would cost {money.payable(after)}; cancel it",
        )
    return tuple(key for key, payment in live.items() if not payment.due.capture_now)


def _undo(order: Order, less: Mapping[str, int]) -> Undo:
    sought: dict[str, int] = {}
    backordered: dict[str, int] = {}
    cuts: list[o.Cut] = []
    for sku, quantity in less.items():
        sought[sku] = min(quantity, order.wanted.get(sku, 0))
        backordered[sku] = min(quantity - sought[sku], order.backordered.get(sku, 0))
        cuts += _cuts(order, sku, quantity - sought[sku] - backordered[sku])
    return Undo(_some(sought), _some(backordered), tuple(cuts))


def _some(counts: Mapping[str, int]) -> dict[str, int]:
    return {sku: n for sku, n in counts.items() if n}


def _cuts(order: Order, sku: str, quantity: int) -> Iterator[o.Cut]:
    """The newest locks go first, and of those the ones that stock has not confirmed."""
    for held in (order.awaited, order.allocated):
        for key, locked in sorted(held.items(), key=lambda item: _newest_first(item[0])):
            if quantity and key[1] == sku:
                n = min(quantity, locked)
                quantity -= n
                yield cut_of(key, n, locked - n)


def cut_of(held: Held, quantity: int, remaining: int) -> o.Cut:
    reservation_id, sku, location = held
    return o.Cut(reservation_id=reservation_id, sku=sku, location=location, quantity=quantity, remaining=remaining)


def _newest_first(held: Held) -> tuple[int, Held]:
    attempt = held[0].rpartition("/")[2]
    return -int(attempt) if attempt.isdecimal() else 0, held


def cancel_lines(order: Order, command: o.CancelOrderLines) -> Iterator[o.OrderEvent]:
    assert order.content
    known = order.applied.get(command.cancellation_id)
    if told_before(known, command) or order.phase in ("cancelling", "cancelled"):
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
        yield ask_parcels(order, command, units)
    else:
        raise Refused("already_shipped", f"order {command.order_id} is {order.phase}; ask for a return instead")


def require_units(order: Order, units: Mapping[str, int]) -> None:
    assert order.content
    there = {line.line_id: line.quantity for line in order.content.lines}
    for line_id, quantity in units.items():
        if quantity > there.get(line_id, 0):
            raise Refused(
                "no_such_units", f"line {line_id} has {there.get(line_id, 0)} units and {quantity} are to be cancelled"
            )


def _cancel_unreleased(order: Order, command: o.CancelOrderLines, units: Mapping[str, int]) -> Iterator[o.OrderEvent]:
    assert order.content
    off = shares_off(order.content, units)
    told = money.reduced(order.content, units, off)
    after = amended(order.content, told)
    yield from change(order, after, o.OrderLinesCancelled, _cancellation(command, units), told)


def shares_off(content: o.OrderContent, units: Mapping[str, int]) -> list[o.LineShare]:
    """What so many units of lines are worth. A bundle is one thing here: in parts it would lose a cent to rounding."""
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
    order: Order, command: o.CancelOrderLines, units: Mapping[str, int]
) -> o.OrderLinesCancellationRequested:
    """Of the parcels that may still be stopped, as many as have the units."""
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
                    "already_shipped",
                    f"{needed - short} of the {needed} units of line {line_id} can still be stopped; cancel fewer, or "
                    "ask for a return",
                )
    return o.OrderLinesCancellationRequested(
        order_id=command.order_id,
        cancellation_id=command.cancellation_id,
        lines=tuple(o.LineUnits(line_id=line_id, quantity=n) for line_id, n in units.items()),
        shipment_ids=tuple(asked),
        reason=command.reason,
        asked=asked_of(command),
    )


def _open_shares(order: Order, line_id: str, sku: str) -> Iterator[tuple[str, o.LineShare]]:
    """In parcels that can be stopped, without the units that another cancellation is waiting for."""
    spoken_for = sum(cut.units.get(line_id, 0) for cut in order.cuts.values() if cut.shipments)
    for shipment_id, status in sorted(order.shipments.items()):
        if status == "open" and shipment_id not in order.kept and shipment_id in order.plans:
            for share in order.plans[shipment_id].lines:
                if share.line_id == line_id and share.sku == sku:
                    free = share.quantity - min(share.quantity, spoken_for)
                    spoken_for -= share.quantity - free
                    if free:
                        yield shipment_id, share.model_copy(update={"quantity": free})


def stopped(order: Order, shipment_id: str) -> Iterator[o.OrderEvent]:
    """A parcel was stopped: what was cancelled of it is let go, and the rest is planned anew.

    Where nobody cancelled lines of it, all of it is let go.
    """
    cuts = {key: cut for key, cut in order.cuts.items() if shipment_id in cut.shipments}
    plan = order.plans.get(shipment_id)
    whole = order.phase == "cancelling" or not cuts or plan is None
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
            planned = o.OrderShipmentPlanned(
                order_id=order.order_id,
                plan=plan.model_copy(update={"shipment_id": f"{order.order_id}.{len(order.shipments) + 1}"}),
                payment_id=steps.payment_of(order),
                ship_to=_address(order),
                delivery_option=order.content.delivery_option if order.content else "standard",
                pickup=order.content.pickup if order.content else False,
            )
            yield planned
            after = evolve(after, planned)
    yield from steps.milestones(after)


def _address(order: Order) -> o.Address:
    assert order.content
    return order.content.ship_to


def _whole_cuts(plan: o.ShipmentPlan) -> Iterator[o.Cut]:
    for item in plan.items:
        yield cut_of((item.reservation_id, item.sku, item.location), item.quantity, 0)


def _cut_plan(
    order: Order, plan: o.ShipmentPlan, cancellation_id: str, cut: LineCut
) -> Iterator[tuple[o.OrderLinesCancelled, o.ShipmentPlan]]:
    """The plan without the units that this cancellation still has to find, and what that is worth."""
    assert order.content
    bundles: Any = order.bundles
    skus = {line.line_id: line.sku for line in order.content.lines}
    units: dict[str, int] = {}
    for line_id, wanted in sorted(cut.units.items()):
        each = money.exploded({skus[line_id]: 1}, bundles) if line_id in skus else {}
        there = {sku: sum(s.quantity for s in plan.lines if (s.line_id, s.sku) == (line_id, sku)) for sku in each}
        units[line_id] = min(wanted, *(there[sku] // n for sku, n in each.items())) if each else 0
    units = _some(units)
    if not units:
        return
    need = {
        (line_id, sku): n * q
        for line_id, q in units.items()
        for sku, n in money.exploded({skus[line_id]: 1}, bundles).items()
    }
    off, kept = _split_shares(plan.lines, need)
    items, cuts = _split_items(order, plan.items, off)
    worth = sum(share.amount_minor for share in off)
    told = money.reduced(order.content, units, off)
    borne = money.lowered(money.charges_of(order, plan), worth)
    rest = plan.model_copy(
        update={
            "items": items,
            "lines": kept,
            "amount_minor": money.to_capture(order, borne),
            "charges": borne if plan.charges else (),
        }
    )
    after = order.content.model_copy(update=told)
    yield (
        o.OrderLinesCancelled(
            order_id=order.order_id,
            cancellation_id=cancellation_id,
            cancelled=tuple(o.LineUnits(line_id=line_id, quantity=n) for line_id, n in units.items()),
            reason=cut.reason,
            **told,
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
    order: Order, items: Iterable[o.Reservation], off: Iterable[o.LineShare]
) -> tuple[tuple[o.Reservation, ...], tuple[o.Cut, ...]]:
    less: dict[str, int] = defaultdict(int)
    for share in off:
        less[share.sku] += share.quantity
    left: list[o.Reservation] = []
    cuts: list[o.Cut] = []
    for item in items:
        n = min(less[item.sku], item.quantity)
        less[item.sku] -= n
        held = (item.reservation_id, item.sku, item.location)
        if n:
            cuts.append(cut_of(held, n, order.allocated.get(held, item.quantity) - n))
        if item.quantity > n:
            left.append(item.model_copy(update={"quantity": item.quantity - n}))
    return tuple(left), tuple(cuts)
