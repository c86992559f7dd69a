"""Files inside a PDF or an OFD: the candidates for the invoice, in the order in which they are tried.

Invariant: whatever a file says about itself, the number and the size of the files that are unpacked are bounded.
"""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from itertools import islice
from struct import unpack_from
from typing import NoReturn

from oms_es.kernel import BadInput
from oms_es.statements.reading import refuse

FILES_MAX = 20
"""How many files are unpacked."""
ENTRIES_MAX = 5_000
DIRECTORY_BYTES_MAX = 1_000_000
XML_BYTES_MAX = 10_000_000
UNPACKED_BYTES_MAX = 30_000_000
"""How many bytes all unpacked files may have together."""
NAMES = ("factur-x.xml", "zugferd-invoice.xml", "xrechnung.xml", "original_invoice.xml")
"""The names that the standards prescribe; these are tried first."""
UNPACKING: Mapping[str, int] = {
    **dict.fromkeys(
        (
            "array_based_stream_maximum_output_length",
            *("zlib_maximum_output_length", "lzw_maximum_output_length", "run_length_maximum_output_length"),
            *("brotli_maximum_output_length", "jbig2_maximum_output_length"),
        ),
        XML_BYTES_MAX,
    ),
    "stream_decoding_work_maximum_length": UNPACKED_BYTES_MAX,
}
"""Limits for pypdf, instead of its defaults."""
END = b"PK\x05\x06"
END_BYTES = 22
ZIP64_LOCATOR = b"PK\x06\x07"
"""A locator before END means that another directory is used than the one whose size END states."""
ZIP64_LOCATOR_BYTES = 20
COMMENT_BYTES_MAX = 65_535


def within_pdf(content: bytes) -> Iterator[bytes]:
    """Yield the candidates among the attachments of a PDF. Raise BadInput if it cannot be read, or is too large."""
    from pypdf import PdfReader  # no other command needs it, and it takes a while

    # oddities in a stranger's file are not worth a message of ours
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    with _bounded_pdf():
        files = islice(PdfReader(BytesIO(content)).attachment_list, ENTRIES_MAX + 1)
        attached = {one.name: one for one in reversed([*files])}
    if len(attached) > ENTRIES_MAX:
        _refuse_many("PDF")
    byte_count = 0
    for name in _ordered(list(attached)):
        with _bounded_pdf():
            piece = attached[name].content
        byte_count += len(piece)
        _require_unpacked(byte_count, "PDF")
        yield piece


@contextmanager
def _bounded_pdf() -> Iterator[None]:
    """Bound what pypdf does. Raise BadInput if it fails."""
    from pypdf import apply_configuration

    try:
        with apply_configuration(None, **UNPACKING):
            yield
    except Exception as error:  # noqa: BLE001 - whatever such a file makes a reader do, it is no PDF to us
        refuse(None, f"the PDF cannot be read: {type(error).__name__}", "ask its seller for the XML")


def within_ofd(content: bytes) -> Iterator[bytes]:
    """Yield the candidates among the files of an OFD. Raise BadInput if it cannot be unpacked, or is too large."""
    _require_bounded(content)
    try:
        yield from _unpacked(content)
    except BadInput:
        raise
    except Exception as error:  # noqa: BLE001 - the same of whatever unpacks it
        refuse(None, f"the OFD cannot be unpacked: {type(error).__name__}", "fetch it again")


def _unpacked(content: bytes) -> Iterator[bytes]:
    with zipfile.ZipFile(BytesIO(content)) as archive:
        if len(archive.infolist()) > ENTRIES_MAX:
            _refuse_many("OFD")
        sizes = {one.filename: one.file_size for one in archive.infolist()}
        byte_count = 0
        for name in _ordered(list(sizes)):
            if sizes[name] <= XML_BYTES_MAX:
                with archive.open(name) as packed:
                    piece = packed.read(XML_BYTES_MAX)
                byte_count += len(piece)
                _require_unpacked(byte_count, "OFD")
                yield piece


def _require_unpacked(byte_count: int, what: str) -> None:
    """Raise BadInput if too many bytes were unpacked."""
    if byte_count > UNPACKED_BYTES_MAX:
        refuse(None, f"the {what} unpacks to more than {UNPACKED_BYTES_MAX:,} bytes", "ask its seller for the XML")


def _ordered(names: list[str]) -> list[str]:
    """Return the XML files: first those that standards name, then attachments, then the others by name."""

    def rank(name: str) -> tuple[bool, bool, str]:
        last = name.rpartition("/")[2].lower()
        return last not in NAMES, "/attachs/" not in name.lower(), name

    return sorted((one for one in names if one.lower().endswith(".xml")), key=rank)[:FILES_MAX]


def _require_bounded(content: bytes) -> None:
    """Raise BadInput if the directory of the archive is too large; it is checked before it is read, as it may be as
    long as the file.
    """
    at = content.rfind(END, max(0, len(content) - END_BYTES - COMMENT_BYTES_MAX))
    if at < 0 or len(content) < at + END_BYTES:
        refuse(None, "the OFD has no directory", "fetch it again")
    entries, size = unpack_from("<HI", content, at + 10)
    has_another = content.startswith(ZIP64_LOCATOR, max(0, at - ZIP64_LOCATOR_BYTES))
    if has_another or entries > ENTRIES_MAX or size > DIRECTORY_BYTES_MAX:
        _refuse_many("OFD")


def _refuse_many(what: str) -> NoReturn:
    """Raise BadInput: the container has too many files."""
    refuse(None, f"the {what} has more than {ENTRIES_MAX:,} files", "ask its seller for the XML")
