"""China's invoices: the fully digital ones (数电票), and the earlier electronic ones in OFD files.

Numbers have up to twenty digits and stay text. A tax of `***`, 免税 or 不征税 counts as none. A red invoice, whose
amounts are negative, reverses an earlier one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from oms_es.statements.invoices.fields import Amounts, Invoice, name_of, references_of, required, tokens_of
from oms_es.statements.reading import day_of, refuse
from oms_es.statements.xml_tree import Element

CURRENCY = "CNY"
NO_TAX = frozenset({"***", "免税", "不征税", ""})
DIGITS = re.compile(r"[^0-9]")
DAY_DIGITS = len("20260131")


def read_digital(root: Element) -> Invoice:
    """Return the fields of a fully digital invoice. Raise BadInput if a required field is missing."""
    said = root.one("EInvoiceData") or refuse(root.line, "EInvoiceData is not there")
    amounts = Amounts(CURRENCY, root.line)
    basic = said.one("BasicInformation") or refuse(said.line, "BasicInformation is not there")
    net, total = amounts.must(basic, "TotalAmWithoutTax"), amounts.must(basic, "TotalTax-includedAmount")
    tax = _tax(basic.one("TotalTaxAm"), amounts)
    items = list(said.all("IssuItemInformation"))
    _compare(amounts, (net, tax, total), items, "Amount", "ComTaxAm")
    remarks = (found.text for part in said.all("AdditionalInformation") for found in _within(part))
    return Invoice(
        "china-digital",
        "credit_note" if total < 0 else "invoice",
        required(root, "TaxSupervisionInfo/InvoiceNumber", "Header/EIid"),
        _day(root, "TaxSupervisionInfo/IssueTime", "EInvoiceData/BasicInformation/RequestTime"),
        *(name_of(said, "SellerInformation/SellerName"), name_of(said, "SellerInformation/SellerIdNum")),
        *(name_of(said, "BuyerInformation/BuyerName"), name_of(said, "BuyerInformation/BuyerIdNum")),
        amounts.currency,
        *(net, tax, total),
        references_of(_tokens(remarks)),
        tuple(amounts.differences),
    )


def read_earlier(root: Element) -> Invoice:
    """Return the fields of an earlier electronic invoice, which code and number together identify.

    Raise BadInput if a required field is missing.
    """
    amounts = Amounts(CURRENCY, root.line)
    net, total = amounts.must(root, "TaxExclusiveTotalAmount"), amounts.must(root, "TaxInclusiveTotalAmount")
    tax = _tax(root.one("TaxTotalAmount"), amounts)
    _compare(amounts, (net, tax, total), list(root.all("GoodsInfos/GoodsInfo")), "Amount", "TaxAmount")
    return Invoice(
        "china-electronic",
        "credit_note" if total < 0 else "invoice",
        f"{required(root, 'InvoiceCode')}-{required(root, 'InvoiceNo')}",
        _day(root, "IssueDate"),
        *(name_of(root, "Seller/SellerName"), name_of(root, "Seller/SellerTaxID")),
        *(name_of(root, "Buyer/BuyerName"), name_of(root, "Buyer/BuyerTaxID")),
        amounts.currency,
        *(net, tax, total),
        references_of(_tokens([root.says("Note")])),
        tuple(amounts.differences),
    )


def _tax(element: Element | None, amounts: Amounts) -> int:
    return 0 if element is None or element.text in NO_TAX else amounts.of(element) or 0


def _compare(
    amounts: Amounts, totals: tuple[int, int, int], items: list[Element], amount_name: str, tax_name: str
) -> None:
    net, tax, total = totals
    amounts.compare("net and tax, and the total", net + tax, total)
    amounts.compare(
        "the lines, and the net", amounts.sum_of(found for one in items for found in one.all(amount_name)), net
    )
    if items:
        of_lines = sum(_tax(found, amounts) for one in items for found in one.all(tax_name))
        amounts.compare("the tax of the lines, and the tax", of_lines, tax)


def _day(root: Element, *paths: str) -> str:
    """Return the day, in any of its forms: 2026-01-31 08:00:00, 2026年01月31日, 20260131080000."""
    found = root.one(*paths) or refuse(root.line, f"{paths[0]} is not there")
    return day_of(DIGITS.sub("", found.text)[:DAY_DIGITS], "%Y%m%d", found.line)


def _within(element: Element) -> Iterator[Element]:
    yield element
    for child in element.children:
        yield from _within(child)


def _tokens(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from tokens_of(text)
