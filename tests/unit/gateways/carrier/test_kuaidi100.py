"""Kuaidi100's histories become our tracking events: complete, in any order, and with the meaning of its states."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_es.aggregates.shipment.tracker import decider
from oms_es.gateways.carrier.kuaidi100.dialect import STATES, WORDS, parse_push
from oms_es.gateways.carrier.kuaidi100.notices import Kuaidi100Notices, digest
from oms_es.gateways.notices import Forged
from oms_es.kernel import BadInput, Skipped
from oms_es.schemas.shipment.tracker import RecordTracking, TrackingReported

SALT = "s+a%l{t}~* "
LINE = {"context": "【上海】已揽收", "time": "2026-01-02 16:33:19", "ftime": "2026-01-02 16:33:19", "status": "揽收"}


def a_push(*lines: dict[str, Any], state: Any = "0", **more: Any) -> dict[str, Any]:
    result = {"message": "ok", "nu": "YT1", "com": "yuantong", "state": state, "data": list(lines)}
    return {"status": "polling", "comOld": "", "comNew": "", "lastResult": result, **more}


def line(minute: int, text: str, status: str | None = None, **more: str) -> dict[str, Any]:
    at = (datetime(2026, 1, 2, 8, tzinfo=UTC) + timedelta(minutes=minute)).strftime("%Y-%m-%d %H:%M:%S")
    return {"context": text, "time": at, **({"status": status} if status else {}), **more}


def read(push: dict[str, Any]) -> RecordTracking:
    command = parse_push(json.dumps(push).encode())
    assert isinstance(command, RecordTracking)
    return command


def statuses(push: dict[str, Any]) -> list[str]:
    return [seen.status for seen in read(push).sightings]


def recorded(*pushes: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what the tracker records, in order."""
    state, known = decider.initial, list[tuple[str, str]]()
    for push in pushes:
        for event in decider.decide(state, read(push)):
            state = decider.evolve(state, event)
            assert isinstance(event, TrackingReported)
            known += [(seen.status, seen.detail) for seen in event.sightings]
    return known


def test_a_line_is_what_was_seen_at_its_time_in_shanghai() -> None:
    command = read(a_push(LINE, state="1"))
    (seen,) = command.sightings
    assert (command.carrier, command.tracking_number) == ("yuantong", "YT1")
    assert (seen.status, seen.occurred_at) == ("picked_up", datetime(2026, 1, 2, 8, 33, 19, tzinfo=UTC))
    assert (seen.detail, seen.carrier_status) == ("【上海】已揽收", "揽收")


@pytest.mark.parametrize(("state", "status"), list(STATES.items()))
def test_the_newest_line_is_what_the_state_says(state: str, status: str) -> None:
    assert statuses(a_push(line(1, "x", "签收"), line(0, "y"), state=state)) == ["in_transit", status]
    if state.isdigit():
        assert statuses(a_push(line(1, "x"), state=int(state))) == [status], "its number comes as one, too"


@pytest.mark.parametrize(("word", "status"), list(WORDS.items()))
def test_other_lines_are_what_their_words_say_and_signed_for_only_if_the_whole_is(word: str, status: str) -> None:
    older = statuses(a_push(line(2, "new", "签收"), line(1, "old", word), state="3"))
    assert older == [status, "delivered"]
    sent_back = statuses(a_push(line(2, "new", "退签"), line(1, "old", word), state="4"))
    assert sent_back == ["unknown" if status == "delivered" else status, "returned"]


@pytest.mark.parametrize("ended", ["4", "6", "14", "401"])
def test_what_the_sender_signs_for_is_not_delivered_though_it_is_shut_down(ended: str) -> None:
    pushes = [
        a_push(line(1, "退回签收", "签收"), line(0, "派件", "派件"), state=ended, status="shutdown"),
        a_push(line(2, "结束", "签收"), line(1, "退回签收", "签收"), line(0, "派件", "派件"), state=ended),
    ]
    assert "delivered" not in {status for status, _ in recorded(*pushes)}


def test_a_state_that_is_corrected_under_the_same_line_is_recorded() -> None:
    at_first = a_push(line(1, "已签收", "签收"), state="3")
    corrected = a_push(line(1, "已签收", "签收"), state="4")
    assert recorded(at_first, at_first, corrected, at_first) == [("delivered", "已签收"), ("returned", "已签收")]


HISTORY = [line(minute, f"{minute}", word) for minute, word in enumerate(["揽收", "在途", "在途", "派件", "签收"])]


@given(st.lists(st.integers(1, len(HISTORY)), min_size=1, max_size=12))
def test_whole_lists_pushed_late_twice_and_in_any_order_come_to_each_line_once(lengths: list[int]) -> None:
    pushes = [
        a_push(*reversed(HISTORY[:length]), state="3" if length == len(HISTORY) else {1: "1", 4: "5"}.get(length, "0"))
        for length in lengths
    ]
    known = recorded(*pushes)
    assert len(known) == len(set(known)) == max(lengths)


def test_detailed_states_win_and_what_is_not_known_is_kept_as_such() -> None:
    found = statuses(a_push(line(1, "柜", "签收", statusCode="501"), line(0, "?", "新词", statusCode="9"), state="0"))
    assert found == ["unknown", "available_for_pickup"]
    assert statuses(a_push(line(1, "x"), state="77")) == ["unknown"]


def test_a_number_keeps_the_carrier_that_it_was_booked_with() -> None:
    moved = a_push(LINE, status="polling", autoCheck="1", comOld="shunfeng", comNew="yuantong")
    assert read(moved).carrier == "shunfeng"


def test_an_answer_to_a_query_is_read_as_a_push_is() -> None:
    push = a_push(LINE, state="1")
    assert read(push["lastResult"]) == read(push)


def test_what_is_there_and_empty_says_nothing_more() -> None:
    """If the state is null, the text of the newest line decides."""
    assert statuses(a_push({**LINE, "statusCode": None}, state=None, comOld=None, comNew=None)) == ["picked_up"]
    assert statuses(a_push({**LINE, "status": None}, state=None)) == ["in_transit"]


@pytest.mark.parametrize("push", [a_push(), a_push(status="abort", message="3天查询无记录")])
def test_what_has_no_history_says_nothing(push: dict[str, Any]) -> None:
    with pytest.raises(Skipped):
        read(push)


@pytest.mark.parametrize(
    ("push", "field"),
    [
        ({"status": "polling"}, "com"),
        (a_push({**LINE, "time": "yesterday"}), "lastResult.data.0.time"),
        (a_push({**LINE, "time": "0001-01-01 00:00:00"}), "lastResult.data.0.time"),
        (a_push(LINE, status="new"), "status"),
        ([], "no JSON object"),
    ],
)
def test_what_cannot_be_read_names_its_field(push: Any, field: str) -> None:
    with pytest.raises(BadInput, match=field):
        parse_push(json.dumps(push).encode())
    with pytest.raises(BadInput):
        parse_push(b"{")


def signed(param: str, salt: str = SALT, **more: str) -> bytes:
    return urlencode({"param": param, "sign": digest(param, salt), **more}).encode()


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40))
def test_what_is_signed_with_the_salt_is_opened_as_it_came(text: str) -> None:
    body = signed(text)
    assert Kuaidi100Notices().open([], body, ["another", SALT], 0) == [text.encode()]


def test_a_digest_is_that_of_any_other_md5_in_capitals() -> None:
    """The value is md5sum's, of the message and the salt."""
    assert digest('{"a":"中"}', "salt") == "FD4C57C4682284788C7647F4E5427DF4"
    body = urlencode({"param": "{}", "sign": digest("{}", SALT).lower()}).encode()
    assert Kuaidi100Notices().open([], body, [SALT], 0) == [b"{}"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"param={}",
        urlencode({"param": "{}", "sign": digest("{}", "other")}).encode(),
        urlencode({"param": "{} ", "sign": digest("{}", SALT)}).encode(),
        signed("{}") + b"&param=%7B%7D",
        urlencode({"param": "{}", "sign": digest("{}", "")}).encode(),
        "param=é".encode(),
        urlencode({"param": "{}", "sign": "签" * 32}).encode(),
        b"param=%ff&sign=" + digest("{}", SALT).encode(),
    ],
)
def test_what_is_not_signed_so_is_forged(body: bytes) -> None:
    with pytest.raises(Forged):
        Kuaidi100Notices().open([], body, [SALT, ""], 0)
