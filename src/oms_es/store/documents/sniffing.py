"""What a document is, by its bytes: neither its name nor what a sender says of it is believed.

A closed list: whatever is not on it is bytes, and is only ever given out as a file to be saved.
"""

from __future__ import annotations

from collections.abc import Mapping

HEAD_BYTES = 4_096
TAIL_BYTES = 65_536
"""Where the directory of a ZIP file of a few hundred entries is."""
BYTES = "application/octet-stream"
PDF = "application/pdf"
XML = "application/xml"
ZIP = "application/zip"
OFD = "application/ofd"
TEXT = "text/plain"
BEGINNINGS: Mapping[bytes, str] = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"II*\x00": "image/tiff",
    b"MM\x00*": "image/tiff",
}
SUFFIXES: Mapping[str, str] = {
    PDF: ".pdf",
    XML: ".xml",
    ZIP: ".zip",
    OFD: ".ofd",
    TEXT: ".txt",
    "text/csv": ".csv",
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/tiff": ".tif",
    "image/webp": ".webp",
}
"""What a file of it is called as it is saved; anything else ends in .bin."""
PDF_WITHIN = 1_024
"""Readers take a PDF that begins a little later (ISO 32000-1, annex H.3.4.1)."""
OFD_ROOT = b"OFD.xml"
BOM = b"\xef\xbb\xbf"


def media_type_of(head: bytes, tail: bytes) -> str:
    """`head` and `tail`: the first HEAD_BYTES and the last TAIL_BYTES, or all of it."""
    for beginning, media_type in BEGINNINGS.items():
        if head.startswith(beginning):
            return media_type
    if b"%PDF-" in head[:PDF_WITHIN]:
        return PDF
    if head.startswith(b"PK\x03\x04"):
        return OFD if OFD_ROOT in head or OFD_ROOT in tail else ZIP
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    if head.removeprefix(BOM).lstrip().startswith(b"<?xml"):
        return XML
    return TEXT if _is_text(head) else BYTES


def _is_text(head: bytes) -> bool:
    """Return whether the beginning is text in UTF-8; its last character may be cut off."""
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if len(head) < HEAD_BYTES or error.start < len(head) - 3:
            return False
        text = head[: error.start].decode()
    return bool(text) and all(character.isprintable() or character in "\t\r\n\ufeff" for character in text)


def suffix_of(media_type: str) -> str:
    return SUFFIXES.get(media_type, ".bin")
