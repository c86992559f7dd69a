"""SF's digest, its routes as our tracking events, and which of its pushes are taken."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_es.aggregates.shipment.tracker import decider
from oms_es.gateways.carrier.sfexpress.dialect import KINDS, REASONS, STATUSES, histories_in, parse_routes
from oms_es.gateways.carrier.sfexpress.notices import SfExpressNotices
from oms_es.gateways.carrier.sfexpress.signing import digest, java_encoded
from oms_es.gateways.loopback.carriers.sfexpress_books import SfExpressBooks
from oms_es.gateways.loopback.carriers.sfexpress_server import SfExpressServer
from oms_es.gateways.notices import ADDRESS, CannotDecide, Forged
from oms_es.kernel import BadInput, Skipped
from oms_es.schemas.shipment.tracker import RecordTracking, TrackingReported

CHECKWORD = "fjcg5PGKaNpPSHFAZ4QsCOkV71R3zVci"
KEY = "a-word+of%ours"
WHERE = [(ADDRESS, f"/v1/webhooks/sf?{urlencode({'key': KEY})}")]
TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40)


def test_the_digest_is_the_one_that_sf_publishes() -> None:
    """The example of https://open.sf-express.com/developSupport/195960 (digital signature, standard MD5)."""
    message = '{"language":"zh-CN","orderId":"QIAO-20200618-004"}'
    assert digest(message, "12312334453453", CHECKWORD) == "IIKJtuLVzoFTu4kHI8M8vA=="


@given(TEXT)
def test_a_text_is_encoded_as_java_s_documentation_says(text: str) -> None:
    """Letters, digits and `.-*_` stay, a space is `+`, and each byte of anything else is `%XY`."""
    encoded = java_encoded(text)
    assert unquote_plus(encoded) == text
    pieces = encoded.replace("%", "").replace("+", "")
    assert all(one.isascii() and (one.isalnum() or one in ".-*_") for one in pieces)
    assert java_encoded(" ~*+%{}中") == "+%7E*%2B%25%7B%7D%E4%B8%AD"


def a_route(minute: int, code: str, words: str = "快件", **more: Any) -> dict[str, Any]:
    at = f"2026-01-02 08:{minute:02}:00"
    return {"acceptTime": at, "acceptAddress": "深圳市", "remark": words, "opCode": code, **more}


def a_push(*routes: dict[str, Any], number: str = "SF1") -> dict[str, Any]:
    return {"Body": {"WaybillRoute": [{"mailno": number, "orderid": "o1", "id": "1", **route} for route in routes]}}


def read(document: dict[str, Any]) -> RecordTracking:
    command = parse_routes(json.dumps(document).encode())
    assert isinstance(command, RecordTracking)
    return command


def statuses(*routes: dict[str, Any]) -> list[str]:
    return [seen.status for seen in read(a_push(*routes)).sightings]


def recorded(*documents: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what the tracker records, in order."""
    state, known = decider.initial, list[tuple[str, str]]()
    for document in documents:
        for event in decider.decide(state, read(document)):
            state = decider.evolve(state, event)
            assert isinstance(event, TrackingReported)
            known += [(seen.status, seen.detail) for seen in event.sightings]
    return known


def test_a_route_is_what_was_seen_at_its_time_in_shanghai() -> None:
    command = read(a_push(a_route(5, "50", "顺丰速运 已收取快件", reasonCode="")))
    (seen,) = command.sightings
    assert (command.carrier, command.tracking_number) == ("shunfeng", "SF1")
    assert (seen.status, seen.occurred_at.isoformat()) == ("picked_up", "2026-01-02T00:05:00+00:00")
    assert (seen.detail, seen.carrier_status) == ("顺丰速运 已收取快件 - 深圳市", "50")


@pytest.mark.parametrize(("code", "status"), list(STATUSES.items()))
def test_a_code_has_its_status_as_text_or_number(code: str, status: str) -> None:
    assert statuses(a_route(1, code), a_route(2, code, "x", opCode=int(code))) == [status, status]


@pytest.mark.parametrize(("named", "status"), list(REASONS.items()))
def test_a_reason_may_change_what_a_code_means(named: tuple[str, str], status: str) -> None:
    code, reason = named
    assert statuses(a_route(1, code, reasonCode=reason)) == [status]
    assert statuses(a_route(1, code, reasonCode="1")) == [STATUSES[code]]


def test_a_code_that_is_not_known_means_what_sf_s_own_status_says_else_it_is_kept_as_such() -> None:
    for kind, status in KINDS.items():
        assert statuses(a_route(1, "9999", firstStatusCode=kind)) == [status]
    assert statuses(a_route(1, "9999"), a_route(2, "9999", firstStatusCode="77")) == ["unknown", "unknown"]
    assert statuses(a_route(1, "80", firstStatusCode="2")) == ["delivered"], "a code that is known decides"


HISTORY = [a_route(minute, code, f"{minute}") for minute, code in enumerate(["50", "30", "36", "44", "80"])]


@given(st.lists(st.lists(st.sampled_from(HISTORY), min_size=1), min_size=1, max_size=8), st.booleans())
def test_routes_pushed_late_twice_in_any_order_or_queried_come_to_each_once(
    pushes: list[list[dict[str, Any]]], is_queried: bool
) -> None:
    query = [{"mailNo": "SF1", "routes": HISTORY}] if is_queried else []
    known = recorded(*(a_push(*push) for push in pushes), *query)
    sent = {route["remark"] for push in pushes for route in push} | ({r["remark"] for r in HISTORY} if query else set())
    expected = {(STATUSES[r["opCode"]], f"{r['remark']} - 深圳市") for r in HISTORY if r["remark"] in sent}
    assert sorted(known) == sorted(expected)


def test_a_push_about_several_numbers_is_taken_apart() -> None:
    push = {"Body": {"WaybillRoute": [*a_push(a_route(1, "50"))["Body"]["WaybillRoute"]]}}
    push["Body"]["WaybillRoute"] += a_push(a_route(2, "80"), number="SF2")["Body"]["WaybillRoute"]
    assert [read(json.loads(one)).tracking_number for one in histories_in(push)] == ["SF1", "SF2"]
    with pytest.raises(BadInput, match="routes of 2 numbers"):
        read(push)


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "mailNo"),
        ({"Body": {}}, "routes of 0 numbers"),
        ({"Body": {"WaybillRoute": [7]}}, "routes of 0 numbers"),
        (a_push({**a_route(1, "50"), "acceptTime": "yesterday"}), "routes.0.acceptTime"),
        (a_push({**a_route(1, "50"), "acceptTime": "0001-01-01 00:00:00"}), "routes.0.acceptTime"),
        (a_push({**a_route(1, "50"), "opCode": None}), "routes.0.opCode"),
    ],
)
def test_what_is_no_push_names_the_field(document: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInput, match=field):
        read(document)


def test_what_has_no_routes_says_nothing() -> None:
    with pytest.raises(Skipped):
        read({"mailNo": "SF1", "routes": []})


SERVER = SfExpressServer(SfExpressBooks("0" * 10, lambda: 1_767_312_000.0), "P", CHECKWORD)
PUSH = json.dumps(a_push(a_route(1, "50", "% + * ~ {中}")), ensure_ascii=False).encode()


def opened(headers: Any, body: bytes, checkword: str = CHECKWORD, secrets: tuple[str, ...] = (KEY,)) -> list[bytes]:
    return list(SfExpressNotices(checkword).open(headers, body, secrets, 0.0))


def test_a_signed_push_is_opened_and_a_changed_one_is_not() -> None:
    body = SERVER.signed(PUSH)
    (content,) = opened([], body)
    assert parse_routes(content) == parse_routes(PUSH)
    fields = {"msgData": PUSH.decode(), "timestamp": "7", "msgDigest": digest(PUSH.decode(), "7", CHECKWORD)}
    assert opened([], json.dumps(fields).encode()) == [content], "the same fields as JSON"
    later = json.dumps({**fields, "timestamp": "8"}).encode()
    for changed in (body.replace(b"SF1", b"SF2"), body + b"&msgDigest=x", later):
        with pytest.raises(Forged):
            opened([], changed)
        with pytest.raises(Forged):
            opened([], changed, "another")
    with pytest.raises(CannotDecide, match="OMS_SFEXPRESS_CHECKWORD"):
        opened([], body, "")


def test_an_unsigned_push_is_taken_only_at_an_address_with_the_key() -> None:
    (content,) = opened(WHERE, PUSH)
    assert parse_routes(content) == parse_routes(PUSH)
    for headers in ([], [(ADDRESS, "/v1/webhooks/sf?")], [(ADDRESS, "/v1/webhooks/sf?key=x")], [(ADDRESS, "/x?key=")]):
        with pytest.raises(Forged, match="no key"):
            opened(headers, PUSH)
    with pytest.raises(Forged):
        opened([(ADDRESS, f"{WHERE[0][1]}&key=x")], PUSH)
    with pytest.raises(Forged):
        opened(WHERE, PUSH, secrets=())
    with pytest.raises(Forged):
        opened(WHERE, json.dumps({"msgDigest": "x", "msgData": "{}"}).encode(), CHECKWORD)


@given(st.binary(max_size=60))
def test_whatever_comes_is_opened_or_refused(body: bytes) -> None:
    with pytest.raises(Forged):
        opened([], body)
    assert len(opened(WHERE, body)) == 1


def test_a_push_that_is_not_taken_is_sent_again() -> None:
    notices = SfExpressNotices("")
    taken, refused = (json.loads(notices.answer(taken=taken, why="no").body) for taken in (True, False))
    assert (taken["return_code"], refused) == ("0000", {"return_code": "1000", "return_msg": "no"})
