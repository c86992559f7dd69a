"""One HTTP request to a provider: sent once, never redirected, finished within SECONDS_MAX, with an answer of bounded
size.

Invariant: a request whose answer does not arrive whole raises NoAnswer; it is then not known whether the request was
done.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from threading import Timer
from typing import NamedTuple
from urllib.parse import urlsplit

SECONDS_MAX = 30.0
CONNECT_SECONDS_MAX = 5.0
BYTES_MAX = 2_000_000


class ProtocolError(Exception):
    """An error in a provider's protocol. It ends within the gateways or the HTTP routes, as an answer or one of our
    errors."""


class NoAnswer(ProtocolError):
    """A request got no answer: it may have been done."""


class NothingCertain(NoAnswer):
    """An answer came that leaves the outcome open, and repeating the request would give the same answer."""


class TooLong(NoAnswer):
    """The answer is too large, and would be again if the request were repeated."""


class Reply(NamedTuple):
    """An HTTP answer. `headers`: by their names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def request(base: str, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Reply:
    """Send a request and return its answer. `base`: scheme, host and port; `path`: with its query. Raise NoAnswer."""
    place = urlsplit(base)
    host = place.hostname or ""
    asking = (
        http.client.HTTPSConnection(host, place.port, timeout=CONNECT_SECONDS_MAX, context=_tls())
        if place.scheme == "https"
        else http.client.HTTPConnection(host, place.port, timeout=CONNECT_SECONDS_MAX)
    )
    cutting = Timer(SECONDS_MAX, _cut, [asking])
    cutting.daemon = True
    try:
        cutting.start()
        asking.connect()
        asking.sock.settimeout(SECONDS_MAX)
        asking.request(method, place.path.rstrip("/") + path, body or None, {**headers, "Connection": "close"})
        with asking.getresponse() as answer:
            said = answer.read(BYTES_MAX + 1)
            if len(said) > BYTES_MAX:
                raise TooLong(f"its answer is longer than {BYTES_MAX} bytes")
            return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, said)
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(str(error) or type(error).__name__) from error
    finally:
        cutting.cancel()
        asking.close()


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _cut(asking: http.client.HTTPConnection) -> None:
    """Shut the socket down, so that an answer that trickles in ends, too."""
    with suppress(OSError, AttributeError):
        asking.sock.shutdown(socket.SHUT_RDWR)
