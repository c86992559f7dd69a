"""What a provider reports over HTTP, opened: verified, perhaps decrypted, and found to be for us.

Invariant: nothing of a report is read before its signature is good. What cannot be decided now is neither taken nor
refused: its sender is asked to send it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from oms_es.gateways.outgoing import ProtocolError

Headers = Sequence[tuple[str, str]]
WINDOW_SECONDS = 300
"""Before and after now: what was signed outside of it is not taken."""


class Forged(ProtocolError):
    """It is not signed by its provider, or too long ago."""


class CannotDecide(ProtocolError):
    """It may be good: what it would be verified with is not here, or not yet."""


class NotForUs(ProtocolError):
    """It is good, and for another merchant or app."""


class Reply(NamedTuple):
    """What a provider wants to hear: `media_type` and the bytes."""

    media_type: str
    body: bytes


class Opener(Protocol):
    """Of one provider. `secrets`: those of the connection that are good now."""

    def open(self, headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> bytes:
        """What its dialect reads. Raises Forged, CannotDecide and NotForUs."""

    def answer(self, *, taken: bool, why: str) -> Reply: ...


Openers = Mapping[str, Opener]
"""By the dialect of a connection."""


def one_header(headers: Headers, name: str, length_max: int = 2_000) -> str:
    """Two could be read differently on the way. Raises Forged."""
    values = [value.strip() for given, value in headers if given.lower() == name]
    if len(values) != 1 or not 0 < len(values[0]) <= length_max:
        raise Forged(f"{name} is not there once")
    return values[0]
