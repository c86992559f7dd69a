"""Splitting an order into several, and merging several into one. Part of the order's decider.

Invariant: units and money are conserved, and a hold goes with the units. Locks move from order to order by transfer and
are never released in between. The giving order asks stock for the transfer in its own stream, so that no later end of
its reservations is reported before it; the receiving order counts on a reservation once stock has reported it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import reduce

from pydantic import ValidationError

from oms_es.aggregates.order import amendments as changes
from oms_es.aggregates.order import cancellation, elsewhere, money, refunding
from oms_es.aggregates.order import transitions as steps
from oms_es.aggregates.order.evolve import evolve
from oms_es.aggregates.order.placement import require_its_content
from oms_es.aggregates.order.state import BEFORE_RELEASE, Order, by_sku
from oms_es.aggregates.repeats import asked_of, done_before
from oms_es.kernel import Refused
from oms_es.schemas import order as o
from oms_es.schemas.order.refusals import OrderRefusal
from oms_es.schemas.problems import problems
from oms_es.schemas.values import names
from oms_es.schemas.values.customer import METADATA_MAX, NOTES_LENGTH_MAX
from oms_es.schemas.values.types import AMOUNT_MINOR_MAX

SAME_TERMS = ("channel", "currency", "ship_to", "delivery_option", "allow_split", "pickup", "pickup_at", "customer_id")
"""The fields in which orders must agree to be merged."""
LINE_ID_LENGTH_MAX = 120
"""Shorter than a line id may be, because a merge puts the number of the order before it."""
NEVER = datetime.max.replace(tzinfo=UTC)
HELD_BEFORE = "held when its units were another order's"


def split(order: Order, command: o.SplitOrder) -> Iterator[o.OrderEvent]:
    assert order.content
    if done_before(order.applied.get(command.split_id), command):
        return
    changes.require_before_release(order, "split")
    _require_at_rest(order)
    units: dict[str, int] = defaultdict(int)
    for line in command.lines:
        units[line.line_id] += line.quantity
    cancellation.require_units(order, units)
    if units == {line.line_id: line.quantity for line in order.content.lines}:
        raise Refused(OrderRefusal.NOTHING_LEFT, f"order {command.order_id} would have no line left; split fewer units")
    off = cancellation.shares_off(order.content, units)
    altered = refunding.reduced(order.content, units, off)
    after = changes.amended(order.content, altered)
    name = f"{names.SPLIT}{command.split_id}/{order.content.external_id}"
    content = _content_of(order.content, units, after, name)
    own = {
        "split_id": command.split_id,
        "to_order_id": o.order_id_of(content.channel, content.external_id),
        "content": content,
        "bundles": order.components,
        "holds": order.holds_as_stated,
        "asked": asked_of(command),
    }
    yield from changes.change(order, after, o.OrderSplit, own, altered)


def _require_at_rest(order: Order) -> None:
    assert order.content
    if order.to_source or order.requested:
        raise Refused(
            OrderRefusal.BEING_SOURCED, f"units of order {order.order_id} are being sourced; try again in a moment"
        )
    if order.content.kind != "standard":
        raise Refused(
            OrderRefusal.NOT_STANDARD,
            f"order {order.order_id} is a {order.content.kind}; only standard orders are split",
        )


def _content_of(
    before: o.OrderContent, units: Mapping[str, int], after: o.OrderContent, external_id: str
) -> o.OrderContent:
    """Return the content of the units that leave, with the discount, tax and tenders that the rest does not keep.

    Raise Refused if it would be invalid.
    """
    lines = tuple(
        line.model_copy(update={"quantity": units[line.line_id]}) for line in before.lines if units.get(line.line_id)
    )
    fields = {name: getattr(before, name) for name in o.OrderContent.model_fields}
    changed = {
        "lines": lines,
        "external_id": external_id,
        "shipping_minor": 0,
        "discount_minor": before.discount_minor - after.discount_minor,
        "tax_minor": before.tax_minor - after.tax_minor,
        **o.tender_fields(()),
    }
    try:
        goes = o.OrderContent(**{**fields, **changed})
    except ValidationError as error:
        raise Refused(OrderRefusal.INVALID_SPLIT, f"{problems(error)}; split other units") from error
    _, left = money.divided(before.all_tenders, money.payable(after))
    return goes.model_copy(update={**o.tender_fields(money.divided(left, money.payable(goes))[0])})


def place_joined(order: Order, command: o.PlaceJoined) -> Iterator[o.OrderEvent]:
    require_its_content(command.order_id, command.content)
    if order.placed is None:
        yield from _begun(order, command, (command.from_order_id,))


def _begun(order: Order, what: o.PlaceJoined, sources: tuple[str, ...]) -> Iterator[o.OrderEvent]:
    """Place an order that begins with the reservations of others.

    It has their holds from the start, and what came before it is applied.
    """
    content = what.content
    fields = {name: getattr(content, name) for name in o.OrderContent.model_fields}
    sent = o.PlaceOrder.model_construct(**fields)
    of = {"order_id": what.order_id}
    events: list[o.OrderEvent] = [
        o.OrderPlaced(**of, fingerprint=sent.fingerprint, **fields),
        o.OrderJoined(**of, from_order_ids=sources, transfers=what.transfers, bundles=what.bundles),
        *(o.OrderHeld(**of, kind=hold.kind, until=hold.until, note=_note_of(hold)) for hold in what.holds),
    ]
    events.extend(_first_step(reduce(evolve, events, order), what))
    after = reduce(evolve, events, order)
    for held in sorted(after.not_given):
        if (lacking := after.requested.get(held)) is not None:
            events.append(steps.sought_elsewhere(after, held, lacking))
            after = evolve(after, events[-1])
    yield from events
    yield from elsewhere.catch_up(after)


def _note_of(hold: o.Hold) -> str:
    return f"{HELD_BEFORE}: {hold.note}" if hold.note else HELD_BEFORE


def _first_step(order: Order, what: o.PlaceJoined) -> Iterator[o.OrderEvent]:
    if what.backordered:
        yield o.OrderBackordered(
            order_id=what.order_id,
            attempt=order.attempt,
            demand=dict(what.backordered),
            placed_at=what.content.placed_at,
            priority=what.content.priority,
            terms=steps.sourcing_terms(order, ()),
        )
    elif order.is_locked:
        yield from steps.all_locked(order)


def merge(order: Order, command: o.MergeOrders) -> Iterator[o.OrderEvent]:
    """Begin a merge.

    The orders are asked one after the other, so that each knows the terms of those before it. Raise Refused if the new
    order's name is taken.
    """
    if done_before(order.merge_ids.get(command.merge_id), command):
        return
    if order.placed is not None:
        raise Refused(
            OrderRefusal.NAME_TAKEN,
            f"channel {command.channel} has an order {command.external_id} already; use another merge_id",
        )
    first, *others = dict.fromkeys(command.order_ids)
    yield o.OrderMergeRequested(
        order_id=command.order_id,
        channel=command.channel,
        merge_id=command.merge_id,
        source_id=first,
        to_be_asked=tuple(others),
        asked=asked_of(command),
    )


def yield_to_merge(order: Order, command: o.YieldToMerge) -> Iterator[o.OrderEvent]:
    """Join the merge, or decline it with an event: a consumer sent the command, and no caller waits for a refusal."""
    if command.to_order_id in (order.merged_into, *order.declined):
        return
    if reason := why_not_merged(order, command):
        yield o.OrderMergeDeclined(order_id=command.order_id, to_order_id=command.to_order_id, reason=reason)
        return
    assert order.content
    fitted, _ = money.divided(order.content.all_tenders, money.payable(order.content))
    yield o.OrderMergedInto(
        order_id=command.order_id,
        to_order_id=command.to_order_id,
        content=order.content.model_copy(update={**o.tender_fields(fitted)}),
        transfers=tuple(
            o.Reservation(reservation_id=key, sku=sku, location=location, quantity=quantity)
            for (key, sku, location), quantity in sorted(order.allocated.items())
        ),
        backordered=by_sku(order.backordered),
        bundles=order.components,
        payments_cancelled=tuple(order.live_payments),
        channel=order.content.channel,
        placed_at=order.content.placed_at,
        currency=order.content.currency,
        total_minor=order.content.total_minor,
        units=steps.units_of(order.content),
        holds=order.holds_as_stated,
    )


def why_not_merged(order: Order, command: o.YieldToMerge) -> str:
    """Return why the order cannot join the merge; empty if it can."""
    content, terms = order.content, command.terms
    if content is None:
        return "there is no such order"
    if command.channel not in (None, content.channel):
        return f"it is of channel {content.channel}"
    if order.phase not in BEFORE_RELEASE:
        return f"it is {order.phase}"
    if order.to_source or order.requested:
        return "units of it are being sourced"
    if content.kind != "standard":
        return f"it is a {content.kind}"
    if terms and len(terms.lines) + len(content.lines) > o.LINES_MAX:
        return f"together they would have more than {o.LINES_MAX} lines"
    if terms and terms.total_minor + content.total_minor > AMOUNT_MINOR_MAX:
        return f"together they would cost more than {AMOUNT_MINOR_MAX}"
    if terms and len(terms.notes) + len(content.notes) >= NOTES_LENGTH_MAX:
        return f"together their notes would have more than {NOTES_LENGTH_MAX} characters"
    if terms and len(terms.all_tenders) + len(content.all_tenders) > o.TENDERS_MAX:
        return f"together they would be paid with more than {o.TENDERS_MAX} tenders"
    if any(len(line.line_id) > LINE_ID_LENGTH_MAX for line in content.lines):
        return f"it has line ids of more than {LINE_ID_LENGTH_MAX} characters"
    other = [name for name in SAME_TERMS if terms and getattr(terms, name) != getattr(content, name)]
    return f"it has another {other[0]}" if other else ""


def record_answer(order: Order, command: o.RecordMergeAnswer) -> Iterator[o.OrderEvent]:
    asked = order.merging
    if asked is None or asked.source_id != command.source_id:
        return
    merged = (*order.merged, command.merged) if command.merged else order.merged
    if asked.to_be_asked:
        following, *others = asked.to_be_asked
        yield o.OrderMergeRequested(
            order_id=command.order_id,
            channel=asked.channel,
            merge_id=asked.merge_id,
            source_id=following,
            to_be_asked=tuple(others),
            terms=_combined(asked, merged) if merged else None,
            answer=command.merged,
            asked=asked.asked,
        )
    elif merged:
        yield from _merged(order, asked, merged)
    else:
        yield o.OrderMergeFailed(order_id=command.order_id, merge_id=asked.merge_id)


def _merged(
    order: Order, asked: o.OrderMergeRequested, merged: tuple[o.OrderMergedInto, ...]
) -> Iterator[o.OrderEvent]:
    backordered: dict[str, int] = defaultdict(int)
    for each in merged:
        for sku, quantity in each.backordered.items():
            backordered[sku] += quantity
    transfers = [
        held.model_copy(update={"reservation_id": o.transferred(asked.order_id, held.reservation_id)})
        for each in merged
        for held in each.transfers
    ]
    what = o.PlaceJoined.model_construct(
        order_id=asked.order_id,
        from_order_id=merged[0].order_id,
        content=_combined(asked, merged),
        transfers=tuple(transfers),
        backordered=dict(backordered),
        bundles={sku: made_of for each in merged for sku, made_of in each.bundles.items()},
        holds=_holds_of(merged),
    )
    yield from _begun(order, what, tuple(each.order_id for each in merged))


def _holds_of(merged: Iterable[o.OrderMergedInto]) -> tuple[o.Hold, ...]:
    """Return the holds of all orders, each kind once, with the earliest time by which a person should decide."""
    found: dict[o.HoldKind, o.Hold] = {}
    for hold in sorted((hold for each in merged for hold in each.holds), key=_soonest):
        found.setdefault(hold.kind, hold)
    return tuple(found.values())


def _soonest(hold: o.Hold) -> tuple[str, datetime]:
    return hold.kind, hold.until or NEVER


def _combined(asked: o.OrderMergeRequested, merged: tuple[o.OrderMergedInto, ...]) -> o.OrderContent:
    """Return the content of the merged order: all lines under numbered ids, charges summed, all tenders.

    What the tenders leave open is paid with the token of the first order. It was placed when the earliest was, and has
    the highest priority.
    """
    contents = [each.content for each in merged]
    fields = {name: getattr(contents[0], name) for name in o.OrderContent.model_fields}
    for name in ("shipping_minor", "tax_minor", "discount_minor"):
        fields[name] = sum(getattr(content, name) for content in contents)
    fields["lines"] = tuple(
        line.model_copy(update={"line_id": f"{number}.{line.line_id}"})
        for number, content in enumerate(contents, start=1)
        for line in content.lines
    )
    fields["external_id"] = f"{names.MERGE}{asked.merge_id}"
    fields |= o.tender_fields(tuple(tender for content in contents for tender in content.all_tenders))
    fields["placed_at"] = min(content.placed_at for content in contents)
    fields["priority"] = max(content.priority for content in contents)
    fields["notes"] = "\n".join(dict.fromkeys(content.notes for content in contents if content.notes))
    fields["metadata"] = _metadata_of(contents)
    return o.OrderContent(**fields)


def _metadata_of(contents: Iterable[o.OrderContent]) -> dict[str, str]:
    """Return the metadata of all contents, at most METADATA_MAX entries; the first order's value wins.

    The rest remains readable at the order that it came with.
    """
    found: dict[str, str] = {}
    for content in contents:
        for key, value in content.metadata.items():
            if len(found) < METADATA_MAX:
                found.setdefault(key, value)
    return found
