"""What the checks keep of one order and one return."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from oms_es.schemas import order as o
from oms_es.schemas.returns import rma as r
from oms_es.schemas.values.currency import in_money

Units = Counter[tuple[str, str]]
"""By line and SKU: those of a bundle by component."""


COUNTED = (o.OrderAllocated, o.OrderPaymentRequested, o.OrderMoneyGone, o.OrderMoneyBack)


class OrderAccount:
    """Of one order."""

    def __init__(self) -> None:
        self.lines: dict[str, tuple[str, int]] = {}  # SKU and units
        self.bundles: dict[str, dict[str, int]] = {}
        self.total = 0
        self.currency = ""
        self.credit = 0  # that it was sent with, as an exchange
        self.credit_back = 0  # of that, what it did not use or gives back
        self.exchange_of: str | None = None
        self.credited = 0  # what pays for exchanges
        self.not_charged = 0  # credit of an exchange, and what was written off by hand
        self.plans: dict[str, o.ShipmentPlan] = {}
        self.charges: dict[str, dict[str, int]] = {}  # by parcel and payment
        self.gone: set[str] = set()
        self.replanned: int | None = None  # what of a stopped parcel is still wanted
        self.deposits: dict[str, int] = {}  # by payment
        self.missing: dict[tuple[str, str], int] = {}  # by payment and effect; of an exchange, also of its credit
        self.refunded_by: Counter[str] = Counter()  # by payment
        self.held: set[str] = set()  # parcels that are planned and not asked for yet
        self.back: Units = Counter()
        self.asked_back: dict[str, Counter[str]] = {}  # by return and line
        self.ended: Counter[str] = Counter()
        self.refunded: Counter[tuple[str, str]] = Counter()  # or credited, by kind and line
        self.refunded_units: Counter[str] = Counter()
        self.parts: dict[tuple[str, str], o.RefundPart] = {}  # by refund and payment

    def money(self, amount_minor: int) -> str:
        return in_money(amount_minor, self.currency)

    def count(self, event: o.OrderEvent) -> None:
        """Count deposits that are captured in advance, and money that is missing."""
        match event:
            case o.OrderAllocated(payments=dues):
                self.deposits.update({due.payment_id: due.amount_minor for due in dues if due.capture_now})
            case o.OrderPaymentRequested(capture_now=True):
                self.deposits[event.payment_id] = event.amount_minor
            case o.OrderMoneyGone():
                self.missing[event.payment_id, event.effect] = event.amount_minor
            case o.OrderMoneyBack():
                self.missing.pop((event.payment_id, event.effect), None)

    def left_of(self, payment_id: str) -> int:
        """Return what a payment can refund: what dispatched parcels were charged, or its deposit, less what is
        missing."""
        charged = sum(self.charges[key].get(payment_id, 0) for key in self.gone)
        gone = sum(amount for (payment, _), amount in self.missing.items() if payment == payment_id)
        return max(self.deposits.get(payment_id, charged) - gone, 0)

    def units(self, lines: Mapping[str, int]) -> Units:
        found: Units = Counter()
        for line_id, quantity in lines.items():
            sku = self.lines.get(line_id, (line_id, 0))[0]
            for component, each in self.bundles.get(sku, {sku: 1}).items():
                found[line_id, component] += quantity * each
        return found

    def shipped(self) -> Units:
        return units_of(share for key in self.gone for share in self.plans[key].lines)

    def paid_for(self) -> Counter[tuple[str, str]]:
        paid: Counter[tuple[str, str]] = Counter()
        for plan in (self.plans[key] for key in self.gone):
            paid["shipping", ""] += plan.shipping_minor
            for share in plan.lines:
                paid["line", share.line_id] += share.amount_minor
        return paid


class ReturnAccount:
    """Of one return, in units by line."""

    def __init__(self, opened: r.RmaOpened) -> None:
        self.expected = by_line(opened.lines)
        self.received: Counter[str] = Counter()
        self.inspected: Counter[str] = Counter()
        self.accepted: Counter[str] = Counter()
        self.credited: Counter[str] = Counter()


def worth_of(plan: o.ShipmentPlan) -> int:
    return sum(share.amount_minor for share in plan.lines) + plan.shipping_minor


def units_of(shares: Iterable[o.LineShare]) -> Units:
    units: Units = Counter()
    for share in shares:
        units[share.line_id, share.sku] += share.quantity
    return units


def by_line(lines: Iterable[o.LineUnits] | Iterable[r.ReturnLine]) -> Counter[str]:
    units: Counter[str] = Counter()
    for line in lines:
        units[line.line_id] += line.quantity
    return units
