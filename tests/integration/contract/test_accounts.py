"""Accounts through the whole engine, with 200 concurrent writers: no more is ever granted than the balance."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from conftest import fresh_database
from desk_story import OPEN, STOCK, order
from oms_es.aggregates.finance import account
from oms_es.app import DECIDERS, PROJECTIONS, Engine, engine_on, migrate
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.kernel import Refused
from oms_es.schemas import order as o
from oms_es.schemas.finance import account as a
from oms_es.schemas.order import returns
from oms_es.schemas.returns.rma import InspectedLine, InspectRma, ReceiveRma, ReturnLine
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Cause, Codec
from oms_es.store.recorder import Recorder, datastore_of
from oms_es.store.store import Store
from oms_es.verification.verify import verify
from paid_by_account import by_account, one, phase, there

WRITERS, GRANTED = 200, 37
OF: Any = {"account_id": "ACME-1"}
ACCOUNT = a.OpenAccount(**OF, kind="store_credit", channel="web", currency="EUR")


def paid_in(amount: int, entry_id: str = "in-1") -> a.CreditAccount:
    return a.CreditAccount(**OF, entry_id=entry_id, amount_minor=amount)


def test_of_200_writers_that_race_for_one_account_as_many_win_as_it_can_pay(database_url: str) -> None:
    """Each has loaded the account before any of them writes: all but the first decide from a stale state."""
    migrate(database_url)
    with datastore_of(database_url, connections_max=20) as datastore:
        Store(DECIDERS, EVENTS, Recorder(datastore)).execute([(Cause("test"), [ACCOUNT, paid_in(10 * GRANTED + 9)])])
        ready, outcomes = threading.Barrier(WRITERS), []

        def write(number: int) -> None:
            mine = Store([account.decider], EVENTS, Recorder(datastore))
            mine.state_of(ACCOUNT.stream)
            ready.wait(300)
            outcomes.append(_granted(mine, number))

        writers = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join(300)
        state, _ = Store(DECIDERS, EVENTS, Recorder(datastore)).state_of(ACCOUNT.stream)
    assert len(outcomes) == WRITERS
    assert sum(outcomes) == 10 * GRANTED
    assert state.balance - state.held == 9
    report = verify(database_url, DECIDERS, (), Codec(EVENTS))
    assert report.passed


def _granted(store: Store, number: int) -> int:
    """Return what was held for a payment, held by hand, or paid out: all of it reduces the same balance."""
    said: Any = {"payment_id": f"o{number}.1", "order_id": f"o{number}", "currency": "EUR", "channel": "web"}
    command: Any = (
        a.HoldForPayment(**OF, **said, amount_minor=10),
        a.HoldAccount(**OF, hold_id=f"h{number}", amount_minor=10),
        a.DebitAccount(**OF, entry_id=f"out{number}", amount_minor=10),
    )[number % 3]
    try:
        recorded = store.execute([(Cause("test"), [command])])
    except Refused as refused:
        assert refused.code == "insufficient_balance"
        return 0
    return sum(one.event.amount_minor for one in recorded if isinstance(one.event, a.AccountEntry))


@pytest.fixture(scope="module")
def engine(embedded_server: EmbeddedPostgres) -> Iterator[Engine]:
    """Each test has an account of its own. What they all made is verified in the end."""
    with fresh_database(embedded_server) as url, engine_on(url) as an_engine:
        give(an_engine, OPEN, STOCK.model_copy(update={"quantity": 100}))
        yield an_engine
        report = verify(url, DECIDERS, PROJECTIONS, Codec(EVENTS))
        assert report.passed, [check for check in report.checks if check.failed]
        of_accounts = {check.name: check.checked for check in report.checks if check.name.startswith("accounts:")}
        assert min(of_accounts.values()) > 0, of_accounts


def give(engine: Engine, *commands: Any) -> None:
    for command in commands:
        assert engine.submit("test", [command]) == []
        engine.settle()


def account_with(engine: Engine, account_id: str, amount: int, customer_id: str = "") -> str:
    give(engine, ACCOUNT.model_copy(update={"account_id": account_id, "customer_id": customer_id}))
    if amount:
        give(engine, a.CreditAccount(account_id=account_id, entry_id="in-1", amount_minor=amount))
    return account_id


def at_providers(engine: Engine, placed: o.PlaceOrder) -> int:
    query = "SELECT coalesce(sum(amount_minor), 0)::int AS n FROM money_movements WHERE order_id = %s"
    amount: int = one(engine, query, placed.order_id)["n"]
    return amount


def test_an_order_is_paid_from_an_account_and_a_refund_goes_back_to_it_once(engine: Engine) -> None:
    mine = account_with(engine, "A-1", 2500)
    placed = by_account(1, mine, 2000, units=2)
    give(engine, placed)
    assert phase(engine, placed) == "completed"
    assert there(engine, mine) == (500, 0)
    refund = o.RefundOrder(order_id=placed.order_id, refund_id="r-1", goodwill_minor=300)
    give(engine, refund, refund)
    assert there(engine, mine) == (800, 0)
    assert at_providers(engine, placed) == 0


def test_an_order_is_paid_partly_from_an_account_and_partly_by_card(engine: Engine) -> None:
    mine = account_with(engine, "A-2", 500)
    placed = by_account(2, mine, 400)
    give(engine, placed)
    assert phase(engine, placed) == "completed"
    assert there(engine, mine) == (100, 0)
    assert at_providers(engine, placed) == 600


def test_a_cancelled_order_lets_go_what_it_held(engine: Engine) -> None:
    mine = account_with(engine, "A-3", 1000)
    placed = by_account(3, mine, 1000)
    assert engine.submit("test", [placed, o.HoldOrder(order_id=placed.order_id, kind="manual")]) == []
    engine.settle()
    assert there(engine, mine) == (1000, 1000)
    give(engine, o.CancelOrder(order_id=placed.order_id, reason="changed their mind"))
    assert there(engine, mine) == (1000, 0)


def test_an_account_that_cannot_pay_declines_and_pays_once_it_is_topped_up(engine: Engine) -> None:
    mine = account_with(engine, "A-4", 999)
    placed = by_account(4, mine, 1000)
    give(engine, placed)
    assert phase(engine, placed) == "awaiting_payment"
    assert there(engine, mine) == (999, 0)
    refused = one(engine, "SELECT state, reason FROM payments WHERE order_id = %s", placed.order_id)
    assert refused == {"state": "declined", "reason": "there is not so much on the account"}
    give(engine, a.CreditAccount(account_id=mine, entry_id="in-2", amount_minor=1))
    give(engine, o.RetryPayment(order_id=placed.order_id))
    assert phase(engine, placed) == "completed"
    assert there(engine, mine) == (0, 0)


def test_a_refund_of_a_card_goes_to_credit_once_and_pays_for_the_next_order(engine: Engine) -> None:
    mine = account_with(engine, "A-5", 0)
    placed = order(5)
    give(engine, placed)
    refund = o.RefundOrder(order_id=placed.order_id, refund_id="r-1", goodwill_minor=700, to_account=mine)
    give(engine, refund, refund)
    assert there(engine, mine) == (700, 0)
    assert at_providers(engine, placed) == 1000, "the provider was not asked to give anything back"
    following = by_account(15, mine, 700)
    give(engine, following)
    assert phase(engine, following) == "completed"
    assert there(engine, mine) == (0, 0)


def test_a_return_is_refunded_to_credit(engine: Engine) -> None:
    mine = account_with(engine, "A-6", 0)
    placed = order(6)
    line: Any = {"line_id": "1", "quantity": 1}
    asked = returns.RequestReturn(
        order_id=placed.order_id,
        rma_id="rma-6",
        lines=(ReturnLine(**line, reason="changed_mind"),),
        to_account=mine,
        now=placed.placed_at,
    )
    inspected = InspectedLine(**line, grade="as_new", disposition="sellable", credited=True)
    give(
        engine,
        *(placed, asked),
        ReceiveRma(rma_id="rma-6", receipt_id="1", location="berlin", lines=(o.LineUnits(**line),)),
        InspectRma(rma_id="rma-6", inspection_id="1", location="berlin", lines=(inspected,)),
    )
    assert there(engine, mine) == (1000, 0)
    assert at_providers(engine, placed) == 1000


def test_another_customers_account_pays_nothing(engine: Engine) -> None:
    other = account_with(engine, "A-7", 1000, "C-7")
    placed = by_account(7, other, 1000)
    give(engine, placed)
    assert phase(engine, placed) != "completed"
    refused = one(engine, "SELECT reason FROM payments WHERE order_id = %s", placed.order_id)
    assert refused["reason"] == "the account is another customer's"
    assert there(engine, other) == (1000, 0)
