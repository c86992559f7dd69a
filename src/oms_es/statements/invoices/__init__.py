"""Readers of invoices: UBL, Factur-X and ZUGFeRD (CII), and China's, also inside a PDF or an OFD.

Pure: bytes to fields, or BadInput that says why. Sums that do not add up are read and named, never corrected.
Imports: schemas, and what readers of statements share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from oms_es.kernel import BadInput
from oms_es.schemas.inputs import Input
from oms_es.statements.invoices import china, cii, ubl
from oms_es.statements.invoices.containers import within_ofd, within_pdf
from oms_es.statements.invoices.fields import Invoice
from oms_es.statements.xml_tree import Element, parsed

PDF, OFD, XML = "application/pdf", "application/ofd", "application/xml"
BYTES_MAX = 20_000_000
READERS: Mapping[str, Callable[[Element], Invoice]] = {
    "Invoice": ubl.read,
    "CreditNote": ubl.read,
    "CrossIndustryInvoice": cii.read,
    "EInvoice": china.read_digital,
    "eInvoice": china.read_earlier,
}
"""The readers by the name of the XML root."""
WITHIN: Mapping[str, Callable[[bytes], Iterator[bytes]]] = {PDF: within_pdf, OFD: within_ofd}


def read(content: bytes, media_type: str) -> Invoice:
    """Return the fields of an invoice. Raise BadInput if no invoice can be read."""
    if len(content) > BYTES_MAX:
        raise BadInput(Input.BAD_INVOICE, f"an invoice has at most {BYTES_MAX:,} bytes; attach it without reading it")
    try:
        if media_type in WITHIN:
            return _first(WITHIN[media_type](content))
        return _of_root(parsed(content))
    except BadInput as bad:
        raise BadInput(Input.BAD_INVOICE, bad.detail) from bad


def _first(found: Iterator[bytes]) -> Invoice:
    """Return the first of the contained files that is an invoice. Raise BadInput if there is none."""
    for content in found:
        try:
            root = parsed(content)
        except BadInput:
            continue
        if root.name in READERS:
            return _of_root(root)
    raise BadInput(
        Input.BAD_INVOICE, "no invoice that a program can read is in it; ask its seller for the XML, or type it in"
    )


def _of_root(root: Element) -> Invoice:
    if root.name not in READERS:
        raise BadInput(
            Input.BAD_INVOICE,
            f"{root.name} is no invoice that is read here; there are UBL 2.1, CII (Factur-X, ZUGFeRD 2) and China's",
        )
    return READERS[root.name](root)
