"""Documents of our own, as events."""

from __future__ import annotations

from typing import Any

from oms_es.schemas.finance import invoicing as v
from oms_es.schemas.order import Address

PARTY = v.SellerParty(
    name="Tea & Co GmbH",
    address_line="Hauptstraße 1",
    city="Köln",
    postal_code="50667",
    country="DE",
    vat_id="DE123456789",
)
ADA = Address(name="Ada Müller", street="Weg 2", city="Bonn", postal_code="53111", country="DE")


def line(net: int, tax: int = 0, text: str = "TEA", quantity: int = 1) -> v.InvoiceLine:
    return v.InvoiceLine(line_id="1", text=text, quantity=quantity, net_minor=net, tax_minor=tax)


LINES = (line(1000, 190, "TEA", 3), line(333, 63, "Tasse <blau> & Löffel", 7), line(500, 95, "Shipping"))


def content(movement: str = "capture/17", **said: Any) -> v.InvoiceContent:
    whole = {
        "movement": movement,
        "about": movement,
        "kind": "invoice",
        "order_id": "o-1",
        "channel": "web",
        "order_name": "W-1",
        "payment_id": "o-1.1",
        "part": "o-1/1",
        "method": "card",
        "happened_on": "2026-03-01",
        "currency": "EUR",
        "lines": LINES,
        "tax_code": "S",
        "tax_rate": "19",
        "party": PARTY,
        "buyer": ADA,
    }
    return v.InvoiceContent(**whole | said)


def issued(number: int = 1, **said: Any) -> v.InvoiceIssued:
    whole = content(**said)
    fields = {name: getattr(whole, name) for name in v.InvoiceContent.model_fields}
    name = f"A-2026-{number:06d}"
    return v.InvoiceIssued(
        seller="ACME",
        year=2026,
        number=number,
        name=name,
        issued_on=whole.happened_on,
        keep_until="2036-12-31",
        **fields,
    )
