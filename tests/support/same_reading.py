"""Comparison of two codecs."""

from __future__ import annotations

from collections.abc import Iterable

from oms_es.store.encoding.codec import Codec, StoredRow


def assert_same_reading(rows: Iterable[StoredRow], one: Codec, other: Codec) -> None:
    """Assert that both codecs read the rows alike: every value with its type, and which fields were given."""
    for row in rows:
        read, again = one.decode(row, 1), other.decode(row, 1)
        assert read == again
        assert repr(read) == repr(again)
        assert read.event.model_fields_set == again.event.model_fields_set
        assert one.encode(read) == other.encode(again)
