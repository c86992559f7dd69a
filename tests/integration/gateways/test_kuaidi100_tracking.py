"""Parcels that kuaidi100 is asked about, or asked to follow, over HTTP: a server that fails as it does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from oms_es.gateways.carrier.kuaidi100.client import Client
from oms_es.gateways.carrier.kuaidi100.dialect import parse_push
from oms_es.gateways.carrier.kuaidi100.notices import Kuaidi100Notices
from oms_es.gateways.carrier.kuaidi100.tracking import Kuaidi100Tracking
from oms_es.gateways.carrier.port import Following, TrackedNumber
from oms_es.gateways.loopback.kuaidi100_server import Kuaidi100Server, Mishap
from oms_es.kernel import GatewayUnavailable
from whole_engine import START

KEY, SALT, URL = "key+1", "a salt of ours", "https://shop.example/v1/webhooks/kd"
NUMBER, OTHER = TrackedNumber("yuantong", "YT1"), TrackedNumber("zhongtong", "75")
MISHAPS: tuple[Mishap, ...] = ("lost", "broken", "busy", "strange")


class Account:
    def __init__(self) -> None:
        self.mishaps: list[Mishap] = []
        self.server = Kuaidi100Server(
            "CUSTOMER", KEY, START.timestamp, lambda: self.mishaps.pop(0) if self.mishaps else ""
        )
        self.address = ""

    def tracking(self, key: str = KEY) -> Kuaidi100Tracking:
        return Kuaidi100Tracking(Client("CUSTOMER", key, base=self.address), callback_url=URL, salt=SALT)


@pytest.fixture
def account() -> Iterator[Account]:
    account = Account()
    account.server.scan(*NUMBER, "1", "【上海】已揽收 +%{}~*")
    account.server.scan(*NUMBER, "5", "派件中")
    with account.server.listening() as account.address:
        yield account


def read(payload: bytes | None) -> Any:
    assert payload
    return parse_push(payload)


def test_a_query_and_a_push_say_the_same_of_a_number(account: Account) -> None:
    known, unknown = account.tracking().track([NUMBER, OTHER])
    assert unknown == b""
    pushed = Kuaidi100Notices().open([], account.server.push(*NUMBER, SALT), [SALT], 0)
    assert read(known) == read(pushed)
    assert [seen.status for seen in read(known).sightings] == ["picked_up", "out_for_delivery"]


def test_a_query_is_of_the_carrier_that_the_parcel_was_booked_with(account: Account) -> None:
    (known,) = account.tracking().track([NUMBER])
    assert read(known).carrier == NUMBER.carrier
    assert json.loads(known or b"")["com"] == NUMBER.carrier


@pytest.mark.parametrize("mishap", MISHAPS)
def test_what_is_not_answered_is_asked_again_and_a_number_is_followed_once(account: Account, mishap: Mishap) -> None:
    tracking = account.tracking()
    account.mishaps = [mishap]
    assert tracking.track([NUMBER]) == [None]
    account.mishaps = [mishap]
    (answer,) = tracking.subscribe([NUMBER])
    assert (answer.outcome, bool(answer.reason)) == ("unknown", True)
    assert tracking.subscribe([NUMBER, OTHER]) == [Following("followed")] * 2
    assert account.server.followed == {
        number: {"callbackurl": URL, "salt": SALT, "resultv2": "4"} for number in (NUMBER, OTHER)
    }


def test_a_carrier_that_is_not_followed_is_refused_in_words_and_the_others_go_on(account: Account) -> None:
    account.server.unsupported = {"zhongtong"}
    assert account.tracking().subscribe([OTHER, NUMBER]) == [
        Following("refused", "拒绝订阅的快递公司 (701)"),
        Following("followed"),
    ]


def test_a_wrong_key_is_no_refusal(account: Account) -> None:
    tracking = account.tracking("wrong")
    for question in (tracking.track, tracking.subscribe):
        with pytest.raises(GatewayUnavailable, match="OMS_KUAIDI100_KEY"):
            question([NUMBER])
