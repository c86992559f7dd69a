"""UBL 2.1 invoices and credit notes, as EN 16931, Peppol and XRechnung write them.

Tax may be stated in a second currency, for the tax office; the tax in the currency of the invoice counts.
"""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.statements.invoices.fields import Amounts, Invoice, name_of, references_of, required, tokens_of
from oms_es.statements.reading import iso_day, refuse
from oms_es.statements.xml_tree import Element

CREDIT_NOTES = frozenset({"381", "396", "261"})
"""Type codes of credit notes (UNTDID 1001)."""
SELLER, BUYER = "AccountingSupplierParty/Party", "AccountingCustomerParty/Party"
NAMED = ("PartyLegalEntity/RegistrationName", "PartyName/Name")
NUMBERED = ("PartyTaxScheme/CompanyID", "PartyLegalEntity/CompanyID")
REFERENCES = (
    *("OrderReference/ID", "OrderReference/SalesOrderID", "BuyerReference", "ContractDocumentReference/ID"),
    *("PaymentMeans/PaymentID", "BillingReference/InvoiceDocumentReference/ID"),
)


def read(root: Element) -> Invoice:
    """Return the fields of an invoice. Raise BadInput if a required field is missing."""
    amounts = Amounts(required(root, "DocumentCurrencyCode"), root.line)
    totals = root.one("LegalMonetaryTotal") or refuse(root.line, "LegalMonetaryTotal is not there")
    net, total = amounts.must(totals, "TaxExclusiveAmount"), amounts.must(totals, "TaxInclusiveAmount")
    tax = _tax(root, amounts)
    amounts.compare("net and tax, and the total", net + tax, total)
    _compare_lines(root, totals, amounts, net)
    prepaid, rounding = (amounts.of(totals.one(name)) or 0 for name in ("PrepaidAmount", "PayableRoundingAmount"))
    payable = amounts.of(totals.one("PayableAmount"))
    amounts.compare("the total less what was prepaid, and what is to be paid", total - prepaid + rounding, payable)
    is_credit = root.name == "CreditNote" or root.says("InvoiceTypeCode") in CREDIT_NOTES
    issued = root.one("IssueDate") or refuse(root.line, "IssueDate is not there")
    return Invoice(
        "ubl",
        "credit_note" if is_credit else "invoice",
        required(root, "ID"),
        iso_day(issued.text, issued.line),
        *_party(root, SELLER),
        *_party(root, BUYER),
        amounts.currency,
        *(net, tax, total),
        references_of(_references(root)),
        tuple(amounts.differences),
    )


def _party(root: Element, party: str) -> tuple[str, str]:
    """Return the name of a party, and its tax number."""
    names, numbers = ([f"{party}/{path}" for path in paths] for paths in (NAMED, NUMBERED))
    return name_of(root, *names), name_of(root, *numbers)


def _tax(root: Element, amounts: Amounts) -> int:
    """Return the tax in the currency of the invoice; 0 if none is stated."""
    totals = [one for one in root.all("TaxTotal") if _currency(one) in (amounts.currency, None)]
    tax = amounts.sum_of(found for one in totals for found in one.all("TaxAmount"))
    parts = amounts.sum_of(found for one in totals for found in one.all("TaxSubtotal/TaxAmount"))
    amounts.compare("the tax of each rate, and the tax", parts, tax)
    return tax or 0


def _currency(total: Element) -> str | None:
    found = total.one("TaxAmount")
    return None if found is None else found.attributes.get("currencyID")


def _compare_lines(root: Element, totals: Element, amounts: Amounts, net: int) -> None:
    of_lines = amounts.of(totals.one("LineExtensionAmount"))
    line = "CreditNoteLine" if root.name == "CreditNote" else "InvoiceLine"
    summed = amounts.sum_of(root.all(f"{line}/LineExtensionAmount"))
    amounts.compare("the lines, and their sum", summed, of_lines)
    less, more = (amounts.of(totals.one(name)) or 0 for name in ("AllowanceTotalAmount", "ChargeTotalAmount"))
    amounts.compare("the lines with what is added and taken off, and the net", (of_lines or 0) - less + more, net)


def _references(root: Element) -> Iterator[str]:
    for path in REFERENCES:
        yield from (found.text for found in root.all(path))
    for note in root.all("Note"):
        yield from tokens_of(note.text)
