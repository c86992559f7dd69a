"""A document of our own as PDF/A-3, with its XML in it (Factur-X): for people and programs, and for as long as it is
kept.

Invariant: the same event gives the same bytes, with the same font and libraries: nothing in it depends on the current
time. A character that the font lacks is drawn as a question mark; the XML has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from oms_es.app.invoicing.cii import FILE_NAME, LEVEL, as_xml, buyer_name, has_xml, notes_of, words
from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.schemas.finance.invoicing import InvoiceIssued
from oms_es.schemas.values.currency import to_text

if TYPE_CHECKING:
    from fpdf import FPDF

COMPLIANCE = "PDF/A-3B"
ABOUT = "oms-es"
FONT = "text"
MARGIN, SMALL, NORMAL, LARGE = 20, 8, 9.5, 16
LINE_HEIGHT = 1.4
MM_PER_POINT = 0.3528
COLUMNS = (("Item", "LEFT", 84), ("Quantity", "RIGHT", 20), ("Net", "RIGHT", 34), ("Tax", "RIGHT", 32))
UNKNOWN = "?"
TRUETYPE = b"\0\1\0\0"
"""The first bytes of a PDF file."""
TITLES = {("invoice", False): "Invoice", ("invoice", True): "Invoice of an advance payment"}
EXTENSION = "urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#"
PROPERTIES = (
    ("DocumentFileName", "name of the embedded XML invoice file", FILE_NAME),
    ("DocumentType", "type of the document", "INVOICE"),
    ("Version", "version of the embedded data", "1.0"),
    ("ConformanceLevel", "conformance level of the embedded data", LEVEL),
)


class BadFont(OmsError):
    """The font for invoices cannot be read."""

    code = "bad_font"
    exit_code = Code.USAGE


class Fonts:
    """The fonts of this process: the TrueType font of the settings, or one with Latin letters."""

    def __init__(self) -> None:
        self.font: Path | None = None

    def set_up(self, font: Path | None) -> None:
        """Use this font from now on. Raise BadFont if it is no TrueType font."""
        if font is not None and not _is_truetype(font):
            raise BadFont(f"{font} is no TrueType font; set OMS_INVOICE_FONT to one, or leave it out")
        self.font = font

    def paths(self) -> tuple[Path, Path]:
        """Return the regular and the bold font."""
        return (self.font, self.font) if self.font else _along()


FONTS = Fonts()


def _is_truetype(path: Path) -> bool:
    try:
        with path.open("rb") as font:
            return font.read(len(TRUETYPE)) == TRUETYPE
    except OSError:
        return False


@cache
def _along() -> tuple[Path, Path]:
    folder = Path(str(files("reportlab"))) / "fonts"
    return folder / "Vera.ttf", folder / "VeraBd.ttf"


def as_pdf(issued: InvoiceIssued) -> bytes:
    """Return the document as PDF/A-3 with its XML embedded. Raise BadFont."""
    from fpdf import FPDF
    from fpdf.errors import FPDFException

    made_on = datetime.combine(datetime.fromisoformat(issued.issued_on).date(), time(), UTC)
    pdf = FPDF(enforce_compliance=COMPLIANCE)
    pdf.set_creation_date(made_on)
    for set_text, text in ((pdf.set_title, title_of(issued)), (pdf.set_author, issued.party.name)):
        set_text(words(text))
    pdf.set_producer(ABOUT)
    pdf.set_creator(ABOUT)
    pdf.set_lang("en")
    pdf.set_margins(MARGIN, MARGIN)
    try:
        for style, path in zip(("", "B"), FONTS.paths(), strict=True):
            pdf.add_font(FONT, style, path)
    except (FPDFException, OSError, ValueError) as error:
        raise BadFont(f"the font {FONTS.font} cannot be used: {error}; set OMS_INVOICE_FONT to another") from error
    pdf.set_xmp_metadata(_metadata(issued, made_on))
    _draw(pdf, issued)
    if has_xml(issued):
        pdf.embed_file(
            bytes=as_xml(issued),
            basename=FILE_NAME,
            desc="the invoice as data",
            mime_type="text/xml",
            creation_date=made_on,
            modification_date=made_on,
            associated_file_relationship="Alternative",
            compress=True,
        )
    return bytes(pdf.output())


def title_of(issued: InvoiceIssued) -> str:
    kind = TITLES.get((issued.kind, issued.ahead), "Credit note")
    return f"{kind} {issued.name}"


def _draw(pdf: FPDF, issued: InvoiceIssued) -> None:
    drawn = _drawable(pdf)
    pdf.add_page()
    pdf.set_auto_page_break(auto=True, margin=MARGIN)

    def say(text: str, size: float = NORMAL, style: Any = "", align: Any = "LEFT") -> None:
        if not text.strip():
            return
        pdf.set_font(FONT, style, size)
        height = size * MM_PER_POINT * LINE_HEIGHT
        pdf.multi_cell(0, height, drawn(text), align=align, new_x="LMARGIN", new_y="NEXT")

    for line in _seller(issued):
        say(line, SMALL)
    pdf.ln(6)
    for line in _buyer(issued):
        say(line)
    pdf.ln(8)
    say(title_of(issued), LARGE, "B")
    for line in _heading(issued):
        say(line)
    pdf.ln(4)
    _table(pdf, issued, drawn)
    pdf.ln(3)
    for name, amount in _sums(issued):
        say(f"{name}: {amount}", NORMAL, "B" if name == "Total" else "", "RIGHT")
    pdf.ln(6)
    for note in notes_of(issued):
        say(note, SMALL)


def _drawable(pdf: FPDF) -> Callable[[str], str]:
    known = pdf.fonts[FONT].cmap  # type: ignore[union-attr] # a TrueType font has one

    def drawn(text: str) -> str:
        return "".join(one if ord(one) in known or one == "\n" else UNKNOWN for one in text)

    return drawn


def _seller(issued: InvoiceIssued) -> Iterator[str]:
    party = issued.party
    yield party.name
    yield ", ".join(
        one for one in (party.address_line, f"{party.postal_code} {party.city}".strip(), party.country) if one.strip()
    )
    yield ", ".join(
        f"{name} {number}"
        for name, number in (("VAT ID", party.vat_id), ("tax number", party.tax_number))
        if number.strip()
    )


def _buyer(issued: InvoiceIssued) -> Iterator[str]:
    buyer = issued.buyer
    yield buyer_name(issued)
    yield buyer.street
    yield f"{buyer.postal_code} {buyer.city}".strip()
    yield f"{buyer.region} {buyer.country}".strip()


def _heading(issued: InvoiceIssued) -> Iterator[str]:
    yield f"Issued on {issued.issued_on}; paid on {issued.happened_on}; order {issued.order_name}"
    if issued.precedes:
        yield f"Refers to {', '.join(issued.precedes)}"


def _table(pdf: FPDF, issued: InvoiceIssued, drawn: Callable[[str], str]) -> None:
    pdf.set_font(FONT, "", SMALL)
    widths = tuple(width for _, _, width in COLUMNS)
    aligned = tuple(align for _, align, _ in COLUMNS)
    with pdf.table(
        col_widths=widths, text_align=aligned, borders_layout="HORIZONTAL_LINES", line_height=SMALL * 0.55
    ) as table:
        heading = table.row()
        for name, _, _ in COLUMNS:
            heading.cell(name)
        for line in issued.lines:
            row = table.row()
            amounts = (to_text(line.net_minor, issued.currency), to_text(line.tax_minor, issued.currency))
            for text in (drawn(line.text) or UNKNOWN, str(line.quantity), *amounts):
                row.cell(text)


def _sums(issued: InvoiceIssued) -> Iterator[tuple[str, str]]:
    yield "Net", to_text(issued.net_minor, issued.currency)
    tax = f"Tax {issued.tax_rate} %"
    if issued.tax_code != "S":
        tax = f"Tax 0 % ({issued.exempt_reason})" if issued.exempt_reason else "Tax 0 %"
    yield tax, to_text(issued.tax_minor, issued.currency)
    yield "Total", to_text(issued.total_minor, issued.currency)
    yield ("Given back" if issued.kind == "credit_note" else "Paid"), to_text(issued.total_minor, issued.currency)


def _metadata(issued: InvoiceIssued, made_on: datetime) -> str:
    """XMP: what it is, that it is PDF/A-3, and of Factur-X what is embedded, which has to be declared as well."""
    at = made_on.isoformat(timespec="seconds")
    title, author = words(title_of(issued)), words(issued.party.name)
    extension = _extension() if has_xml(issued) else ""
    return f"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/">
<pdfaid:part>3</pdfaid:part><pdfaid:conformance>B</pdfaid:conformance></rdf:Description>
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>
<dc:creator><rdf:Seq><rdf:li>{author}</rdf:li></rdf:Seq></dc:creator></rdf:Description>
<rdf:Description rdf:about="" xmlns:pdf="http://ns.adobe.com/pdf/1.3/">
<pdf:Producer>{ABOUT}</pdf:Producer></rdf:Description>
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/">
<xmp:CreatorTool>{ABOUT}</xmp:CreatorTool><xmp:CreateDate>{at}</xmp:CreateDate><xmp:ModifyDate>{at}</xmp:ModifyDate>
</rdf:Description>
{extension}</rdf:RDF></x:xmpmeta>"""


def _extension() -> str:
    values = "".join(f"<fx:{name}>{escape(value)}</fx:{name}>" for name, _, value in PROPERTIES)
    declared = "".join(
        f'<rdf:li rdf:parseType="Resource"><pdfaProperty:name>{name}</pdfaProperty:name>'
        "<pdfaProperty:valueType>Text</pdfaProperty:valueType><pdfaProperty:category>external</pdfaProperty:category>"
        f"<pdfaProperty:description>{about}</pdfaProperty:description></rdf:li>"
        for name, about, _ in PROPERTIES
    )
    return f"""<rdf:Description rdf:about="" xmlns:fx="{EXTENSION}">{values}</rdf:Description>
<rdf:Description rdf:about="" xmlns:pdfaExtension="http://www.aiim.org/pdfa/ns/extension/"
 xmlns:pdfaSchema="http://www.aiim.org/pdfa/ns/schema#" xmlns:pdfaProperty="http://www.aiim.org/pdfa/ns/property#">
<pdfaExtension:schemas><rdf:Bag><rdf:li rdf:parseType="Resource">
<pdfaSchema:schema>Factur-X PDFA Extension Schema</pdfaSchema:schema>
<pdfaSchema:namespaceURI>{EXTENSION}</pdfaSchema:namespaceURI><pdfaSchema:prefix>fx</pdfaSchema:prefix>
<pdfaSchema:property><rdf:Seq>{declared}</rdf:Seq></pdfaSchema:property></rdf:li></rdf:Bag></pdfaExtension:schemas>
</rdf:Description>
"""
