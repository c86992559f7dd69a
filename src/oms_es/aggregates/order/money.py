"""How an order's money is distributed over lines, parcels, payments and refunds.

Invariant: the shares of an amount sum to it exactly. They are fixed when the order is released; every later capture,
cancellation of a line and refund takes from those shares and never distributes an amount again.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from oms_es.aggregates.order.state import Order
from oms_es.schemas import order as o
from oms_es.schemas.values.currency import to_text
from oms_es.schemas.values.money import apportion

CREDIT = ""
"""The key, beside an exchange's payment ids, of what the returned goods pay of it."""


class Shares(NamedTuple):
    lines: list[o.LineShare]
    shipping_minor: int


def exploded(demand: Mapping[str, int], bundles: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Return the units to stock, by SKU: a bundle counts as its components."""
    units: dict[str, int] = defaultdict(int)
    for sku, quantity in demand.items():
        for component, each in bundles.get(sku, {sku: 1}).items():
            units[component] += quantity * each
    return dict(units)


def shares_of(content: o.OrderContent, bundles: Mapping[str, Mapping[str, int]]) -> Shares:
    """Return the total by lines and shipping, in minor units.

    A discount lowers goods, then shipping, then tax; the tax is distributed by what is left.
    """
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
    """Yield the share of each component.

    The components' prices sum to the bundle's, so a number of whole bundles is worth the same number of prices.
    """
    made_of = bundles.get(line.sku, {line.sku: 1})
    prices = apportion(line.unit_price_minor, list(made_of.values()))
    weights = prices if any(prices) else list(made_of.values())
    nets, taxes = apportion(net, weights), apportion(tax, weights)
    for (sku, each), n, t in zip(made_of.items(), nets, taxes, strict=True):
        yield o.LineShare(line_id=line.line_id, sku=sku, quantity=each * line.quantity, amount_minor=n + t, tax_minor=t)


def taken(share: o.LineShare, quantity: int) -> tuple[o.LineShare, o.LineShare]:
    """Split the given units off a share; return both parts."""
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
    """Yield the line shares of each parcel: the units of a SKU serve the lines that want it, one after the other."""
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


def in_words(order: Order, amount_minor: int) -> str:
    assert order.content
    return to_text(amount_minor, order.content.currency)


def payable(content: o.OrderContent) -> int:
    return max(content.total_minor - content.credit_minor, 0)


def divided(tenders: Iterable[o.Tender], amount_minor: int) -> tuple[tuple[o.Tender, ...], tuple[o.Tender, ...]]:
    """Return the tenders that pay the amount, in their order, and what is left of the tenders."""
    within: list[o.Tender] = []
    beyond: list[o.Tender] = []
    for tender in tenders:
        n = min(tender.amount_minor, amount_minor)
        amount_minor -= n
        for part, amount in ((within, n), (beyond, tender.amount_minor - n)):
            if amount:
                part.append(tender.model_copy(update={"amount_minor": amount}))
    return tuple(within), tuple(beyond)


def dues(order: Order) -> tuple[o.PaymentDue, ...]:
    """Return the payments to ask for now: for a presale whose goods have not come its deposit, otherwise all that is
    unpaid.
    """
    content = order.content
    assert content
    deposit = content.kind == "presale" and bool(order.presale_pending)
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
    """Yield for each parcel how its worth is charged to the payments, one after the other; credit and deposits come
    first.
    """
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
    """Return the part of the charges that is still to be captured; deposits were captured earlier."""
    deposits = {key for key, payment in order.payments.items() if payment.due.capture_now}
    return sum(charge.amount_minor for charge in borne if charge.payment_id not in deposits)


def lowered(borne: Iterable[o.Charge], amount_minor: int) -> tuple[o.Charge, ...]:
    """Return the charges less the amount, which is taken off the last charges first."""
    left: list[o.Charge] = []
    for charge in reversed(list(borne)):
        n = min(charge.amount_minor, amount_minor)
        amount_minor -= n
        if charge.amount_minor > n:
            left.append(charge.model_copy(update={"amount_minor": charge.amount_minor - n}))
    return tuple(reversed(left))


def charges_of(order: Order, plan: o.ShipmentPlan) -> tuple[o.Charge, ...]:
    """Return the plan's charges, also for a plan that does not state them because one payment bears all."""
    payment_id = next((key for key, p in order.live_payments.items() if not p.due.capture_now), order.payment_id)
    return o.borne(plan.charges, payment_id, plan.amount_minor)


def taken_by_payment(order: Order) -> dict[str, int]:
    """Return by payment what was, or is about to be, captured: deposits whole, otherwise the shares of parcels that
    left.
    """
    deposits = {key: payment for key, payment in order.live_payments.items() if payment.due.capture_now}
    secured = {key: payment.due.amount_minor for key, payment in deposits.items() if payment.status == "secured"}
    amounts = defaultdict(int, secured)
    for plan in left_plans(order):
        for charge in charges_of(order, plan):
            if charge.payment_id not in deposits:
                amounts[charge.payment_id] += charge.amount_minor
    return dict(amounts)


def left_plans(order: Order) -> list[o.ShipmentPlan]:
    """Return the plans of all parcels that left, including those that came back: what they took of payments is given
    back by refunds.
    """
    gone = ("dispatched", "delivered", "returned", "lost")
    return [
        order.plans[key] for key, status in sorted(order.shipments.items()) if status in gone and key in order.plans
    ]


def borne_by(gone: o.OrderMoneyGone) -> str:
    """Return the payment that lacks this money, or CREDIT."""
    return CREDIT if gone.of_credit else gone.payment_id
