"""What is refunded of an order's money, and to which payment. Part of the order's decider."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence

from oms_es.aggregates.order.money import (
    CREDIT,
    borne_by,
    charges_of,
    exploded,
    in_words,
    left_plans,
    taken,
    taken_by_payment,
)
from oms_es.aggregates.order.state import Order
from oms_es.kernel import Refused
from oms_es.schemas import order as o
from oms_es.schemas.order.refusals import OrderRefusal
from oms_es.schemas.payment import RefundAllocation
from oms_es.schemas.values.money import apportion


def refund(order: Order, command: o.RefundOrder) -> o.OrderRefundRequested:
    """Return how much each payment gives back, and for what. Raise Refused if it is more than was paid for it."""
    allocations, units = allocations_of(order, command)
    if not allocations:
        raise Refused(
            OrderRefusal.NOTHING_TO_REFUND,
            f"refund {command.refund_id} names no money; give lines, shipping or goodwill",
        )
    return _refund_requested(
        order,
        command.refund_id,
        command.reason,
        allocations,
        units,
        spared=order.credited,
        to_account=command.to_account or "",
    )


def credit_there(order: Order, amount_minor: int) -> int:
    """Return how much of an unused credit can be given back, in minor units; the rest is gone by another way."""
    still_spent = order.credited - amount_minor
    return max(min(amount_minor, sum(_refundable(order).values()) - still_spent), 0)


def refund_credit(
    order: Order, refund_id: str, amount_minor: int, reason: str, *, spared: int
) -> o.OrderRefundRequested:
    """Return the refund of a credit that an exchange did not use. Raise Refused if more is asked than was credited.

    `spared` is the part of the credit that still pays for exchanges.
    """
    if amount_minor > order.credited:
        asked, credited = (in_words(order, n) for n in (amount_minor, order.credited))
        raise Refused(OrderRefusal.EXCEEDS_CREDIT, f"{asked} is more than the {credited} that was credited; lower it")
    allocation = RefundAllocation(kind="credit", amount_minor=amount_minor)
    return _refund_requested(order, refund_id, reason, [allocation], {}, spared=spared)


def _refund_requested(
    order: Order,
    refund_id: str,
    reason: str,
    allocations: Sequence[RefundAllocation],
    units: dict[str, int],
    spared: int,
    to_account: str = "",
) -> o.OrderRefundRequested:
    """Return the refund.

    Raise Refused if it is more than is left; `spared` is the part of what was paid that pays for exchanges.
    """
    assert order.content
    total = sum(allocation.amount_minor for allocation in allocations)
    refundable = _refundable(order)
    left = sum(refundable.values()) - spared
    if total > left:
        asked, rest = in_words(order, total), in_words(order, left)
        raise Refused(
            OrderRefusal.EXCEEDS_PAYMENT,
            f"{asked} is more than the {rest} left of what order {order.order_id} paid; lower it",
        )
    amounts = zip(refundable, apportion(total, list(refundable.values())), strict=True)
    parts = list(_by_payment([(key, n) for key, n in amounts if n], allocations))
    return o.OrderRefundRequested(
        order_id=order.order_id,
        refund_id=refund_id,
        amount_minor=total,
        currency=order.content.currency,
        reason=reason,
        parts=tuple(part for part in parts if part.payment_id != CREDIT),
        refunded_units=units,
        credit=next((_credit_part(order, part) for part in parts if part.payment_id == CREDIT), None),
        to_account=to_account,
        **order.of_customer,
    )


def _refundable(order: Order) -> dict[str, int]:
    """Return what can be refunded by payment, and by CREDIT for the credit that an exchange used, without money that is
    gone by another way.
    """
    gone: dict[str, int] = defaultdict(int)
    for event in order.gone.values():
        gone[borne_by(event)] += event.amount_minor
    left = {key: max(n - order.given_back.get(key, 0) - gone[key], 0) for key, n in taken_by_payment(order).items()}
    if (credit := credit_used(order) - order.credit_back - gone[CREDIT]) > 0:
        left[CREDIT] = credit
    return left


def overdrawn(order: Order) -> int:
    """Return by how much the credit of exchanges exceeds what is left of the payments."""
    return max(order.credited - sum(_refundable(order).values()), 0)


def _credit_part(order: Order, part: o.RefundPart) -> o.CreditPart:
    assert order.content
    return o.CreditPart(
        exchange_of=order.content.exchange_of or "", amount_minor=part.amount_minor, allocations=part.allocations
    )


def credit_used(order: Order) -> int:
    """Return the credit that was used: what the parcels that left are worth beyond what payments bear."""
    assert order.content
    worth = sum(plan.worth_minor for plan in left_plans(order))
    charged = sum(charge.amount_minor for plan in left_plans(order) for charge in charges_of(order, plan))
    return min(max(worth - charged, 0), order.content.credit_minor - order.credit_left)


def require_unspent(order: Order, worth_minor: int) -> None:
    """Raise Refused if less than this worth is left of what was paid, so that it cannot pay for an exchange."""
    left = sum(_refundable(order).values()) - order.credited
    if worth_minor > left:
        worth, rest = in_words(order, worth_minor), in_words(order, left)
        raise Refused(
            OrderRefusal.EXCEEDS_PAYMENT,
            f"{worth} is more than the {rest} left of what order {order.order_id} paid; settle it by a refund",
        )


def allocations_of(order: Order, command: o.RefundOrder) -> tuple[list[RefundAllocation], dict[str, int]]:
    allocations: list[RefundAllocation] = []
    units: dict[str, int] = defaultdict(int)
    worth: dict[str, int] = defaultdict(int)
    for line in command.lines:
        already = units[line.line_id] + order.refunded_units.get(line.line_id, 0)
        given = worth[line.line_id] + order.refunded.get(("line", line.line_id), 0)
        amount = line.amount_minor or _worth_of_units(order, line.line_id, already, given, line.quantity or 0)
        units[line.line_id] += line.quantity or 0
        worth[line.line_id] += amount
        allocations.append(RefundAllocation(kind="line", line_id=line.line_id, amount_minor=amount))
    allocations.append(RefundAllocation(kind="shipping", amount_minor=command.shipping_minor))
    allocations.append(RefundAllocation(kind="goodwill", amount_minor=command.goodwill_minor))
    asked: dict[tuple[str, str], int] = defaultdict(int)
    for allocation in allocations:
        asked[allocation.kind, allocation.line_id] += allocation.amount_minor
    limits = _paid_for(order)
    for key, n in asked.items():
        left = limits.get(key, 0) - order.refunded.get(key, 0)
        if key[0] != "goodwill" and n > left:
            more, rest = in_words(order, n), in_words(order, left)
            raise Refused(
                OrderRefusal.EXCEEDS_PAYMENT,
                f"{more} is more than the {rest} left of what was paid for {' '.join(key).strip()}; lower it, or "
                "give the rest as goodwill",
            )
    return [a for a in allocations if a.amount_minor], {line: n for line, n in units.items() if n}


def _paid_for(order: Order) -> dict[tuple[str, str], int]:
    paid: dict[tuple[str, str], int] = defaultdict(int)
    for plan in left_plans(order):
        paid["shipping", ""] += plan.shipping_minor
        for share in plan.lines:
            paid["line", share.line_id] += share.amount_minor
    return paid


def _worth_of_units(order: Order, line_id: str, already: int, given: int, quantity: int) -> int:
    """Return what the next `quantity` units of a line are worth; the last ones take all that is left of the line.

    A parcel that left later may bear more than its units' share, as the last one bears what a division leaves over.
    `already` units were refunded before, for the amount `given`. Raise Refused if more units would be refunded than
    shipped.
    """
    shares, shipped = _shares_of(order, line_id), shipped_units(order, line_id)
    if already + quantity > shipped:
        raise Refused(
            OrderRefusal.EXCEEDS_SHIPPED,
            f"{already + quantity} units of line {line_id} would be refunded and {shipped} were shipped; refund fewer",
        )
    worth = sum(share.amount_minor for share in shares)
    left = max(worth - given, 0)
    if already + quantity == shipped:
        return left
    up_to, before = (-(-worth * count // shipped) for count in (already + quantity, already))  # the first ones round up
    return min(up_to - before, left)


def shipped_units(order: Order, line_id: str) -> int:
    """Return the shipped units of a line; for a bundle, as many as the shipped components make."""
    return _whole_units(order, line_id, {})


def units_out(order: Order, line_id: str) -> int:
    """Return the units of a line that were shipped, and neither came back undelivered nor were lost."""
    back: dict[str, int] = defaultdict(int)
    for event in _undelivered(order):
        for share in event.lines:
            back[share.sku] += share.quantity * (share.line_id == line_id)
    return _whole_units(order, line_id, back)


def _undelivered(order: Order) -> list[o.OrderShipmentReturned | o.OrderShipmentLost]:
    return [*order.came_back.values(), *order.lost.values()]


def _whole_units(order: Order, line_id: str, back: Mapping[str, int]) -> int:
    shares, per_unit = _shares_of(order, line_id), _units_per_line(order, line_id)
    there = {sku: sum(s.quantity for s in shares if s.sku == sku) - back.get(sku, 0) for sku in per_unit}
    return min((there[sku] // n for sku, n in per_unit.items()), default=0)


def shares_back(order: Order, shipment_id: str, items: Iterable[o.Reservation]) -> tuple[o.LineShare, ...]:
    """Return the line shares of a parcel's units that come back or are lost; shares that came back before are
    left out.
    """
    plan = order.plans[shipment_id]
    before: dict[tuple[str, str], int] = defaultdict(int)
    for event in _undelivered(order):
        for share in event.lines if event.shipment_id == shipment_id else ():
            before[share.line_id, share.sku] += share.quantity
    back: dict[str, int] = defaultdict(int)
    for item in items:
        back[item.sku] += item.quantity
    found: list[o.LineShare] = []
    for share in plan.lines:
        known = min(before[share.line_id, share.sku], share.quantity)
        before[share.line_id, share.sku] -= known
        left = taken(share, known)[1]
        if n := min(back[share.sku], left.quantity):
            back[share.sku] -= n
            found.append(taken(left, n)[0])
    return tuple(found)


def _shares_of(order: Order, line_id: str) -> list[o.LineShare]:
    return [share for plan in left_plans(order) for share in plan.lines if share.line_id == line_id]


def _units_per_line(order: Order, line_id: str) -> dict[str, int]:
    """Return the SKUs and quantities that one unit of a line is made of."""
    assert order.content
    skus = {line.sku for line in order.content.lines if line.line_id == line_id}
    return exploded(dict.fromkeys(skus, 1), order.bundles)


def _by_payment(amounts: Iterable[tuple[str, int]], allocations: Iterable[RefundAllocation]) -> Iterator[o.RefundPart]:
    left = deque(allocations)
    for payment_id, amount_minor in amounts:
        borne: list[RefundAllocation] = []
        open_minor = amount_minor
        while open_minor:
            allocation = left.popleft()
            n = min(open_minor, allocation.amount_minor)
            open_minor -= n
            borne.append(allocation.model_copy(update={"amount_minor": n}))
            if allocation.amount_minor > n:
                left.appendleft(allocation.model_copy(update={"amount_minor": allocation.amount_minor - n}))
        yield o.RefundPart(payment_id=payment_id, amount_minor=amount_minor, allocations=tuple(borne))


def reduced(content: o.OrderContent, cancelled: Mapping[str, int], off: Sequence[o.LineShare]) -> dict[str, object]:
    """Return the changed fields of the content when units worth `off` are cancelled: the rest keeps its own discount
    and tax.
    """
    lines = []
    goods = 0
    for line in content.lines:
        less = cancelled.get(line.line_id, 0)
        goods += less * line.unit_price_minor
        if line.quantity > less:
            lines.append(line.model_copy(update={"quantity": line.quantity - less}))
    tax = sum(share.tax_minor for share in off)
    net = sum(share.amount_minor for share in off) - tax
    return {
        "lines": tuple(lines),
        "tax_minor": content.tax_minor - tax,
        "discount_minor": content.discount_minor - (goods - net),
    }
