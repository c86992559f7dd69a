"""Readers of a stream that stop reading, over real sockets: each is cut after a while, and what it left unread is not
kept for it."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from conftest import fresh_database
from http_requests import order
from http_server import serving
from oms_es.app import migrate
from oms_es.database.embedded import EmbeddedPostgres

STALLED, ORDERS, BATCHES = 30, 100, 6
CUT_SECONDS, SECONDS_MAX = 1.0, 60
GROWN_BYTES_MAX = 60_000_000
BUFFER_BYTES = 4_096
SENDS_SOON = f"""
import socket
from oms_es.http import server
from oms_es.http.reading import streams
server.UNREAD_SECONDS_MAX = streams.SEND_SECONDS_MAX = {CUT_SECONDS}
listening = server.listening

def with_small_buffers(*arguments):
    listener = listening(*arguments)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, {BUFFER_BYTES})
    return listener

server.listening = with_small_buffers
from oms_es.cli.main import main
raise SystemExit(main())
"""
"""The program, with a shorter wait for readers, and buffers that a test fills."""


@pytest.fixture
def address(embedded_server: EmbeddedPostgres) -> Iterator[tuple[int, str]]:
    """Return the server's process and its address."""
    with fresh_database(embedded_server) as url:
        migrate(url)
        with serving(url, main=SENDS_SOON) as (process, found):
            yield process.pid, found


def stalled(address: str) -> socket.socket:
    """Open a stream and read no more than that it follows."""
    host, _, port = address.removeprefix("http://").partition(":")
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    reader.settimeout(SECONDS_MAX)
    reader.connect((host, int(port)))
    reader.sendall(f"GET /v1/streams/orders HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    begun = b""
    while b"following" not in begun:
        begun += reader.recv(1)
    return reader


def rest_of(reader: socket.socket) -> int:
    """Read until the server has cut the connection; return how many bytes there were."""
    size = 0
    try:
        while part := reader.recv(65_536):
            size += len(part)
    except ConnectionResetError:
        pass
    return size


def resident(process: int) -> int:
    (line,) = (line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1_024


def sockets(process: int) -> int:
    return sum(str(one.readlink()).startswith("socket:") for one in Path(f"/proc/{process}/fd").iterdir())


def read(url: str, follows: threading.Event, seen: list[str]) -> None:
    with httpx.stream("GET", f"{url}/v1/streams/orders", timeout=SECONDS_MAX) as stream:
        for line in stream.iter_lines():
            if line.startswith("data: "):
                seen.append(line)
                if len(seen) == ORDERS * BATCHES:
                    return
            elif "following" in line:
                follows.set()


def test_readers_that_stop_reading_are_cut_and_others_get_every_change(address: tuple[int, str]) -> None:
    process, url = address
    follows, seen = threading.Event(), list[str]()
    good = threading.Thread(target=read, args=[url, follows, seen], daemon=True)
    good.start()
    assert follows.wait(SECONDS_MAX)
    readers = [stalled(url) for _ in range(STALLED)]
    before, opened = resident(process), sockets(process)
    with httpx.Client(base_url=url, timeout=SECONDS_MAX) as client:
        for batch in range(BATCHES):
            orders = [order(f"stalled-{batch}-{number}") for number in range(ORDERS)]
            assert client.post("/v1/orders:batch", json=orders).status_code == 207
    good.join(SECONDS_MAX)
    names = [json.loads(line.removeprefix("data: "))["external_id"] for line in seen]
    assert sorted(names) == sorted(f"stalled-{batch}-{number}" for batch in range(BATCHES) for number in range(ORDERS))
    until = time.monotonic() + SECONDS_MAX
    while sockets(process) > opened - STALLED:
        assert time.monotonic() < until, "connections of readers that stopped are still open"
        time.sleep(0.2)
    assert resident(process) - before < GROWN_BYTES_MAX
    for reader in readers:
        assert rest_of(reader) < len("".join(seen)) / 2, "it got what it did not read in time"
        reader.close()
