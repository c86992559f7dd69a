"""Serves a handler on a free port of this machine, on a thread of its own, for as long as a provider is played."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

POLL_SECONDS = 0.02
"""How soon it ends when it is asked to."""


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], **of: object) -> Iterator[str]:
    """The address. `of`: what each request finds on its handler."""
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (handler,), of)) as server:
        thread = Thread(target=server.serve_forever, args=[POLL_SECONDS], daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
