"""Which canonical orders are accepted and which are refused, and that each refusal says what to do next."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_es.channels import DIALECTS
from oms_es.channels.canonical import TYPES, of_channel
from oms_es.channels.canonical import parse as read
from oms_es.channels.errors import DETAIL_CHARACTERS_MAX
from oms_es.kernel import BadInput, Command
from oms_es.schemas.order import (
    AmendOrder,
    CancelOrder,
    LineUnits,
    PlaceOrder,
    RecordChannelRefund,
    RecordFulfilment,
    early_names,
    order_id_of,
)
from oms_es.schemas.values.types import AMOUNT_MINOR_MAX, LINE_UNITS_MAX

ORDER: dict[str, Any] = {
    "channel": "web",
    "external_id": "1001",
    "placed_at": "2026-01-05T10:00:00+01:00",
    "currency": "EUR",
    "lines": [{"line_id": "1", "sku": "mug", "quantity": 2, "unit_price_minor": 1999}],
    "ship_to": {"country": "DE"},
}
LINE = ORDER["lines"][0]


def parse(line: bytes | str) -> PlaceOrder:
    command = read(line)
    assert isinstance(command, PlaceOrder)
    return command


def refusal(line: bytes | str) -> BadInput:
    with pytest.raises(BadInput) as refused:
        read(line)
    assert "\n" not in refused.value.detail
    assert "http" not in refused.value.detail
    return refused.value


def refusal_of(**changes: Any) -> BadInput:
    return refusal(json.dumps(ORDER | changes))


def test_an_order_is_read_from_bytes_and_text() -> None:
    order = parse(json.dumps(ORDER).encode())
    assert order == parse(json.dumps(ORDER)) == DIALECTS["canonical"](json.dumps(ORDER).encode())
    assert (order.total_minor, order.ship_to.country) == (3998, "DE")


PRESALE: dict[str, Any] = {
    "kind": "presale",
    "deposit_minor": 998,
    "available_by": "2026-03-01T00:00:00Z",
    "balance_due_seconds": 86_400,
}


@pytest.mark.parametrize(
    "kind",
    [
        {"priority": 9, "delivery_option": "express", "allow_split": False},
        {"tenders": [{"method": "gift_card", "payment_token": "g", "amount_minor": 3998}]},
        PRESALE,
        {"kind": "exchange", "exchange_of": "rma-1", "credit_minor": 9999},
    ],
)
def test_an_order_of_every_kind_is_read(kind: dict[str, Any]) -> None:
    order = parse(json.dumps(ORDER | kind))
    assert order.fingerprint != parse(json.dumps(ORDER)).fingerprint


@pytest.mark.parametrize(
    "kind",
    [
        {"priority": 10},
        {"deposit_minor": 1},
        {"available_by": "2026-03-01T00:00:00Z"},
        PRESALE | {"deposit_minor": 3999},
        PRESALE | {"tenders": [{"payment_token": "g", "amount_minor": 1}]},
        {"kind": "exchange"},
        {"exchange_of": "rma-1"},
        {"credit_minor": 1},
        {"tenders": [{"payment_token": "g", "amount_minor": 3999}]},
        {
            "kind": "exchange",
            "exchange_of": "r",
            "credit_minor": 1,
            "tenders": [{"payment_token": "g", "amount_minor": 3998}],
        },
    ],
)
def test_an_order_that_contradicts_its_kind_is_refused(kind: dict[str, Any]) -> None:
    assert refusal_of(**kind).reason == "invalid_order"


def test_what_the_program_writes_it_reads_again() -> None:
    order = parse(json.dumps(ORDER))
    assert parse(order.model_dump_json()).fingerprint == order.fingerprint


@pytest.mark.parametrize("line", [b"", b"not json", b'{"channel": "web"', b"\xff\xfe", '{"channel": "\\ud800"}'])
def test_what_is_no_json_is_called_so(line: bytes | str) -> None:
    assert refusal(line).reason == "not_json"


@pytest.mark.parametrize("line", [b"[]", b"null", b"1", b'"order"'])
def test_json_that_is_no_object_is_no_order(line: bytes) -> None:
    assert refusal(line).reason == "invalid_order"


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"lines": []}, "lines: "),
        ({"lines": [LINE | {"quantity": 0}]}, "lines.0.quantity: "),
        ({"lines": [LINE | {"unit_price_minor": 19.99}]}, "lines.0.unit_price_minor: "),
        ({"lines": [LINE | {"unit_price_minor": "1999"}]}, "lines.0.unit_price_minor: "),
        ({"lines": [LINE | {"sku": "a mug"}]}, "lines.0.sku: "),
        ({"lines": [LINE, LINE]}, "order: line ids repeat"),
        ({"placed_at": "2026-01-05T10:00:00"}, "placed_at: "),
        ({"discount_minor": 4000}, "order: the discount exceeds the order"),
        ({"ship_to": {"country": "Germany"}}, "ship_to.country: "),
        ({"colour": "blue"}, "colour: "),
    ],
)
def test_an_invalid_order_is_reported_by_its_field(changes: dict[str, Any], names: str) -> None:
    refused = refusal_of(**changes)
    assert refused.reason == "invalid_order"
    assert refused.detail.startswith(names)


def test_several_problems_are_counted_and_the_detail_stays_short() -> None:
    detail = refusal_of(currency="euro", channel="The Web").detail
    assert "channel: String should match" in detail
    assert "currency: String should match" in detail
    assert len(refusal_of(**{"x\n" * 1000: 1}).detail) <= DETAIL_CHARACTERS_MAX


def test_a_value_is_not_repeated_in_the_refusal() -> None:
    assert "Elm Street" not in refusal_of(ship_to={"street": "1 Elm Street" + "!" * 500, "country": "DE"}).detail


@pytest.mark.parametrize(
    "changes",
    [
        {"lines": [LINE | {"quantity": LINE_UNITS_MAX + 1}]},
        {"lines": [LINE | {"unit_price_minor": AMOUNT_MINOR_MAX}]},
        {"tax_minor": AMOUNT_MINOR_MAX + 1},
        {"shipping_minor": AMOUNT_MINOR_MAX, "discount_minor": AMOUNT_MINOR_MAX},
        {"placed_at": "0001-01-01T00:00:00+14:00"},
        {"placed_at": "9999-12-31T23:59:59-12:00"},
    ],
)
def test_numbers_beyond_what_a_database_keeps_are_refused(changes: dict[str, Any]) -> None:
    assert refusal_of(**changes).reason in {"out_of_range", "invalid_order"}


def test_the_greatest_numbers_are_taken() -> None:
    line = LINE | {"quantity": LINE_UNITS_MAX, "unit_price_minor": AMOUNT_MINOR_MAX // LINE_UNITS_MAX}
    assert parse(json.dumps(ORDER | {"lines": [line]})).demand == {"mug": LINE_UNITS_MAX}


@pytest.mark.parametrize("written", ["20260105", "2026", "0", "-5", "1767601800", "1767601800.5", 1767601800, ""])
def test_a_number_is_no_time_though_seconds_since_1970_could_be_read_of_it(written: str | int) -> None:
    with pytest.raises(BadInput, match=r"placed_at: (a date with its time|Input should be a valid datetime)"):
        read(json.dumps(ORDER | {"placed_at": written}))


@pytest.mark.parametrize("written", ["2026-01-05T09:30:00+01:00", "2026-01-05t08:30z", "2026-01-05 14:15:00+05:45"])
def test_a_time_is_read_as_the_standards_write_it(written: str) -> None:
    at = read(json.dumps(ORDER | {"placed_at": written}))
    assert isinstance(at, PlaceOrder)
    assert at.placed_at.astimezone(UTC) == datetime(2026, 1, 5, 8, 30, tzinfo=UTC)


def test_a_time_that_is_none_says_what_of_it_is_wrong() -> None:
    with pytest.raises(BadInput, match="hour value is outside expected range"):
        read(json.dumps(ORDER | {"placed_at": "2026-01-05T24:00:00Z"}))


def test_a_nul_character_is_refused() -> None:
    assert refusal_of(external_id="1\x00").reason == "nul_character"
    assert refusal(json.dumps(ORDER | {"external_id": "1\x00"}).encode()).reason == "nul_character"


texts = st.text("aZ1 @\x00\n", max_size=4)
scalars: Any = st.none() | st.booleans() | st.integers() | st.floats() | texts
json_values = scalars | st.lists(scalars, max_size=2) | st.dictionaries(texts, scalars, max_size=2)


@given(st.dictionaries(st.sampled_from([*PlaceOrder.model_fields, "other"]), json_values))
def test_whatever_comes_is_an_order_or_bad_input(changes: dict[str, Any]) -> None:
    try:
        order = parse(json.dumps(ORDER | changes))
    except BadInput as bad:
        assert bad.reason in {"not_json", "invalid_order", "out_of_range", "nul_character"}
    else:
        assert 0 <= order.total_minor <= AMOUNT_MINOR_MAX


@given(st.binary(max_size=50))
def test_noise_is_bad_input(line: bytes) -> None:
    refusal(line)


def test_a_card_number_in_the_place_of_a_token_is_refused_and_not_repeated() -> None:
    number = "4242 4242 4242 4242"
    tender = {"payment_token": number, "amount_minor": 1}
    method = {"method": number, "payment_token": "t", "amount_minor": 1}
    places: tuple[dict[str, Any], ...] = (
        {"payment_token": number},
        {"tenders": [tender]},
        {"tenders": [method]},
        {"delivery_option": number},
    )
    for refused in (refusal_of(**place) for place in places):
        assert "card number" in refused.detail
        assert "4242" not in refused.detail


NAMED = {"channel": "web", "external_id": "1001"}
ID = order_id_of("web", "1001")
EARLY = early_names("web", "1001")
UNITS = [{"line_id": "1", "quantity": 1}]


@pytest.mark.parametrize(
    ("reported", "command"),
    [
        (
            {"type": "AmendOrder", "amendment_id": "a1", "revision": 2, "shipping_minor": 0},
            AmendOrder(**EARLY, amendment_id="a1", revision=2, shipping_minor=0),
        ),
        ({"type": "CancelOrder", "reason": "late"}, CancelOrder(**EARLY, reason="late")),
        (
            {"type": "RecordFulfilment", "fulfilment_id": "f1", "lines": UNITS},
            RecordFulfilment(**EARLY, fulfilment_id="f1", lines=(LineUnits(line_id="1", quantity=1),)),
        ),
        (
            {"type": "RecordChannelRefund", "refund_id": "r1"},
            RecordChannelRefund(**EARLY, refund_id="r1"),
        ),
    ],
    ids=lambda reported: reported["type"] if isinstance(reported, dict) else "",
)
def test_what_comes_after_an_order_names_it_as_its_channel_does(reported: dict[str, Any], command: Command) -> None:
    assert read(json.dumps(NAMED | reported)) == command
    assert read(json.dumps(NAMED | reported | {"external_id": " 1001 "})) == command, "spaces are taken away here, too"
    assert read(json.dumps(NAMED | reported).replace('"type"', '"\\u0074ype"')) == command
    for otherwise in ({"order_id": ID}, {"keep": False}, {"called": "x"}, {"colour": "red"}):
        assert refusal(json.dumps(NAMED | reported | otherwise)).reason == "invalid_order"
    assert refusal(json.dumps(reported)).detail.startswith("channel: ")


def test_an_order_may_say_that_it_is_one() -> None:
    assert parse(json.dumps({"type": "PlaceOrder", **ORDER})) == parse(json.dumps(ORDER))
    assert refusal_of(type="PlaceOrder", colour="red").reason == "invalid_order"
    assert refusal_of(type="PlaceOrder", lines=[LINE | {"quantity": 1.0}]).reason == "invalid_order"


@pytest.mark.parametrize("name", ["SourceOrder", "placeorder", "", None, 7, [], {}])
def test_a_type_that_no_channel_sends_is_refused_with_those_that_are(name: object) -> None:
    refused = refusal_of(type=name)
    assert refused.reason == "unknown_type"
    assert all(one in refused.detail for one in TYPES)


def test_where_one_channel_speaks_no_other_is_heard() -> None:
    speaks = of_channel("web")
    cancelled = {"type": "CancelOrder", "reason": "late", "external_id": "1001"}
    assert speaks(json.dumps(ORDER).encode()) == parse(json.dumps(ORDER))
    assert speaks(json.dumps(cancelled | {"channel": "web"}).encode()).stream == f"order-{ID}"
    for other in (ORDER | {"channel": "pos"}, cancelled | {"channel": "pos"}, ORDER | {"channel": "web2"}):
        with pytest.raises(BadInput) as refused:
            speaks(json.dumps(other).encode())
        assert refused.value.reason == "other_channel"
