"""The outage of one payment provider, or of one parcel's carrier: the rest continues, nothing is lost, and no money
moves twice.

The engine is the real one, on PostgreSQL; it ends while intents are held, without saving anything more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
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
from oms_es.gateways.carrier.port import Booking, Cancellation, CarrierGateway, Consent, Parcel, StillAlone, alone
from oms_es.gateways.payment.port import Answer, Ask, PaymentGateway
from oms_es.gateways.payment.routing import Providers
from oms_es.gateways.simulated.warehouse import SimulatedWarehouse
from oms_es.kernel import Gateway, GatewayUnavailable
from oms_es.processing import gateway_worker
from oms_es.processing.gateway_worker import GatewayWorker
from oms_es.processing.readers import Stopped
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.order import RefundOrder
from oms_es.schemas.payment import PaymentRequested
from oms_es.schemas.stock import ReceiveStock
from shop import an_order

LIMITS = Limits(failures_max=2, open_seconds=0.05)
HELD_SECONDS = 0.01


class Provider:
    """A provider that holds money by key, and may be silent; three of ten answers are lost."""

    def __init__(self, seed: int, prefix: str = "") -> None:
        self.random = Random(seed)
        self.prefix = prefix
        self.is_out = self.refuses = False
        self.silent: set[str] = set()
        """Payments, or parts of them, for which it never answers."""
        self.done: dict[UUID, Ask] = {}
        self.submitted: list[Ask] = []
        self.asked = 0

    def submit(self, asks: Sequence[Ask]) -> Sequence[Answer]:
        self.asked += 1
        if self.is_out or self.refuses:
            return [Answer("unknown")] * len(asks)
        self.submitted += asks
        heard = [ask for ask in asks if not self._is_silent(ask)]
        for ask in heard:
            self.done.setdefault(ask.key, ask)
        lost = [ask not in heard or self.random.random() < 0.3 for ask in asks]
        return [Answer("unknown") if is_lost else self._answer(ask) for ask, is_lost in zip(asks, lost, strict=True)]

    def find(self, asks: Sequence[Ask]) -> Sequence[Answer]:
        self.asked += 1
        if self.is_out:
            raise GatewayUnavailable("it does not answer: closed for lunch")
        return [self._found(ask) for ask in asks]

    def _found(self, ask: Ask) -> Answer:
        if self._is_silent(ask):
            return Answer("unknown")
        return self._answer(ask) if ask.key in self.done else Answer("absent")

    def _is_silent(self, ask: Ask) -> bool:
        return not self.silent.isdisjoint((ask.payment_id, ask.part))

    def _answer(self, ask: Ask) -> Answer:
        return Answer("succeeded", f"{self.prefix}{ask.operation}-{ask.key.hex}")


class World:
    """Two providers: WeChat Pay's tokens go to the one that may be out, all others to Stripe."""

    def __init__(self, url: str, seed: int = 1) -> None:
        self.url = url
        self.limits = LIMITS
        self.stripe, self.wechatpay = Provider(seed), Provider(seed + 1, "wechatpay:")

    def gateway(self, **more: Any) -> PaymentGateway:
        providers: Any = {"stripe": self.stripe, "wechatpay": self.wechatpay}
        return PaymentGateway(Providers(providers, {name: Breaker(name, self.limits) for name in providers}), **more)

    @contextmanager
    def engine(self, *more: Gateway) -> Iterator[Engine]:
        with Engine(self.url, connected=[self.gateway(), SimulatedWarehouse(), *more], poll_seconds=0.01) as engine:
            yield engine

    def turns(self, engine: Engine, count: int = 40) -> None:
        for _ in range(count):
            engine.loop.iterate()

    def until(self, engine: Engine, reached: Callable[[], bool]) -> bool:
        """Wait until the condition holds, for 20 s at most."""
        end = time.monotonic() + 20
        while not reached() and time.monotonic() < end:
            engine.loop.iterate()
        return reached()


class SilentCarrier:
    """A carrier that never answers for some parcels."""

    def __init__(self) -> None:
        self.silent: set[str] = set()
        self.booked: list[str] = []

    def book(self, parcels: Sequence[Parcel], still_alone: StillAlone = alone) -> Sequence[Booking]:
        still_alone()
        return [self._book(parcel.shipment_id) for parcel in parcels]

    def _book(self, shipment_id: str) -> Booking:
        if len(self.silent) < 2:
            self.silent.add(shipment_id)
        if shipment_id in self.silent:
            return Booking("unknown")
        self.booked.append(shipment_id)
        return Booking("booked", "ups", f"1Z{len(self.booked)}")

    def cancel(self, cancellations: Sequence[Cancellation]) -> Sequence[Consent]:
        return [Consent("cancelled")] * len(cancellations)


@pytest.fixture
def world(embedded_server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(gateway_worker, "HELD_SECONDS_MIN", HELD_SECONDS)
    monkeypatch.setattr(gateway_worker, "HELD_SECONDS_MAX", 2 * HELD_SECONDS)
    with fresh_database(embedded_server) as url:
        migrate(url)
        yield World(url)


def place(engine: Engine, numbers: range) -> None:
    """Place orders that are paid at both providers in turn."""
    if numbers.start == 0:
        engine.submit("test", [OpenLocation(location="berlin", country="DE")])
        engine.submit("test", [ReceiveStock(sku="A", location="berlin", receipt_id="r", quantity=1_000)])
    tokens = ("pm_card_visa", "native")
    engine.submit("test", [an_order(str(n), ("A", 1), payment_token=tokens[n % 2]) for n in numbers])


def worker_of(engine: Engine) -> GatewayWorker:
    (worker,) = (p for p in engine.loop.workers if isinstance(p, GatewayWorker) and p.name == PaymentGateway.name)
    return worker


def states(engine: Engine) -> dict[str, int]:
    with engine.rows.one() as connection:
        query = "SELECT state, count(*) AS n FROM payments GROUP BY state"
        return {row["state"]: row["n"] for row in connection.execute(query)}


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
    """Run two engines one after the other, each ended with held intents, and then a third with both providers."""
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
    """If the saved position passes a held intent, the next engine does not know of it."""
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


def test_two_parcels_that_are_never_answered_keep_no_other_from_its_booking(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where they are due each time that the breaker lets one through."""
    monkeypatch.setattr(gateway_worker, "HELD_SECONDS_MIN", 0.0)
    monkeypatch.setattr(gateway_worker, "HELD_SECONDS_MAX", 0.0)
    carrier = SilentCarrier()
    breaker = Breaker("easypost", LIMITS)
    with world.engine(CarrierGateway(carrier, breaker=breaker)) as engine:
        place(engine, range(6))
        assert world.until(engine, lambda: len(carrier.booked) == 4 and breaker.is_open)
        place(engine, range(6, 10))
        assert world.until(engine, lambda: len(carrier.booked) == 8)
        assert carrier.silent.isdisjoint(carrier.booked)


def test_those_behind_a_batch_that_is_never_answered_have_their_turn(world: World) -> None:
    world.wechatpay.is_out = True
    with world.engine() as engine:
        place(engine, range(10))
        world.turns(engine)
        worker = worker_of(engine)
        worker.batch_max = 1
        first: Any = worker.held[0].event
        world.wechatpay.silent, world.wechatpay.is_out = {first.payment_id}, False
        assert world.until(engine, lambda: states(engine) == {"requested": 1, "captured": 9})
        assert [one.event for one in worker.held] == [first]


def test_one_that_has_to_wait_is_not_overtaken_by_a_later_one_of_its_payment(world: World) -> None:
    with world.engine() as engine:
        place(engine, range(2))
        engine.settle()
        world.wechatpay.is_out = True
        order_id = an_order("1", ("A", 1)).order_id
        refunds = [RefundOrder(order_id=order_id, refund_id=one, goodwill_minor=1) for one in ("r1", "r2")]
        assert engine.submit("test", refunds) == []
        world.turns(engine)
        assert len(worker_of(engine).held) == 2
        world.wechatpay.silent, world.wechatpay.is_out = {"r1"}, False

        def asked() -> set[str]:
            return {ask.part for ask in world.wechatpay.submitted if ask.operation == "refund"}

        assert world.until(engine, lambda: asked() != set())
        world.turns(engine)
        assert (asked(), len(worker_of(engine).held)) == ({"r1"}, 2)
        world.wechatpay.silent = set()
        engine.settle()
        done = [ask.part for ask in world.wechatpay.done.values() if ask.operation == "refund"]
        assert done == ["r1", "r2"]


def test_a_worker_that_seeks_with_as_much_answered_ahead_as_may_be_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_worker, "AHEAD_MAX", 4)
    world.wechatpay.is_out = True
    with world.engine() as engine:
        place(engine, range(10))
        world.turns(engine)
        worker_of(engine).seek()
        world.wechatpay.is_out = False
        assert world.until(engine, lambda: states(engine) == {"captured": 10})


def test_what_is_answered_ahead_is_known_no_longer_than_the_position_is_before_it(world: World) -> None:
    world.wechatpay.is_out = True
    with world.engine() as engine:
        place(engine, range(10))
        world.turns(engine)
        worker = worker_of(engine)
        assert len(worker._ahead) == 9, "four authorisations and five captures behind the first that is held"
        worker.batch_max = 1
        last: Any = worker.held[-1].event
        world.wechatpay.silent, world.wechatpay.is_out = {last.payment_id}, False
        assert world.until(engine, lambda: states(engine) == {"requested": 1, "captured": 9})
        assert all(position > worker.saved for position in worker._ahead.values())
        assert len(worker._ahead) == 9, "a capture of each of the others, behind the one that is held"


def test_a_stopped_worker_that_holds_something_is_not_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_intents: Any) -> Any:
        raise AssertionError("a mistake in the program")

    world.wechatpay.is_out = True
    with world.engine() as engine:
        place(engine, range(4))
        world.turns(engine)
        worker = worker_of(engine)
        assert worker.held
        monkeypatch.setattr(worker.gateway, "perform", broken)
        with pytest.raises(Stopped, match="a mistake in the program"):
            engine.settle()
        assert worker.held


def test_a_paused_worker_that_holds_something_due_is_waited_for_asleep(world: World) -> None:
    world.wechatpay.is_out = True
    with world.engine() as engine:
        place(engine, range(4))
        world.turns(engine)
        worker_of(engine).held_until = 0.0
        engine.loop._paused_until[PaymentGateway.name] = time.monotonic() + 0.2
        before = time.monotonic()
        assert engine.loop._wait_for_gateways() == 1
        assert time.monotonic() - before >= 0.19


@pytest.mark.parametrize("open_seconds", [0.0, 0.05])
def test_a_provider_that_can_be_read_and_not_written_is_out_and_no_payment_has_failed(
    world: World, open_seconds: float
) -> None:
    """With 0 s, the circuit is half open whenever something is asked, as it may be on a slow machine."""
    world.limits = Limits(failures_max=2, open_seconds=open_seconds)
    world.wechatpay.refuses = True
    with world.engine() as engine:
        place(engine, range(10))
        world.turns(engine, 80)
        assert states(engine) == {"requested": 5, "captured": 5}
        assert len(worker_of(engine).held) == 5
        world.wechatpay.refuses = False
        engine.settle()
        assert states(engine) == {"captured": 10}
