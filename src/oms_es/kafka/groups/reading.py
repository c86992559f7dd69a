"""What a consumer of kafka-python cannot read of one partition, kept to that partition.

Invariant: a batch that cannot be read here, and a position that the partition does not hold any more, stop their own
partition at their offset, and say so once; every other partition is read on.

Left to itself, the library (3.0.12) repeats a failed batch inside one `poll` for ever, and answers a position that is
gone by going elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from kafka.errors import (  # type: ignore[import-untyped] # the library has no types
    CorruptRecordError,
    OffsetOutOfRangeError,
    UnsupportedCodecError,
)

from oms_es.errors import OmsError
from oms_es.exit_codes import Code

Failed = Callable[[Any, int, Exception], None]
"""Called with the library's TopicPartition, the offset, and the error."""


class Unreadable(OmsError):
    """A partition cannot be read on from an offset."""

    code = "partition_unreadable"
    exit_code = Code.NO_KAFKA
    status = HTTPStatus.SERVICE_UNAVAILABLE


class PositionGone(Unreadable):
    """A partition does not hold the position at which it should be read on."""

    code = "position_gone"


class TopicReplaced(Unreadable):
    """A topic was deleted and made again under its name: positions of the old one say nothing about the new one."""

    code = "topic_replaced"


UNREADABLE = (OffsetOutOfRangeError, CorruptRecordError, UnsupportedCodecError)
"""What another attempt would meet again."""


def keep_failures_apart(fetcher: Any, failed: Failed, apart: tuple[type[Exception], ...] = UNREADABLE) -> None:
    """Make a consumer's fetcher report a partition that it cannot read, instead of raising for all partitions.

    `apart`: what of a broker's answers is reported; anything else is raised, for another attempt.
    """
    parse, append = fetcher._parse_fetched_data, fetcher._append  # noqa: SLF001 - nothing public comes between

    def parsed(completed: Any) -> Any:
        try:
            return parse(completed)
        except apart as error:
            failed(completed.topic_partition, completed.fetched_offset, error)
            return None

    def appended(drained: Any, part: Any, records_max: int, update_offsets: Any) -> int:
        try:
            taken: int = append(drained, part, records_max, update_offsets)
        except Exception as error:  # noqa: BLE001 - decompressing raises whatever its library raises
            failed(part.topic_partition, part.next_fetch_offset, error)
            part.drain()
            return 0
        return taken

    fetcher._parse_fetched_data, fetcher._append = parsed, appended  # noqa: SLF001 - the same


def why_unreadable(topic_partition: object, offset: int, error: Exception) -> Unreadable:
    """In words for the person who repairs it."""
    said = f"{topic_partition} cannot be read at offset {offset}: {type(error).__name__}: {error}"
    if isinstance(error, UnsupportedCodecError):
        return Unreadable(f"{said}; install oms-es with its dependencies, then start the worker again")
    return Unreadable(f"{said}; if the batch is damaged, restore it from another replica, then start the worker again")
