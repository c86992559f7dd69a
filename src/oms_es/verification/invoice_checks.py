"""A second account of documents of our own: their numbers, their sums, and the money that they are about.

A document follows its movement once `invoicing` has read it. So one that is lacking is only wrong once that has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oms_es.kernel import Recorded
from oms_es.processing.bulk.overflow import Overflow, Overflowing
from oms_es.schemas import payment as p
from oms_es.schemas.finance import invoicing as v
from oms_es.schemas.operations.document import DocumentAttached
from oms_es.schemas.payment.movements import MOVEMENTS, movement_of
from oms_es.schemas.values.currency import in_money
from oms_es.verification.check import Check, at
from oms_es.verification.joined_checks import HasTaken

INVOICING = "invoicing"
"""Who issues documents, and keeps them."""
DOCUMENTED = (p.PaymentCaptured, p.PaymentRefunded, p.PaymentRefundReversed)


class InvoiceChecks:
    def __init__(self, overflow: Overflow) -> None:
        self.numbered = Check("invoices: numbers of a seller's year have no gap, none is given twice, their days rise")
        self.summed = Check("invoices: net + tax = total = what moved; none credits more than was invoiced")
        self.complete = Check("invoices: each movement of money of a seller has one document, which is kept")
        self.numbers: dict[str, tuple[int, str]] = {}  # by series: the last, and its day
        self.sellers: dict[str, frozenset[str]] = {}  # their channels
        self.is_due: Overflowing[str, bool] = overflow.mapping()  # by payment
        self.moved: Overflowing[str, tuple[int, str]] = overflow.mapping()  # amount and currency, if due
        self.totals: Overflowing[str, int] = overflow.mapping()  # by series and name
        self.left: Overflowing[str, tuple[int, int]] = overflow.mapping()  # of payments: net and tax not credited
        self.waiting: Overflowing[str, Recorded] = overflow.mapping()  # movements without a document
        self.issued: Overflowing[str, bool] = overflow.mapping()
        self.documents = 0
        self.corrected: Overflowing[str, bool] = overflow.mapping()  # payments
        self.unkept: Overflowing[tuple[str, str], Recorded] = overflow.mapping()  # by order and name

    @property
    def checks(self) -> tuple[Check, ...]:
        return self.numbered, self.summed, self.complete

    def note(self, recorded: Recorded, states: Mapping[str, tuple[Any, int]]) -> None:
        match recorded.event:
            case v.SellerSet(seller=seller, channels=channels):
                self.sellers[seller] = frozenset(channels)
            case p.PaymentEvent() if self.sellers and isinstance(recorded.event, DOCUMENTED):
                self._moved(recorded, states)
            case v.InvoiceIssued() as issued:
                self._issued(recorded, issued)
            case DocumentAttached(entity="order", entity_id=order_id, reference=name):
                self.unkept.pop((order_id, name), None)

    def _moved(self, recorded: Recorded, states: Mapping[str, tuple[Any, int]]) -> None:
        event: Any = recorded.event
        if event.payment_id not in self.is_due:
            order: Any = (states.get(f"order-{event.order_id}") or (None, 0))[0]
            placed: Any = order.placed if order else None
            first = isinstance(event, p.PaymentCaptured) and states[recorded.stream][0].captured == event.amount_minor
            self.is_due[event.payment_id] = bool(placed) and first and self._is_sold(placed.channel)
        if self.is_due[event.payment_id]:
            name = movement_of(type(event), recorded.position)
            self.moved[name] = MOVEMENTS[type(event)][1] * event.amount_minor, event.currency
            self.waiting[name] = recorded

    def _is_sold(self, channel: str) -> bool:
        return any(channel in channels or not channels for channels in self.sellers.values())

    def _issued(self, recorded: Recorded, issued: v.InvoiceIssued) -> None:
        last, day = self.numbers.get(recorded.stream, (0, ""))
        self.numbers[recorded.stream] = issued.number, issued.issued_on
        self.numbered.expect(
            issued.number == last + 1 and issued.issued_on >= day and issued.movement not in self.issued,
            lambda: f"{at(recorded)}: number {issued.number} of {issued.movement} on {issued.issued_on} follows {last}",
        )
        self.issued[issued.movement] = True
        self.documents += 1
        self.waiting.pop(issued.movement, None)
        self.unkept[issued.order_id, issued.name] = recorded
        sign = 1 if issued.kind == "invoice" else -1
        total = issued.net_minor + issued.tax_minor
        self.totals[f"{issued.seller} {issued.name}"] = sign * total
        expected = self.moved.get(issued.about, (0, issued.currency))
        if issued.corrects:
            expected = -self.totals.get(f"{issued.seller} {issued.corrects}", 0), issued.currency
        net, tax = self.left.get(issued.payment_id, (0, 0))
        left = net + sign * issued.net_minor, tax + sign * issued.tax_minor
        self.left[issued.payment_id] = left
        lines = sum(line.net_minor + line.tax_minor for line in issued.lines)
        said = in_money(sign * total, issued.currency)
        self.summed.expect(
            expected == (sign * total, issued.currency) and lines == total,
            lambda: f"{at(recorded)}: {said} in all, {in_money(lines, issued.currency)} of lines, and {expected} moved",
        )
        if issued.corrects:
            self.corrected[issued.payment_id] = True
            return  # what replaces it comes next
        self.summed.expect(
            self._is_covered(issued.payment_id),
            lambda: f"{at(recorded)}: of {issued.payment_id} {left} net and tax are left of what was invoiced",
        )

    def _is_covered(self, payment_id: str) -> bool:
        """No more is credited than was invoiced. How that is split may differ after a correction, which may tax it
        otherwise."""
        left = self.left.get(payment_id, (0, 0))
        return sum(left) >= 0 and (min(left) >= 0 or payment_id in self.corrected)

    def close(self, has_taken: HasTaken) -> None:
        """At the end of history: what is on its way is no fault."""
        for name, moved in self.waiting.entries():
            read = has_taken(INVOICING, moved.stream, moved.position)
            self.complete.expect(not read, lambda name=name, moved=moved: f"{at(moved)}: {name} has no document")  # type: ignore[misc] # bound here
        for (_, name), issued in self.unkept.entries():
            read = has_taken(INVOICING, issued.stream, issued.position)
            self.complete.expect(not read, lambda name=name, issued=issued: f"{at(issued)}: {name} is not kept")  # type: ignore[misc] # bound here
        for payment_id, _ in self.corrected.entries():
            self.summed.expect(
                self._is_covered(payment_id),
                lambda payment_id=payment_id: f"of {payment_id} more is credited than was invoiced",  # type: ignore[misc] # bound here
            )
        self.complete.checked += self.documents
