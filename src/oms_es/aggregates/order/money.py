"""What an order's money falls on: lines, parcels, payments and refunds.

Invariant: the shares of anything sum to it exactly. They are fixed when the order is released; every later capture,
cancellation of a line and refund takes from those shares and never shares out anew.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from oms_es.aggregates.order.state import Order
from oms_es.kernel import Refused
from oms_es.schemas import order as o
from oms_es.schemas.payment import RefundAllocation
from oms_es.schemas.values.money import apportion


class Shares(NamedTuple):
    lines: list[o.LineShare]
    shipping_minor: int


def exploded(demand: Mapping[str, int], bundles: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """The units to stock for it: a bundle's are those of its components."""
    units: dict[str, int] = defaultdict(int)
    for sku, quantity in demand.items():
        for component, each in bundles.get(sku, {sku: 1}).items():
            units[component] += quantity * each
    return dict(units)


def shares_of(content: o.OrderContent, bundles: Mapping[str, Mapping[str, int]]) -> Shares:
    """The total by lines and shipping. A discount lowers goods, then shipping, then tax; tax follows what is left."""
    goods = [line.quantity * line.unit_price_minor for line in content.lines]
    off_goods = min(content.discount_minor, sum(goods))
    off_shipping = min(content.discount_minor - off_goods, content.shipping_minor)
    tax = content.tax_minor - (content.discount_minor - off_goods - off_shipping)
    lowered = zip(goods, apportion(off_goods, goods), strict=True)
    nets = [amount - off for amount, off in lowered]
    shipping = content.shipping_minor - off_shipping
    *line_taxes, shipping_tax = apportion(tax, [*nets, shipping])
    lines: list[o.LineShare] = []
    for line, net, line_tax in zip(content.lines, nets, line_taxes, strict=True):
        lines += _by_component(line, net, line_tax, bundles)
    return Shares(lines, shipping + shipping_tax)


def _by_component(
    line: o.OrderLine, net: int, tax: int, bundles: Mapping[str, Mapping[str, int]]
) -> Iterator[o.LineShare]:
    """A bundle's components have prices that sum to its own: so many whole bundles are always worth as many prices."""
    made_of = bundles.get(line.sku, {line.sku: 1})
    prices = apportion(line.unit_price_minor, list(made_of.values()))
    weights = prices if any(prices) else list(made_of.values())
    nets, taxes = apportion(net, weights), apportion(tax, weights)
    for (sku, each), n, t in zip(made_of.items(), nets, taxes, strict=True):
        yield o.LineShare(line_id=line.line_id, sku=sku, quantity=each * line.quantity, amount_minor=n + t, tax_minor=t)


def taken(share: o.LineShare, quantity: int) -> tuple[o.LineShare, o.LineShare]:
    """So many units of a share, and what is left of it."""
    amount, tax = share.amount_minor * quantity // share.quantity, share.tax_minor * quantity // share.quantity
    part = share.model_copy(update={"quantity": quantity, "amount_minor": amount, "tax_minor": tax})
    rest = share.model_copy(
        update={
            "quantity": share.quantity - quantity,
            "amount_minor": share.amount_minor - amount,
            "tax_minor": share.tax_minor - tax,
        }
    )
    return part, rest


def parcel_lines(
    parcels: Iterable[Sequence[o.Reservation]], shares: Iterable[o.LineShare]
) -> Iterator[tuple[o.LineShare, ...]]:
    """Which lines the units of each parcel are: a SKU's units serve the lines that want it in turn."""
    queues: dict[str, deque[o.LineShare]] = defaultdict(deque)
    for share in shares:
        queues[share.sku].append(share)
    for items in parcels:
        lines: list[o.LineShare] = []
        for item in items:
            quantity = item.quantity
            while quantity:
                share = queues[item.sku].popleft()
                if share.quantity > quantity:
                    share, rest = taken(share, quantity)
                    queues[item.sku].appendleft(rest)
                quantity -= share.quantity
                lines.append(share)
        yield tuple(lines)


def payable(content: o.OrderContent) -> int:
    return max(content.total_minor - content.credit_minor, 0)


def dues(order: Order) -> tuple[o.PaymentDue, ...]:
    """What is to be asked for now: a presale's deposit before its goods have come, everything after that."""
    content = order.content
    assert content
    deposit = content.kind == "presale" and bool(order.uncovered)
    target = content.deposit_minor if deposit else payable(content) - order.written_off
    lacking = target - sum(payment.due.amount_minor for payment in order.live_payments.values())
    parts = [(t.method, t.payment_token, t.amount_minor) for t in content.all_tenders]
    found: list[o.PaymentDue] = []
    for method, token, amount in (*parts, ("card", content.payment_token, lacking)):
        if (n := min(amount, lacking)) > 0:
            payment_id = f"{order.order_id}.{order.payments_made + len(found) + 1}"
            found.append(
                o.PaymentDue(
                    payment_id=payment_id, amount_minor=n, payment_token=token, method=method, capture_now=deposit
                )
            )
            lacking -= n
    return tuple(found)


def charges(order: Order, worths: Sequence[int]) -> Iterator[tuple[o.Charge, ...]]:
    """How what the parcels are worth falls on the payments, in turn; credit and deposits come first."""
    assert order.content
    payments = sorted(order.live_payments.items(), key=lambda item: not item[1].due.capture_now)
    sources = deque([("", min(order.content.credit_minor, order.content.total_minor))])
    sources += [(key, payment.due.amount_minor) for key, payment in payments]
    for worth in worths:
        found: list[o.Charge] = []
        while worth and sources:
            payment_id, left = sources.popleft()
            n = min(left, worth)
            worth -= n  # noqa: PLW2901 - what is left to be borne
            if n and payment_id:
                found.append(o.Charge(payment_id=payment_id, amount_minor=n))
            if left > n:
                sources.appendleft((payment_id, left - n))
        yield tuple(found)


def to_capture(order: Order, borne: Iterable[o.Charge]) -> int:
    """Of what payments bear, what is still to be taken of them: a deposit was taken before."""
    deposits = {key for key, payment in order.payments.items() if payment.due.capture_now}
    return sum(charge.amount_minor for charge in borne if charge.payment_id not in deposits)


def lowered(borne: Iterable[o.Charge], amount_minor: int) -> tuple[o.Charge, ...]:
    """The charges without so much, from the last of them backwards."""
    left: list[o.Charge] = []
    for charge in reversed(list(borne)):
        n = min(charge.amount_minor, amount_minor)
        amount_minor -= n
        if charge.amount_minor > n:
            left.append(charge.model_copy(update={"amount_minor": charge.amount_minor - n}))
    return tuple(reversed(left))


def charges_of(order: Order, plan: o.ShipmentPlan) -> tuple[o.Charge, ...]:
    """Also where one payment bears it and the plan does not say so."""
    payment_id = next((key for key, p in order.live_payments.items() if not p.due.capture_now), order.payment_id)
    return o.borne(plan.charges, payment_id, plan.amount_minor)


def taken_by_payment(order: Order) -> dict[str, int]:
    """What was, or is about to be, captured: deposits whole, and of other payments the shares of parcels that left."""
    deposits = {key: payment for key, payment in order.live_payments.items() if payment.due.capture_now}
    amounts: dict[str, int] = defaultdict(int)
    for key, payment in deposits.items():
        if payment.status == "secured":
            amounts[key] += payment.due.amount_minor
    for plan in left_plans(order):
        for charge in charges_of(order, plan):
            if charge.payment_id not in deposits:
                amounts[charge.payment_id] += charge.amount_minor
    return dict(amounts)


def left_plans(order: Order) -> list[o.ShipmentPlan]:
    """Of every parcel that left, also of one that came back: what it took of payments is given back by refunds."""
    gone = ("dispatched", "delivered", "returned", "lost")
    return [
        order.plans[key] for key, status in sorted(order.shipments.items()) if status in gone and key in order.plans
    ]


def refund(order: Order, command: o.RefundOrder) -> o.OrderRefundRequested:
    """What each payment gives back, and what for. Raises Refused where it is more than was paid for it."""
    allocations, units = allocations_of(order, command)
    if not allocations:
        raise Refused(
            "nothing_to_refund", f"refund {command.refund_id} names no money; give lines, shipping or goodwill"
        )
    return _refund_requested(order, command.refund_id, command.reason, allocations, units, spared=order.credited)


def record_gone(order: Order, command: o.RecordMoneyGone) -> Iterator[o.OrderEvent]:
    assert order.content
    if (command.payment_id, command.effect) not in order.gone:
        yield o.OrderMoneyGone(**dict(command), currency=order.content.currency)


def record_back(order: Order, command: o.RecordMoneyBack) -> Iterator[o.OrderEvent]:
    if gone := order.gone.get((command.payment_id, command.effect)):
        yield o.OrderMoneyBack(**dict(gone))


def refund_credit(order: Order, refund_id: str, amount_minor: int, reason: str) -> o.OrderRefundRequested:
    """What was credited to an exchange, and is given back after all. Raises Refused where it was not credited."""
    if amount_minor > order.credited:
        raise Refused("exceeds_credit", f"{amount_minor} is more than the {order.credited} that was credited; lower it")
    allocation = RefundAllocation(kind="credit", amount_minor=amount_minor)
    return _refund_requested(order, refund_id, reason, [allocation], {}, spared=order.credited - amount_minor)


def _refund_requested(
    order: Order,
    refund_id: str,
    reason: str,
    allocations: Sequence[RefundAllocation],
    units: dict[str, int],
    spared: int,
) -> o.OrderRefundRequested:
    """`spared`: of what was paid, what pays for an exchange now."""
    assert order.content
    total = sum(allocation.amount_minor for allocation in allocations)
    refundable = _refundable(order)
    left = sum(refundable.values()) - spared
    if total > left:
        raise Refused(
            "exceeds_payment", f"{total} is more than the {left} left of what order {order.order_id} paid; lower it"
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
    )


CREDIT = ""
"""Beside an exchange's payments, what the returned goods paid of it."""


def _refundable(order: Order) -> dict[str, int]:
    """By payment, and of an exchange the credit that it used; without what is gone by another way."""
    gone: dict[str, int] = defaultdict(int)
    for event in order.gone.values():
        gone[event.payment_id] += event.amount_minor
    left = {key: max(n - order.given_back.get(key, 0) - gone[key], 0) for key, n in taken_by_payment(order).items()}
    if credit := credit_used(order) - order.credit_back:
        left[CREDIT] = credit
    return left


def _credit_part(order: Order, part: o.RefundPart) -> o.CreditPart:
    assert order.content
    return o.CreditPart(
        exchange_of=order.content.exchange_of or "", amount_minor=part.amount_minor, allocations=part.allocations
    )


def credit_used(order: Order) -> int:
    """What of its credit the parcels that left are worth beyond what payments bear."""
    assert order.content
    worth = sum(plan.worth_minor for plan in left_plans(order))
    charged = sum(charge.amount_minor for plan in left_plans(order) for charge in charges_of(order, plan))
    return min(max(worth - charged, 0), order.content.credit_minor - order.credit_left)


def require_unspent(order: Order, worth_minor: int) -> None:
    """Raises Refused where goods were not paid for, or what was paid went back otherwise: they pay for nothing."""
    left = sum(_refundable(order).values()) - order.credited
    if worth_minor > left:
        raise Refused(
            "exceeds_payment",
            f"{worth_minor} is more than the {left} left of what order {order.order_id} paid; settle it by a refund",
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
            raise Refused(
                "exceeds_payment",
                f"{n} is more than the {left} left of what was paid for {' '.join(key).strip()}; lower it, or give the "
                "rest as goodwill",
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
    """Of the next so many units of a line: the last of them are worth what is left of what was paid.

    `already` refunded: so many units, `given` for them.
    """
    shares, shipped = _shares_of(order, line_id), shipped_units(order, line_id)
    if already + quantity > shipped:
        raise Refused(
            "exceeds_shipped",
            f"{already + quantity} units of line {line_id} would be refunded and {shipped} were shipped; refund fewer",
        )
    worth = sum(share.amount_minor for share in shares)
    left = max(worth - given, 0)
    if already + quantity == shipped:
        return left
    up_to, before = (-(-worth * count // shipped) for count in (already + quantity, already))  # the first ones round up
    return min(up_to - before, left)


def shipped_units(order: Order, line_id: str) -> int:
    """Of a line; of a bundle, as many as its components make."""
    return _whole_units(order, line_id, {})


def units_out(order: Order, line_id: str) -> int:
    """Units of a line that were shipped, and neither came back undelivered nor were lost."""
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
    """Which lines units of a parcel that come back, or are lost, are of; those of before are not counted again."""
    plan = order.plans.get(shipment_id)
    before: dict[tuple[str, str], int] = defaultdict(int)
    for event in _undelivered(order):
        for share in event.lines if event.shipment_id == shipment_id else ():
            before[share.line_id, share.sku] += share.quantity
    back: dict[str, int] = defaultdict(int)
    for item in items:
        back[item.sku] += item.quantity
    found: list[o.LineShare] = []
    for share in plan.lines if plan else ():
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
    """What one unit of a line is made of."""
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
    """What changes where units of lines are cancelled that are worth `off`: the rest keeps its own discount and tax."""
    lines = []
    goods = 0
    for line in content.lines:
        less = cancelled.get(line.line_id, 0)
        goods += less * line.unit_price_minor
        if line.quantity > less:
            lines.append(line.model_copy(update={"quantity": line.quantity - less}) if less else line)
    tax = sum(share.tax_minor for share in off)
    net = sum(share.amount_minor for share in off) - tax
    return {
        "lines": tuple(lines),
        "tax_minor": content.tax_minor - tax,
        "discount_minor": content.discount_minor - (goods - net),
    }
