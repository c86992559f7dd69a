"""The content of a document, computed from history up to the movement of money that it is about. Pure.

Invariant: net and tax of each line are its amount, and the lines are the movement, to the minor unit. What is credited
of a payment's invoices has the share of their tax that it has of their sum: all of it where all is given back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from oms_es.aggregates.order import decider as orders
from oms_es.aggregates.order.state import Order
from oms_es.kernel import Recorded, Row
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas.finance import invoicing as v
from oms_es.schemas.payment.movements import MOVEMENTS, movement_of
from oms_es.schemas.values.money import apportion

MOVED = (p.PaymentCaptured, p.PaymentRefunded, p.PaymentRefundReversed)
"""The movements of money that get a document. A dispute is between the customer's bank and the seller, and changes no
sale."""
CANCELLATION, REPLACEMENT = "cancellation", "replacement"
PARTS_PER = 1_000_000
RATE_DECIMALS = 4
NOT_SHIPPED_TO = "ZZ"
TAXED_AS = ("tax_code", "tax_rate", "exempt_reason")


class Story(NamedTuple):
    """The part of history that a document is made of: events of the order, of the payment, and of sellers."""

    order: Sequence[Recorded]
    payment: Sequence[Recorded]
    sellers: Sequence[Recorded]

    def until(self, position: int) -> Story:
        return Story(*([one for one in some if one.position <= position] for some in self))

    @property
    def moved(self) -> list[Recorded]:
        return [one for one in self.payment if isinstance(one.event, MOVED)]


class Taxed(NamedTuple):
    """How a payment is taxed. `share` is the part of the paid amount that is tax; `rate` is in percent."""

    share: Fraction
    rate: str


class Part(NamedTuple):
    line_id: str
    text: str
    quantity: int
    weight: int


def seller_of(story: Story) -> v.SellerSet | None:
    """Return the seller whose channel the payment came from when its first money came, as it was last set in the
    story. A payment keeps its seller."""
    then = seller_then(story)
    return _sellers(story.sellers)[then.seller] if then else None


def seller_then(story: Story) -> v.SellerSet | None:
    """Return the seller of a payment as it was set when its first money came: its settings tax all its documents."""
    first = next((one for one in story.moved if isinstance(one.event, p.PaymentCaptured)), None)
    placed = next((one.event for one in story.order if isinstance(one.event, o.OrderPlaced)), None)
    if first is None or placed is None:
        return None
    then = _sellers(one for one in story.sellers if one.position < first.position)
    mine = [one for one in then.values() if placed.channel in one.channels]
    mine += [one for one in then.values() if not one.channels]
    return mine[0] if mine else None


def _sellers(events: Iterable[Recorded]) -> dict[str, v.SellerSet]:
    return {one.event.seller: one.event for one in events if isinstance(one.event, v.SellerSet)}


def name_of(moved: Recorded) -> str:
    return movement_of(type(moved.event), moved.position)


def drawn_up(
    story: Story, moved: Recorded, seller: v.SellerSet, issued: Mapping[str, Row], taxing: v.SellerSet
) -> v.InvoiceContent:
    """`story`: up to now; `moved`: a movement in it; `issued`: rows of `invoices` of that payment, by movement, which a
    capture needs none of. To whom it is, and who sells, is said as it is now; the rest as it was at the movement.
    `taxing`: the seller as it was, or is, set when it comes to tax."""
    then = story.until(moved.position)
    order, event = folded(then.order), moved.event
    assert isinstance(event, MOVED)
    taxed = taxed_of(story, taxing)
    common: dict[str, Any] = {
        "movement": name_of(moved),
        "about": name_of(moved),
        "kind": "invoice" if MOVEMENTS[type(event)][1] > 0 else "credit_note",
        "method": _method(then),
        "payment_id": event.payment_id,
        "happened_on": day_of(moved.recorded_at),
        "currency": event.currency,
        "tax_code": code_of(taxed, taxing),
        "tax_rate": taxed.rate,
        "exempt_reason": "" if taxed.share else taxing.exempt_reason,
        "party": seller.party,
        **_of_order(folded(story.order), seller),
    }
    if isinstance(event, p.PaymentCaptured):
        return v.InvoiceContent(**common | _of_capture(then, moved, order, taxed))
    standing = standing_of(issued)
    common |= _taxed_as([row for row in standing if row["kind"] == "invoice"])
    return v.InvoiceContent(**common | _of_refund(then, moved, order, standing, issued))


def folded(events: Iterable[Recorded]) -> Order:
    order = orders.decider.initial
    for one in events:
        order = orders.decider.evolve(order, one.event)
    return order


def day_of(moment: datetime) -> str:
    return moment.astimezone(UTC).date().isoformat()


def kept_until(year: int, seller: v.SellerSet) -> str:
    return date(year + seller.keep_years, 12, 31).isoformat()


def _method(story: Story) -> str:
    return next((one.event.method for one in story.payment if isinstance(one.event, p.PaymentRequested)), "")


def _of_order(order: Order, seller: v.SellerSet) -> dict[str, Any]:
    assert order.content
    buyer = order.content.ship_to
    if buyer.country == NOT_SHIPPED_TO:
        buyer = buyer.model_copy(update={"country": seller.country})
    return {
        "order_id": order.order_id,
        "channel": order.content.channel,
        "order_name": order.content.external_id,
        "buyer": buyer,
    }


# tax


def taxed_of(story: Story, seller: v.SellerSet) -> Taxed:
    """Return how a payment is taxed: as its order was at the first capture, so that later documents have the same
    share."""
    first = next(one for one in story.moved if isinstance(one.event, p.PaymentCaptured))
    content = folded(story.until(first.position).order).content
    assert content
    net = content.total_minor - content.tax_minor
    if content.tax_minor and net > 0:
        rate = _named(content, seller) or _rate(Fraction(content.tax_minor, net))
        return Taxed(Fraction(content.tax_minor, content.total_minor), rate)
    included = Fraction(Decimal(seller.included_tax)) if not content.tax_minor else Fraction(0)
    return Taxed(included / (100 + included), seller.included_tax if included else "0")


def _named(content: o.OrderContent, seller: v.SellerSet) -> str:
    """Return the rate of the seller that explains the order's tax within the rounding of its lines, or an empty
    string."""
    net, off_max = content.total_minor - content.tax_minor, len(content.lines) + 1
    off = [(abs(content.tax_minor - net * Fraction(Decimal(rate)) / 100), rate) for rate in seller.tax_rates]
    nearest = min(off, default=(off_max + 1, ""))
    return nearest[1] if nearest[0] <= off_max else ""


def _rate(share: Fraction) -> str:
    parts = round(share * PARTS_PER)
    percent = Decimal(min(parts, 100 * PARTS_PER // 100 - 1)).scaleb(-RATE_DECIMALS)
    return f"{percent.normalize():f}"


def code_of(taxed: Taxed, seller: v.SellerSet) -> v.TaxCode:
    if taxed.share:
        return "S"
    return "E" if seller.exempt_reason.strip() else "Z"


def _tax_in(amount: int, share: Fraction) -> int:
    """Return the tax in an amount, rounded half up.

    The rounding is monotonic, so the tax of a later capture is never negative.
    """
    return (2 * amount * share.numerator + share.denominator) // (2 * share.denominator)


# what it is for


def _of_capture(story: Story, moved: Recorded, order: Order, taxed: Taxed) -> dict[str, Any]:
    event: Any = moved.event
    before = sum(
        one.event.amount_minor
        for one in story.moved
        if isinstance(one.event, p.PaymentCaptured) and one.position < moved.position
    )
    tax = _tax_in(before + event.amount_minor, taxed.share) - _tax_in(before, taxed.share)
    plan = order.plans.get(event.capture_id)
    if plan is None or not plan.lines or not plan.worth_minor:
        part = Part("", f"Payment for order {order.content.external_id if order.content else ''}", 1, 1)
        return {"part": event.capture_id, "ahead": True, "lines": lines_of([part], event.amount_minor, tax)}
    lines = lines_of(list(_of_parcel(plan)), event.amount_minor, tax)
    worth = plan.worth_minor if plan.worth_minor != event.amount_minor else 0
    return {"part": event.capture_id, "worth_minor": worth, "lines": lines}


def _of_parcel(plan: o.ShipmentPlan) -> Iterator[Part]:
    found: dict[tuple[str, str], list[int]] = {}
    for share in plan.lines:
        units = found.setdefault((share.line_id, share.sku), [0, 0])
        units[0] += share.quantity
        units[1] += share.amount_minor
    for (line_id, sku), (quantity, amount) in found.items():
        yield Part(line_id, sku, quantity, amount)
    if plan.shipping_minor:
        yield Part("", "Shipping", 1, plan.shipping_minor)


def _of_refund(
    story: Story, moved: Recorded, order: Order, standing: Sequence[Row], issued: Mapping[str, Row]
) -> dict[str, Any]:
    event: Any = moved.event
    parts = list(_given_back(story, event, order))
    if isinstance(event, p.PaymentRefunded):
        invoices = [row for row in standing if row["kind"] == "invoice"]
        notes = [row for row in standing if row["kind"] == "credit_note"]
        tax = _tax_back(invoices, notes, event.amount_minor)
        names = tuple(row["name"] for row in invoices)[-v.PRECEDING_MAX :]
        return {"part": event.refund_id, "lines": lines_of(parts, event.amount_minor, tax), "precedes": names}
    note = _last_note_of(issued, event.refund_id)
    tax_of_it: int = note["tax_minor"] * event.amount_minor // note["total_minor"]
    lines = lines_of(parts, event.amount_minor, min(tax_of_it, event.amount_minor))
    said = {"part": event.refund_id, "lines": lines, "precedes": (note["name"],)}
    return {**said, "reason": event.reason, **_taxed_as([note])}


def _taxed_as(rows: Sequence[Row]) -> dict[str, Any]:
    """Return how these documents are taxed. If they have several rates, as after a correction of one of them, it is the
    rate that the sum of their tax gives."""
    said = {tuple(row[name] for name in TAXED_AS) for row in rows}
    if len(said) <= 1:
        return dict(zip(TAXED_AS, said.pop(), strict=True)) if said else {}
    tax = _sum(rows, "tax_minor")
    if not tax:
        return {name: rows[-1][name] for name in TAXED_AS}
    return {"tax_code": "S", "tax_rate": _rate(Fraction(tax, max(_sum(rows, "net_minor"), 1))), "exempt_reason": ""}


def _last_note_of(issued: Mapping[str, Row], refund_id: str) -> Row:
    rows = sorted(issued.values(), key=lambda row: row["position"])
    return next(
        row
        for row in reversed(rows)
        if row["part"] == refund_id and row["kind"] == "credit_note" and not row["corrects"]
    )


def _given_back(story: Story, event: Any, order: Order) -> Iterator[Part]:
    assert order.placed
    assert order.content
    asked = [
        one.event
        for one in story.payment
        if isinstance(one.event, p.PaymentRefundRequested) and one.event.refund_id == event.refund_id
    ]
    skus = {line.line_id: line.sku for line in (*order.placed.lines, *order.content.lines)}
    words = {"shipping": "Shipping", "goodwill": "Goodwill", "credit": "Credit of an exchange"}
    allocations = [one for one in (asked[-1].allocations if asked else ()) if one.amount_minor]
    for one in allocations:
        yield Part(one.line_id, words.get(one.kind) or skus.get(one.line_id, one.line_id), 1, one.amount_minor)
    if not allocations:
        yield Part("", f"Refund of a payment for order {order.content.external_id}", 1, 1)


def standing_of(issued: Mapping[str, Row]) -> list[Row]:
    """Return the documents that are valid: without the cancelled ones and the documents that cancelled them."""
    gone = {row["corrects"] for row in issued.values() if row["corrects"]}
    left = [row for row in issued.values() if not row["corrects"] and row["name"] not in gone]
    return sorted(left, key=lambda row: row["position"])


def _tax_back(invoices: Sequence[Row], notes: Sequence[Row], amount: int) -> int:
    """Return the tax in a refund of `amount`: its share of the invoiced tax, so that a refund of everything has all of
    it."""
    total, tax = _sum(invoices, "total_minor"), _sum(invoices, "tax_minor")
    before, tax_before = _sum(notes, "total_minor"), _sum(notes, "tax_minor")
    due = min(tax * (before + amount) // total, tax) if total else 0
    return min(max(due - tax_before, 0), amount)


def _sum(rows: Sequence[Row], name: str) -> int:
    return sum(row[name] for row in rows)


def lines_of(parts: Sequence[Part], amount: int, tax: int) -> tuple[v.InvoiceLine, ...]:
    """Divide an amount and the tax in it over the parts that it pays for, by their weights."""
    if len(parts) > v.LINES_MAX:
        beyond = parts[v.LINES_MAX - 1 :]
        rest = Part("", f"{len(beyond)} more lines", 1, sum(part.weight for part in beyond))
        parts = [*parts[: v.LINES_MAX - 1], rest]
    amounts = apportion(amount, [part.weight for part in parts])
    taxes = apportion(tax, amounts)
    return tuple(
        v.InvoiceLine(line_id=part.line_id, text=part.text, quantity=part.quantity, net_minor=n - t, tax_minor=t)
        for part, n, t in zip(parts, amounts, taxes, strict=True)
    )
