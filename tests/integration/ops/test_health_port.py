"""The port of metrics and health: no client can block others or keep the process from ending."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from math import isnan

import pytest

from oms_es.processing import metrics
from oms_es.processing.metrics import Health, served

SOON = 0.5


@pytest.fixture
def port() -> Iterator[int]:
    with served("127.0.0.1", 0, Health(time.monotonic, lambda: ())) as found:
        assert found
        yield found


def opened(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def status(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_client_that_says_nothing_keeps_no_other_waiting(port: int) -> None:
    """A silent client kept a supervisor from learning that the process is alive."""
    with opened(port), opened(port) as half:
        half.sendall(b"GET /livez HTTP/1.1\r\n")
        assert [status(port, path) for path in ("/livez", "/readyz", "/metrics")] == [200, 200, 200]


def test_a_client_that_says_nothing_does_not_keep_the_process_from_ending() -> None:
    with ExitStack() as clients:
        with served("127.0.0.1", 0, Health(time.monotonic, lambda: ())) as port:
            assert port
            clients.enter_context(opened(port))
            assert status(port, "/livez") == 200
            before = time.monotonic()
        assert time.monotonic() - before < metrics.CLIENT_SECONDS_MAX / 2


def test_a_client_is_cut_off_in_time_and_no_more_than_a_few_are_served_at_once(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "CLIENT_SECONDS_MAX", SOON)
    with ExitStack() as clients:
        silent = [clients.enter_context(opened(port)) for _ in range(metrics.CLIENTS_MAX)]
        with opened(port) as further:
            assert further.recv(1) == b"", "it is turned away"
        assert [one.recv(1) for one in silent] == [b""] * len(silent)
    assert status(port, "/livez") == 200


def test_a_figure_that_cannot_be_asked_for_takes_no_other_away() -> None:
    def unknown() -> float:
        raise OSError("away")

    assert isnan(metrics.known(unknown, (OSError,))())
    assert metrics.known(lambda: 7, (OSError,))() == 7
    with pytest.raises(OSError, match="away"):
        metrics.known(unknown, (KeyError,))()
