"""Records of Kafka, read as kafka-python reads them, in three fifths of its time: an event has fifteen headers.

Invariant: what is read is what the library's own `_read_msg` reads, or CorruptRecordError as there.
"""

from __future__ import annotations

from typing import Any

from kafka.errors import CorruptRecordError  # type: ignore[import-untyped] # the library has no types
from kafka.record.default_records import (  # type: ignore[import-untyped] # the same
    ControlRecord,
    DefaultRecord,
    DefaultRecordBatch,
)
from kafka.record.util import decode_varint  # type: ignore[import-untyped] # the same

NAMES_MAX = 1_000
"""Names of headers that are remembered: ours are few, a stranger's may be many."""
LONG_OR_NEGATIVE = 0x81
"""A length in one byte, as nearly all are, has neither of these bits."""
LIBRARYS_OWN = DefaultRecordBatch._read_msg  # noqa: SLF001 - what we read is compared with it
_names: dict[bytes, str] = {}


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
    text = name.decode()
    if len(_names) < NAMES_MAX:
        _names[name] = text
    return text


def install() -> None:
    """For every consumer of this process."""
    DefaultRecordBatch._read_msg = read_record  # noqa: SLF001 - nothing public takes another one
