"""Webhooks out: a real receiver that fails, redirects, hangs or is gone; at least once and of one order in order."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from threading import Thread
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from conftest import fresh_database
from oms_es.aggregates.operations.subscription import Subscription
from oms_es.app import Engine, migrate
from oms_es.app.deliveries import REST_SECONDS, RETRY_SECONDS, Deliverer, stored
from oms_es.channels.signatures import verify_standard
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.database.rows import Rows
from oms_es.gateways import webhooks
from oms_es.gateways.webhooks import networks_of, post
from oms_es.kernel import Command
from oms_es.schemas.operations.subscription import (
    EnableSubscription,
    OpenSubscription,
    RotateSubscription,
)
from oms_es.schemas.order import CancelOrder, OrderLine, PlaceOrder
from oms_es.schemas.order.content import Address
from oms_es.store.encoding.codec import Cause
from oms_es.store.http import subscriptions
from oms_es.store.http.webhook_secrets import generated, keep

HERE = networks_of("127.0.0.0/8")
SECRET = generated("whsec_")
NUMBERS = count(1)
"""Of subscriptions, whose names are used once."""


class Receiver(ThreadingHTTPServer):
    """`says`: the statuses of the next answers; 204 after them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiving)
        self.says: list[int] = []
        self.got: list[tuple[list[tuple[str, str]], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"

    def reported(self) -> list[Any]:
        return [json.loads(body) for _, body in self.got]


class Receiving(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((list(self.headers.items()), body))
        status = self.server.says.pop(0) if self.server.says else 204
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", self.server.url)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@contextmanager
def listening() -> Iterator[Receiver]:
    with Receiver() as receiver:
        Thread(target=receiver.serve_forever, daemon=True).start()
        yield receiver
        receiver.shutdown()


class World:
    def __init__(self, url: str, receiver: Receiver) -> None:
        self.now = datetime(2026, 1, 5, 12, tzinfo=UTC)
        self.runtime = Engine(url, simulated=False, clock=lambda: self.now)
        self.tables = partial(stored, url)
        self.deliverer = Deliverer(self.runtime, self.tables, HERE)
        self.receiver = receiver
        self.rows: Rows = psycopg.connect(url, row_factory=dict_row, autocommit=True)
        self.name = f"crm-{next(NUMBERS)}"
        self.subscribe(self.name)

    def subscribe(self, name: str, channels: list[str] | None = None, url: str = "") -> None:
        self.give(
            OpenSubscription(
                name=name,
                url=url or self.receiver.url,
                types=("OrderCancelled", "OrderPlaced"),
                channels=tuple(channels or ()),
                secret_id=keep(self.rows, SECRET, self.now, "test"),
            )
        )
        while self.runtime.loop.iterate():
            pass

    def give(self, *commands: Command) -> None:
        self.runtime.append([(Cause("test"), list(commands))])

    def place(self, external_id: str, channel: str = "web") -> str:
        order = PlaceOrder(
            channel=channel,
            external_id=external_id,
            placed_at=self.now,
            currency="EUR",
            lines=(OrderLine(line_id="1", sku="TEA", quantity=1, unit_price_minor=1000),),
            ship_to=Address(name="Ada Lovelace", street="Rosenweg 7", country="DE"),
        )
        self.give(order)
        return order.order_id

    def cancel(self, order_id: str) -> None:
        self.give(CancelOrder(order_id=order_id, reason="changed my mind"))

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def of(self, name: str) -> Subscription:
        state, _ = self.runtime.store.state_of(f"subscription-{name}")
        assert isinstance(state, Subscription)
        return state

    @property
    def because(self) -> str:
        """Return the reason for which the subscription is disabled."""
        disabled = self.of(self.name).disabled
        return disabled.because if disabled else ""

    def close(self) -> None:
        self.deliverer.close()
        self.rows.close()
        self.runtime.close()


@pytest.fixture(scope="module")
def database(embedded_server: EmbeddedPostgres) -> Iterator[str]:
    with fresh_database(embedded_server) as url:
        migrate(url)
        yield url


@pytest.fixture
def world(database: str) -> Iterator[World]:
    with psycopg.connect(database, autocommit=True) as rows:
        rows.execute("TRUNCATE subscriptions")
    with listening() as receiver:
        made = World(database, receiver)
        yield made
        made.close()


def test_what_is_sent_is_signed_thin_and_without_a_person(world: World) -> None:
    order_id = world.place("d-1")
    world.deliverer.step()
    ((headers, body),) = world.receiver.got
    verify_standard(headers, body, [SECRET], world.now.timestamp())
    reported = json.loads(body)
    assert reported["type"] == "OrderPlaced"
    assert datetime.fromisoformat(reported["timestamp"]) == world.now
    assert reported["data"].keys() == {"order_id", "channel", "external_id", "version", "position"}
    assert (reported["data"]["order_id"], reported["data"]["channel"]) == (order_id, "web")
    assert dict(headers)["webhook-id"] == f"evt_{reported['data']['position']}"
    world.deliverer.step()
    assert len(world.receiver.got) == 1


def test_only_what_is_asked_for_and_from_then_on(world: World) -> None:
    world.place("before")
    world.subscribe("app", ["app"])
    world.deliverer.step()
    world.receiver.got.clear()
    world.place("e-1", "app")
    world.place("e-2")
    world.deliverer.step()
    assert sorted(one["data"]["external_id"] for one in world.receiver.reported()) == ["e-1", "e-1", "e-2"]


def test_of_one_order_a_later_event_waits_for_the_earlier_and_others_do_not(world: World) -> None:
    world.receiver.says = [500]
    order_id = world.place("f-1")
    world.cancel(order_id)
    world.deliverer.step()
    assert [one["type"] for one in world.receiver.reported()] == ["OrderPlaced"]
    world.place("f-2")
    world.deliverer.step()
    assert [one["data"]["external_id"] for one in world.receiver.reported()] == ["f-1", "f-2"]
    world.later(RETRY_SECONDS[0] * 2)
    world.deliverer.step()
    world.deliverer.step()
    of_first = [one["type"] for one in world.receiver.reported() if one["data"]["order_id"] == order_id]
    assert of_first == ["OrderPlaced", "OrderPlaced", "OrderCancelled"]
    assert len({dict(headers)["webhook-id"] for headers, _ in world.receiver.got}) == 3


def test_a_crash_after_the_receiver_has_it_sends_it_again_under_the_same_id(world: World) -> None:
    class Crash(BaseException):
        """The process ends between the answer and the mark."""

    def crashing(url: str, headers: dict[str, str], body: bytes, networks: Any) -> int:
        post(url, headers, body, networks)
        raise Crash

    world.place("g-1")
    world.deliverer.send = crashing
    with pytest.raises(Crash):
        world.deliverer.step()
    world.deliverer.send = post
    world.deliverer.step()
    first, second = (dict(headers)["webhook-id"] for headers, _ in world.receiver.got)
    assert first == second


def test_redirects_are_failures_and_no_one_is_asked_there(world: World) -> None:
    world.receiver.says = [307]
    world.place("h-1")
    world.deliverer.step()
    (waiting,) = subscriptions.deliveries(world.rows, world.name, waiting=True)
    assert (len(world.receiver.got), waiting.last_status, waiting.attempts) == (1, 307, 1)


def test_long_failure_disables_and_enabling_loses_nothing(world: World) -> None:
    world.receiver.says = [503] * (len(RETRY_SECONDS) + 1)
    world.place("i-1")
    for number in range(len(RETRY_SECONDS) + 1):
        assert not world.because
        world.deliverer.step()
        assert len(world.receiver.got) == number + 1
        world.later(RETRY_SECONDS[min(number, len(RETRY_SECONDS) - 1)] - 1)
        world.deliverer.step()
        assert len(world.receiver.got) == number + 1, "not before its time"
        world.later(RETRY_SECONDS[min(number, len(RETRY_SECONDS) - 1)] * 0.2 + 2)
    assert "failed 10 times" in world.because
    while world.runtime.loop.iterate():
        pass
    opened = "SELECT detail FROM open_exceptions WHERE exception_id = %s"
    asked = [f"subscription_disabled/{world.name}"]
    assert world.rows.execute(opened, asked).fetchone()
    world.place("i-2")
    world.deliverer.step()
    assert len(world.receiver.got) == len(RETRY_SECONDS) + 1
    world.give(EnableSubscription(name=world.name))
    while world.runtime.loop.iterate():
        pass
    assert not world.rows.execute(opened, asked).fetchone(), "it is settled once it is enabled"
    world.deliverer.step()
    assert [one["data"]["external_id"] for one in world.receiver.reported()[-2:]] == ["i-1", "i-2"]


def test_410_disables_at_once(world: World) -> None:
    world.receiver.says = [410]
    world.place("j-1")
    world.place("j-2")
    world.deliverer.step()
    assert len(world.receiver.got) == 1
    assert "410" in world.because


def test_an_address_that_is_not_public_is_not_asked(world: World) -> None:
    world.deliverer.networks = ()
    world.place("k-1")
    world.deliverer.step()
    (waiting,) = subscriptions.deliveries(world.rows, world.name, waiting=True)
    assert (world.receiver.got, waiting.last_error) == ([], "not_public")


def test_a_receiver_that_answers_a_byte_at_a_time_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "SECONDS_MAX", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            with suppress(OSError):
                one, _ = listener.accept()
                with one:
                    while True:
                        one.sendall(b"H")
                        time.sleep(0.05)

        Thread(target=drip, daemon=True).start()
        began = time.monotonic()
        with pytest.raises((OSError, HTTPException)):
            post(f"http://127.0.0.1:{listener.getsockname()[1]}/", {}, b"{}", HERE)
        assert time.monotonic() - began < 5


def test_a_receiver_that_does_not_answer_rests(world: World) -> None:
    asked = []

    def refused(*_: Any) -> int:
        asked.append(1)
        raise ConnectionRefusedError

    world.deliverer.send = refused
    for number in range(3):
        world.place(f"o-{number}")
    world.deliverer.step()
    world.deliverer.step()
    assert len(asked) == 1
    world.later(REST_SECONDS + 1)
    world.deliverer.step()
    assert len(asked) == 2


def test_what_was_delivered_is_sent_again_when_someone_asks(world: World) -> None:
    world.place("l-1")
    world.deliverer.step()
    (done,) = subscriptions.deliveries(world.rows, world.name, waiting=False)
    assert subscriptions.send_again(world.rows, world.name, done.position, world.now)
    world.deliverer.step()
    assert len(world.receiver.got) == 2
    assert not subscriptions.send_again(world.rows, world.name, 10**9, world.now)


def test_a_secret_that_changes_signs_beside_the_new_one(world: World) -> None:
    new = generated("whsec_")
    secret_id = keep(world.rows, new, world.now, "test")
    world.give(RotateSubscription(name=world.name, secret_id=secret_id, now=world.now, overlap_seconds=3600))
    world.place("m-1")
    world.deliverer.step()
    ((headers, body),) = world.receiver.got
    for secret in (SECRET, new):
        verify_standard(headers, body, [secret], world.now.timestamp())


def test_a_second_process_stands_by(world: World) -> None:
    world.deliverer.step()
    with closing(Deliverer(world.runtime, world.tables, HERE)) as second:
        world.place("n-1")
        assert second.step() == 0
        world.deliverer.close()
        assert second.step() == 2
