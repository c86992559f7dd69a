"""What a record of the log says of events that were encrypted after they had been sealed.

The leaf of such an event is of its bytes from before; the record, an event that is sealed itself, has their digest, and
the digest of those that are stored now.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from oms_es.proof.entries import StoredEvent

TYPE, STREAM = "EventsEncrypted", "encryption-log"
AFTER_EVENT, BEFORE_ENCRYPTED = b',"schema_version":', b',"encrypted":"'


class Encrypted(NamedTuple):
    """The digests of an event's stored bytes before and after."""

    before: bytes
    after: bytes


class Recorded(NamedTuple):
    """What a record names: events beyond `previous`, up to `reached`, by position, in their order. `through`: where the
    log ended when encryption began, which every record repeats."""

    previous: int
    reached: int
    through: int
    events: Mapping[int, Encrypted]

    def may_name(self, position: int, record: int) -> bool:
        """Return whether the record at the position `record` is one that can name the event at `position`."""
        return self.previous < position <= self.reached <= self.through < record


def is_record(event: StoredEvent) -> bool:
    return (event.type, event.stream) == (TYPE, STREAM)


def recorded_in(event: StoredEvent) -> Recorded:
    """Raises ValueError, KeyError, TypeError."""
    said: Mapping[str, Any] = json.loads(event.state)["event"]
    digest = bytes.fromhex
    events = {one["position"]: Encrypted(digest(one["before"]), digest(one["after"])) for one in said["events"]}
    return Recorded(said["previous"], said["reached"], said["through"], events)


def is_encrypted(state: bytes) -> bool:
    """Return whether the envelope of a stored event has what is personal of it, encrypted.

    The name of a key is in no text: there, quotes are escaped.
    """
    return state.rfind(BEFORE_ENCRYPTED) > state.rfind(AFTER_EVENT) >= 0
