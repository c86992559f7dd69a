"""The HTTP server in this process: uvicorn, with bounded headers and a shutdown of our own.

Invariant: after SIGTERM, every request is answered or disconnected within GRACE_SECONDS, open streams too.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from fcntl import ioctl
from http import HTTPStatus
from termios import TIOCOUTQ
from types import FrameType
from typing import Any

import structlog
import uvicorn
from pydantic_core import to_json
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from oms_es.http.app import Application, Mount, all_routes
from oms_es.http.services import Services
from oms_es.processing.metrics import CannotListen

GRACE_SECONDS = 2
HEADER_BYTES_MAX = 32_768
HEADERS_MAX = 100
CONNECTIONS_MAX = 2_000
KEEP_ALIVE_SECONDS = 30
HEAD_SECONDS_MAX = 20.0
"""From the first of a connection, or of a further request on it, until its headers have come."""
BODY_SECONDS_MAX = 60.0
"""How long the rest of a body may take that is answered already, as one that was refused."""
UNREAD_SECONDS_MAX = 60.0
"""How long a client may take nothing of what it is answered."""
SWEEP_SECONDS = 3_600.0
STARTING_SECONDS_MAX = 30.0

log = structlog.get_logger(__name__)


def _unsent(transport: asyncio.Transport) -> int:
    """Return how many bytes wait to be read by the client: here, and in the system's buffer where that is known.

    A slow reader empties the latter for minutes before it is asked for more.
    """
    queued = array("i", [0])
    with suppress(OSError, ValueError):
        ioctl(transport.get_extra_info("socket").fileno(), TIOCOUTQ, queued)
    return transport.get_write_buffer_size() + queued[0]


class Bounded(HttpToolsProtocol):
    """uvicorn's protocol with limits that it and httptools do not have: on the size of headers, on how long they may
    take to arrive, and on how long a client may leave its answer unread.

    A request with a body that offers another protocol is refused: httptools leaves the body out, and parses it as the
    next request.
    """

    _late: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _in_body = False
    """Whether the headers of a request have come, and not all of its body."""
    _why = "what came is no request of HTTP/1.1"

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in the library
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # so that writing is paused whenever a byte is left to send
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_waiting()
        if self._unread:
            self._unread.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._in_body:
            self._expect_head()
        elif self.cycle is not None and self.cycle.response_complete:
            self._wait_at_most(BODY_SECONDS_MAX)
        super().data_received(data)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_reader()

    def resume_writing(self) -> None:
        if self._unread:
            self._unread.cancel()
        super().resume_writing()

    def _expect_reader(self, before: int | None = None) -> None:
        """Close the connection unless some of the answer was read since the last look. `before`: the bytes left to
        send then."""
        left = _unsent(self.transport)
        if before is not None and left >= before:
            self.transport.abort()
        else:
            self._unread = self.loop.call_later(UNREAD_SECONDS_MAX, self._expect_reader, left)

    def _expect_head(self) -> None:
        self._wait_at_most(HEAD_SECONDS_MAX)

    def _wait_at_most(self, seconds: float) -> None:
        self._late = self._late or self.loop.call_later(seconds, self.transport.close)

    def _end_waiting(self) -> None:
        if self._late:
            self._late.cancel()
            self._late = None

    def on_message_complete(self) -> None:
        self._in_body = False
        self._end_waiting()
        super().on_message_complete()

    def on_headers_complete(self) -> None:
        self._in_body = True
        self._end_waiting()
        if self.parser.should_upgrade() and any(_says_a_body(*header) for header in self.headers):
            self._refuse("send it without the header Upgrade: HTTP/1.1 is spoken here")
        super().on_headers_complete()

    def _unsupported_upgrade_warning(self) -> None:
        """Ignore the offer, as HTTP allows, without a warning."""

    def on_message_begin(self) -> None:
        self._header_bytes = 0
        self._expect_head()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        if len(self.headers) >= HEADERS_MAX:
            self._refuse(f"a request has at most {HEADERS_MAX} headers")
        super().on_header(name, value)

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > HEADER_BYTES_MAX:
            self._refuse(f"the path and the headers of a request have at most {HEADER_BYTES_MAX:,} bytes")

    def _refuse(self, why: str) -> None:
        """Raise ValueError, which uvicorn answers by `send_400_response`."""
        self._why = why
        raise ValueError(why)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the library's words for it are not ours
        """Answer a request that cannot be parsed with a problem document, like every other error."""
        status = HTTPStatus.BAD_REQUEST
        body = to_json(
            {
                "type": "/v1/problems/malformed_request",
                "title": status.phrase,
                "status": status,
                "reason": "malformed_request",
                "detail": self._why,
            }
        )
        head = f"HTTP/1.1 {status} {status.phrase}\r\ncontent-type: application/problem+json\r\n"
        head += f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(head.encode() + body)
        self.transport.close()


def _says_a_body(name: bytes, value: bytes) -> bool:
    return name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0") != b"")


class Server(uvicorn.Server):
    """A uvicorn server that returns from `run` after a signal, so that the program sets its own exit code."""

    def __init__(self, config: uvicorn.Config, services: Services, started: Callable[[int], None]) -> None:
        super().__init__(config)
        self.services = services
        self.on_started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.services.committer.start()
        assert sockets
        self.on_started(sockets[0].getsockname()[1])

    async def main_loop(self) -> None:
        sweeping = asyncio.create_task(self._sweep())
        try:
            await super().main_loop()
        finally:
            sweeping.cancel()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.services.stopping.set()
        self.services.tail.wake()
        await super().shutdown(sockets)
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                await self.services.committer.stop()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - what a handler is given
        """Stop the server, and do not record the signal: uvicorn would raise a recorded one again after its end."""
        log.info("stopping", signal=signal.Signals(sig).name)
        self.should_exit = True

    async def _sweep(self) -> None:
        while True:
            await asyncio.to_thread(self.services.sweep)
            await asyncio.sleep(SWEEP_SECONDS)


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens on the address. Raise CannotListen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise CannotListen(
            f"nothing can be served on {host}, port {port}: {error.strerror or error}; "
            "name another place with OMS_HTTP_HOST and OMS_HTTP_PORT"
        ) from error
    return listener


def serve(
    services: Services, listener: socket.socket, started: Callable[[int], None], mounts: Mapping[str, Mount]
) -> None:
    """Serve until SIGTERM or SIGINT."""
    server: Any = _server(services, started, mounts)
    with suppress(KeyboardInterrupt):
        server.run([listener])


@contextmanager
def serving_beside(services: Services, listener: socket.socket) -> Iterator[str]:
    """Serve in a thread as long as the context lasts, and yield the server's address."""
    started = threading.Event()
    server: Any = _server(services, lambda _port: started.set(), {})
    thread = threading.Thread(target=server.run, args=[[listener]], name="http", daemon=True)
    thread.start()
    try:
        if not started.wait(STARTING_SECONDS_MAX):
            raise CannotListen(f"the HTTP server did not start within {STARTING_SECONDS_MAX:g} s; look at the log")
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(STARTING_SECONDS_MAX)


def _server(services: Services, started: Callable[[int], None], mounts: Mapping[str, Mount]) -> Server:
    config = uvicorn.Config(
        Application(services, all_routes(), mounts),
        http=Bounded,
        ws="none",
        lifespan="off",
        loop="uvloop",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=1_024,
        limit_concurrency=CONNECTIONS_MAX,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    return Server(config, services, started)
