"""Reports of providers over HTTP: verified, decrypted where necessary, and checked to be for this merchant.

Invariant: nothing of a report is read before its signature is verified. A report that cannot be decided now is neither
accepted nor refused: its sender is asked to send it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from oms_es.gateways.outgoing import ProtocolError

Headers = Sequence[tuple[str, str]]
ADDRESS = ":path"
"""The name under which an opener finds the address of the request, with its query, among the headers: that of HTTP/2,
which no header of HTTP/1.1 can have."""
WINDOW_SECONDS = 300
"""Seconds by which the time of a signature may differ from now, either way."""


class Forged(ProtocolError):
    """The report is not signed by its provider, or was signed too long ago."""


class CannotDecide(ProtocolError):
    """The report may be valid, but the key that would verify it is not here, or not yet."""


class NotForUs(ProtocolError):
    """The report is valid, and for another merchant or app."""


class Reply(NamedTuple):
    """The reply that a provider expects: its media type and bytes."""

    media_type: str
    body: bytes


class Opener(Protocol):
    """The verifier and decrypter of one provider's reports. `secrets`: the connection's secrets that are valid now."""

    def open(self, headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> Sequence[bytes]:
        """Return the contents for the provider's dialect, one for each thing that the report is about. Raise Forged,
        CannotDecide or NotForUs."""

    def answer(self, *, taken: bool, why: str) -> Reply: ...


Openers = Mapping[str, Opener]
"""The openers by the dialect of a connection."""


def one_header(headers: Headers, name: str, length_max: int = 2_000) -> str:
    """Return the value of a header. Raise Forged if it is missing or repeated: proxies could differ in
    which they read."""
    values = [value.strip() for given, value in headers if given.lower() == name]
    if len(values) != 1 or not 0 < len(values[0]) <= length_max:
        raise Forged(f"{name} is not there once")
    return values[0]
