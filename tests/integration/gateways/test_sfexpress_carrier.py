"""Parcels booked at SF Express over HTTP, with a server that takes an order's id once and fails as SF does."""

from __future__ import annotations

import shutil
import subprocess
from base64 import b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID, uuid5

import pytest

from oms_es.gateways.carrier.port import Booking, Cancellation, CarrierGateway, Consent, Parcel, TrackedNumber
from oms_es.gateways.carrier.sfexpress.client import Client
from oms_es.gateways.carrier.sfexpress.dialect import parse_routes
from oms_es.gateways.carrier.sfexpress.provider import NUMBERS_MAX, SfExpressCarrier, Terms
from oms_es.gateways.carrier.sfexpress.shapes import SENDERS
from oms_es.gateways.carrier.sfexpress.signing import digest
from oms_es.gateways.loopback.carriers.sfexpress_books import SfExpressBooks
from oms_es.gateways.loopback.carriers.sfexpress_server import Mishap, SfExpressServer, outer
from oms_es.kernel import GatewayUnavailable, Recorded
from oms_es.schemas import order as o
from oms_es.schemas import shipment as sh
from oms_es.schemas.shipment.tracker import RecordTracking
from whole_engine import START

PARTNER, CHECKWORD, CARD = "YCTEST", "fjcg5PGK+aNp%PSHFAZ~4*QsC", "7551234567"
SENDER = {"contact": "仓库", "mobile": "13800000001", "province": "上海市", "city": "上海市", "address": "人民路 1 号"}
TO = o.Address(
    name="王 ~*", phone="+86 138 0000 0002", street="深南大道 1 号 +%{}", city="深圳市", region="广东省", country="CN"
)
MISHAPS: tuple[Mishap, ...] = ("lost", "dropped", "busy", "broken", "denied", "twice", "strange", "other")
CREATE, SEARCH = "EXP_RECE_CREATE_ORDER", "EXP_RECE_SEARCH_ORDER_RESP"


class Account:
    """SF Express as one account sees it, with our carrier client."""

    def __init__(self) -> None:
        self.now = START.timestamp()
        self.books = SfExpressBooks(CARD, lambda: self.now)
        self.mishaps: list[Mishap] = []
        self.server = SfExpressServer(
            self.books, PARTNER, CHECKWORD, lambda _service: self.mishaps.pop(0) if self.mishaps else ""
        )
        self.address = ""

    def carrier(self, checkword: str = CHECKWORD, card: str = CARD) -> SfExpressCarrier:
        client = Client(PARTNER, checkword, base=self.address, now=lambda: self.now)
        return SfExpressCarrier(client, SENDERS.validate_python({"shanghai": SENDER}), Terms(card, 2, "商品"))


@pytest.fixture
def account() -> Iterator[Account]:
    account = Account()
    with account.server.listening() as account.address:
        yield account


def parcel(number: int = 1, *cartons: int, **more: Any) -> Parcel:
    boxes = tuple(sh.CartonWeight(carton_id=f"c{n}", weight_grams=grams) for n, grams in enumerate(cartons, start=1))
    usual: dict[str, Any] = {"location": "shanghai", "weight_grams": sum(cartons) or 500, "ship_to": TO}
    return Parcel(uuid5(UUID(int=0), str(number)), f"s{number}", cartons=boxes, **{**usual, **more})


def booked(carrier: SfExpressCarrier, wanted: Parcel) -> Booking:
    (answer,) = carrier.book([wanted])
    return answer


def until_answered(carrier: SfExpressCarrier, wanted: Parcel) -> Booking:
    for _ in range(4):
        if (answer := booked(carrier, wanted)).outcome != "unknown":
            return answer
    raise AssertionError("it stays unanswered")


@pytest.mark.parametrize("mishap", MISHAPS)
@pytest.mark.parametrize("cartons", [(), (300, 400, 500)], ids=["one box", "three"])
def test_whatever_happens_to_a_request_a_parcel_has_one_order(
    account: Account, mishap: Mishap, cartons: tuple[int, ...]
) -> None:
    carrier = account.carrier()
    account.mishaps = [mishap]
    answer = until_answered(carrier, parcel(1, *cartons))
    assert not account.mishaps, "it has happened"
    assert (answer.outcome, answer.carrier) == ("booked", "shunfeng")
    assert account.books.standing() == [answer.tracking_number]
    assert booked(carrier, parcel(1, *cartons)) == answer, "asked again it is the same"
    (order,) = account.books.orders.values()
    numbers = account.books.numbers_of(order)
    by_carton = tuple((f"c{n}", number) for n, number in enumerate(numbers, start=1))
    assert answer.carton_numbers == (by_carton if cartons else ())


@pytest.mark.parametrize("seed", range(30))
def test_whatever_is_lost_in_whichever_order_each_parcel_has_one_order_and_a_cancelled_one_none(
    account: Account, seed: int
) -> None:
    chance, carrier = Random(seed), account.carrier()
    wanted = [parcel(n, *([100] * chance.choice([0, 2]))) for n in range(4)]
    account.mishaps = [chance.choice([*MISHAPS, "", "", ""]) for _ in range(25)]
    answers: dict[int, Booking] = {}
    for _ in range(60):
        for number, one in enumerate(wanted):
            if number not in answers and (said := booked(carrier, one)).outcome != "unknown":
                answers[number] = said
    assert {said.outcome for said in answers.values()} == {"booked"}
    assert sorted(account.books.standing()) == sorted(said.tracking_number for said in answers.values())
    account.mishaps = [chance.choice([*MISHAPS, ""]) for _ in range(10)]
    gone = answers[0].tracking_number
    outcomes = [consent.outcome for _ in range(20) for consent in carrier.cancel([cancelling(gone)])]
    assert outcomes[-1] == "cancelled"
    assert gone not in account.books.standing()
    assert len(account.books.standing()) == 3


def cancelling(number: str) -> Cancellation:
    return Cancellation(UUID(int=9), "s1", "shunfeng", number)


def test_a_parcel_that_was_collected_is_not_cancelled_and_one_of_others_is_not_known(account: Account) -> None:
    carrier = account.carrier()
    number = booked(carrier, parcel()).tracking_number
    account.books.scan(number, "50", "已收取快件")
    (refused,) = carrier.cancel([cancelling(number)])
    assert (refused.outcome, "订单已生成路由 (8168)" in refused.reason) == ("refused", True)
    (unknown,) = carrier.cancel([cancelling("SF0")])
    assert unknown == Consent("refused", "SF Express knows no order of SF0; ask SF Express itself")


def test_a_cancelled_order_is_cancelled_again_and_not_booked_again_under_its_id(account: Account) -> None:
    carrier = account.carrier()
    number = booked(carrier, parcel()).tracking_number
    assert [carrier.cancel([cancelling(number)]) for _ in range(2)] == [[Consent("cancelled")]] * 2
    again = booked(carrier, parcel())
    assert (again.outcome, again.reason) == ("refused", "its order was cancelled at SF Express")
    assert account.books.standing() == []


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"location": "berlin"}, "berlin has no address in OMS_SFEXPRESS_SENDERS_FILE"),
        ({"ship_to": TO.model_copy(update={"phone": None})}, "the address has no telephone number"),
        ({"ship_to": TO.model_copy(update={"name": ""})}, "the address has no name"),
        ({"carrier": "yuantong"}, "to go by yuantong"),
        ({"service": "express"}, "express is no product of SF's"),
    ],
)
def test_what_sf_needs_and_is_not_there_is_refused_in_words_and_not_asked(
    account: Account, more: dict[str, Any], words: str
) -> None:
    answer = booked(account.carrier(), parcel(**more))
    assert (answer.outcome, words in answer.reason) == ("refused", True)
    assert account.server.requests == []


def test_an_address_that_sf_does_not_reach_leaves_no_order(account: Account) -> None:
    carrier = account.carrier()
    beyond = parcel(ship_to=TO.model_copy(update={"region": "港"}))
    answer = booked(carrier, beyond)
    assert (answer.outcome, answer.reason) == ("refused", "SF Express does not deliver to this address (remark 3)")
    assert account.books.standing() == []
    nowhere = booked(carrier, parcel(2, ship_to=TO.model_copy(update={"street": ""})))
    assert (nowhere.outcome, nowhere.reason) == ("refused", "SF Express: 到件地址不能为空 (1014)")


def requested(*parcels: Parcel) -> list[Recorded]:
    return [
        Recorded(
            position=number,
            event_id=one.key,
            event=sh.ShipmentBookingRequested(
                shipment_id=one.shipment_id,
                order_id="o",
                location=one.location,
                weight_grams=one.weight_grams,
                ship_to=one.ship_to,
            ),
            recorded_at=START,
            caused_by=None,
            stream=f"shipment-{one.shipment_id}",
            version=1,
            correlation_id="",
            actor="test",
        )
        for number, one in enumerate(parcels, start=1)
    ]


def test_an_address_that_people_check_is_for_a_person_once_others_were_answered(account: Account) -> None:
    gateway = CarrierGateway(account.carrier(), known_as="sfexpress")
    checked = parcel(1, ship_to=TO.model_copy(update={"street": "待确认"}))
    with pytest.raises(GatewayUnavailable):
        gateway.perform(requested(checked))
    (failed, (good,)) = gateway.perform(requested(checked, parcel(2)))
    assert isinstance(failed[0], sh.RecordBookingFailure)
    assert f"look at the carrier's for {checked.key}" in failed[0].reason
    assert isinstance(good, sh.RecordBooking)
    assert good.carrier_gateway == "sfexpress"


def test_an_account_that_is_wrong_turns_no_parcel_away(account: Account) -> None:
    for carrier, setting in (
        (account.carrier(checkword="x"), "OMS_SFEXPRESS_CHECKWORD"),
        (account.carrier(card="0000000000"), "OMS_SFEXPRESS_MONTHLY_CARD"),
    ):
        for ask in (
            lambda one: one.book([parcel(1), parcel(2)]),
            lambda one: CarrierGateway(one).perform(requested(parcel())),
        ):
            with pytest.raises(GatewayUnavailable, match=setting):
                ask(carrier)
    assert account.books.orders == {}


@pytest.mark.parametrize("code", ["A1000", "A1234", ""])
def test_an_answer_that_contradicts_itself_is_believed_in_neither_way(account: Account, code: str) -> None:
    results = (
        '{"success": true, "errorCode": "8016", "msgData": {}}',
        '{"success": false, "errorCode": "S0000"}',
        "[]",
        "x",
        None,
    )
    for result in results:
        account.server.answer = lambda _form, data=result: outer(code, "", data)  # type: ignore[method-assign,misc] # its answer alone
        answer = booked(account.carrier(), parcel())
        assert (answer.outcome, bool(answer.reason)) == ("unknown", True)


def test_an_order_that_was_taken_and_is_not_found_yet_is_neither_booked_nor_refused(account: Account) -> None:
    """SF's search may be behind: then a person who books again would have it collected twice."""
    carrier, search = account.carrier(), account.books.search
    account.mishaps = ["lost"]
    assert booked(carrier, parcel()).outcome == "unknown"
    account.books.search = lambda _asked: search({"orderId": "another"})  # type: ignore[method-assign,assignment] # a moment behind
    behind = booked(carrier, parcel())
    assert (behind.outcome, "does not find it" in behind.reason) == ("unknown", True)
    account.books.search = search  # type: ignore[method-assign] # it has caught up
    assert account.books.standing() == [booked(carrier, parcel()).tracking_number]


def test_a_number_that_an_answer_has_twice_is_one_and_their_order_is_the_same_in_every_answer(account: Account) -> None:
    carrier, boxes = account.carrier(), parcel(1, 300, 400, 500)
    first = booked(carrier, boxes)
    (order,) = account.books.orders.values()
    waybills = order["shown"]["waybillNoInfoList"]
    order["shown"]["waybillNoInfoList"] = [*reversed(waybills), waybills[0]]
    assert booked(carrier, boxes) == first
    order["shown"]["waybillNoInfoList"] = [waybills[0], waybills[0], waybills[1]]
    answer = booked(carrier, boxes)
    assert (answer.outcome, "2 waybills for 3 cartons" in answer.reason) == ("unknown", True)


def test_what_is_asked_for_is_what_sf_reads(account: Account) -> None:
    booked(account.carrier(), parcel(1, 300, 405, service="1"))
    (order,) = account.books.orders.values()
    wanted = order["wanted"]
    sender, receiver = wanted["contactInfoList"]
    assert (sender["contactType"], sender["contact"], sender["mobile"]) == (1, "仓库", "13800000001")
    assert (receiver["mobile"], receiver["province"], receiver["address"]) == ("13800000002", "广东省", TO.street)
    assert (wanted["expressTypeId"], wanted["parcelQty"], wanted["totalWeight"]) == (1, 2, 0.705)
    assert (wanted["monthlyCard"], wanted["payMethod"]) == (CARD, 1)
    abroad = booked(account.carrier(), parcel(2, ship_to=TO.model_copy(update={"phone": "010-8888 0000"})))
    assert account.books.orders[str(parcel(2).key)]["wanted"]["contactInfoList"][1]["tel"] == "01088880000"
    assert abroad.outcome == "booked"


def read(payload: bytes | None) -> RecordTracking:
    assert payload
    command = parse_routes(payload)
    assert isinstance(command, RecordTracking)
    return command


def test_routes_are_asked_for_ten_at_once_and_say_what_was_pushed(account: Account) -> None:
    carrier = account.carrier()
    numbers = [booked(carrier, parcel(n)).tracking_number for n in range(NUMBERS_MAX + 2)]
    pushed = account.books.scan(numbers[0], "80", "已签收")
    account.server.requests.clear()
    asked = [*(TrackedNumber("shunfeng", one) for one in numbers), TrackedNumber("usps", "9")]
    first, *others = carrier.track(asked)
    assert others == [b""] * len(others)
    assert len(account.server.requests) == 2
    assert read(first) == read(account.server.push([pushed]))
    strange = carrier.track([asked[0], TrackedNumber("shunfeng", "SF0")])
    assert (read(strange[0]), strange[1]) == (read(first), b""), "one that is not ours does not hide the others"
    for mishap in ("lost", "busy", "strange", "other"):
        account.mishaps = [mishap]
        assert carrier.track(asked[:2]) == [None, None]
    with pytest.raises(GatewayUnavailable, match="CHECKWORD"):
        account.carrier(checkword="x").track(asked)


ORACLE = """
import java.net.URLEncoder; import java.nio.charset.StandardCharsets;
import java.security.MessageDigest; import java.util.*;
class Oracle { public static void main(String[] given) throws Exception { var in = new Scanner(System.in, "UTF-8");
  while (in.hasNextLine()) { var text = new String(Base64.getDecoder().decode(in.nextLine()), StandardCharsets.UTF_8);
    var md5 = MessageDigest.getInstance("MD5").digest(URLEncoder.encode(text, "UTF-8").getBytes("UTF-8"));
    System.out.println(Base64.getEncoder().encodeToString(md5)); } } }
"""


def said_by_java(texts: Sequence[str], folder: Path) -> list[str]:
    program = folder / "Oracle.java"
    program.write_text(ORACLE)
    lines = "\n".join(b64encode(text.encode()).decode() for text in texts)
    done = subprocess.run(["java", program], input=lines, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split()


@pytest.mark.skipif(not shutil.which("java"), reason="the second opinion is Java's own encoder and digest")
def test_java_s_own_classes_compute_the_same_digests(tmp_path: Path) -> None:
    chance = Random(1)
    alphabet = "".join(map(chr, range(32, 127))) + "中文é€😀\t"
    messages = ["".join(chance.choices(alphabet, k=chance.randint(0, 60))) for _ in range(500)]
    assert said_by_java([f"{one}7{CHECKWORD}" for one in messages], tmp_path) == [
        digest(one, "7", CHECKWORD) for one in messages
    ]
