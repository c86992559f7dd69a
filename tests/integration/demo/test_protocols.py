"""The demo's week over the providers' protocols: whatever gets lost on the way, their bills equal our books."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest

from conftest import fresh_database
from oms_es.app import migrate
from oms_es.cli.main import main
from oms_es.cli.operator.demo import play_protocols
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.database.selection import Database
from oms_es.demo.protocol.settlement import Account, with_mistakes
from oms_es.demo.protocol.shop import COUNTRY, ProtocolShop
from oms_es.demo.run import OtherDemo, Outcome
from oms_es.demo.workload import Workload
from oms_es.exit_codes import Code
from oms_es.gateways.loopback.bills import Entry
from oms_es.schemas.order import PlaceOrder
from whole_engine import START

ORDERS = 40
PLANTED = ["amount", "fee", "missing_here", "timing"]


def kinds(breaks: Any) -> list[str]:
    return [kind for kind, _ in breaks]


def test_a_week_over_http_ends_verified_and_reconciled_but_for_what_was_planted(
    embedded_server: EmbeddedPostgres,
) -> None:
    with fresh_database(embedded_server) as url:
        migrate(url)
        place = Database(url, "a test", alone=False)
        outcome = play_protocols(place, ORDERS, seed=1)
        with pytest.raises(OtherDemo, match="its providers have ended"):
            play_protocols(place, ORDERS, seed=1)
    assert outcome.passed, outcome.as_json()["protocols"]
    assert outcome.ran.counts.delivered > ORDERS / 2
    assert outcome.ran.counts.dead_letters == 0
    protocols = outcome.protocols
    assert protocols
    assert min(protocols.requests.values()) > 0, "each of the five was asked"
    assert protocols.mishaps > 0
    assert {account.account: kinds(account.found) for account in protocols.accounts} == dict.fromkeys(
        ("stripe", "wechatpay", "alipay"), PLANTED
    )
    assert_a_break_that_was_not_planted_fails(outcome)


def assert_a_break_that_was_not_planted_fails(outcome: Outcome) -> None:
    assert outcome.protocols
    first, *others = outcome.protocols.accounts
    odd: list[Account] = [first._replace(found=[*first.found, ("missing_here", 1)]), *others]
    assert not outcome._replace(protocols=outcome.protocols._replace(accounts=odd)).passed


def test_mistakes_are_put_into_a_bill_and_named() -> None:
    entries = [Entry(START, 100 * number, 1, f"own-{number}", f"order-{number}") for number in range(1, 6)]
    changed, planted = with_mistakes(entries, Random(1))
    assert kinds(planted) == PLANTED
    assert len(changed) == len(entries)
    assert len({*changed} - {*entries}) == 3
    assert with_mistakes(entries[:2], Random(1))[1] == [("missing_here", changed[0].gross_minor)]
    assert with_mistakes([], Random(1)) == ([], ())


def test_the_shop_is_the_week_elsewhere_and_the_same_every_time() -> None:
    shop, week = ProtocolShop(5, 300), Workload(5, 300)
    orders = [one for act in shop.acts() for one in act if isinstance(one, PlaceOrder)]
    assert orders == [one for act in ProtocolShop(5, 300).acts() for one in act if isinstance(one, PlaceOrder)]
    assert [order.order_id for order in orders] == [order.order_id for order in week.orders()]
    assert {order.ship_to.country for order in orders} == {COUNTRY}
    methods = Counter(tender.method for order in orders for tender in order.all_tenders)
    assert set(methods) == {"wechatpay", "alipay"}
    assert {order.currency for order in orders if not order.all_tenders} == {"USD"}


def test_the_protocols_shop_goes_with_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--gateways", "protocol", "--dataset", "completejourney"]) == Code.USAGE
    assert "leave --dataset and --kafka out" in capsys.readouterr().err
