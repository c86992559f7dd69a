"""Forms with a file, as a browser sends them (RFC 7578): the fields, and the file's bytes.

Invariant: the size is bounded before anything is read: Content-Length is required, and only a few fields and one file
are accepted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from oms_es.http.errors import Malformed, TooLong, TooSlow
from oms_es.http.requests import BODY_SECONDS_MAX, NUMBER
from oms_es.statements.reading import BYTES_MAX
from oms_es.store.documents.places import SHELF

FIELDS_MAX = 50
FIELD_BYTES_MAX = 20_000
AROUND_MAX = FIELDS_MAX * FIELD_BYTES_MAX
"""Bytes that a form may have beside the file."""


async def read(request: Request) -> tuple[Mapping[str, str], bytes]:
    """Return the fields and the file's bytes. Raise Malformed, TooLong or TooSlow."""
    length = request.headers.get("content-length", "")
    if not NUMBER.fullmatch(length):
        raise Malformed("send the length of the form in Content-Length")
    bytes_max = max(BYTES_MAX, SHELF.bytes_max)
    if int(length) > bytes_max + AROUND_MAX:
        raise TooLong(f"a file may have {bytes_max} bytes")
    parser = MultiPartParser(
        request.headers, request.stream(), max_files=1, max_fields=FIELDS_MAX, max_part_size=FIELD_BYTES_MAX
    )
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            form = await parser.parse()
    except TimeoutError:
        raise TooSlow(f"the form did not come within {BODY_SECONDS_MAX:.0f} s") from None
    except (MultiPartException, ClientDisconnect, KeyError, UnicodeDecodeError):
        raise Malformed("the form is not multipart/form-data, or has too many fields") from None
    fields, content = {}, b""
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            content = await value.read()
        elif "\0" in value:
            raise Malformed("leave out the character NUL")
        else:
            fields[name] = value
    await form.close()
    return fields, content
