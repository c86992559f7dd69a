"""A document as XML and as PDF: reproducible bytes, the same sums, and valid by independent schemas."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from facturx import xml_check_xsd
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader

from oms_es.app.invoicing import cii, pdf
from oms_es.schemas.finance import invoicing as v
from oms_es.schemas.order import Address
from oms_es.statements.invoices import read
from own_invoices import LINES, PARTY, content, issued, line

LATIN = st.text(st.characters(min_codepoint=32, max_codepoint=0x17F), max_size=60)
KINDS = {
    "invoice": issued(),
    "ahead": issued(ahead=True, lines=(line(1000, 190, "Payment for order W-1"),)),
    "credit note": issued(kind="credit_note", precedes=("A-2026-000001",), reason="broken <cup>"),
    "exempt": issued(lines=(line(1000),), tax_code="E", tax_rate="0", exempt_reason="Small business"),
    "zero": issued(lines=(line(1000),), tax_code="Z", tax_rate="0"),
    "yen": issued(currency="JPY", lines=(line(1000, 100),), tax_rate="10"),
    "free gift": issued(lines=(line(1000, 190), line(0, 0, "GIFT", 2))),
    "many lines": issued(lines=tuple(line(10, 2, f"SKU-{n}", n + 1) for n in range(120)), tax_rate="20"),
    "no VAT id": issued(party=v.SellerParty(name="X", country="US", tax_number="12-3"), buyer=Address(country="US")),
}


@pytest.fixture(autouse=True)
def _own_font() -> Iterator[None]:
    yield
    pdf.FONTS.set_up(None)


def embedded(document: bytes) -> bytes:
    files = PdfReader(BytesIO(document)).attachments
    assert list(files) == ["factur-x.xml"]
    return files["factur-x.xml"][0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_xml_is_as_factur_x_wants_it(kind: str) -> None:
    assert xml_check_xsd(cii.as_xml(KINDS[kind]), flavor="factur-x", level="basic")


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_reader_of_invoices_finds_in_the_pdf_is_what_was_issued(kind: str) -> None:
    document = KINDS[kind]
    found = read(pdf.as_pdf(document), "application/pdf")
    assert not found.differences
    assert (found.kind, found.invoice_number, found.issued_on) == (document.kind, document.name, document.issued_on)
    assert (found.net_minor, found.tax_minor, found.total_minor) == (
        document.net_minor,
        document.tax_minor,
        document.total_minor,
    )
    assert found.currency == document.currency
    assert {"W-1", "o-1.1", *document.precedes} <= {*found.references}


def test_made_again_it_has_the_same_bytes_whatever_day_it_is() -> None:
    first = pdf.as_pdf(issued())
    assert pdf.as_pdf(issued()) == first
    assert pdf.as_pdf(issued(2)) != first


def test_the_pdf_says_to_people_what_the_xml_says_to_programs() -> None:
    text = PdfReader(BytesIO(pdf.as_pdf(KINDS["credit note"]))).pages[0].extract_text()
    for said in ("Credit note A-2026-000001", "Ada Müller", "Tea & Co GmbH", "DE123456789", "18.33 EUR", "21.81 EUR"):
        assert said in text
    assert "broken <cup>" in text


def test_a_long_document_has_several_pages() -> None:
    assert len(PdfReader(BytesIO(pdf.as_pdf(KINDS["many lines"]))).pages) > 2


def test_what_the_font_has_not_is_a_question_mark_and_whole_in_the_xml() -> None:
    document = issued(buyer=Address(name="王小明", country="CN"))
    made = pdf.as_pdf(document)
    assert "???" in PdfReader(BytesIO(made)).pages[0].extract_text()
    assert "王小明" in embedded(made).decode()


def test_another_font_may_be_set(tmp_path: Path) -> None:
    _, bold = pdf.FONTS.paths()
    pdf.FONTS.set_up(bold)
    assert pdf.as_pdf(issued())
    wrong = tmp_path / "font.ttf"
    with pytest.raises(pdf.BadFont, match="OMS_INVOICE_FONT"):
        pdf.FONTS.set_up(wrong)
    wrong.write_bytes(b"no font")
    with pytest.raises(pdf.BadFont, match="OMS_INVOICE_FONT"):
        pdf.FONTS.set_up(wrong)


def test_a_currency_with_three_decimals_is_on_paper_to_the_unit_and_has_no_xml() -> None:
    """EN 16931 allows two decimals."""
    made = PdfReader(BytesIO(pdf.as_pdf(issued(currency="KWD"))))
    assert not made.attachments
    assert "2.181 KWD" in made.pages[0].extract_text()


@given(name=LATIN, street=LATIN, sku=LATIN, reason=LATIN)
def test_whatever_texts_say_the_xml_can_be_read(name: str, street: str, sku: str, reason: str) -> None:
    document = issued(
        buyer=Address(name=name, street=street, country="DE"), lines=(*LINES, line(1, 0, sku)), reason=reason
    )
    found = read(cii.as_xml(document), "application/xml")
    assert not found.differences
    assert found.total_minor == document.total_minor


def test_a_party_that_is_not_named_is_called_by_the_order() -> None:
    nameless = issued(buyer=Address(country="DE"))
    assert "Customer of order W-1" in cii.as_xml(nameless).decode()
    assert content().party == PARTY
