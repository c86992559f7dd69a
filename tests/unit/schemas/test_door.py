"""What a command brings in is checked and refused, and history written under the wider rule still loads."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from oms_es.door import STORED, brought_in
from oms_es.kernel import Command, SystemCommand
from oms_es.schemas import order as o
from oms_es.schemas import stock as s
from oms_es.schemas.catalog.item import DefineBundle
from oms_es.schemas.order.returns import RequestReturn
from oms_es.schemas.returns.rma import InspectRma
from oms_es.schemas.values import names
from oms_es.schemas.values.types import EARLIEST, LATEST, Identifier, Moment, expressible, shifted
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Cause, Codec, event_id_of
from oms_es.store.recorder import EventRow

LINE: dict[str, Any] = {"line_id": "1", "sku": "mug", "quantity": 1, "unit_price_minor": 1}
ORDER: dict[str, Any] = {
    "channel": "web",
    "external_id": "1",
    "placed_at": "2026-01-05T10:00:00+01:00",
    "currency": "EUR",
    "lines": [LINE],
    "ship_to": {"country": "DE"},
}
RECEIPT: dict[str, Any] = {"sku": "mug", "location": "berlin", "receipt_id": "1", "quantity": 1}
AT = datetime(2026, 1, 1, tzinfo=UTC)


class Named(Command):
    name: Identifier


class NamedByUs(SystemCommand):
    name: Identifier
    at: Moment = AT


def wrong(shape: type[Command], **fields: Any) -> list[str]:
    """Return the fields for which the command is refused."""
    with pytest.raises(ValidationError) as refused:
        shape.model_validate(fields)
    return [".".join(map(str, error["loc"])) for error in refused.value.errors()]


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        (" web-1\t", "web-1"),
        ("\ufeff\u200b x\u2060", "x"),
        ("cafe\u0301", "café"),
        ("\u212b", "Å"),
        ("a b", "a b"),
        ("\u0301", "\u0301"),
    ],
)
def test_a_name_is_trimmed_and_brought_to_normal_form_c(given_name: str, kept: str) -> None:
    assert Named(name=given_name).name == kept
    assert Named.model_validate_json(json.dumps({"name": given_name})).name == kept
    assert o.PlaceOrder.model_validate({**ORDER, "external_id": given_name}).order_id == o.order_id_of("web", kept)


def test_a_moment_is_cut_to_microseconds_and_stays_on_its_day() -> None:
    """PostgreSQL and others would round the digits that are left out, into the next year."""
    last = NamedByUs.model_validate_json('{"name": "x", "at": "2026-12-31T23:59:59.9999999Z"}')
    assert last.at == datetime(2026, 12, 31, 23, 59, 59, 999_999, UTC)
    assert json.loads(last.model_dump_json())["at"] == "2026-12-31T23:59:59.999999Z"


@pytest.mark.parametrize("code", [0, 9, 0x1B, 0x7F, 0x85, 0x61C, 0x200E, 0x2028, 0x202E, 0x2066, 0x2069, 0xD800])
def test_a_name_has_no_character_that_no_one_sees_or_that_turns_the_direction(code: int) -> None:
    assert wrong(Named, name=f"a{chr(code)}b") == ["name"]


@pytest.mark.parametrize(
    "code", [0xAD, 0x34F, 0x180E, 0x200B, 0x200C, 0x200D, 0x2060, 0x206A, 0x206F, 0x3164, 0xFEFF, 0xFFA0, 0xE0041]
)
def test_no_two_names_differ_by_a_character_that_no_one_sees(code: int) -> None:
    assert wrong(Named, name=f"W-{chr(code)}1") == ["name"]
    assert wrong(o.PlaceOrder, **ORDER | {"lines": [LINE | {"sku": f"m{chr(code)}ug"}]}) == ["lines.0.sku"]
    body = {**ORDER, "order_id": "o", "fingerprint": "f", "external_id": f"W-{chr(code)}1"}
    assert stored("OrderPlaced", body).external_id == body["external_id"]


def test_names_of_people_and_notes_keep_what_they_are_written_with() -> None:
    """A zero-width non-joiner is of the spelling of Persian names."""
    name = "\u0645\u0647\u200c\u0644\u0642\u0627"
    placed = o.PlaceOrder.model_validate({**ORDER, "notes": f"for {name}", "ship_to": {"country": "DE", "name": name}})
    assert (placed.ship_to.name, placed.notes) == (name, f"for {name}")


@pytest.mark.parametrize("name", ["split/x", "\uff53plit/x", "split\uff0fx", "\uff52eturn/1"])
def test_a_name_that_looks_like_one_of_the_engines_is_one(name: str) -> None:
    assert names.is_made(name)
    assert not names.is_made("\uff37-1")


@pytest.mark.parametrize(
    ("moment", "is_taken"),
    [
        ("1970-01-01T00:00:00+15:59", False),
        ("1970-01-01T15:59:00+15:59", True),
        ("1969-12-31T23:00:00-01:00", True),
        ("2199-12-31T23:59:00-15:59", False),
        ("2200-01-01T15:58:59+15:59", True),
    ],
)
def test_the_years_are_those_of_the_instant_not_of_where_it_is_said(moment: str, is_taken: bool) -> None:
    given_order = {**ORDER, "placed_at": moment}
    if is_taken:
        assert o.PlaceOrder.model_validate(given_order).placed_at == datetime.fromisoformat(moment)
    else:
        assert wrong(o.PlaceOrder, **given_order) == ["placed_at"]


@given(st.text(max_size=200))
def test_a_name_that_was_brought_in_is_brought_in_as_it_is(text: str) -> None:
    try:
        name = Named(name=text).name
    except ValidationError:
        return
    assert Named(name=name).name == name
    assert name.strip() == name
    assert 0 < len(name) <= 128


def test_a_name_that_grows_in_normal_form_must_still_fit() -> None:
    assert wrong(Named, name="\ufb2c" * 128) == ["name"]


def test_everything_that_is_wrong_is_named_at_once_however_deep() -> None:
    lines = [LINE | {"sku": "m\u202eug"}, LINE | {"line_id": "2", "quantity": 1_000_001}]
    assert wrong(o.PlaceOrder, **ORDER | {"placed_at": "1969-12-31T00:00:00Z", "lines": lines}) == [
        "placed_at",
        "lines.0.sku",
        "lines.1.quantity",
    ]


def test_two_names_that_are_one_once_they_are_trimmed_are_refused() -> None:
    lines = [LINE, LINE | {"line_id": "1 "}]
    with pytest.raises(ValidationError, match="line ids repeat"):
        o.PlaceOrder.model_validate({**ORDER, "lines": lines})
    assert wrong(DefineBundle, sku="set", components={"café": 1, "cafe\u0301": 2}) == ["components"]


@pytest.mark.parametrize(
    ("shape", "fields", "field"),
    [
        (s.ReceiveStock, RECEIPT | {"bin": "a\u202e"}, "bin"),
        (s.ReceiveStock, RECEIPT | {"lot_expires_at": "2200-01-01T00:00:00Z"}, "lot_expires_at"),
        (s.MoveStock, {"sku": "m", "location": "b", "move_id": "1", "quantity": 1, "to_location": "p",
                       "serials": ["a\x07"]}, "serials.0"),
        (InspectRma, {"rma_id": "r", "inspection_id": "i", "location": "b",
                      "lines": [{"line_id": "1", "quantity": 1, "grade": "opened", "disposition": "sellable",
                                 "bin": "b" * 65}]}, "lines.0.bin"),
        (InspectRma, {"rma_id": "r", "inspection_id": "i" * 61, "location": "b",
                      "lines": [{"line_id": "1", "quantity": 1, "grade": "opened", "disposition": "sellable"}]},
         "inspection_id"),
        (RequestReturn, {"order_id": "o", "rma_id": "r" * 61, "now": AT,
                         "lines": [{"line_id": "1", "quantity": 1, "reason": "other"}]}, "rma_id"),
        (o.HoldOrder, {"order_id": "o", "kind": "manual", "until": "1969-12-31T23:59:59Z"}, "until"),
    ],
)  # fmt: skip
def test_what_is_passed_on_is_as_strict_where_it_comes_in(
    shape: type[Command], fields: dict[str, Any], field: str
) -> None:
    assert wrong(shape, **fields) == [field]


@pytest.mark.parametrize("hours", [16, 23, -16, -23])
def test_an_offset_that_a_database_does_not_take_is_taken_in_utc(hours: int) -> None:
    moment = datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=hours)))
    until = o.HoldOrder(order_id="o", kind="manual", until=moment).until
    assert until is not None
    assert (until, until.utcoffset()) == (moment, timedelta(0))


@pytest.mark.parametrize("hours", [15, -15, 0])
def test_another_offset_is_kept_as_it_was_given(hours: int) -> None:
    moment = datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=hours)))
    until = o.HoldOrder(order_id="o", kind="manual", until=moment).until
    assert until is not None
    assert until.isoformat() == moment.isoformat()


@given(st.datetimes(timezones=st.timezones() | st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m)))))
def test_every_moment_of_history_can_be_expressed_everywhere(moment: datetime) -> None:
    kept = expressible(moment)
    in_utc = kept.astimezone(UTC)  # local times that a zone skips equal nothing in another zone
    assert kept in (EARLIEST, LATEST) or in_utc == moment.astimezone(UTC)
    assert abs(kept.utcoffset() or timedelta(0)) < timedelta(hours=16)


def test_a_term_added_at_the_end_of_the_calendar_ends_there() -> None:
    assert shifted(LATEST, timedelta(days=1)) == LATEST
    assert shifted(EARLIEST, timedelta(days=-1)) == EARLIEST
    assert shifted(AT, timedelta(days=1)) == AT + timedelta(days=1)
    assert s.lot_over_at(LATEST) == LATEST


WIDE = {
    **ORDER,
    "external_id": "1 \u202e",
    "placed_at": "0001-01-01T00:00:00+14:00",
    "available_by": "9999-12-31T23:59:59-18:00",
    "lines": [LINE | {"sku": "m\u202eug", "line_id": " 1", "quantity": 10**12}],
    "kind": "presale",
}


def stored(event: str, body: Any) -> Any:
    state = json.dumps(
        {"event": body, "schema_version": 1, "event_id": str(event_id_of("order-o", 1)), "recorded_at": AT.isoformat(),
         "caused_by": None, "correlation_id": "o", "actor": "test"}
    )  # fmt: skip
    return Codec(EVENTS).decode(EventRow("order-o", 1, event, state.encode())).event


def test_what_was_stored_under_the_wider_rule_loads_as_it_is() -> None:
    placed = stored("OrderPlaced", WIDE | {"order_id": "o", "fingerprint": "f"})
    assert (placed.external_id, placed.lines[0].line_id, placed.lines[0].quantity) == ("1 \u202e", " 1", 10**12)
    assert (placed.placed_at, placed.available_by) == (EARLIEST, LATEST)
    kept = stored("OrderAmendmentKept", {"order_id": "o", "amendment": {"order_id": "o", "amendment_id": " a\u202e"}})
    assert kept.amendment.amendment_id == " a\u202e"
    again = Codec(EVENTS)
    recorded = again.envelop("order-o", 1, placed, Cause("test"), AT)
    assert again.decode(EventRow("order-o", 1, "OrderPlaced", again.encode(recorded))).event == placed


def test_what_the_engine_asks_for_itself_may_carry_it_and_the_world_may_not() -> None:
    command = NamedByUs(name="1 \u202e")
    assert command.name == "1 \u202e"
    with pytest.raises(ValidationError, match="U\\+202E"):
        brought_in(command)
    assert brought_in(NamedByUs(name=" 1")).name == "1"
    assert Named.model_validate({"name": "1 \u202e"}, context=STORED).name == "1 \u202e"
