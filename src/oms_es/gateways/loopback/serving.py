"""Serving of a handler on a free port of this machine, in a thread, as long as a provider is simulated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

POLL_SECONDS = 0.02
"""How often the server checks whether it is to end."""


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], **of: object) -> Iterator[str]:
    """Serve within the context and yield the address. `of`: attributes of the handler class."""
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (handler,), of)) as server:
        thread = Thread(target=server.serve_forever, args=[POLL_SECONDS], daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
