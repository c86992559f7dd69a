"""The type of a document is determined by its bytes alone."""

from __future__ import annotations

import io
import zipfile

import pytest

from oms_es.store.documents.sniffing import HEAD_BYTES, TAIL_BYTES, media_type_of, suffix_of


def packed(*names: str) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name in names:
            archive.writestr(name, "x" * 100)
    return written.getvalue()


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"%PDF-1.7 and so on", "application/pdf"),
        (b"\r\n%PDF-1.4", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n....", "image/png"),
        (b"\xff\xd8\xff\xe0....", "image/jpeg"),
        (b"II*\x00....", "image/tiff"),
        (b"RIFF....WEBPVP8 ", "image/webp"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><a/>", "application/xml"),
        (packed("Doc_0/Document.xml", "OFD.xml"), "application/ofd"),
        (packed(*(f"page-{number}" for number in range(200)), "OFD.xml"), "application/ofd"),
        (packed("notes.txt"), "application/zip"),
        ("一张收据\n".encode(), "text/plain"),
        (("字" * HEAD_BYTES).encode(), "text/plain"),
        ("收据".encode("gb18030"), "application/octet-stream"),
        (b"MZ\x90\x00\x03", "application/octet-stream"),
        (b"<html><script>alert(1)</script>", "text/plain"),
    ],
)
def test_the_type_is_that_of_the_bytes(content: bytes, media_type: str) -> None:
    assert media_type_of(content[:HEAD_BYTES], content[-TAIL_BYTES:]) == media_type


def test_what_is_saved_ends_in_what_it_is() -> None:
    assert suffix_of("application/pdf") == ".pdf"
    assert suffix_of("application/octet-stream") == ".bin"
