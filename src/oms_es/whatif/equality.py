"""Comparison of a replay with history: stream by stream, event by event, including the envelopes.

Positions are not compared, as those of a log may have gaps. Deadlines that are due at the same time may come in any
order; within a stream, nothing may differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from oms_es.kernel import Event, Recorded


class Unlike(NamedTuple):
    """The first event of a stream that differs; None on the side that has no more."""

    stream: str
    version: int
    real: Recorded | None
    relived: Recorded | None


def unlike(real: Iterable[Recorded], relived: Iterable[Recorded]) -> Iterator[Unlike]:
    """Yield the first difference of each stream that differs."""
    streams, others = by_stream(real), by_stream(relived)
    for stream in dict.fromkeys([*streams, *others]):
        if difference := _first(stream, streams.get(stream, []), others.get(stream, [])):
            yield difference


def by_stream(history: Iterable[Recorded]) -> dict[str, list[Recorded]]:
    streams: dict[str, list[Recorded]] = {}
    for recorded in history:
        streams.setdefault(recorded.stream, []).append(recorded)
    return streams


def _first(stream: str, real: list[Recorded], relived: list[Recorded]) -> Unlike | None:
    for version in range(max(len(real), len(relived))):
        one = real[version] if version < len(real) else None
        other = relived[version] if version < len(relived) else None
        if one is None or other is None or one[1:] != other[1:]:
            return Unlike(stream, version + 1, one, other)
    return None


WEIGHED = ("candidates", "rule_version", "ruled_out")
"""Fields that explain the choice of a location or a carrier, and the version of its rules: another version may choose
the same."""


def outcome_of(event: Event) -> Event:
    """Return the event without the explanation of a choice, and without the sizes of cartons, which older plans do
    not state.
    """
    weighed: dict[str, Any] = {name: None for name in WEIGHED if name in event.__dict__}
    if cartons := event.__dict__.get("cartons"):
        weighed["cartons"] = tuple(carton.model_copy(update={"volume_ml": 0}) for carton in cartons)
    return event.model_copy(update=weighed) if weighed else event
