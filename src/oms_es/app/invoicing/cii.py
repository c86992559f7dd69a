"""A document of our own as XML: Cross Industry Invoice in Factur-X's profile BASIC, which is EN 16931 with less in it.

Invariant: every amount is an integer of minor units, written with its decimals; the quantity of a line and what it
costs are exact, as a price is of so many units. EN 16931 knows amounts of two decimals: a currency with more has no
such file.
"""

from __future__ import annotations

import re
from decimal import Decimal
from xml.sax.saxutils import escape

from oms_es.schemas.finance.invoicing import InvoiceIssued, InvoiceLine
from oms_es.schemas.order.content import Address
from oms_es.schemas.values.currency import exponent_of

PROFILE = "urn:cen.eu:en16931:2017#compliant#urn:factur-x.eu:1p0:basic"
LEVEL = "BASIC"
FILE_NAME = "factur-x.xml"
DECIMALS_MAX = 2
INVOICE, AHEAD, CREDIT_NOTE = "380", "386", "381"
"""Type codes of documents, from the code list UNTDID 1001."""
NAMELESS = "-"
PIECE = "H87"
"""The code of a unit, from UNECE recommendation 20."""
NOT_OF_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
NAMESPACES = (
    'xmlns:rsm="urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100"',
    'xmlns:ram="urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100"',
    'xmlns:udt="urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100"',
)


def has_xml(issued: InvoiceIssued) -> bool:
    return exponent_of(issued.currency) <= DECIMALS_MAX


def as_xml(issued: InvoiceIssued) -> bytes:
    lines = "".join(_line(issued, number, line) for number, line in enumerate(issued.lines, 1))
    body = (
        _context(),
        _document(issued),
        "<rsm:SupplyChainTradeTransaction>",
        lines,
        _agreement(issued),
        _delivery(issued),
        _settlement(issued),
        "</rsm:SupplyChainTradeTransaction>",
    )
    root = f"<rsm:CrossIndustryInvoice {' '.join(NAMESPACES)}>{''.join(body)}</rsm:CrossIndustryInvoice>"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{root}\n'.encode()


def text_of(amount_minor: int, currency: str) -> str:
    return f"{Decimal(amount_minor).scaleb(-exponent_of(currency)):f}"


def words(text: str) -> str:
    """Return the text with a replacement for each character that XML cannot contain."""
    return escape(NOT_OF_XML.sub("\N{REPLACEMENT CHARACTER}", text).strip())


def buyer_name(issued: InvoiceIssued) -> str:
    return issued.buyer.name.strip() or f"Customer of order {issued.order_name}"


def type_code(issued: InvoiceIssued) -> str:
    if issued.kind == "credit_note":
        return CREDIT_NOTE
    return AHEAD if issued.ahead else INVOICE


def _tag(name: str, text: str, attributes: str = "") -> str:
    """Return the element, or nothing if its text is empty."""
    return f"<ram:{name}{attributes}>{words(text)}</ram:{name}>" if text.strip() else ""


def _day(day: str, kind: str = "udt") -> str:
    return f'<{kind}:DateTimeString format="102">{day.replace("-", "")}</{kind}:DateTimeString>'


def _context() -> str:
    guideline = f"<ram:ID>{PROFILE}</ram:ID>"
    return (
        "<rsm:ExchangedDocumentContext><ram:GuidelineSpecifiedDocumentContextParameter>"
        f"{guideline}</ram:GuidelineSpecifiedDocumentContextParameter></rsm:ExchangedDocumentContext>"
    )


def _document(issued: InvoiceIssued) -> str:
    notes = [one for one in (notes_of(issued)) if one.strip()]
    included = "".join(f"<ram:IncludedNote><ram:Content>{words(one)}</ram:Content></ram:IncludedNote>" for one in notes)
    issue = f"<ram:IssueDateTime>{_day(issued.issued_on)}</ram:IssueDateTime>"
    return (
        f"<rsm:ExchangedDocument>{_tag('ID', issued.name)}{_tag('TypeCode', type_code(issued))}{issue}{included}"
        "</rsm:ExchangedDocument>"
    )


def notes_of(issued: InvoiceIssued) -> tuple[str, ...]:
    """Return the notes that people read below the sums."""
    of = f"Paid by {issued.method or 'payment'} {issued.payment_id}, {issued.about}."
    if issued.kind == "credit_note":
        of = f"Given back by {issued.method or 'payment'} {issued.payment_id}, {issued.about}."
    part = ""
    if issued.worth_minor:
        part = f"A part of {text_of(issued.worth_minor, issued.currency)} {issued.currency} of parcel {issued.part}."
    because = f"Cancels {issued.corrects}." if issued.corrects else ""
    reason = f"Reason: {issued.reason}" if issued.reason else ""
    return tuple(one for one in (of, part, because, reason, issued.party.note) if one)


def _line(issued: InvoiceIssued, number: int, line: InvoiceLine) -> str:
    """Return a line. Its price is that of the whole quantity, because a price per unit might not be exact."""
    net, unit = text_of(line.net_minor, issued.currency), f'unitCode="{PIECE}"'
    basis = f"<ram:BasisQuantity {unit}>{line.quantity}</ram:BasisQuantity>"
    return (
        "<ram:IncludedSupplyChainTradeLineItem>"
        f"<ram:AssociatedDocumentLineDocument><ram:LineID>{number}</ram:LineID></ram:AssociatedDocumentLineDocument>"
        f"<ram:SpecifiedTradeProduct>{_tag('Name', line.text.strip() or NAMELESS)}</ram:SpecifiedTradeProduct>"
        "<ram:SpecifiedLineTradeAgreement><ram:NetPriceProductTradePrice>"
        f"<ram:ChargeAmount>{net}</ram:ChargeAmount>{basis}"
        "</ram:NetPriceProductTradePrice></ram:SpecifiedLineTradeAgreement>"
        f"<ram:SpecifiedLineTradeDelivery><ram:BilledQuantity {unit}>{line.quantity}</ram:BilledQuantity>"
        "</ram:SpecifiedLineTradeDelivery><ram:SpecifiedLineTradeSettlement>"
        "<ram:ApplicableTradeTax><ram:TypeCode>VAT</ram:TypeCode>"
        f"<ram:CategoryCode>{issued.tax_code}</ram:CategoryCode>"
        f"<ram:RateApplicablePercent>{issued.tax_rate}</ram:RateApplicablePercent></ram:ApplicableTradeTax>"
        "<ram:SpecifiedTradeSettlementLineMonetarySummation>"
        f"<ram:LineTotalAmount>{net}</ram:LineTotalAmount></ram:SpecifiedTradeSettlementLineMonetarySummation>"
        "</ram:SpecifiedLineTradeSettlement></ram:IncludedSupplyChainTradeLineItem>"
    )


def _agreement(issued: InvoiceIssued) -> str:
    party = issued.party
    registered = (("VA", party.vat_id), ("FC", party.tax_number))
    taxes = "".join(
        f"<ram:SpecifiedTaxRegistration>{_tag('ID', number, f' schemeID={chr(34)}{scheme}{chr(34)}')}"
        "</ram:SpecifiedTaxRegistration>"
        for scheme, number in registered
        if number.strip()
    )
    seller = (
        f"{_tag('ID', issued.seller)}{_tag('Name', party.name)}"
        f"{_address(party.address_line, party.city, party.postal_code, party.country)}{taxes}"
    )
    order = f"<ram:BuyerOrderReferencedDocument>{_tag('IssuerAssignedID', issued.order_name)}"
    return (
        f"<ram:ApplicableHeaderTradeAgreement><ram:SellerTradeParty>{seller}</ram:SellerTradeParty>"
        f"<ram:BuyerTradeParty>{_tag('Name', buyer_name(issued))}{_of(issued.buyer)}</ram:BuyerTradeParty>"
        f"{order}</ram:BuyerOrderReferencedDocument></ram:ApplicableHeaderTradeAgreement>"
    )


def _of(address: Address) -> str:
    return _address(address.street, address.city, address.postal_code, address.country)


def _address(street: str, city: str, postal_code: str, country: str) -> str:
    inner = _tag("PostcodeCode", postal_code) + _tag("LineOne", street) + _tag("CityName", city)
    return f"<ram:PostalTradeAddress>{inner}{_tag('CountryID', country)}</ram:PostalTradeAddress>"


def _delivery(issued: InvoiceIssued) -> str:
    """Return the delivery. Its day is the day on which the money moved, because money is captured as goods leave."""
    happened = f"<ram:OccurrenceDateTime>{_day(issued.happened_on)}</ram:OccurrenceDateTime>"
    event = f"<ram:ActualDeliverySupplyChainEvent>{happened}</ram:ActualDeliverySupplyChainEvent>"
    inner = event if issued.kind == "invoice" and not issued.ahead else ""
    return f"<ram:ApplicableHeaderTradeDelivery>{inner}</ram:ApplicableHeaderTradeDelivery>"


def _settlement(issued: InvoiceIssued) -> str:
    currency = issued.currency

    def money(name: str, amount: int, attributes: str = "") -> str:
        return f"<ram:{name}{attributes}>{text_of(amount, currency)}</ram:{name}>"

    tax = (
        f"<ram:ApplicableTradeTax>{money('CalculatedAmount', issued.tax_minor)}<ram:TypeCode>VAT</ram:TypeCode>"
        f"{_tag('ExemptionReason', issued.exempt_reason if issued.tax_code == 'E' else '')}"
        f"{money('BasisAmount', issued.net_minor)}<ram:CategoryCode>{issued.tax_code}</ram:CategoryCode>"
        f"<ram:RateApplicablePercent>{issued.tax_rate}</ram:RateApplicablePercent></ram:ApplicableTradeTax>"
    )
    sums = (
        money("LineTotalAmount", issued.net_minor)
        + money("TaxBasisTotalAmount", issued.net_minor)
        + money("TaxTotalAmount", issued.tax_minor, f' currencyID="{currency}"')
        + money("GrandTotalAmount", issued.total_minor)
        + money("TotalPrepaidAmount", issued.total_minor)
        + money("DuePayableAmount", 0)
    )
    references = "".join(
        f"<ram:InvoiceReferencedDocument>{_tag('IssuerAssignedID', name)}</ram:InvoiceReferencedDocument>"
        for name in issued.precedes
    )
    return (
        f"<ram:ApplicableHeaderTradeSettlement>{_tag('PaymentReference', issued.payment_id)}"
        f"<ram:InvoiceCurrencyCode>{currency}</ram:InvoiceCurrencyCode>{tax}"
        f"<ram:SpecifiedTradeSettlementHeaderMonetarySummation>{sums}"
        f"</ram:SpecifiedTradeSettlementHeaderMonetarySummation>{references}"
        "</ram:ApplicableHeaderTradeSettlement>"
    )
