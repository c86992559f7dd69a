"""Connections to the server: each ends, whatever its client leaves undone, and no body is read as a request."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from oms_es.http import server as served

SOON = 0.4
LARGE = 20_000_000
"""More than the buffers of two sockets hold."""
POST = b"POST /posted HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Return the paths that the application was asked for, after the port, which comes first."""
    monkeypatch.setattr(served, "HEAD_SECONDS_MAX", SOON)
    monkeypatch.setattr(served, "UNREAD_SECONDS_MAX", SOON)
    paths: list[str] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        paths.append(scope["path"])
        body = b"" if scope["path"] == "/refused" else await Request(scope, receive).body()
        await PlainTextResponse(b"x" * LARGE if scope["path"] == "/large" else body)(scope, receive, send)

    listener = served.listening("127.0.0.1", 0)
    config = uvicorn.Config(application, http=served.Bounded, ws="none", lifespan="off", loop="uvloop", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=[[listener]], daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    paths.append(str(listener.getsockname()[1]))
    yield paths
    server.should_exit = True
    thread.join(10)


def opened(asked: list[str]) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(asked[0])), timeout=10)


def answer(connection: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    parts = []
    while part := connection.recv(65_536):
        parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("begun", [b"", b"\r\n", b"GET /", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_a_request_whose_head_does_not_come_ends_its_connection(asked: list[str], begun: bytes) -> None:
    """Without a timeout, 2,000 such connections kept all other clients out."""
    with opened(asked) as connection:
        connection.sendall(begun)
        assert answer(connection) == b""
    with opened(asked) as connection:
        connection.sendall(b"GET /first HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in connection.recv(65_536)
        connection.sendall(begun or b"\r")
        assert answer(connection) == b""
    assert asked[1:] == ["/first"]


def test_a_slow_body_has_the_time_that_the_application_gives_it(asked: list[str]) -> None:
    with opened(asked) as connection:
        connection.sendall(POST + b"Content-Length: 4\r\nConnection: close\r\n\r\n")
        time.sleep(SOON * 2)
        connection.sendall(b"tail")
        assert answer(connection).endswith(b"\r\n\r\ntail")


def test_a_body_that_goes_on_after_its_answer_is_no_head_that_does_not_come(asked: list[str]) -> None:
    """A client that sends its whole body before it reads would lose the answer."""
    with opened(asked) as connection:
        connection.sendall(b"PUT /refused HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nhalf")
        time.sleep(SOON * 2)
        connection.sendall(b"half")
        time.sleep(SOON * 2)
        connection.sendall(b"GET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert answer(connection).count(b"200 OK") == 2
    assert asked[1:] == ["/refused", "/next"]


def test_the_rest_of_a_body_that_is_answered_does_not_keep_its_connection(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served, "BODY_SECONDS_MAX", SOON)
    with opened(asked) as connection:
        connection.sendall(b"PUT /refused HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n")
        time.sleep(SOON / 2)
        connection.sendall(b"half")
        assert answer(connection).count(b"200 OK") == 1


def test_an_answer_that_is_not_read_ends_its_connection(asked: list[str]) -> None:
    with opened(asked) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(SOON * 3)
        assert len(answer(connection)) < LARGE


def test_an_answer_that_is_read_slowly_comes_whole(asked: list[str]) -> None:
    size = 0
    with opened(asked) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        while part := connection.recv(LARGE // 10):
            size += len(part)
            time.sleep(SOON / 4)
    assert size > LARGE


@pytest.mark.parametrize("length", [b"Content-Length: 35", b"Transfer-Encoding: chunked"])
def test_the_body_of_a_request_that_offers_another_protocol_is_never_a_request_itself(
    asked: list[str], length: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """It was left out of its request, and what came of it in further packets was answered as the next one."""
    head = POST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n" + length
    with opened(asked) as connection:
        connection.sendall(head + b"\r\n\r\n")
        said = answer(connection)
    assert said.startswith(b"HTTP/1.1 400 ")
    assert "without the header Upgrade" in json.loads(said.partition(b"\r\n\r\n")[2])["detail"]
    assert asked[1:] == []
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING and "WebSocket" in one.message]


@pytest.mark.parametrize("length", [b"", b"Content-Length: 0\r\n"])
def test_another_protocol_that_is_offered_without_a_body_is_not_taken(asked: list[str], length: bytes) -> None:
    head = b"GET /plain HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n" + length
    with opened(asked) as connection:
        connection.sendall(head + b"\r\n")
        assert b"200 OK" in connection.recv(65_536)
        connection.sendall(b"GET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"200 OK" in answer(connection)
    assert asked[1:] == ["/plain", "/next"]


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        (b"X: y\r\n" * 200, "at most 100 headers"),
        (b"X: " + b"y" * 40_000 + b"\r\n", "at most 32,768 bytes"),
        (b"X\0: y\r\n", "no request of HTTP/1.1"),
    ],
)
def test_what_a_head_may_not_be_is_said(asked: list[str], headers: bytes, says: str) -> None:
    with opened(asked) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n")
        said = answer(connection)
    assert says in json.loads(said.partition(b"\r\n\r\n")[2])["detail"]
    assert asked[1:] == []
