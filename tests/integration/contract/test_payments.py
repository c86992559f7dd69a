"""Payments with a provider that fails as real ones do: nothing is paid twice, and no payment is lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from oms_es.app import DECIDERS, PROJECTIONS, Engine, engine_on
from oms_es.gateways.payment.port import PaymentGateway
from oms_es.gateways.simulated.modes import EXPIRES_SECONDS, Chaos
from oms_es.kernel import Command, Recorded
from oms_es.processing.gateway_worker import GatewayWorker
from oms_es.processing.readers import Stopped
from oms_es.projections.operations.deadlines import ANSWER_DUE_SECONDS
from oms_es.schemas.payment import CancelPayment, CapturePayment, RefundPayment, RequestPayment
from oms_es.schemas.payment.answers import CHASES_MAX
from oms_es.verification.verify import verify

Clock = list[datetime]


@pytest.fixture
def clock() -> Clock:
    return [datetime(2026, 1, 1, tzinfo=UTC)]


@pytest.fixture
def engine(database_url: str, clock: Clock) -> Iterator[Engine]:
    with engine_on(database_url, clock=lambda: clock[0], consumers=()) as an_engine:  # payments by themselves
        yield an_engine


def submit(engine: Engine, *commands: Command) -> None:
    assert engine.submit("test", commands) == []


def settle(engine: Engine, clock: Clock) -> None:
    """Run until the provider has sent all its pending reports."""
    engine.loop.run_until_idle()
    clock[0] += timedelta(seconds=10)
    engine.settle()


def pay(token: str, payment_id: str = "o.1", **more: Any) -> RequestPayment:
    reported: dict[str, Any] = {"order_id": "o", "amount_minor": 100, "currency": "EUR", **more}
    return RequestPayment(payment_id=payment_id, payment_token=token, **reported)


def take(n: int, capture_id: str = "s1") -> CapturePayment:
    return CapturePayment(payment_id="o.1", capture_id=capture_id, amount_minor=n)


def rows(engine: Engine, query: str) -> list[dict[str, Any]]:
    with psycopg.connect(engine.database_url, row_factory=dict_row) as connection:
        return connection.execute(query.encode()).fetchall()


def payment(engine: Engine) -> dict[str, Any]:
    (row,) = rows(engine, "SELECT * FROM payments WHERE payment_id = 'o.1'")
    return row


def facts(engine: Engine) -> list[str]:
    return [type(recorded.event).__name__ for recorded in engine.store.history("payment-o.1")]


def exceptions(engine: Engine) -> set[str]:
    return {row["kind"] for row in rows(engine, "SELECT kind FROM open_exceptions")}


def verified(engine: Engine) -> bool:
    return verify(engine.database_url, DECIDERS, PROJECTIONS, engine.store.codec).passed


def test_a_parcel_that_leaves_after_the_authorisation_expired_is_paid_by_a_new_one(
    engine: Engine, clock: Clock
) -> None:
    submit(engine, pay("tok-expire"))
    settle(engine, clock)
    clock[0] += timedelta(seconds=EXPIRES_SECONDS)
    with Engine(engine.database_url, clock=lambda: clock[0], consumers=()) as later:  # whose ticker has not looked yet
        later.settle()
    assert (payment(engine)["state"], payment(engine)["expires_at"]) == ("released", None)
    submit(engine, take(60))
    settle(engine, clock)
    assert facts(engine)[2:] == [
        "PaymentExpired",
        "PaymentReauthorizationRequested",
        "PaymentReauthorized",
        "PaymentCaptureRequested",
        "PaymentCaptured",
    ]
    assert payment(engine)["captured_minor"] == 60
    assert verified(engine)


def test_a_provider_that_released_before_we_knew_is_asked_for_a_new_authorisation(engine: Engine, clock: Clock) -> None:
    submit(engine, pay("tok-expire"))
    engine.loop.run_until_idle()
    engine.external_systems.payment_provider.effect_store.clock = lambda: clock[0] + timedelta(seconds=EXPIRES_SECONDS)
    submit(engine, take(60))
    engine.loop.run_until_idle()
    assert facts(engine)[3:] == [
        "PaymentExpired",
        "PaymentReauthorizationRequested",
        "PaymentReauthorized",
        "PaymentCaptureRequested",
        "PaymentCaptured",
    ]
    assert verified(engine)


@pytest.mark.parametrize(
    ("token", "kept", "lost"), [("tok-dispute-won", 60, 0), ("tok-dispute-lost", 60, 60)], ids=["won", "lost"]
)
def test_a_dispute_is_shown_while_it_is_open_and_counted_when_it_is_lost(
    engine: Engine, clock: Clock, token: str, kept: int, lost: int
) -> None:
    submit(engine, pay(token))
    settle(engine, clock)
    submit(engine, take(60))
    settle(engine, clock)
    row = payment(engine)
    assert (row["captured_minor"], row["lost_minor"], row["disputed_minor"]) == (kept, lost, 0)
    assert "PaymentDisputeOpened" in facts(engine)
    assert exceptions(engine) == set()
    assert verified(engine)


def test_a_refund_that_fails_is_shown_and_one_that_is_too_much_stops_no_one(engine: Engine, clock: Clock) -> None:
    submit(engine, pay("tok-refund-fails"))
    settle(engine, clock)
    submit(engine, take(60))
    settle(engine, clock)
    submit(engine, RefundPayment(payment_id="o.1", refund_id="r1", amount_minor=20))
    submit(engine, RefundPayment(payment_id="o.1", refund_id="r2", amount_minor=61))
    settle(engine, clock)
    assert exceptions(engine) == {"refund_failed", "refund_refused"}
    assert payment(engine)["refunded_minor"] == 0
    assert verified(engine)


def test_a_payment_about_which_no_answer_ever_comes_fails_after_some_attempts(engine: Engine, clock: Clock) -> None:
    submit(engine, pay("tok-silent"))
    settle(engine, clock)
    assert facts(engine) == ["PaymentRequested", "PaymentFailed"]


def test_a_deposit_is_held_applied_and_released(engine: Engine, clock: Clock) -> None:
    submit(engine, pay("tok-ok", capture_now=True))
    settle(engine, clock)
    submit(engine, take(60), RefundPayment(payment_id="o.1", refund_id="r1", amount_minor=40))
    settle(engine, clock)
    (row,) = rows(engine, "SELECT held_minor, applied_minor, released_minor FROM deposits")
    assert tuple(row.values()) == (0, 60, 40)
    assert verified(engine)


def test_p11_undoing_one_payment_leaves_the_others_of_its_order_alone(engine: Engine, clock: Clock) -> None:
    submit(engine, pay("tok-ok"), pay("tok-ok", "o.2"), pay("tok-decline", "o.3"))
    settle(engine, clock)
    submit(engine, take(100))
    settle(engine, clock)
    submit(engine, CancelPayment(payment_id="o.2"), CancelPayment(payment_id="o.3"))
    settle(engine, clock)
    states = {row["payment_id"]: row["state"] for row in rows(engine, "SELECT payment_id, state FROM payments")}
    assert states == {"o.1": "captured", "o.2": "released", "o.3": "declined"}
    assert rows(engine, "SELECT * FROM simulated_effects WHERE operation = 'refund'") == []


def test_p15_after_a_crash_between_the_call_and_its_answer_the_same_key_is_asked_again(
    engine: Engine, clock: Clock
) -> None:
    (worker,) = (p for p in engine.loop.workers if isinstance(p, GatewayWorker) and p.name == "payment_provider")
    asked = worker.gateway.perform

    def crash(intents: Sequence[Recorded]) -> Sequence[Sequence[Command]]:
        asked(intents)
        raise RuntimeError("killed before the answer was recorded")

    worker.gateway.perform = crash  # type: ignore[method-assign] # the crash, after the provider has acted
    submit(engine, pay("tok-ok"))
    with pytest.raises(Stopped, match="killed"):
        engine.loop.run_until_idle()
    (intent,) = engine.store.history("payment-o.1")
    with Engine(engine.database_url, clock=lambda: clock[0], consumers=()) as restarted:
        settle(restarted, clock)
    (effect,) = rows(engine, "SELECT key, reference FROM simulated_effects")
    assert effect["key"] == intent.event_id
    assert payment(engine)["reference"] == effect["reference"]


def test_what_was_done_and_not_answered_is_found_under_its_key_and_not_asked_for_again(
    engine: Engine, clock: Clock
) -> None:
    provider = engine.external_systems.payment_provider
    submitted: list[Any] = []
    original = provider.submit
    gateway = PaymentGateway(provider)

    def counted(asks: Sequence[Any]) -> Sequence[Any]:
        submitted.extend(asks)
        return original(asks)

    provider.submit = counted  # type: ignore[method-assign] # counts what reaches the provider
    submit(engine, pay("tok-timeout"))
    (intent,) = engine.store.history("payment-o.1")
    ((command,),) = gateway.perform([intent])
    assert [ask.key for ask in submitted] == [intent.event_id]
    assert type(command).__name__ == "RecordAuthorization"


def overdue(engine: Engine, clock: Clock, seconds: float) -> None:
    """Advance the clock beyond the time at which the callback was due, and let the ticker of another engine, which has
    not looked yet, see that it has not come."""
    clock[0] += timedelta(seconds=seconds)
    with Engine(engine.database_url, clock=lambda: clock[0], consumers=()) as later:
        later.settle()


def test_a_capture_whose_callback_never_comes_is_asked_for_under_its_own_key(engine: Engine, clock: Clock) -> None:
    submit(engine, pay("tok-mute"))
    settle(engine, clock)
    submit(engine, take(60))
    settle(engine, clock)
    assert facts(engine)[-1] == "PaymentAnswerAwaited"
    overdue(engine, clock, ANSWER_DUE_SECONDS - 60)
    assert facts(engine)[-1] == "PaymentAnswerAwaited"
    overdue(engine, clock, 60)
    assert facts(engine)[-2:] == ["PaymentAnswerChased", "PaymentCaptured"]
    assert rows(engine, "SELECT count(*) AS n FROM simulated_effects WHERE operation = 'capture'") == [{"n": 1}]
    assert (payment(engine)["captured_minor"], exceptions(engine)) == (60, set())
    assert rows(engine, "SELECT kind FROM deadlines") == []
    assert verified(engine)


def test_a_callback_that_came_late_is_not_asked_for(engine: Engine, clock: Clock) -> None:
    submit(engine, pay("tok-late"))
    settle(engine, clock)
    assert facts(engine) == ["PaymentRequested", "PaymentAnswerAwaited", "PaymentAuthorized"]
    overdue(engine, clock, ANSWER_DUE_SECONDS)
    assert facts(engine)[-1] == "PaymentAnswerSettled"
    assert rows(engine, "SELECT kind FROM deadlines") == []


def test_a_provider_that_does_not_say_is_asked_a_few_times_and_then_by_a_person(engine: Engine, clock: Clock) -> None:
    submit(engine, pay("tok-late"))
    settle(engine, clock)
    with psycopg.connect(engine.database_url) as connection:  # so that it stays late for ever
        connection.execute("UPDATE simulated_effects SET mode = 'plain'")
    engine.external_systems.payment_provider.chaos = Chaos(late=1)
    submit(engine, take(60))
    engine.loop.run_until_idle()
    with psycopg.connect(engine.database_url) as connection:
        connection.execute("DELETE FROM simulated_callbacks_queued")
    for attempt in range(CHASES_MAX):
        assert exceptions(engine) == set()
        overdue(engine, clock, ANSWER_DUE_SECONDS * 2**attempt)
    assert facts(engine).count("PaymentAnswerChased") == CHASES_MAX
    assert facts(engine)[-2:] == ["PaymentAnswerSettled", "PaymentUnanswered"]
    assert exceptions(engine) == {"payment_unanswered"}
    assert rows(engine, "SELECT kind FROM deadlines") == []
    assert verified(engine)
