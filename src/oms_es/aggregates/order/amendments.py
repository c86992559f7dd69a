"""Changes of an order: amendments and cancelled lines, with what has to be undone at the order's stage.

Invariant: only the difference moves. Units that stay keep their reservations. Money is asked for again only if the
amount differs. After the release, shares that parcels have taken are not distributed again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError
from rpds import HashTrieMap

from oms_es.aggregates.order import money
from oms_es.aggregates.order import transitions as steps
from oms_es.aggregates.order.evolve import evolve
from oms_es.aggregates.order.state import BEFORE_RELEASE, Held, Order
from oms_es.aggregates.repeats import asked_of, done_before
from oms_es.kernel import Refused
from oms_es.schemas import order as o
from oms_es.schemas.order.refusals import OrderRefusal
from oms_es.schemas.problems import problems
from oms_es.schemas.values.currency import to_text


class Undo(NamedTuple):
    """Where unwanted units are taken from: first from units for which nothing has been done yet.

    Counts are units by SKU.
    """

    no_longer_sought: dict[str, int]
    no_longer_backordered: dict[str, int]
    released: tuple[o.Cut, ...]


def amend(order: Order, command: o.AmendOrder) -> Iterator[o.OrderEvent]:
    known = order.applied.get(command.amendment_id)
    if not done_before(known, command) and not (command.keep and order.phase == "cancelled"):
        yield from amend_new(order, command, asked_of(command))


def amend_new(order: Order, command: o.AmendOrder, asked: str) -> Iterator[o.OrderEvent]:
    """Apply an amendment that was not applied before.

    `asked` is the digest of the channel's whole request, of which `command` may have only the part that is left to do.
    """
    assert order.content
    revision = command.revision
    altered = {
        name: value
        for name, value in command.changes.items()
        if revision is None or (revision > order.revisions.get(name, 0) and revision >= order.refund_revision)
    }
    tied = _tied(order, command)
    altered |= tied
    same = all(getattr(order.content, name) == value for name, value in altered.items())
    if same and (revision is None or not altered or order.phase not in BEFORE_RELEASE):
        return  # a channel reports an order after every change, also when it ships
    require_before_release(order, "amended")
    after = amended(order.content, altered)
    own = {"amendment_id": command.amendment_id, "revision": revision, "asked": asked}
    yield from change(order, after, o.OrderAmended, own, altered)
    if tied:
        yield o.OrderReportDisputed(
            order_id=order.order_id,
            report=command.amendment_id,
            detail=_difference_in_words(order.content, after, revision, sorted(tied)),
        )


DETAIL_CHARACTERS_MAX = 400


def _difference_in_words(
    before: o.OrderContent, after: o.OrderContent, revision: int | None, names: Iterable[str]
) -> str:
    """Return a sentence about the fields that differ, with both values and what a person can do."""
    sides = ((name, getattr(before, name), getattr(after, name)) for name in names)
    said = "; ".join(f"{name} {_short(name, a, before)} and {_short(name, b, before)}" for name, a, b in sides)
    way = "the latter holds here, also if the former is sent again: where it is wrong, amend the order by hand"
    text = f"of revision {revision} the channel has said two things: {said}"
    return f"{text[: DETAIL_CHARACTERS_MAX - len(way) - 2]}; {way}"


def _short(name: str, value: Any, content: o.OrderContent) -> str:
    """Return a field's value as text. An address is reduced to its country: the text may be read by anyone."""
    if isinstance(value, tuple):
        prices = [to_text(line.unit_price_minor, content.currency) for line in value]
        return ", ".join(f"{line.quantity} x {line.sku} at {price}" for line, price in zip(value, prices, strict=True))
    if name.endswith("_minor"):
        return to_text(value, content.currency)
    return f"in {value.country}" if isinstance(value, o.Address) else str(value)


def _tied(order: Order, command: o.AmendOrder) -> dict[str, Any]:
    """Return the fields that an earlier amendment of the same revision stated otherwise: either of the two may be
    newer.
    """
    return {
        name: value
        for name, value in command.changes.items()
        if command.revision == order.revisions.get(name, 0) and getattr(order.content, name) != value
    }


def require_before_release(order: Order, what: str) -> None:
    if order.phase not in BEFORE_RELEASE:
        raise Refused(
            OrderRefusal.ALREADY_RELEASED,
            f"order {order.order_id} is {order.phase} and can no longer be {what}; cancel lines of it or ask for a "
            "return",
        )


def amended(content: o.OrderContent, altered: Mapping[str, Any]) -> o.OrderContent:
    """Return the content with the altered fields, checked as at acceptance.

    Tenders are omitted; they are fitted to the amount when it is asked for. Raise Refused if the result is invalid.
    """
    fields = {name: getattr(content, name) for name in o.OrderContent.model_fields}
    try:
        return o.OrderContent(**{**fields, "tenders": (), "further_tenders": (), **altered})
    except ValidationError as error:
        raise Refused(OrderRefusal.INVALID_AMENDMENT, f"{problems(error)}; correct it") from error


def change(
    order: Order,
    after: o.OrderContent,
    shape: type[o.OrderAmended | o.OrderLinesCancelled | o.OrderSplit | o.OrderFulfilledElsewhere],
    own: Mapping[str, Any],
    altered: Mapping[str, Any],
) -> Iterator[o.OrderEvent]:
    """Set the order's content to `after`, and adjust its units and payments to it."""
    assert order.content
    bundles: Any = order.bundles
    had, wanted = (Counter(money.exploded(content.demand, bundles)) for content in (order.content, after))
    more = wanted - had
    undo = _undo(order, had - wanted)
    void = _void_payments(order, after)
    changed: Any = shape(
        order_id=order.order_id,
        **own,
        **altered,
        **undo._asdict(),
        payments_cancelled=void,
        **totals(order.content, after),
    )
    yield changed
    left = evolve(order, changed)
    elsewhere = bool(left.backordered) and not altered.keys().isdisjoint(("ship_to", "delivery_option"))
    if more or elsewhere or (undo.no_longer_sought and left.to_source):
        yield steps.request_sourcing(left, _all(left.backordered, more), (), None)
    elif left.is_locked and (order.phase in LACKING or void or money.dues(left) or _came_by_leaving_out(order, left)):
        yield from steps.all_locked(left)


def _came_by_leaving_out(order: Order, left: Order) -> bool:
    """Return whether a presale waits for no more units because the missing ones were left out."""
    return order.phase == "awaiting_stock" and not left.presale_pending


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
        "customer_id": before.customer_id,
    }


LACKING: frozenset[o.Phase] = frozenset({"sourcing", "allocating", "backordered"})


def _all(backordered: HashTrieMap[str, int], more: Mapping[str, int]) -> Iterable[tuple[str, int]]:
    return [*backordered.items(), *more.items()]


def _void_payments(order: Order, after: o.OrderContent) -> tuple[str, ...]:
    """Return the payments to undo: those whose amount is no longer due.

    A deposit stays while it is not more than the new amount. Raise Refused if it is more.
    """
    assert order.content
    if money.payable(after) == money.payable(order.content):
        return ()
    live = order.live_payments
    deposits = sum(payment.due.amount_minor for payment in live.values() if payment.due.capture_now)
    if deposits > money.payable(after):
        raise Refused(
            OrderRefusal.BELOW_DEPOSIT,
            f"order {order.order_id} has a deposit of {deposits} and would cost {money.payable(after)}; cancel it",
        )
    return tuple(key for key, payment in live.items() if not payment.due.capture_now)


def _undo(order: Order, less: Mapping[str, int]) -> Undo:
    to_source: dict[str, int] = {}
    backordered: dict[str, int] = {}
    cuts: list[o.Cut] = []
    for sku, quantity in less.items():
        to_source[sku] = min(quantity, order.to_source.get(sku, 0))
        backordered[sku] = min(quantity - to_source[sku], order.backordered.get(sku, 0))
        cuts += _cuts(order, sku, quantity - to_source[sku] - backordered[sku])
    return Undo(some(to_source), some(backordered), tuple(cuts))


def some(counts: Mapping[str, int]) -> dict[str, int]:
    return {sku: n for sku, n in counts.items() if n}


def _cuts(order: Order, sku: str, quantity: int) -> Iterator[o.Cut]:
    """Yield cuts of the order's reservations for the SKU: first of reservations that stock has not confirmed, the
    newest first."""
    for held in (order.requested, order.allocated):
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
