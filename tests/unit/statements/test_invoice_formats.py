"""Invoices of every format are read to the cent, and one that does not add up is named."""

from __future__ import annotations

import io
from struct import pack, unpack_from
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfWriter
from pypdf.generic import DictionaryObject, NameObject

from invoice_files import EARLIER, cii, digital, packed, pdf, ubl
from oms_es.kernel import BadInput
from oms_es.statements import invoices
from oms_es.statements.invoices import containers
from oms_es.statements.invoices.fields import Invoice

XML = "application/xml"


def read(content: bytes, media_type: str = XML) -> Invoice:
    return invoices.read(content, media_type)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (ubl(10_000, 1_900, 11_900), {"format": "ubl", "references": ("W-1", "web/W-1", "o-1.1")}),
        (cii(10_000, 1_900, 11_900), {"format": "cii", "references": ("W-1", "pi_1")}),
    ],
    ids=["ubl", "cii"],
)
def test_an_invoice_says_what_it_says(content: bytes, expected: dict[str, Any]) -> None:
    found = read(content)._asdict()
    assert found | expected == found
    assert (found["kind"], found["invoice_number"], found["issued_on"]) == ("invoice", "INV-7", "2026-03-01")
    assert (found["seller"], found["seller_id"], found["buyer"]) == ("Tea & Co", "DE123456789", "Ada")
    assert (found["currency"], found["net_minor"], found["tax_minor"], found["total_minor"]) == (
        *("EUR", 10_000, 1_900),
        11_900,
    )
    assert found["differences"] == ()


def test_chinas_invoices_keep_their_number_as_text_and_their_remarks_name_the_order() -> None:
    found = read(digital("100.00", "13.00", "113.00"))
    assert found.invoice_number == "26537912570200055449"
    assert (found.format, found.issued_on, found.currency, found.total_minor) == (
        *("china-digital", "2026-03-01", "CNY"),
        11_300,
    )
    assert (found.seller, found.seller_id, found.buyer_id) == (
        *("茶叶有限公司", "9153000077859986X2"),
        "915300007194052520",
    )
    assert found.references == ("web/W-1",)
    earlier = read(EARLIER)
    assert (earlier.invoice_number, earlier.issued_on, earlier.tax_minor) == (
        "044001900111-00000007",
        "2026-03-01",
        1_300,
    )
    assert earlier.differences == ()


@pytest.mark.parametrize("mark", ["***", "免税", "不征税", "", "0.00"])
def test_no_tax_is_written_in_many_ways_and_still_checked(mark: str) -> None:
    assert read(digital("100.00", mark, "100.00")).differences == ()
    (difference,) = read(digital("100.00", mark, "101.00")).differences
    assert "1.00 CNY apart" in difference.replace("-", "")


def test_a_credit_note_is_one_in_every_format() -> None:
    assert read(ubl(100, 19, 119, root="CreditNote")).kind == "credit_note"
    assert read(cii(100, 19, 119, kind="381")).kind == "credit_note"
    assert read(digital("-100.00", "-13.00", "-113.00")).kind == "credit_note"


CURRENCIES = st.sampled_from(["EUR", "JPY", "KWD", "CNY"])


@given(net=st.integers(0, 10**12), tax=st.integers(0, 10**11), off=st.integers(-5, 5), currency=CURRENCIES)
def test_every_amount_is_exact_and_every_difference_is_named(net: int, tax: int, off: int, currency: str) -> None:
    for content in (ubl(net, tax, net + tax + off, currency), cii(net, tax, net + tax + off, currency)):
        found = read(content)
        assert (found.net_minor, found.tax_minor, found.total_minor) == (net, tax, net + tax + off)
        assert bool(found.differences) == bool(off)


def test_tax_in_a_second_currency_is_not_added() -> None:
    second = '<a:TaxTotal><b:TaxAmount currencyID="SEK">5000.00</b:TaxAmount></a:TaxTotal>'
    assert read(ubl(10_000, 1_900, 11_900, more=second)).tax_minor == 1_900


@pytest.mark.parametrize("name", ["factur_x", "zugferd_invoice", "anything"])
def test_an_invoice_within_a_pdf_is_read(name: str) -> None:
    found = read(pdf(other=b"<a/>", broken=b"<a", **{name: cii(100, 19, 119)}), "application/pdf")
    assert (found.invoice_number, found.total_minor) == ("INV-7", 119)


def test_an_invoice_within_an_ofd_is_read() -> None:
    content = packed(OFD=b"<OFD/>", Doc_0__Document=b"<d/>", Doc_0__Attachs__original_invoice=EARLIER)
    assert read(content, "application/ofd").invoice_number == "044001900111-00000007"
    plain = packed(OFD=b"<OFD/>", Doc_0__Attachs__data=digital("100.00", "13.00", "113.00"))
    assert read(plain, "application/ofd").format == "china-digital"


BOMB = b"<a>" + b" " * (containers.XML_BYTES_MAX + 1)
LARGE = b"<a>" + b" " * (containers.XML_BYTES_MAX - 10)
"""Each as large as one file may be: four are too much."""


def with_zip64(content: bytes, entries: int) -> bytes:
    """Return a ZIP whose end record states few entries, and whose ZIP64 record, which is in force, states so many."""
    at = content.rfind(containers.END)
    size, start = unpack_from("<II", content, at + 12)
    record = pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, entries, entries, size, start)
    locator = pack("<4sIQI", containers.ZIP64_LOCATOR, 0, at, 1)
    end = pack("<4sHHHHIIH", containers.END, 0, 0, 1, 1, 10, 0, 0)
    return content[:at] + record + locator + end


def deflated(content: bytes) -> bytes:
    """Return a PDF with one embedded file that expands a few bytes into many."""
    writer, written = PdfWriter(), io.BytesIO()
    writer.add_blank_page(72, 72)
    one = writer.add_attachment("factur-x.xml", content)
    packed_file = writer._add_object(one._embedded_file.flate_encode())
    one.pdf_object[NameObject("/EF")] = DictionaryObject({NameObject("/F"): packed_file})
    writer.write(written)
    return written.getvalue()


def test_no_more_of_a_pdf_is_unpacked_than_is_said() -> None:
    several = PdfWriter()
    several.add_blank_page(72, 72)
    for content in (b"<a/>", b"<b/>", b"<c/>"):
        several.add_attachment("factur-x.xml", content)
    several.write(written := io.BytesIO())
    assert [*containers.within_pdf(written.getvalue())] == [b"<a/>"]
    with pytest.raises(BadInput, match="30,000,000"):
        list(containers.within_pdf(pdf(a=LARGE, b=LARGE, c=LARGE, d=LARGE)))
    with pytest.raises(BadInput, match="LimitReachedError"):
        list(containers.within_pdf(deflated(BOMB)))


def test_a_directory_that_another_record_makes_longer_is_refused_before_it_is_read() -> None:
    many = packed(OFD=b"<OFD/>", **{f"f{n}": b"" for n in range(containers.ENTRIES_MAX)})
    with pytest.raises(BadInput, match="more than 5,000"):
        list(containers.within_ofd(with_zip64(many, containers.ENTRIES_MAX + 1)))


@pytest.mark.parametrize(
    ("content", "media_type", "why"),
    [
        (b"<?xml version='1.0'?><html/>", XML, "no invoice that is read here"),
        (b"<Invoice", XML, "well-formed"),
        (b"%PDF-1.7 not really", "application/pdf", "cannot be read"),
        (pdf(other=b"<a/>"), "application/pdf", "no invoice that a program can read"),
        (packed(OFD=b"<OFD/>"), "application/ofd", "no invoice that a program can read"),
        (packed(OFD=b"<OFD/>", Doc_0__Attachs__original_invoice=BOMB), "application/ofd", "no invoice that a program"),
        (b"PK\x03\x04OFD.xml", "application/ofd", "no directory"),
        (packed(**{f"f{n}": b"" for n in range(containers.ENTRIES_MAX + 1)}), "application/ofd", "more than 5,000"),
        (ubl(1, 0, 1).replace(b">INV-7<", b"><"), XML, "ID is not there"),
        (ubl(1, 0, 1).replace(b">0.01<", b">0.015<"), XML, "exact amount"),
        (cii(1, 0, 1).replace(b"20260301", b"20261301"), XML, "no date"),
        (
            b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + ubl(1, 0, 1).partition(b"?>")[2],
            XML,
            "document type",
        ),
        (b"x" * (invoices.BYTES_MAX + 1), XML, "at most"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "file",
)
def test_what_is_none_is_refused_in_words(content: bytes, media_type: str, why: str) -> None:
    with pytest.raises(BadInput, match=why) as refused:
        read(content, media_type)
    assert refused.value.code == "bad_invoice"


@given(st.data())
def test_a_damaged_file_is_refused_or_read_never_a_mistake_of_ours(data: st.DataObject) -> None:
    whole, media_type = data.draw(
        st.sampled_from(
            [
                (cii(100, 19, 119), XML),
                (pdf(factur_x=cii(100, 19, 119)), "application/pdf"),
                (packed(OFD=b"<OFD/>", Doc_0__Attachs__original_invoice=EARLIER), "application/ofd"),
            ]
        )
    )
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = whole[:at] + data.draw(st.binary(max_size=4)) + whole[at + data.draw(st.integers(0, 4)) :]
    try:
        read(damaged, media_type)
    except BadInput as refused:
        assert refused.code == "bad_invoice"
