"""Every command of the vocabulary can be given by hand and previewed, and a refusal is one line."""

from __future__ import annotations

import json
import re
from collections import Counter
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import TypeAdapter

from oms_es.app import DECIDERS, PROJECTIONS, Engine
from oms_es.app.examples import example
from oms_es.app.verbs import verb_of, verbs
from oms_es.cli.entities import GIVEN_ELSEWHERE
from oms_es.cli.generated import command_of
from oms_es.cli.giving import before_and_after
from oms_es.cli.main import main
from oms_es.cli.terminal import who
from oms_es.door import BY_THE_CLOCK
from oms_es.exit_codes import Code
from oms_es.kernel import MigrationCommand, stream_fields
from oms_es.schemas import order as o
from oms_es.schemas import stock as s

VERBS = [verb for verb in verbs(DECIDERS) if verb.command not in GIVEN_ELSEWHERE]
LINES = '[{"line_id": "1", "sku": "A", "quantity": 2, "unit_price_minor": 300}]'
TOLD = {"channel": "web", "external-id": "7", "placed-at": "2026-01-01T12:00:00Z", "currency": "EUR", "lines": LINES}
PLACE = ["order", "place", *(part for name, value in TOLD.items() for part in (f"--{name}", value))]
PLACE += ["--ship-to", '{"country": "DE"}', "--json"]


def test_every_command_has_one_name_of_its_own() -> None:
    assert Counter((verb.group, verb.name) for verb in VERBS).most_common(1)[0][1] == 1
    accepted = {c for decider in DECIDERS for c in decider.accepts if not issubclass(c, MigrationCommand)}
    assert {verb.command for verb in VERBS} | set(GIVEN_ELSEWHERE) == accepted


def test_the_example_of_every_json_option_is_one_that_it_takes() -> None:
    options = [
        (name, field)
        for verb in VERBS
        for page in [help_of(verb)]
        for name, field in verb.command.model_fields.items()
        if f"--{name.replace('_', '-')} JSON|@FILE" in page
    ]
    for name, field in options:
        TypeAdapter(field.rebuild_annotation()).validate_json(example(name, field))
    assert len(options) > 40


def help_of(verb: Any) -> str:
    with redirect_stdout(StringIO()) as printed:
        main([verb.group, verb.name, "--help"])
    return re.sub(r"\s+", " ", printed.getvalue())


def test_every_wrong_field_is_named_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*PLACE, "--currency", "euro", "--channel", "The Web"]) == Code.USAGE
    said = capsys.readouterr().err
    assert "channel: " in said
    assert "currency: " in said


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: f"{verb.group} {verb.name}")
def test_every_command_explains_itself(verb: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb.group, verb.name, "--help"]) == Code.OK
    reported = capsys.readouterr().out
    fields = verb.command.model_fields
    by_the_clock = {name for name, field in fields.items() if BY_THE_CLOCK in field.metadata}
    assert all(
        f"--{name.replace('_', '-')}" in reported
        for name in fields.keys() - {*stream_fields(verb.command)} - by_the_clock
    )
    assert not by_the_clock or "--now" not in reported
    assert "--preview" in reported


def test_names_leave_out_what_the_group_says_already() -> None:
    assert verb_of(o.CancelOrder, ("order",)) == "cancel"
    assert verb_of(s.SetSafetyStock, ("stock",)) == "set-safety-stock"
    assert stream_fields(s.ReserveStock) == ["sku", "location"]
    assert stream_fields(o.PlaceOrder) == []


def test_what_is_given_as_text_becomes_what_the_field_is() -> None:
    command = command_of(o.CancelOrder, {"order_id": "web/7", "reason": "why"})
    assert command == o.CancelOrder(order_id=o.order_id_of("web", "7"), reason="why", called="web/7")
    expiry = command_of(s.ExpireReservation, {"sku": "A", "location": "b", "reservation_id": "r", "order_id": "o"})
    assert isinstance(expiry, s.ExpireReservation)
    assert expiry.now.tzinfo


def test_a_command_is_tried_given_and_given_again(oms: Any) -> None:
    receive = ("stock", "receive", "A", "berlin", "--receipt-id", "r", "--quantity", "5")
    assert oms("location", "open", "berlin", "--country", "DE")[0] == Code.OK
    code, out, _ = oms(*receive, "--preview", "--json")
    reported = json.loads(out)
    assert (code, [event["name"] for event in reported["events"]]) == (Code.OK, ["StockReceived"])
    assert [shelf["on_hand"] for shelf in reported["changed"]["physical"]] == [0, 5]
    assert oms("stock", "receive", "A", "berlin", "--receipt-id", "r", "--quantity", "5", "--preview")[1]
    assert oms(*receive) == (Code.OK, "2 StockReceived in stock-A@berlin\n", "")
    assert oms(*receive) == (Code.OK, "", "already done: it is so, and nothing changes\n")
    code, out, err = oms(*receive[:-1], "6")
    assert (code, out) == (Code.REFUSED, "")
    assert "quantity was 5 and is 6 now" in err
    assert oms(*receive, "--preview")[2] == "already done: it is so, and nothing changes\n"


def test_nested_fields_are_json_also_from_a_file(oms: Any, tmp_path: Path) -> None:
    code, out, _ = oms(*PLACE)
    assert (code, json.loads(out)[0]["name"]) == (Code.OK, "OrderPlaced")
    file = tmp_path / "lines.json"
    file.write_text(LINES)
    again = [f"@{file}" if part == LINES else part for part in PLACE]
    assert json.loads(oms(*again)[1]) == []


def test_what_only_the_engine_gives_is_not_offered_and_given_by_hand_only_as_a_logged_repair(
    oms: Any, database_url: str
) -> None:
    verb = ("stock", "expire-reservation", "A", "berlin", "--reservation-id", "r", "--order-id", "o")
    code, out, err = oms(*verb)
    assert (code, out) == (Code.USAGE, "")
    assert "--as-system" in err
    assert "expire-reservation" not in oms("stock", "--help")[1]
    assert "tracker" not in oms("--help")[1]
    number = ("numbering", "assign-order-number", "web", "--order-id", "web/7", "--as-system")
    oms(*PLACE)
    assert oms("numbering", "set-order-numbering", "web")[0] == Code.OK
    code, out, err = oms(*number, "--json")
    assert (code, json.loads(out)[0]["name"]) == (Code.OK, "OrderNumbered")
    assert "given as the system" in err
    assert "AssignOrderNumber" in err
    with psycopg.connect(database_url) as connection:
        actors = connection.execute("SELECT convert_from(state, 'UTF8')::jsonb ->> 'actor' FROM oms_events")
        assert [actor for (actor,) in actors if "as the system" in actor] == [f"{who()}, as the system"]
    events = json.loads(oms(*number[:-1], "--as-system", "--json")[1])
    assert events == []


PREVIEWED = (
    ("location", "open", "berlin", "--country", "DE"),
    ("delivery", "define-option", "express", "--transit-days-max", "2"),
    ("item", "describe", "A", "--weight-grams", "5"),
    ("numbering", "set-order-numbering", "web"),
    ("policy", "set-return-policy", "web", "--terms", "{}"),
)


@pytest.mark.parametrize("verb", PREVIEWED, ids=lambda verb: " ".join(verb[:2]))
def test_a_preview_reads_as_before_and_after_of_every_kind_of_state(oms: Any, verb: tuple[str, ...]) -> None:
    code, out, err = oms(*verb, "--preview")
    assert (code, err) == (Code.OK, "")
    assert "would be recorded" in out
    assert not set("{}'") & set(out)
    assert oms(*verb)[0] == Code.OK
    assert oms(*verb, "--preview")[0] == Code.OK


def test_a_preview_shows_what_is_placed_and_then_only_what_an_amendment_alters(oms: Any) -> None:
    place = PLACE[:-1]
    _, out, _ = oms(*place, "--preview")
    said = " ".join(out.split())
    for words in ("channel: web", "line_id 1, sku A, quantity 2, unit_price_minor 300", "country DE"):
        assert words in said
    assert not re.search(r"^ *(placed|content|to source) +- +-", out, re.MULTILINE)
    assert oms(*place)[0] == Code.OK
    _, out, _ = oms("order", "amend", "web/7", "--amendment-id", "a", "--shipping-minor", "40", "--preview")
    content = re.search(r"^ *content +(.*)$", out, re.MULTILINE)
    assert content is not None
    assert content[1].split() == ["shipping_minor:", "0", "shipping_minor:", "40"]


@pytest.mark.parametrize(
    ("old", "new", "was", "now"),
    [
        (None, "", "-", "-"),
        ({}, [], "-", "-"),
        (0, False, "0", "no"),
        ({}, {"a": {"b": [1, 2]}}, "-", "a: b (1, 2)"),
        ({"a": 1, "b": "x"}, {"a": 1, "b": ""}, "b: x", "b: -"),
        ([{"a": 1, "c": ()}], [{"a": 1}, {"a": {"b": 2}}], "a 1", "a 1\na (b 2)"),
        ("x" * 500, list(range(2)), "x" * 159 + "…", "0, 1"),
        (None, dict.fromkeys(range(14), 1), "-", "\n".join(f"{n}: 1" for n in range(12)) + "\n… and 2 more"),
    ],
)
def test_before_and_after_are_short_lines_and_nothing_that_is_there_is_hidden(
    old: Any, new: Any, was: str, now: str
) -> None:
    assert before_and_after(old, new) == (was, now)


def test_a_json_option_that_cannot_be_read_is_said_in_a_sentence(oms: Any, tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff")
    for file, said in ((tmp_path / "missing", "cannot be read"), (binary, "not text in UTF-8")):
        code, _, err = oms(*(f"@{file}" if part == LINES else part for part in PLACE))
        assert code == Code.USAGE
        assert said in " ".join(err.split())


def test_an_order_that_is_known_with_other_content_stays_as_it_is_and_is_no_success(oms: Any) -> None:
    assert oms(*PLACE)[0] == Code.OK
    otherwise = [part.replace('"quantity": 2', '"quantity": 3') for part in PLACE]
    code, out, err = oms(*otherwise)
    assert (code, [one["name"] for one in json.loads(out)]) == (Code.REFUSED, ["DuplicateConflictFound"])
    assert (err.count("\n"), "oms-es exceptions show duplicate_conflict/web/7" in err) == (1, True)
    code, out, _ = oms(*otherwise)
    assert (code, json.loads(out)) == (Code.REFUSED, []), "given again, it is still not what was placed"
    assert oms(*PLACE)[0] == Code.OK


def test_a_json_option_that_says_a_name_twice_is_refused(oms: Any) -> None:
    code, _, err = oms(*(part.replace('"quantity"', '"quantity": 1, "quantity"') for part in PLACE))
    assert code == Code.USAGE
    assert "quantity: it stands twice" in " ".join(err.split())


def test_what_cannot_be_done_is_one_line_that_says_what_to_do(oms: Any) -> None:
    code, out, err = oms("order", "cancel", "web/8", "--reason", "why")
    assert (code, out, err.count("\n")) == (Code.NOT_FOUND, "", 1)
    code, out, err = oms("stock", "receive", "A", "berlin", "--receipt-id", "r", "--quantity", "none")
    assert (code, out, err.count("\n")) == (Code.USAGE, "", 1)
    assert "quantity" in err
    assert oms(*("[" if part == LINES else part for part in PLACE))[0] == Code.USAGE


ZONES = '[{"transit_days": 2, "bands": [{"weight_grams_max": 1000, "price_minor": 490}]}]'
SERVICES = f'[{{"service": "parcel", "zones": {ZONES}}}]'


def test_a_quote_says_who_would_be_chosen_and_why_not_the_others(oms: Any, database_url: str) -> None:
    assert "location open" in oms("shipment", "quote", "berlin", "DE", "900")[2]
    oms("location", "open", "berlin", "--country", "DE")
    run_engine(database_url)
    assert "rates publish" in oms("shipment", "quote", "berlin", "DE", "900")[2]
    oms("rates", "publish", "dhl", "--version", "1", "--currency", "EUR", "--services", SERVICES)
    run_engine(database_url)
    code, reported, _ = oms("shipment", "quote", "berlin", "DE", "900", "900", "--json")
    assert code == Code.OK
    assert json.loads(reported)["quoted_minor"] == 980
    assert "dhl parcel would be chosen" in oms("shipment", "quote", "berlin", "DE", "900")[1]
    assert "takes no 1001 g" in oms("shipment", "quote", "berlin", "DE", "1001")[1]


def run_engine(url: str) -> None:
    with Engine(url) as engine:
        engine.settle()


def test_stock_is_shown_with_what_is_aside_on_its_way_in_lots_and_numbered(oms: Any, database_url: str) -> None:
    at = ("A", "berlin")
    oms("location", "open", "berlin", "--country", "DE")
    for verb, *options in (
        ("receive", "--receipt-id", "1", "--quantity", "5", "--lot", "L-7", "--lot-expires-at", "2098-03-01T00:00:00Z"),
        ("receive", "--receipt-id", "2", "--quantity", "2", "--bin", "shelf"),
        ("change-condition", "--change-id", "c", "--quantity", "1", "--condition", "damaged", "--bin", "shelf"),
        ("expect-inbound", "--inbound-id", "po", "--quantity", "9", "--promised-at", "2098-01-01T00:00:00Z"),
    ):
        assert oms("stock", verb, *at, *options)[0] == Code.OK
    assert (
        oms("serials", "receive", "A", "--location", "berlin", "--serials", '["N1"]', "--receipt-id", "n")[0] == Code.OK
    )
    with Engine(database_url) as engine:
        engine.settle()
    code, shown, _ = oms("stock", "show", "A", "--json")
    (level,) = json.loads(shown)
    assert (code, level["on_hand"], level["damaged"], level["inbound"]) == (Code.OK, 8, 1, 9)
    assert level["serials"] == ["N1"]
    assert sorted((place["bin"], place["lot"], place["condition"], place["quantity"]) for place in level["places"]) == [
        ("", "", "sellable", 1),
        ("", "L-7", "sellable", 5),
        ("shelf", "", "damaged", 1),
        ("shelf", "", "sellable", 1),
    ]
    _, table, _ = oms("stock", "show", "A")
    assert all(word in table for word in ("damaged", "quarantine", "inbound", "lots", "serials", "L-7", "2098-03-01"))


def test_read_models_are_rebuilt_by_name_or_all_of_them(oms: Any) -> None:
    oms("location", "open", "berlin", "--country", "DE")
    assert oms("stock", "receive", "A", "berlin", "--receipt-id", "r", "--quantity", "5")[0] == Code.OK
    code, reported, _ = oms("rebuild", "stock_levels", "stock_levels", "--json")
    assert code == Code.OK
    assert [(one["projection"], one["written"]) for one in json.loads(reported)] == [("stock_levels", 0)]
    code, reported, _ = oms("rebuild", "--all")
    assert code == Code.OK
    assert all(projection.name in reported for projection in PROJECTIONS)


@pytest.mark.parametrize("arguments", [(), ("nothing",), ("stock_levels", "--all")])
def test_which_read_models_are_to_be_rebuilt_must_be_said(oms: Any, arguments: tuple[str, ...]) -> None:
    code, _, said = oms("rebuild", *arguments)
    assert code == Code.USAGE
    assert "stock_levels" in said or "--all" in said


def test_the_version_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == Code.OK
    assert re.fullmatch(r"oms-es \d+\.\d+\.\d+\S*, schema \d+\n", capsys.readouterr().out)


CARD = "4111111111111111"


@pytest.mark.parametrize(
    "typed",
    [
        (CARD,),
        ("order", CARD),
        ("order", "show", "web/7", f"--{CARD}"),
        ("orders", "list", "--after", CARD, "--phase", CARD),
    ],
    ids=["command", "verb", "option", "value"],
)
def test_no_usage_error_repeats_a_card_number(capsys: pytest.CaptureFixture[str], typed: tuple[str, ...]) -> None:
    assert main(list(typed)) == Code.USAGE
    said = capsys.readouterr().err
    assert CARD not in said
    assert "************1111" in said
