"""Records are read as the library reads them, whatever is in them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.errors import CorruptRecordError  # type: ignore[import-untyped] # the library has no types
from kafka.record.default_records import (  # type: ignore[import-untyped] # the same
    DefaultRecordBatch,
    DefaultRecordBatchBuilder,
)

from oms_es.runtime import kafka_records

TEXT = st.one_of(st.none(), st.binary(max_size=300))
HEADERS = st.lists(st.tuples(st.text(max_size=90), TEXT), max_size=20)
RECORDS = st.lists(st.tuples(TEXT, TEXT, HEADERS), min_size=1, max_size=4)


def batch(records: list[tuple[Any, Any, Any]]) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=False,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1_000_000,
    )
    for offset, (key, value, headers) in enumerate(records):
        assert builder.append(offset, 1_000 + offset, key, value, headers)
    return bytes(builder.build())


def read(data: bytes, by: Any) -> list[tuple[Any, ...]]:
    found, reading = [], DefaultRecordBatch(data)
    for _ in range(reading.records_count):
        record = by(reading)
        found.append((record.offset, record.timestamp, record.key, record.value, record.headers, record.size_in_bytes))
    assert reading._pos == len(reading._buffer)
    return found


@given(RECORDS)
def test_every_record_is_read_as_the_library_reads_it(records: list[tuple[Any, Any, Any]]) -> None:
    data = batch(records)
    found = read(data, kafka_records.read_record)
    assert [row[2:5] for row in found] == [(key, value, list(headers)) for key, value, headers in records]
    assert found == read(data, kafka_records.LIBRARYS_OWN)


def test_a_record_that_is_not_as_long_as_it_says_is_refused() -> None:
    data = bytearray(batch([(b"key", b"value", [("name", b"text")])]))
    reading = DefaultRecordBatch(bytes(data))
    data[reading._pos] += 2  # one byte more, as varints have it
    with pytest.raises(CorruptRecordError):
        read(bytes(data), kafka_records.read_record)
