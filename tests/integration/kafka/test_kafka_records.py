"""Record batches are read and written as the Kafka library does it, whatever they contain."""

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

from oms_es.kafka import records as kafka_records

TEXT = st.one_of(st.none(), st.binary(max_size=300))
HEADERS = st.lists(st.tuples(st.text(max_size=90), TEXT), max_size=20)
RECORDS = st.lists(st.tuples(TEXT, TEXT, HEADERS), min_size=1, max_size=4)


READ = (DefaultRecordBatch, "_read_msg")
APPEND = (DefaultRecordBatchBuilder, "append")
ESTIMATE = (DefaultRecordBatchBuilder, "estimate_size_in_bytes")


def batch(records: list[tuple[Any, Any, Any]]) -> bytes:
    builder = builder_of(1_000_000)
    for offset, (key, value, headers) in enumerate(records):
        assert kafka_records.LIBRARYS_OWN[APPEND](builder, offset, 1_000 + offset, key, value, headers)
    return bytes(builder.build())


def builder_of(batch_size: int) -> Any:
    return DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=False,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=batch_size,
    )


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
    assert found == read(data, kafka_records.LIBRARYS_OWN[READ])


def test_a_record_that_is_not_as_long_as_it_says_is_refused() -> None:
    data = bytearray(batch([(b"key", b"value", [("name", b"text")])]))
    reading = DefaultRecordBatch(bytes(data))
    data[reading._pos] += 2  # one byte more, as varints have it
    with pytest.raises(CorruptRecordError):
        read(bytes(data), kafka_records.read_record)


@given(
    RECORDS,
    st.integers(0, 400),
    st.lists(st.integers(0, 2**40), min_size=4, max_size=4),
    st.sampled_from([list, kafka_records.Written]),
)
def test_every_record_is_written_as_the_library_writes_it(
    records: list[tuple[Any, Any, Any]], batch_size: int, timestamps: list[int], how: Any
) -> None:
    """Also where the batch is full: the first finds room always, and the others where there is some."""
    ours, theirs = builder_of(batch_size), builder_of(batch_size)
    for offset, ((key, value, headers), timestamp) in enumerate(zip(records, timestamps, strict=False)):
        reported = kafka_records.append_record(ours, offset, timestamp, key, value, how(headers))
        expected = kafka_records.LIBRARYS_OWN[APPEND](theirs, offset, timestamp, key, value, headers)
        assert (reported is None) == (expected is None)
        if expected is not None:
            assert [getattr(reported, part) for part in METADATA] == [getattr(expected, part) for part in METADATA]
    assert bytes(ours.build()) == bytes(theirs.build())


METADATA = ("offset", "size", "timestamp", "crc")


@given(TEXT, TEXT, HEADERS)
def test_the_estimate_of_a_record_is_not_less_than_the_librarys(key: Any, value: Any, headers: Any) -> None:
    theirs = vars(DefaultRecordBatchBuilder)["estimate_size_in_bytes"]
    own = kafka_records.LIBRARYS_OWN[ESTIMATE].__get__(None, DefaultRecordBatchBuilder)(key, value, headers)
    assert theirs is kafka_records.OURS[ESTIMATE]
    assert own <= kafka_records.estimate_size(DefaultRecordBatchBuilder, key, value, headers)


def test_anyone_who_measures_gets_the_library_as_it_is() -> None:
    with kafka_records.librarys_own():
        assert DefaultRecordBatchBuilder.append is kafka_records.LIBRARYS_OWN[APPEND]
    assert DefaultRecordBatchBuilder.append is kafka_records.append_record
