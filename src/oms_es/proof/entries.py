"""What the log proves of an event: an entry of its tree, over exactly what is stored.

An entry is, byte after byte:

    oms-es/event/v1 LF
    position        8 bytes, big-endian
    version         8 bytes, big-endian: the place in its stream
    digest          32 bytes: SHA-256 of the stored bytes, envelope and payload together
    length of type  4 bytes, big-endian
    type            UTF-8
    stream          UTF-8, up to the end

Two events that differ in anything have different entries: all fields but the last have a length of their own. The
stored bytes themselves are not in it, so that entries may be shown to people who may not see what is in an event.
"""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import NamedTuple

MAGIC = b"oms-es/event/v1\n"
HEAD = struct.Struct(">16sqq32sI")


class StoredEvent(NamedTuple):
    """An event as the log has it; `state` is envelope and payload, as bytes."""

    position: int
    stream: str
    version: int
    type: str
    state: bytes

    @property
    def digest(self) -> bytes:
        return sha256(self.state).digest()

    @property
    def entry(self) -> bytes:
        return self.entry_of(self.digest)

    def entry_of(self, digest: bytes) -> bytes:
        """Return the entry of this event if its bytes had another digest."""
        return entry(self.position, self.stream, self.version, self.type, digest)


def entry(position: int, stream: str, version: int, kind: str, digest: bytes) -> bytes:
    encoded = kind.encode()
    return HEAD.pack(MAGIC, position, version, digest, len(encoded)) + encoded + stream.encode()
