"""Files within a PDF or an OFD: those that may be the invoice, in the order in which they are tried.

Invariant: whatever a file says of itself, no more than so many files of so many bytes are unpacked.
"""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Iterator
from io import BytesIO
from struct import unpack_from

from oms_es.statements.reading import refuse

FILES_MAX = 20
"""That are unpacked."""
ENTRIES_MAX = 5_000
DIRECTORY_BYTES_MAX = 1_000_000
XML_BYTES_MAX = 10_000_000
NAMES = ("factur-x.xml", "zugferd-invoice.xml", "xrechnung.xml", "original_invoice.xml")
"""What the standards call it: these go first."""
END = b"PK\x05\x06"
END_BYTES = 22
COMMENT_BYTES_MAX = 65_535


def within_pdf(content: bytes) -> Iterator[bytes]:
    """Raises BadInput."""
    from pypdf import PdfReader  # no other command needs it, and it takes a while

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # what is odd in a stranger's file is no news of ours
    try:
        attached = PdfReader(BytesIO(content)).attachments
        names = _ordered(list(attached))
        found = [piece for name in names for piece in attached[name][:1] if len(piece) <= XML_BYTES_MAX]
    except Exception as error:  # noqa: BLE001 - whatever such a file makes a reader do, it is no PDF to us
        refuse(None, f"the PDF cannot be read: {type(error).__name__}", "ask its seller for the XML")
    yield from found


def within_ofd(content: bytes) -> Iterator[bytes]:
    """Raises BadInput."""
    _require_bounded(content)
    try:
        yield from _unpacked(content)
    except Exception as error:  # noqa: BLE001 - the same of whatever unpacks it
        refuse(None, f"the OFD cannot be unpacked: {type(error).__name__}", "fetch it again")


def _unpacked(content: bytes) -> Iterator[bytes]:
    with zipfile.ZipFile(BytesIO(content)) as archive:
        sizes = {one.filename: one.file_size for one in archive.infolist()}
        for name in _ordered(list(sizes)):
            if sizes[name] <= XML_BYTES_MAX:
                with archive.open(name) as packed:
                    yield packed.read(XML_BYTES_MAX)


def _ordered(names: list[str]) -> list[str]:
    """The XML files, those that standards name first, then those that are attached, then by name."""

    def rank(name: str) -> tuple[bool, bool, str]:
        last = name.rpartition("/")[2].lower()
        return last not in NAMES, "/attachs/" not in name.lower(), name

    return sorted((one for one in names if one.lower().endswith(".xml")), key=rank)[:FILES_MAX]


def _require_bounded(content: bytes) -> None:
    """Before its directory is read, which may be as long as the file. Raises BadInput."""
    at = content.rfind(END, max(0, len(content) - END_BYTES - COMMENT_BYTES_MAX))
    if at < 0 or len(content) < at + END_BYTES:
        refuse(None, "the OFD has no directory", "fetch it again")
    entries, size = unpack_from("<HI", content, at + 10)
    if entries > ENTRIES_MAX or size > DIRECTORY_BYTES_MAX:
        refuse(None, f"the OFD has more than {ENTRIES_MAX:,} files", "ask its seller for the XML")
