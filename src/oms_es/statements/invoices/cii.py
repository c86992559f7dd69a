"""UN/CEFACT Cross Industry Invoice (D16B and later): Factur-X, ZUGFeRD 2 and XRechnung.

The smallest profiles have no lines and no tax by rate: what is missing is not compared.
"""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.statements.invoices.fields import Amounts, Invoice, name_of, references_of, required, tokens_of
from oms_es.statements.reading import day_of, refuse
from oms_es.statements.xml_tree import Element

CREDIT_NOTES = frozenset({"381", "396", "261"})
"""Type codes of credit notes (UNTDID 1001)."""
AGREEMENT = "SupplyChainTradeTransaction/ApplicableHeaderTradeAgreement"
SETTLEMENT = "SupplyChainTradeTransaction/ApplicableHeaderTradeSettlement"
LINES = (
    "SupplyChainTradeTransaction/IncludedSupplyChainTradeLineItem/SpecifiedLineTradeSettlement/"
    "SpecifiedTradeSettlementLineMonetarySummation/LineTotalAmount"
)
OF_AGREEMENT = (
    *("BuyerOrderReferencedDocument/IssuerAssignedID", "SellerOrderReferencedDocument/IssuerAssignedID"),
    *("BuyerReference", "ContractReferencedDocument/IssuerAssignedID"),
)
OF_SETTLEMENT = ("PaymentReference", "InvoiceReferencedDocument/IssuerAssignedID")


def read(root: Element) -> Invoice:
    """Return the fields of an invoice. Raise BadInput if a required field is missing."""
    document = root.one("ExchangedDocument") or refuse(root.line, "ExchangedDocument is not there")
    agreement = root.one(AGREEMENT) or refuse(root.line, f"{AGREEMENT} is not there")
    settlement = root.one(SETTLEMENT) or refuse(root.line, f"{SETTLEMENT} is not there")
    amounts = Amounts(required(settlement, "InvoiceCurrencyCode"), settlement.line)
    net, tax, total = _totals(root, settlement, amounts)
    return Invoice(
        "cii",
        "credit_note" if document.says("TypeCode") in CREDIT_NOTES else "invoice",
        required(document, "ID"),
        _issued_on(document),
        *_party(agreement, "SellerTradeParty"),
        *_party(agreement, "BuyerTradeParty"),
        amounts.currency,
        *(net, tax, total),
        references_of(_references(document, agreement, settlement)),
        tuple(amounts.differences),
    )


def _totals(root: Element, settlement: Element, amounts: Amounts) -> tuple[int, int, int]:
    name = "SpecifiedTradeSettlementHeaderMonetarySummation"
    totals = settlement.one(name) or refuse(settlement.line, f"{name} is not there")
    net, total = amounts.must(totals, "TaxBasisTotalAmount"), amounts.must(totals, "GrandTotalAmount")
    own = [one for one in totals.all("TaxTotalAmount") if one.attributes.get("currencyID") in (amounts.currency, None)]
    tax = amounts.sum_of(own) or 0
    amounts.compare("net and tax, and the total", net + tax, total)
    amounts.compare(
        "the tax of each rate, and the tax", amounts.sum_of(settlement.all("ApplicableTradeTax/CalculatedAmount")), tax
    )
    of_lines = amounts.of(totals.one("LineTotalAmount"))
    amounts.compare("the lines, and their sum", amounts.sum_of(root.all(LINES)), of_lines)
    if of_lines is not None:
        less, more = (amounts.of(totals.one(one)) or 0 for one in ("AllowanceTotalAmount", "ChargeTotalAmount"))
        amounts.compare("the lines with what is added and taken off, and the net", of_lines - less + more, net)
    prepaid, rounding = (amounts.of(totals.one(one)) or 0 for one in ("TotalPrepaidAmount", "RoundingAmount"))
    payable = amounts.of(totals.one("DuePayableAmount"))
    amounts.compare("the total less what was prepaid, and what is to be paid", total - prepaid + rounding, payable)
    return net, tax, total


def _issued_on(document: Element) -> str:
    found = document.one("IssueDateTime/DateTimeString") or refuse(document.line, "IssueDateTime is not there")
    if found.attributes.get("format", "102") != "102":
        refuse(found.line, "a date of another format than 102")
    return day_of(found.text, "%Y%m%d", found.line)


def _party(agreement: Element, name: str) -> tuple[str, str]:
    party = agreement.one(name)
    if party is None:
        return "", ""
    return name_of(party, "Name"), name_of(party, "SpecifiedTaxRegistration/ID", "SpecifiedLegalOrganization/ID")


def _references(document: Element, agreement: Element, settlement: Element) -> Iterator[str]:
    for parent, paths in ((agreement, OF_AGREEMENT), (settlement, OF_SETTLEMENT)):
        for path in paths:
            yield from (found.text for found in parent.all(path))
    for note in document.all("IncludedNote/Content"):
        yield from tokens_of(note.text)
