"""Proposals for the orders and payments that an invoice belongs to, each with its reason and confidence.

An invoice is matched by reference first: one that is the name of an order, an order number, a payment or a provider's
reference. Otherwise it is matched by an amount that was captured or refunded around the invoice's date. Nothing is
attached automatically. The same rows give the same proposals.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from oms_es.reports.queries import Connection
from oms_es.schemas.operations.document import Entity
from oms_es.schemas.values.currency import to_text
from oms_es.statements.invoices.fields import Invoice

WINDOW = timedelta(days=31)
"""How far a payment may be from the day of the invoice if only the amount matches."""
PROPOSALS_MAX = 20
NAME_AND_AMOUNT, NAME, ONLY_ONE_OF_THE_AMOUNT, ONE_OF_SEVERAL = 95, 70, 50, 20
"""Confidences in percent."""
ORDERS = """
SELECT order_id, currency, total_minor, refunded_minor FROM order_status WHERE order_id IN (
  SELECT unnest(%(names)s::text[]) UNION
  SELECT order_id FROM order_status WHERE external_id = ANY(%(external)s) AND (channel = ANY(%(channels)s)
    OR external_id = ANY(%(names)s)) UNION
  SELECT order_id FROM order_numbers WHERE name = ANY(%(names)s)
) ORDER BY order_id LIMIT %(most)s
"""
PAYMENTS = """
SELECT payment_id, currency, captured_minor, refunded_minor FROM payments WHERE payment_id IN (
  SELECT unnest(%(names)s::text[]) UNION
  SELECT payment_id FROM payments WHERE reference = ANY(%(names)s) UNION
  SELECT payment_id FROM payment_references WHERE reference = ANY(%(names)s)
) ORDER BY payment_id LIMIT %(most)s
"""
TAKEN = """
SELECT payment_id FROM payments WHERE requested_at >= %(since)s AND requested_at < %(until)s
AND currency = %(currency)s AND captured_minor = %(amount)s ORDER BY payment_id LIMIT %(most)s
"""
GIVEN_BACK = TAKEN.replace("captured_minor", "refunded_minor")

OURS = """
SELECT n.name FROM unnest(%(names)s::text[]) AS n (name) WHERE
  EXISTS (SELECT FROM order_status AS o WHERE o.order_id = n.name OR o.external_id = n.name
    OR (o.external_id = substr(n.name, strpos(n.name, '/') + 1) AND o.channel = split_part(n.name, '/', 1))) OR
  EXISTS (SELECT FROM order_numbers AS o WHERE o.name = n.name) OR
  EXISTS (SELECT FROM payments AS p WHERE p.payment_id = n.name OR p.reference = n.name) OR
  EXISTS (SELECT FROM payment_references AS p WHERE p.reference = n.name) OR
  EXISTS (SELECT FROM shipments AS s WHERE s.shipment_id = n.name) OR
  EXISTS (SELECT FROM tracking_numbers AS t WHERE t.tracking_number = n.name) OR
  EXISTS (SELECT FROM statements AS s WHERE s.account = split_part(n.name, '/', 1)
    AND s.statement_id = substr(n.name, strpos(n.name, '/') + 1))
"""


class Proposal(NamedTuple):
    entity: Entity
    entity_id: str
    confidence: int
    reason: str


def proposals(connection: Connection, invoice: Invoice) -> Sequence[Proposal]:
    """Return the proposals, the most certain first."""
    found = [*_by_name(connection, invoice)]
    if not any(one.confidence == NAME_AND_AMOUNT for one in found):
        known = {one.entity_id for one in found}
        found += [one for one in _by_amount(connection, invoice) if one.entity_id not in known]
    return sorted(found, key=lambda one: (-one.confidence, one.entity, one.entity_id))[:PROPOSALS_MAX]


def ours(connection: Connection, references: Sequence[str]) -> tuple[str, ...]:
    """Return the references that name an order, a payment, a parcel or a statement here, in their order."""
    known = {row["name"] for row in connection.execute(OURS, {"names": list(references)})}
    return tuple(one for one in references if one in known)


def _by_name(connection: Connection, invoice: Invoice) -> Iterator[Proposal]:
    slashed = [name.partition("/") for name in invoice.references if "/" in name]
    names = {
        "names": list(invoice.references),
        "external": [*invoice.references, *(rest for _, _, rest in slashed)],
        "channels": [channel for channel, _, _ in slashed],
        "most": PROPOSALS_MAX,
    }
    is_credit = invoice.kind == "credit_note"
    for row in connection.execute(ORDERS, names):
        amount = row["refunded_minor"] if is_credit else row["total_minor"]
        yield _named("order", row["order_id"], row["currency"], amount, invoice)
    for row in connection.execute(PAYMENTS, names):
        amount = row["refunded_minor"] if is_credit else row["captured_minor"]
        yield _named("payment", row["payment_id"], row["currency"], amount, invoice)


def _named(entity: Entity, entity_id: str, currency: str, amount_minor: int, invoice: Invoice) -> Proposal:
    if (currency, amount_minor) == (invoice.currency, abs(invoice.total_minor)):
        return Proposal(entity, entity_id, NAME_AND_AMOUNT, "it names it, and the amount is the same")
    return Proposal(entity, entity_id, NAME, f"it names it, for {to_text(amount_minor, currency)}")


def _by_amount(connection: Connection, invoice: Invoice) -> Iterator[Proposal]:
    day = date.fromisoformat(invoice.issued_on)
    asked = {
        "since": day - WINDOW,
        "until": day + WINDOW,
        "currency": invoice.currency,
        "amount": abs(invoice.total_minor),
        "most": PROPOSALS_MAX,
    }
    if not invoice.total_minor:
        return
    is_credit = invoice.kind == "credit_note"
    found = connection.execute(GIVEN_BACK if is_credit else TAKEN, asked).fetchall()
    sure = ONLY_ONE_OF_THE_AMOUNT if len(found) == 1 else ONE_OF_SEVERAL
    what = "given back" if is_credit else "taken"
    of = "the only one of which so much was" if len(found) == 1 else f"one of {len(found)} of which so much was"
    for row in found:
        yield Proposal("payment", row["payment_id"], sure, f"{of} {what}, within {WINDOW.days} days of it")
