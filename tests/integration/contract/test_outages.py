"""One payment provider's outage, and one parcel's: what is for others goes on, nothing is lost, no money is sent twice.

The engine is the real one, on PostgreSQL; it ends while intents are held, without saving anything more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest

from conftest import fresh_database
from oms_es.app import Engine, migrate
from oms_es.cli.main import main
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.exit_codes import Code
from oms_es.gateways.breaker import Breaker, Limits
from oms_es.gateways.payment.port import Answer, Ask, PaymentGateway
from oms_es.gateways.payment.routing import Providers
from oms_es.gateways.warehouse import SimulatedWarehouse
from oms_es.kernel import GatewayUnavailable
from oms_es.processing import gateway_worker
from oms_es.processing.gateway_worker import GatewayWorker
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.payment import PaymentRequested
from oms_es.schemas.stock import ReceiveStock
from shop import an_order

LIMITS = Limits(failures_max=2, open_seconds=0.05)
HELD_SECONDS = 0.01


class Provider:
    """Holds money by key, and answers or not. Of its answers three of ten are lost."""

    def __init__(self, seed: int, prefix: str = "") -> None:
        self.random = Random(seed)
        self.prefix = prefix
        self.is_out = False
        self.done: dict[UUID, Ask] = {}
        self.submitted: list[Ask] = []
        self.asked = 0

    def submit(self, asks: Sequence[Ask]) -> Sequence[Answer]:
        self.asked += 1
        if self.is_out:
            return [Answer("unknown")] * len(asks)
        self.submitted += asks
        for ask in asks:
            self.done.setdefault(ask.key, ask)
        return [Answer("unknown") if self.random.random() < 0.3 else self._answer(ask) for ask in asks]

    def find(self, asks: Sequence[Ask]) -> Sequence[Answer]:
        self.asked += 1
        if self.is_out:
            raise GatewayUnavailable("it does not answer: closed for lunch")
        return [self._answer(ask) if ask.key in self.done else Answer("absent") for ask in asks]

    def _answer(self, ask: Ask) -> Answer:
        return Answer("succeeded", f"{self.prefix}{ask.operation}-{ask.key.hex}")


class World:
    """Two providers: WeChat Pay's tokens go to the one that may be out, all others to Stripe."""

    def __init__(self, url: str, seed: int = 1) -> None:
        self.url = url
        self.stripe, self.wechatpay = Provider(seed), Provider(seed + 1, "wechatpay:")

    def gateway(self, **more: Any) -> PaymentGateway:
        providers: Any = {"stripe": self.stripe, "wechatpay": self.wechatpay}
        return PaymentGateway(Providers(providers, {name: Breaker(name, LIMITS) for name in providers}), **more)

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        with Engine(self.url, connected=[self.gateway(), SimulatedWarehouse()], poll_seconds=0.01) as engine:
            yield engine

    def turns(self, engine: Engine, count: int = 40) -> None:
        for _ in range(count):
            engine.loop.iterate()


@pytest.fixture
def world(embedded_server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(gateway_worker, "HELD_SECONDS_MIN", HELD_SECONDS)
    monkeypatch.setattr(gateway_worker, "HELD_SECONDS_MAX", 2 * HELD_SECONDS)
    with fresh_database(embedded_server) as url:
        migrate(url)
        yield World(url)


def place(engine: Engine, numbers: range) -> None:
    """Every second one is paid at each."""
    if numbers.start == 0:
        engine.submit("test", [OpenLocation(location="berlin", country="DE")])
        engine.submit("test", [ReceiveStock(sku="A", location="berlin", receipt_id="r", quantity=1_000)])
    tokens = ("pm_card_visa", "native")
    engine.submit("test", [an_order(str(n), ("A", 1), payment_token=tokens[n % 2]) for n in numbers])


def worker_of(engine: Engine) -> GatewayWorker:
    (worker,) = (p for p in engine.loop.workers if isinstance(p, GatewayWorker) and p.name == PaymentGateway.name)
    return worker


def states(engine: Engine) -> dict[str, int]:
    with engine.sql.connect() as connection:
        query = "SELECT state, count(*) AS n FROM payments GROUP BY state"
        return {row["state"]: row["n"] for row in connection.exec_driver_sql(query).mappings()}


def test_the_other_provider_goes_on_and_what_is_held_is_paid_once_when_it_is_back(world: World) -> None:
    world.wechatpay.is_out = True
    with world.engine() as engine:
        place(engine, range(10))
        world.turns(engine)
        place(engine, range(10, 20))
        world.turns(engine)
        worker = worker_of(engine)
        assert states(engine) == {"requested": 10, "captured": 10}, "orders paid elsewhere came to their end"
        assert len(worker.held) == 10
        assert worker.saved < worker.held[0].position <= worker.seen
        assert engine.loop.paused() == [PaymentGateway.name]
        world.wechatpay.is_out = False
        engine.settle()
        assert (states(engine), worker.held) == ({"captured": 20}, [])
        assert worker.saved == worker.stored_position(worker.name)
    for provider in (world.stripe, world.wechatpay):
        authorized = [ask for ask in provider.done.values() if ask.operation == "authorize"]
        assert len({ask.payment_id for ask in authorized}) == len(authorized) == 10


def test_engines_that_end_meanwhile_lose_nothing_and_have_nothing_done_twice(world: World) -> None:
    assert ended_while_held(world) == {"captured": 12}
    for provider in (world.stripe, world.wechatpay):
        done = [(ask.operation, ask.payment_id, ask.part) for ask in provider.done.values()]
        assert len({*done}) == len(done) == 12, "an authorisation and a capture of each of six"


def ended_while_held(world: World) -> dict[str, int]:
    """Two engines one after the other, each ended with intents held; the third has both providers."""
    for count in range(2):
        world.wechatpay.is_out = True
        with world.engine() as engine:
            place(engine, range(6 * count, 6 * count + 6))
            world.turns(engine, 20)
    world.wechatpay.is_out = False
    with world.engine() as engine:
        world.turns(engine, 80)
        return states(engine)


def test_without_the_guard_what_was_held_is_never_paid(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the saved position passes what is held, the engine that comes next does not know of it."""
    monkeypatch.setattr(gateway_worker, "before", lambda _held, position: position)
    assert ended_while_held(world)["requested"] > 0


def test_an_open_circuit_is_not_asked_and_status_says_since_when_and_why(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.wechatpay.is_out = True
    monkeypatch.setenv("OMS_DATABASE_URL", world.url)
    monkeypatch.setenv("OMS_GATEWAYS", "simulated")
    with world.engine() as engine:
        gateway: Any = worker_of(engine).gateway
        breaker: Breaker = gateway.provider.breakers["wechatpay"]
        breaker.limits = LIMITS._replace(open_seconds=3_600)
        place(engine, range(6))
        world.turns(engine)
        asked = world.wechatpay.asked
        assert breaker.is_open
        place(engine, range(6, 12))
        world.turns(engine)
        assert world.wechatpay.asked == asked
        assert main(["status"]) == Code.OK
        said = capsys.readouterr().out
        assert "gateway wechatpay: open since" in said
        assert "closed for lunch" in said
        assert "gateway stripe: closed since" in said
        breaker.limits = LIMITS
        world.wechatpay.is_out = False
        engine.settle()
        assert main(["status"]) == Code.OK
        assert "gateway wechatpay: closed since" in capsys.readouterr().out


def test_what_was_asked_for_long_ago_is_looked_up_first(world: World) -> None:
    with world.engine() as engine:
        place(engine, range(4))
        engine.settle()
        later = engine.clock() + timedelta(hours=30)
        read = (engine.store.codec.decode(row, row.id) for row in engine.recorder.after(0, 100_000))
        intents = [one for one in read if isinstance(one.event, PaymentRequested)]
    before = len(world.stripe.submitted) + len(world.wechatpay.submitted)
    world.gateway(now=lambda: later).perform(intents)
    assert len(world.stripe.submitted) + len(world.wechatpay.submitted) == before, "keys may be forgotten by then"
    world.stripe.done.clear()
    world.gateway(now=lambda: later).perform(intents)
    assert len(world.stripe.submitted) + len(world.wechatpay.submitted) > before, "what is not there is asked for"


def test_where_too_much_is_held_all_wait(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_worker, "HELD_MAX", 3)
    world.wechatpay.is_out = True
    with world.engine() as engine:
        place(engine, range(10))
        world.turns(engine)
        place(engine, range(10, 20))
        world.turns(engine)
        assert states(engine)["requested"] >= 10 + 5, "also those of the other provider, which came later"
        world.wechatpay.is_out = False
        engine.settle()
        assert states(engine) == {"captured": 20}
