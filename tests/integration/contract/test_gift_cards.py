"""Gift cards through the whole engine: with 200 concurrent writers they never pay more than is on them; refunds come
back, and the rest of an expired card is booked."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from conftest import fresh_database
from desk_story import OPEN, STOCK
from oms_es.aggregates.finance import account
from oms_es.app import DECIDERS, PROJECTIONS, Engine, engine_on, migrate
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.reports.finance.gift_cards import outstanding, today
from oms_es.reports.queries import reading
from oms_es.schemas import order as o
from oms_es.schemas.finance import account as a
from oms_es.schemas.finance import gift_card as g
from oms_es.schemas.order.refunds import RefundLine
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Cause, Codec
from oms_es.store.recorder import Recorder, datastore_of
from oms_es.store.store import Store
from oms_es.verification.verify import verify
from paid_by_account import by_account, one, phase, there

WRITERS, GRANTED = 200, 37
HASH, OTHER = "a" * 64, "b" * 64
NOW = datetime.now(UTC)


def card(card_id: str, amount: int, **terms: Any) -> list[Any]:
    """Return the commands of a card with money and a code."""
    of: Any = {"account_id": card_id}
    return [
        g.IssueGiftCard(**of, channel="web", currency="EUR", **terms),
        a.CreditAccount(**of, entry_id="sale", amount_minor=amount, method="card"),
        g.SetGiftCardCode(**of, code_hash=HASH),
    ]


def presented(card_id: str, order_id: str, code_hash: str = HASH) -> g.PresentGiftCard:
    return g.PresentGiftCard(account_id=card_id, code_hash=code_hash, order_id=order_id, now=NOW)


def test_of_200_orders_that_race_for_one_card_as_many_win_as_it_can_pay(database_url: str) -> None:
    """Each has loaded the card before any of them writes, and the card was presented for all but every tenth order."""
    migrate(database_url)
    with datastore_of(database_url, connections_max=20) as datastore:
        shown = [presented("C-1", f"o{number}") for number in range(WRITERS) if number % 10]
        Store(DECIDERS, EVENTS, Recorder(datastore)).execute(
            [(Cause("test"), [*card("C-1", 10 * GRANTED + 9), *shown])]
        )
        ready, outcomes = threading.Barrier(WRITERS), []

        def write(number: int) -> None:
            mine = Store([account.decider], EVENTS, Recorder(datastore))
            mine.state_of("account-C-1")
            ready.wait(300)
            said: Any = {"payment_id": f"o{number}.1", "order_id": f"o{number}", "currency": "EUR", "channel": "web"}
            hold = a.HoldForPayment(account_id="C-1", **said, amount_minor=10)
            recorded = mine.execute([(Cause("test"), [hold])])
            held = sum(one.event.amount_minor for one in recorded if isinstance(one.event, a.AccountHeld))
            outcomes.append((number, held))

        writers = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join(300)
        state, _ = Store(DECIDERS, EVENTS, Recorder(datastore)).state_of("account-C-1")
    assert len(outcomes) == WRITERS
    assert sum(held for _, held in outcomes) == 10 * GRANTED
    assert not any(held for number, held in outcomes if number % 10 == 0), "it was not presented for these"
    assert state.balance - state.held == 9
    assert verify(database_url, DECIDERS, (), Codec(EVENTS)).passed


@pytest.fixture(scope="module")
def engine(embedded_server: EmbeddedPostgres) -> Iterator[Engine]:
    """Each test has a card of its own. What they all made is verified in the end."""
    with fresh_database(embedded_server) as url, engine_on(url) as an_engine:
        give(an_engine, OPEN, STOCK.model_copy(update={"quantity": 100}))
        yield an_engine
        report = verify(url, DECIDERS, PROJECTIONS, Codec(EVENTS))
        assert report.passed, [check for check in report.checks if check.failed]
        of_cards = {check.name: check.checked for check in report.checks if check.name.startswith("gift cards:")}
        assert min(of_cards.values()) > 0, of_cards


def give(engine: Engine, *commands: Any) -> None:
    assert engine.submit("test", list(commands)) == []
    engine.settle()


def test_a_card_pays_in_part_and_a_refund_is_shared_as_the_payment_was(engine: Engine) -> None:
    placed = by_account(1, "G-1", 400)
    give(engine, *card("G-1", 500), presented("G-1", placed.order_id))
    give(engine, placed)
    assert phase(engine, placed) == "completed"
    assert there(engine, "G-1") == (100, 0)
    whole = o.RefundOrder(order_id=placed.order_id, refund_id="r", lines=(RefundLine(line_id="1", quantity=1),))
    give(engine, whole, whole)
    assert there(engine, "G-1") == (500, 0), "the card has its part again, once"
    query = "SELECT coalesce(sum(amount_minor), 0)::int AS n FROM money_movements WHERE order_id = %s"
    assert one(engine, query, placed.order_id)["n"] == 0, "and the other means of payment its own"


def test_a_card_that_was_not_presented_pays_once_it_is(engine: Engine) -> None:
    placed = by_account(2, "G-2", 1000)
    give(engine, *card("G-2", 1000))
    give(engine, placed)
    assert phase(engine, placed) == "awaiting_payment"
    assert there(engine, "G-2") == (1000, 0)
    give(engine, presented("G-2", placed.order_id))
    give(engine, o.RetryPayment(order_id=placed.order_id))
    assert phase(engine, placed) == "completed"
    assert there(engine, "G-2") == (0, 0)


def test_what_is_split_off_is_paid_from_the_same_card(engine: Engine) -> None:
    placed = by_account(3, "G-3", 2000, units=2)
    give(engine, *card("G-3", 2000), presented("G-3", placed.order_id))
    give(engine, placed, o.HoldOrder(order_id=placed.order_id, kind="manual"))
    give(engine, o.SplitOrder(order_id=placed.order_id, split_id="2", lines=(o.LineUnits(line_id="1", quantity=1),)))
    split = one(engine, "SELECT order_id FROM account_orders WHERE %s = ANY(joined_from)", placed.order_id)
    for order_id in (placed.order_id, split["order_id"]):
        give(engine, o.ReleaseHold(order_id=order_id, kind="manual"))
    phases = [one(engine, "SELECT phase FROM order_status WHERE order_id = %s", name) for name in split.values()]
    assert phases == [{"phase": "completed"}]
    assert phase(engine, placed) == "completed"
    assert there(engine, "G-3") == (0, 0)


def test_a_lost_card_is_blocked_and_gets_another_code(engine: Engine) -> None:
    placed = by_account(4, "G-4", 1000)
    give(engine, *card("G-4", 1000), presented("G-4", placed.order_id), g.BlockAccount(account_id="G-4"))
    give(engine, placed)
    assert phase(engine, placed) == "awaiting_payment"
    replaced = g.SetGiftCardCode(account_id="G-4", code_hash=OTHER, replace=True)
    give(engine, replaced, g.UnblockAccount(account_id="G-4"))
    give(engine, o.RetryPayment(order_id=placed.order_id))
    assert phase(engine, placed) == "awaiting_payment", "the old code is worth nothing"
    (refused,) = engine.submit("test", [presented("G-4", placed.order_id)])
    assert refused[1].code == "wrong_code"
    give(engine, presented("G-4", placed.order_id, OTHER))
    give(engine, o.RetryPayment(order_id=placed.order_id))
    assert phase(engine, placed) == "completed"


def test_the_rest_of_an_expired_card_is_income_or_stays(engine: Engine) -> None:
    ended = NOW - timedelta(days=1)
    give(engine, *card("G-5", 700, expires_at=ended, on_expiry="income"), *card("G-6", 700, expires_at=ended))
    until = time.monotonic() + 30
    while there(engine, "G-5") != (0, 0):
        assert time.monotonic() < until, "the ticker looks once a second"
        time.sleep(0.2)
        engine.settle()
    assert there(engine, "G-6") == (700, 0)
    for name in ("G-5", "G-6"):
        assert one(engine, "SELECT expired FROM accounts WHERE account_id = %s", name) == {"expired": True}
    (refused,) = engine.submit("test", [presented("G-6", "any")])
    assert refused[1].code == "card_not_usable"
    kinds = [row for row in _outstanding(engine) if row["kind"] == "gift_card"]
    assert len(kinds) == 1
    assert kinds[0]["balance_minor"] == one(engine, "SELECT sum(balance_minor)::int AS n FROM accounts")["n"]


def _outstanding(engine: Engine) -> list[Any]:
    with reading(engine.database_url) as connection:
        return outstanding(connection, today())
