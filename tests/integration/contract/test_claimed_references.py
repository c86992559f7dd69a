"""A provider's reference belongs to one payment: one intent pays one order, whichever report arrives first."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from oms_es.app import DECIDERS, PROJECTIONS, Engine, engine_on
from oms_es.kernel import Command, Recorded, Refused
from oms_es.processing.intake.worker import Arrival
from oms_es.schemas import payment as p
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.order import Address, OrderLine, PlaceOrder
from oms_es.schemas.payment.references import claims
from oms_es.schemas.stock import ReceiveStock
from oms_es.store.encoding.codec import Cause
from oms_es.store.outcomes import Request
from oms_es.verification.verify import verify

NUMBERS = ("1", "12")
Given = Callable[[str], Command]


def placed(number: str) -> PlaceOrder:
    return PlaceOrder(
        channel="web",
        external_id=number,
        placed_at=datetime(2026, 1, 1, tzinfo=UTC),
        currency="CNY",
        lines=(OrderLine(line_id="1", sku="A", quantity=1, unit_price_minor=10_000),),
        ship_to=Address(country="CN"),
    )


PAYMENTS = {number: f"{placed(number).order_id}.1" for number in NUMBERS}


def of_stripe(payment_id: str) -> dict[str, Any]:
    money = {"amount": 10_000, "amount_capturable": 10_000, "currency": "cny"}
    intent = {"id": "pi_1", **money, "metadata": {"payment_id": payment_id}}
    return {"type": "payment_intent.amount_capturable_updated", "data": {"object": intent}}


def of_wechatpay(payment_id: str) -> dict[str, Any]:
    paid = {"out_trade_no": payment_id[-9:], "transaction_id": "4200001", "trade_state": "SUCCESS"}
    amount = {"total": 10_000, "currency": "CNY"}
    return {"event_type": "TRANSACTION.SUCCESS", "resource": paid | {"attach": f"oms:{payment_id}", "amount": amount}}


def of_alipay(payment_id: str) -> dict[str, Any]:
    named = {"out_trade_no": payment_id[-9:], "trade_no": "2026042", "trade_status": "TRADE_SUCCESS"}
    return named | {"total_amount": "100.00", "gmt_payment": "2026-01-01 10:00:00", "body": f"oms:{payment_id}"}


def of_anyone(payment_id: str) -> dict[str, Any]:
    return {"operation": "authorize", "outcome": "succeeded", "reference": "auth-1", "payment_id": payment_id}


REPORTS = {"stripe": of_stripe, "wechatpay": of_wechatpay, "alipay": of_alipay, "payment_callback": of_anyone}


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    with engine_on(database_url, gateways=()) as engine:
        stock = ReceiveStock(sku="A", location="berlin", receipt_id="r", quantity=5)
        engine.submit("test", [OpenLocation(location="berlin", country="DE"), stock])
        engine.submit("test", [placed(number) for number in NUMBERS])
        engine.loop.run_until_idle()
        yield engine
        assert verify(engine.database_url, DECIDERS, PROJECTIONS, engine.store.codec).passed


def statuses(engine: Engine) -> dict[str, str]:
    with psycopg.connect(engine.database_url) as connection:
        found: dict[str, str] = dict(connection.execute("SELECT payment_id, state FROM payments").fetchall())
    return {number: found[payment_id] for number, payment_id in PAYMENTS.items()}


@pytest.mark.parametrize(("order", "together"), [(NUMBERS, True), (NUMBERS[::-1], False)])
@pytest.mark.parametrize("dialect", sorted(REPORTS))
def test_one_reference_pays_one_order_and_the_other_report_is_for_a_person(
    engine: Engine, dialect: str, order: tuple[str, ...], together: bool
) -> None:
    payloads = [json.dumps(REPORTS[dialect](PAYMENTS[number])).encode() for number in order]
    arrivals = [Arrival(n, payload) for n, payload in enumerate(payloads, 1)]
    intake = engine.intake(dialect, dialect)
    batches = [arrivals] if together else [[one] for one in arrivals]
    assert sum(intake.take(batch).dead_letters for batch in batches) == 1
    engine.loop.run_until_idle()
    first, other = order
    then = statuses(engine)
    assert then[other] == "requested"
    assert then[first] in ("authorized", "captured")
    with psycopg.connect(engine.database_url) as connection:
        (reason, detail), *more = connection.execute("SELECT reason, detail FROM oms_dead_letters").fetchall()
    assert (reason, more) == ("reference_reused", [])
    assert PAYMENTS[first] in detail
    assert PAYMENTS[other] in detail
    end = engine.store.recorder.end()
    assert intake.take([Arrival(9, payloads[0])]).dead_letters == 0
    assert engine.loop.run_until_idle() == 0
    assert engine.store.recorder.end() == end


def test_answered_one_by_one_in_one_transaction_only_the_first_holds_it(engine: Engine) -> None:
    asked: list[Command] = [reported(number) for number in NUMBERS]
    first, other = engine.store.execute_each([Request(Cause("test"), [command]) for command in asked])
    assert (first.refused, len(first.recorded)) == (None, 1)
    assert isinstance(other.refused, Refused)
    assert (other.refused.reason, other.recorded) == ("reference_reused", ())


def reported(number: str) -> p.RecordReport:
    return p.RecordReport(
        payment_id=PAYMENTS[number],
        operation="authorize",
        outcome="succeeded",
        reference="auth-1",
        amount_minor=10_000,
        currency="CNY",
    )


def answered(number: str) -> p.RecordAuthorization:
    return p.RecordAuthorization(payment_id=PAYMENTS[number], reference="auth-1")


@pytest.mark.parametrize("kinds", [(answered, reported), (reported, answered), (answered, answered)])
def test_an_answer_given_at_once_holds_its_name_as_a_report_does(engine: Engine, kinds: tuple[Given, Given]) -> None:
    ours, other = (kind(number) for kind, number in zip(kinds, NUMBERS, strict=True))
    assert len(executed(engine, ours)) == 2
    with pytest.raises(Refused, match="reference_reused"):
        executed(engine, other)
    assert executed(engine, ours) == []
    assert executed(engine, reported(NUMBERS[0])) == []
    engine.loop.run_until_idle()
    assert statuses(engine) == {NUMBERS[0]: "authorized", NUMBERS[1]: "requested"}


def test_whatever_a_payment_is_answered_with_is_its_own(engine: Engine) -> None:
    ours, other = ({"payment_id": PAYMENTS[number], "reference": "auth-1"} for number in NUMBERS)
    executed(engine, answered(NUMBERS[0]))
    for command in (
        p.RecordReauthorization(**other, capture_id="s"),
        p.RecordCapture(**other, capture_id="s"),
        p.RecordVoid(**other),
        p.RecordRefund(**other, refund_id="r"),
        p.RecordPaymentAction(**other, kind="page", content="https://pay.example"),
    ):
        assert command.beside == claims(PAYMENTS[NUMBERS[1]], ("auth-1",))
        with pytest.raises(Refused, match="reference_reused"):
            executed(engine, *command.beside)
        assert executed(engine, *type(command)(**{**command.model_dump(), **ours}).beside) == []


@pytest.mark.parametrize(("first", "later"), [(answered, reported), (reported, answered)])
def test_an_answer_and_a_report_that_two_processes_take_at_once(
    engine: Engine, database_url: str, first: Given, later: Given
) -> None:
    with engine_on(database_url, gateways=()) as beside:
        for store in (engine.store, beside.store):
            for number in NUMBERS:
                store.preview(answered(number))
        executed(engine, first(NUMBERS[0]))
        with pytest.raises(Refused, match="reference_reused"):
            executed(beside, later(NUMBERS[1]))
        assert executed(beside, reported(NUMBERS[0])) == []


def test_of_two_processes_that_are_given_it_at_once_the_later_is_refused(engine: Engine, database_url: str) -> None:
    """Each process has read the streams before the other writes, and the other's stream first."""
    with engine_on(database_url, gateways=()) as beside:
        for store in (engine.store, beside.store):
            for number in NUMBERS:
                store.preview(reported(number))
        engine.store.execute([(Cause("test"), [reported("1")])])
        with pytest.raises(Refused, match="reference_reused"):
            beside.store.execute([(Cause("test"), [reported("12")])])
        (outcome,) = beside.store.execute_each([Request(Cause("test"), [reported("12")])])
        assert outcome.refused is not None
        with pytest.raises(Refused, match="reference_reused"):
            beside.store.preview(reported("12"))


def executed(engine: Engine, *commands: Command) -> list[Recorded]:
    return engine.store.execute([(Cause("test"), commands)])
