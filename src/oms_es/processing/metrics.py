"""What an operator watches, for Prometheus, and whether this process is alive and ready, for its supervisor.

Every metric is declared here; the names are an interface.
"""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from math import nan
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import Counter, Gauge, Histogram, make_wsgi_app

from oms_es.errors import OmsError
from oms_es.exit_codes import Code

LIVE_SECONDS_MAX = 60.0
"""A loop that has not turned for so long is stuck."""
CLIENT_SECONDS_MAX = 10.0
"""From the connection of a client to the end of its answer."""
CLIENTS_MAX = 16
"""Served at once; more are turned away."""

POSITION = Gauge("oms_position", "Position of the log up to which a role has done a partition", ["role", "place"])
LAG = Gauge("oms_lag_messages", "Messages of a partition that a role has not done yet", ["role", "place"])
PARTITIONS = Gauge("oms_partitions", "Partitions that this process has", ["role"])
STOPPED = Gauge("oms_partitions_stopped", "Partitions that wait for a repair", ["role"])
DELIVERIES = Histogram(
    "oms_batch_deliveries", "Deliveries of a batch", ["role"], buckets=(1, 5, 20, 100, 500, 1_000, 2_000)
)
COMMIT_SECONDS = Histogram(
    "oms_batch_seconds",
    "Seconds from taking a batch to its commit",
    ["role"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5),
)
DEAD_LETTERS = Counter("oms_dead_letters", "Inputs from outside that could not be used", ["source"])
RELAY_ACTIVE = Gauge("oms_relay_active", "1 while this process is the one that publishes")
RELAY_POSITION = Gauge("oms_relay_position", "Position of the log up to which everything is published")
RELAY_DEPTH = Gauge("oms_relay_depth_events", "Positions between the end of the log and what is published")
HTTP_REQUESTS = Counter("oms_http_requests", "Requests over HTTP", ["method", "status"])
HTTP_SECONDS = Histogram(
    "oms_http_seconds",
    "Seconds from a request to its answer",
    ["method"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5),
)
COMMITTER_WAITING = Gauge("oms_committer_waiting", "Requests that wait for a transaction")
PAYMENT_ANSWERS = Counter(
    "oms_payment_answers", "Answers of payment providers, by what they say", ["provider", "outcome"]
)
GATEWAY_HELD = Gauge("oms_gateway_held_intents", "Intents that wait for one gateway while others go on", ["role"])
GATEWAY_OPEN = Gauge("oms_gateway_open", "1 while a gateway is not asked, as it did not answer", ["gateway"])
WEBHOOKS_SENT = Counter("oms_webhooks_sent", "Webhooks that were sent out, by what came of it", ["outcome"])
WEBHOOKS_WAITING = Gauge(
    "oms_webhooks_waiting", "Webhooks that were not delivered yet, of subscriptions that are enabled"
)
RELAY_PUBLISHED = Counter("oms_relay_published", "Messages that the brokers have acknowledged")


class timed:  # noqa: N801 - reads as what it does
    """Report to what it yields how many deliveries the batch had; a batch without any is not counted."""

    def __init__(self, role: str) -> None:
        self.role = role

    def __enter__(self) -> Callable[[int], None]:
        self.began = time.perf_counter()
        return self.observe

    def __exit__(self, *_: object) -> None:
        """A batch that was never observed, such as an empty one, is not counted."""

    def observe(self, deliveries: int) -> None:
        if deliveries:
            COMMIT_SECONDS.labels(self.role).observe(time.perf_counter() - self.began)
            DELIVERIES.labels(self.role).observe(deliveries)


def known(measured: Callable[[], float], outages: tuple[type[Exception], ...]) -> Callable[[], float]:
    """Make a gauge say NaN while its figure cannot be asked for, so that the other metrics are still served."""

    def measure() -> float:
        try:
            return measured()
        except outages:
            return nan

    return measure


class Health:
    """`ready`: why this process is not ready, or nothing if it is."""

    def __init__(self, last_iteration_at: Callable[[], float], ready: Callable[[], Iterable[str]]) -> None:
        self.last_iteration_at = last_iteration_at
        self.ready = ready

    def live(self) -> list[str]:
        silent = time.monotonic() - self.last_iteration_at()
        return [f"the loop has not turned for {silent:.0f} s"] if silent > LIVE_SECONDS_MAX else []


class SilentHandler(WSGIRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the name it has in the library
        """Do not log scrapes."""


class Server(ThreadingMixIn, WSGIServer):
    """A thread for each client, of which few are served at once and none for long: a client that opens a connection
    and says nothing keeps neither the others nor the end of the process waiting."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, *arguments: Any) -> None:
        self._free = threading.BoundedSemaphore(CLIENTS_MAX)
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread could be started for it
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        deadline = threading.Timer(CLIENT_SECONDS_MAX, _cut, [request])
        deadline.daemon = True
        try:
            deadline.start()
            super().process_request_thread(request, client_address)
        finally:
            deadline.cancel()
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Do not log clients that have gone away; errors of the application are logged by the library."""


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class CannotListen(OmsError):
    """The address in the settings cannot be listened on."""

    code = "cannot_listen"
    exit_code = Code.USAGE
    status = HTTPStatus.INTERNAL_SERVER_ERROR


@contextmanager
def served(host: str, port: int | None, health: Health) -> Iterator[int | None]:
    """GET /metrics, /livez, /readyz as long as the context lasts; port 0 is any free one, without a port nothing is.

    Raises CannotListen.
    """
    if port is None:
        yield None
        return
    metrics = make_wsgi_app()

    def application(environ: dict[str, Any], start: Any) -> Any:
        checks = {"/livez": health.live, "/readyz": health.ready}
        check = checks.get(environ["PATH_INFO"])
        if check is None:
            return metrics(environ, start)
        problems = list(check())
        start("503 Service Unavailable" if problems else "200 OK", [("Content-Type", "text/plain; charset=utf-8")])
        return [("\n".join(problems) or "ok").encode() + b"\n"]

    with _listening(host, port, application) as server:
        thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def _listening(host: str, port: int, application: Any) -> WSGIServer:
    try:
        return make_server(host, port, application, Server, SilentHandler)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        why = "another program listens there" if taken else error.strerror or str(error)
        raise CannotListen(
            f"nothing can be served on {host}, port {port}: {why}; "
            "name another place with OMS_METRICS_HOST and OMS_METRICS_PORT"
        ) from error
