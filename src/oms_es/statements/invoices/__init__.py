"""Invoices as their sellers write them: UBL, Factur-X and ZUGFeRD (CII), and China's, also within a PDF or an OFD.

Pure: bytes to fields, or a refusal that says why. What does not add up is read and named, never corrected.
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
"""By the name of the root."""
WITHIN: Mapping[str, Callable[[bytes], Iterator[bytes]]] = {PDF: within_pdf, OFD: within_ofd}


def read(content: bytes, media_type: str) -> Invoice:
    """Raises BadInput."""
    if len(content) > BYTES_MAX:
        raise BadInput(Input.BAD_INVOICE, f"an invoice has at most {BYTES_MAX:,} bytes; attach it without reading it")
    try:
        if media_type in WITHIN:
            return _first(WITHIN[media_type](content))
        return _of_root(parsed(content))
    except BadInput as bad:
        raise BadInput(Input.BAD_INVOICE, bad.detail) from bad


def _first(found: Iterator[bytes]) -> Invoice:
    """Of the files within, the first that is an invoice. Raises BadInput."""
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
