"""Snapshots of long streams: written with a digest of what they say, and read only where that fits.

Invariant: a snapshot saves time and never decides anything: one of another version, or that cannot be read, is left
aside, and its stream is replayed.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from http import HTTPStatus
from typing import Any

from pydantic_core import from_json, to_json

from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.kernel import Decider
from oms_es.store.recorder import Snapshot

EVERY_EVENTS = 2_000
BYTES_PER_EVENT = 100
"""A snapshot of a large state waits for as many more events: snapshots cost a bounded share of the appends."""


class Unreadable(OmsError):
    """It is not what was written."""

    code = "snapshot_unreadable"
    exit_code = Code.UNEXPECTED
    status = HTTPStatus.INTERNAL_SERVER_ERROR


def taken(decider: Decider[Any], stream: str, version: int, state: Any) -> Snapshot:
    assert decider.dump
    content = to_json(decider.dump(state))
    return Snapshot(stream, version, _topic(decider, stream, version, content), content)


def next_version(snapshot: Snapshot) -> int:
    """At which version of its stream the next snapshot is due."""
    return snapshot.version + max(EVERY_EVENTS, len(snapshot.state) // BYTES_PER_EVENT)


def is_of_this_version(deciders: Mapping[str, Decider[Any]], snapshot: Snapshot) -> bool:
    """Others were written by another version of the program, and are replaced in time."""
    decider = deciders.get(snapshot.stream.partition("-")[0])
    return decider is not None and snapshot.topic.startswith(f"{decider.snapshot_topic}:")


def state_in(decider: Decider[Any], snapshot: Snapshot) -> Any:
    """Raises Unreadable."""
    stream, version, topic, content = snapshot
    if decider.restore is None or topic != _topic(decider, stream, version, content):
        raise Unreadable(f"the snapshot of {stream} at {version} is not what was written")
    try:
        return decider.restore(from_json(content))
    except Exception as error:
        raise Unreadable(f"the snapshot of {stream} at {version} cannot be read: {type(error).__name__}") from error


def _topic(decider: Decider[Any], stream: str, version: int, content: bytes) -> str:
    return f"{decider.snapshot_topic}:{sha256(b'%s@%d ' % (stream.encode(), version) + content).hexdigest()}"
