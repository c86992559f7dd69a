"""Orders over HTTP, durable before they are answered, compared with one transaction per order, and with a server that
does nothing.

Client, server and PostgreSQL share the machine; every client waits for its answer before it sends the next order.
"""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

if __name__ == "__main__":
    sys.path.pop(0)  # remove this folder, in which `http` is a benchmark and not the library

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import psycopg
from bench.measure import Measure, fresh_database, run
from pydantic_core import to_json

from oms_es.aggregates.order import decider as order
from oms_es.app import migrate
from oms_es.channels import canonical
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Cause
from oms_es.store.recorder import Recorder, datastore_of
from oms_es.store.store import Store

SECONDS = 6
ROUNDS = 3
CLIENTS = 32
FEW = 8
MANY = 128
LISTENERS = 500
MAIN = "from oms_es.cli.main import main; raise SystemExit(main())"
ONE_EACH = "one transaction per order"
numbers = count()


def measures(scale: int) -> Iterator[Measure]:
    seconds = SECONDS * scale
    with tempfile.TemporaryDirectory(prefix="oms-es-bench-") as directory:
        Path(directory).chmod(0o711)
        with EmbeddedPostgres(Path(directory) / "home").open(exclusive=True) as server:
            yield from accepted(server.url, seconds)
            yield from with_engine(server.url, seconds)


def accepted(server_url: str, seconds: float) -> Iterator[Measure]:
    """Return medians of rounds in which everything is measured by turns, so that other load affects all."""
    with fresh_database(server_url) as url:
        migrate(url)
        with served(url) as port:
            rounds = [_round(url, port, seconds / ROUNDS) for _ in range(ROUNDS)]
    middle = Round(*map(statistics.median, zip(*rounds, strict=True)))
    yield Measure(f"orders over HTTP, {CLIENTS} clients", middle.some, "1/s", ONE_EACH, middle.one_each)
    yield Measure(f"orders over HTTP, {MANY} clients", middle.many, "1/s", "the same server, /livez", middle.nothing)
    yield Measure(f"p99 of an order, {FEW} clients", middle.p99, "ms", "one bare commit", middle.commit)
    yield Measure(f"p99 of an order, {FEW} clients", middle.p99, "ms", "p99 of a bare commit", middle.commit_p99)
    yield Measure(f"an order's event to the last of {LISTENERS}", middle.streamed, "ms", "to one", middle.alone)


class Round(NamedTuple):
    """Orders or answers a second, and milliseconds."""

    one_each: float
    commit: float
    commit_p99: float
    some: float
    many: float
    p99: float
    nothing: float
    streamed: float
    alone: float


def _round(url: str, port: int, seconds: float) -> Round:
    one_each = one_transaction_each(url, seconds)
    commits = bare_commits(url)
    _, p99 = load(port, FEW, seconds)
    some, many = (load(port, clients, seconds)[0] for clients in (CLIENTS, MANY))
    nothing, _ = load(port, MANY, seconds, request=get("/livez"))
    streamed, alone = (fan_out(port, listeners) for listeners in (LISTENERS, 1))
    return Round(
        one_each=one_each,
        commit=commits[len(commits) // 2] * 1_000,
        commit_p99=commits[int(len(commits) * 0.99)] * 1_000,
        some=some,
        many=many,
        p99=p99 * 1_000,
        nothing=nothing,
        streamed=streamed * 1_000,
        alone=alone * 1_000,
    )


def with_engine(server_url: str, seconds: float) -> Iterator[Measure]:
    with fresh_database(server_url) as url:
        migrate(url)
        with served(url, "--with-engine", OMS_GATEWAYS="simulated") as port:
            rate, _ = load(port, CLIENTS, seconds)
    yield Measure(f"orders over HTTP, {CLIENTS} clients, the engine in the same process", rate, "1/s")


def body() -> bytes:
    sent = {
        "channel": "web",
        "external_id": f"bench-{os.getpid()}-{next(numbers)}",
        "placed_at": "2026-01-05T12:00:00Z",
        "currency": "EUR",
        "lines": [
            {"line_id": str(line), "sku": f"S{line}", "quantity": 1, "unit_price_minor": 1_000} for line in (1, 2)
        ],
        "ship_to": {"country": "DE"},
    }
    return to_json(sent)


def place() -> bytes:
    content = body()
    head = "POST /v1/orders HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(content)}"
    return head.encode() + b"\r\n\r\n" + content


def get(path: str) -> Callable[[], bytes]:
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    return lambda: request


def one_transaction_each(url: str, seconds: float) -> float:
    """Return orders a second with a commit for each order, as by a handler without batches: clients wait for the append
    lock."""
    with datastore_of(url) as datastore:
        store = Store([order.decider], EVENTS, Recorder(datastore))
        done, until = 0, time.perf_counter() + seconds
        while time.perf_counter() < until:
            store.execute([(Cause("bench"), [canonical.parse(body())])])
            done += 1
    return done / seconds


def bare_commits(url: str) -> list[float]:
    """Return the seconds of transactions that insert one row, the quickest first."""
    took: list[float] = []
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS bench_rows (at timestamptz)")
        connection.commit()
        for _ in range(200):
            began = time.perf_counter()
            connection.execute("INSERT INTO bench_rows VALUES (now())")
            connection.commit()
            took.append(time.perf_counter() - began)
    return sorted(took)


@contextmanager
def served(url: str, *arguments: str, **settings: str) -> Iterator[int]:
    environment = {**os.environ, "OMS_DATABASE_URL": url, "OMS_HTTP_PORT": "0", **settings}
    command = [sys.executable, "-c", MAIN, "serve", *arguments]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            port = next(
                int(found[1]) for line in process.stderr if (found := re.search(r"API at http://\S+:(\d+)/docs", line))
            )
            Thread(target=process.stderr.read, daemon=True).start()
            yield port
        finally:
            process.kill()


def load(port: int, clients: int, seconds: float, request: Callable[[], bytes] = place) -> tuple[float, float]:
    """Return answers a second, and the 99th percentile of their seconds."""
    took = asyncio.run(_load(port, clients, seconds, request))
    return len(took) / seconds, sorted(took)[int(len(took) * 0.99)]


async def _load(port: int, clients: int, seconds: float, request: Callable[[], bytes]) -> Sequence[float]:
    took: list[float] = []
    until = time.perf_counter() + seconds

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < until:
            began = time.perf_counter()
            writer.write(request())
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith((b"HTTP/1.1 201", b"HTTP/1.1 200")), head
            length = re.search(rb"content-length: (\d+)", head)
            assert length
            await reader.readexactly(int(length[1]))
            took.append(time.perf_counter() - began)
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return took


def fan_out(port: int, listeners: int) -> float:
    """Return seconds from sending an order to the moment at which the last listener has its event."""
    return asyncio.run(_fan_out(port, listeners))


async def _fan_out(port: int, listeners: int) -> float:
    connections = []
    for _ in range(listeners):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        connections.append((reader, writer))
        writer.write(get("/v1/streams/orders")())
        await reader.readuntil(b"\r\n\r\n")
        await reader.readuntil(b"following")
    took: list[float] = []
    for _ in range(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        began = time.perf_counter()
        writer.write(place())
        await asyncio.gather(*(listener.readuntil(b"event: order.status") for listener, _ in connections))
        took.append(time.perf_counter() - began)
        writer.close()
    for _, writer in connections:
        writer.close()
    return sorted(took)[len(took) // 2]


if __name__ == "__main__":
    run("HTTP", measures)
