"""Records of Kafka, read and written as kafka-python does it, in about half of its time: an event has sixteen headers.

Invariant: what is read is what the library's own `_read_msg` reads, or CorruptRecordError as there; what is written is,
byte for byte, what its `append` writes. Names of headers are the exception: brokers take any bytes, the library refuses
those that are not UTF-8, and here they are read with their bytes written out.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kafka.errors import CorruptRecordError  # type: ignore[import-untyped] # the library has no types
from kafka.record.default_records import (  # type: ignore[import-untyped] # the same
    ControlRecord,
    DefaultRecord,
    DefaultRecordBatch,
    DefaultRecordBatchBuilder,
    DefaultRecordMetadata,
)
from kafka.record.util import decode_varint, encode_varint  # type: ignore[import-untyped] # the same

NAMES_MAX = 1_000
"""Names of headers that are remembered: ours are few, a stranger's may be many."""
LONG_OR_NEGATIVE = 0x81
"""A length in one byte, as nearly all are, has neither of these bits."""
VARINT_BYTES_MAX = 5
"""Of the length of a key, a value or a header."""
Header = tuple[str, bytes | None]
_names: dict[bytes, str] = {}
_written_names: dict[str, bytes] = {}


def read_record(batch: Any) -> Any:
    """The next record of a batch."""
    buffer = batch._buffer  # noqa: SLF001 - the library's own method did so
    if type(buffer) is not bytes:
        buffer = batch._buffer = bytes(buffer)  # noqa: SLF001 - the same; a slice of bytes is bytes
    length, start = decode_varint(buffer, batch._pos)  # noqa: SLF001 - the same
    ts_delta, at = decode_varint(buffer, start + 1)  # past the attributes, which say nothing
    offset_delta, at = decode_varint(buffer, at)
    key, at = _text(buffer, at)
    value, at = _text(buffer, at)
    headers, at = _headers(buffer, at)
    if at - start != length:
        raise CorruptRecordError(f"a record of {length} bytes has {at - start}")
    batch._pos = at  # noqa: SLF001 - the same
    appended = batch.timestamp_type == batch.LOG_APPEND_TIME
    timestamp = batch.max_timestamp if appended else batch.first_timestamp + ts_delta
    shape = ControlRecord if batch.is_control_batch else DefaultRecord
    return shape(length, batch.base_offset + offset_delta, timestamp, batch.timestamp_type, key, value, headers)


def _text(buffer: bytes, at: int) -> tuple[bytes | None, int]:
    length, at = decode_varint(buffer, at)
    return (None, at) if length < 0 else (buffer[at : at + length], at + length)


def _headers(buffer: bytes, at: int) -> tuple[list[tuple[str, bytes | None]], int]:
    """Nearly all the time goes here, so lengths are read in place."""
    count, at = decode_varint(buffer, at)
    if count < 0:
        raise CorruptRecordError(f"a record has {count} headers")
    headers: list[tuple[str, bytes | None]] = []
    for _ in range(count):
        length = buffer[at]
        if length & LONG_OR_NEGATIVE:
            length, at = decode_varint(buffer, at)
            if length < 0:
                raise CorruptRecordError(f"the name of a header has {length} bytes")
        else:
            length, at = length >> 1, at + 1
        name = buffer[at : at + length]
        at += length
        length = buffer[at]
        if length & LONG_OR_NEGATIVE:
            length, at = decode_varint(buffer, at)
        else:
            length, at = length >> 1, at + 1
        if length < 0:
            headers.append((_names.get(name) or _named(name), None))
        else:
            headers.append((_names.get(name) or _named(name), buffer[at : at + length]))
            at += length
    return headers, at


def _named(name: bytes) -> str:
    text = name.decode(errors="backslashreplace")
    if len(_names) < NAMES_MAX:
        _names[name] = text
    return text


class Written(list[Header]):
    """Headers as a record has them. To the library it is an empty list: it looks at every header four times."""

    def __init__(self, headers: Sequence[Header]) -> None:
        super().__init__()
        parts = [_varint(len(headers))]
        for name, text in headers:
            parts.append(_written_names.get(name) or _written(name))
            if text is None:
                parts.append(NO_TEXT)
            else:
                size = len(text)
                parts.append(VARINTS[size] if size < len(VARINTS) else _encoded(size))
                parts.append(text)
        self.record = b"".join(parts)


def append_record(
    builder: Any, offset: int, timestamp: int | None, key: bytes | None, value: bytes | None, headers: Sequence[Header]
) -> Any:
    """Write one to the end of a batch; None where the batch has no room for it, unless it is the first."""
    if timestamp is None:
        timestamp = int(time.time() * 1_000)
    first = builder._first_timestamp is None  # noqa: SLF001 - the library's own method did so
    if first:
        builder._first_timestamp = builder._max_timestamp = timestamp  # noqa: SLF001 - the same
    delta = timestamp - builder._first_timestamp  # noqa: SLF001 - the same
    encoded = headers if type(headers) is Written else Written(headers)
    parts = (NO_ATTRIBUTES, _varint(delta), _varint(offset), *_sized(key), *_sized(value), encoded.record)
    body = b"".join(parts)
    record = _varint(len(body)) + body
    if not first and len(record) + len(builder._buffer) > builder._batch_size:  # noqa: SLF001 - the same
        return None
    builder._max_timestamp = max(builder._max_timestamp, timestamp)  # noqa: SLF001 - the same
    builder._num_records += 1  # noqa: SLF001 - the same
    builder._last_offset = offset  # noqa: SLF001 - the same
    builder._buffer += record  # noqa: SLF001 - the same
    return DefaultRecordMetadata(offset, len(record), timestamp)


def estimate_size(builder: Any, key: bytes | None, value: bytes | None, headers: Sequence[Header]) -> int:
    """At most so many bytes, with a batch of its own."""
    encoded = headers if type(headers) is Written else Written(headers)
    overhead: int = builder.HEADER_STRUCT.size + builder.MAX_RECORD_OVERHEAD
    return overhead + 2 * VARINT_BYTES_MAX + len(key or b"") + len(value or b"") + len(encoded.record)


def _encoded(number: int) -> bytes:
    buffer = bytearray()
    encode_varint(number, buffer.append)
    return bytes(buffer)


NO_ATTRIBUTES = b"\x00"
NO_TEXT = _encoded(-1)
VARINTS = tuple(map(_encoded, range(4_096)))
"""Those of nearly every length there is."""


def _varint(number: int) -> bytes:
    return VARINTS[number] if 0 <= number < len(VARINTS) else _encoded(number)


def _sized(text: bytes | None) -> tuple[bytes, bytes]:
    return (NO_TEXT, b"") if text is None else (_varint(len(text)), text)


def _written(name: str) -> bytes:
    encoded = name.encode()
    written = _varint(len(encoded)) + encoded
    if len(_written_names) < NAMES_MAX:
        _written_names[name] = written
    return written


OURS = {
    (DefaultRecordBatch, "_read_msg"): read_record,
    (DefaultRecordBatchBuilder, "append"): append_record,
    (DefaultRecordBatchBuilder, "estimate_size_in_bytes"): classmethod(estimate_size),
}
LIBRARYS_OWN = {(shape, name): vars(shape)[name] for shape, name in OURS}
"""What ours is compared with."""


def install(ways: dict[tuple[Any, str], Any] = OURS) -> None:
    """For every client of this process."""
    for (shape, name), way in ways.items():
        setattr(shape, name, way)  # nothing public takes another one


@contextmanager
def librarys_own() -> Iterator[None]:
    """To measure what ours saves."""
    install(LIBRARYS_OWN)
    try:
        yield
    finally:
        install()
