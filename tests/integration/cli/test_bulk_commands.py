"""Commands in bulk pass the same checks as single ones, and each refused one is kept with its reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from oms_es.app import DECIDERS, bulk_commands, engine_on
from oms_es.cli.moving.commands import example_of
from oms_es.exit_codes import Code
from oms_es.kernel import BadInput

Oms = Callable[..., tuple[int, str, str]]
OFFERED = bulk_commands.offered(DECIDERS)
TRUE_TOGETHER = {"LimitAccount", "RefundOrder", "RequestReturn", "SetSeller"}
OPEN: tuple[str, dict[str, Any]] = ("OpenLocation", {"location": "berlin", "country": "DE"})
COUNT: tuple[str, dict[str, Any]] = (
    "CountStock",
    {"sku": "tea", "location": "berlin", "count_id": "opening", "quantity": 5},
)
ADJUST: tuple[str, dict[str, Any]] = (
    "AdjustStock",
    {"sku": "tea", "location": "berlin", "adjustment_id": "a", "quantity": -1, "reason": "broke"},
)


def written(directory: Path, lines: Iterable[tuple[str, dict[str, Any]]], name: str = "given.jsonl") -> str:
    file = directory / name
    file.write_text("".join(json.dumps({"command": command, "fields": fields}) + "\n" for command, fields in lines))
    return str(file)


def reasons(database_url: str) -> dict[str, str]:
    with psycopg.connect(database_url) as connection:
        return dict(connection.execute("SELECT place, reason FROM oms_dead_letters ORDER BY id").fetchall())


def listed(database_url: str, oms: Oms, what: str) -> str:
    with engine_on(database_url) as engine:
        engine.settle()
    return oms(what, "list")[1]


def test_each_may_name_what_the_lines_before_have_made(oms: Oms, tmp_path: Path) -> None:
    given = written(tmp_path, [OPEN, COUNT, ADJUST])
    assert json.loads(oms("commands", "import", given, "--json")[1])["changed"] == 3
    code, again, _ = oms("commands", "import", given)
    assert (code, again) == (Code.OK, "changed 0, repeated 3, rejected 0\n")


def test_what_is_refused_is_kept_and_the_others_are_taken(oms: Oms, tmp_path: Path, database_url: str) -> None:
    elsewhere = (COUNT[0], {**COUNT[1], "location": "bonn"})
    unheld = (ADJUST[0], {**ADJUST[1], "adjustment_id": "b", "quantity": -9})
    of_the_engine = ("RecordReservation", {"order_id": "web/1"})
    as_text = (COUNT[0], {**COUNT[1], "count_id": "c", "quantity": "5"})
    lines = [OPEN, elsewhere, COUNT, unheld, ("CuontStock", {}), of_the_engine, as_text, ADJUST]
    code, said, why = oms("commands", "import", written(tmp_path, lines))
    assert (code, said) == (Code.BURIED, "changed 3, repeated 0, rejected 5\n")
    assert "a corrected line may simply be imported again" in why
    assert reasons(database_url) == {
        "2": "unknown_location",
        "4": "not_there",
        "5": "no_command",
        "6": "no_command",
        "7": "invalid_command",
    }


def test_what_is_replayed_is_checked_again(oms: Oms, tmp_path: Path, database_url: str) -> None:
    oms("commands", "import", written(tmp_path, [COUNT, ("RecordReservation", {"order_id": "web/1"})]))
    assert oms("dead-letters", "replay", "--all")[0] != Code.OK
    oms("location", "open", "berlin", "--country", "DE")
    oms("dead-letters", "replay", "--all")
    with psycopg.connect(database_url) as connection:
        (still,) = connection.execute(
            "SELECT array_agg(place) FROM oms_dead_letters WHERE replayed_at IS NULL"
        ).fetchall()
    assert still == (["2"],)


def test_orders_are_named_as_in_the_terminal(oms: Oms, tmp_path: Path, database_url: str) -> None:
    fields = {"channel": "web", "external_id": "1", "placed_at": "2026-01-05T09:30:00Z", "currency": "EUR"}
    line = {"line_id": "1", "sku": "tea", "quantity": 1, "unit_price_minor": 1}
    placed = ("PlaceOrder", {**fields, "lines": [line], "ship_to": {"country": "DE"}})
    cancelled = ("CancelOrder", {"order_id": "web/1", "reason": "changed my mind"})
    assert (
        oms("commands", "import", written(tmp_path, [placed, cancelled]))[1]
        == "placed 1, changed 1, repeated 0, rejected 0\n"
    )
    assert "cancelled" in listed(database_url, oms, "orders")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sku,location,quantity\n", "needs a column for count_id"),
        ("sku,location,count_id,quantiti\n", "did you mean quantity?"),
        ("sku,sku,count_id,quantity\n", "column 'sku' is there twice"),
        ("sku,location,count_id,quantity\ntea,berlin,c\n", "line 2: 3 cells where the header has 4 columns"),
        ('sku,location,count_id,quantity\ntea,"berlin,c,1\n', "after line"),
        ("sku,location,count_id,quantity\n" + "x" * 1_100_000, "a line of more than"),
    ],
)
def test_a_table_that_is_no_list_of_the_command_says_what_to_mend(
    oms: Oms, tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "counted.csv"
    file.write_text(text)
    code, _, why = oms("commands", "import", str(file), "--csv", "CountStock")
    assert (code, said in why) == (Code.USAGE, True), why


def test_a_table_is_a_command_for_each_row(oms: Oms, tmp_path: Path, database_url: str) -> None:
    oms("commands", "import", written(tmp_path, [OPEN]))
    file = tmp_path / "counted.csv"
    file.write_text('\ufeffsku;location;count_id;quantity;serials\n"tea;250g";berlin;7;5;\n\nbox;berlin;o;1;[]\n')
    assert oms("commands", "import", str(file), "--csv", "CountStock")[1] == "changed 2, repeated 0, rejected 0\n"
    assert "tea;250g" in listed(database_url, oms, "stock")


@pytest.mark.parametrize("name", sorted(OFFERED))
def test_the_example_of_each_command_is_one_that_is_read(name: str) -> None:
    line = json.dumps({"command": name, "fields": example_of(OFFERED[name])}).encode()
    parse = bulk_commands.reader(DECIDERS)
    if name in TRUE_TOGETHER:  # an example says what one field takes, and some are true of several together
        return
    assert type(parse(line)) is OFFERED[name]


def test_a_line_that_says_a_name_twice_is_refused() -> None:
    fields = json.dumps(example_of(OFFERED["ReceiveStock"]))
    line = f'{{"command": "ReceiveStock", "fields": {fields[:-1]}, "quantity": 9}}}}'.encode()
    with pytest.raises(BadInput, match="quantity: it stands twice"):
        bulk_commands.reader(DECIDERS)(line)


def test_no_line_says_what_time_it_is() -> None:
    """Otherwise a line could remove a document before its retention is over."""
    parse = bulk_commands.reader(DECIDERS)
    fields = {"sha256": "0" * 64, "reason": "over"}
    with pytest.raises(BadInput, match="now"):
        parse(json.dumps({"command": "RemoveDocument", "fields": {**fields, "now": "2099-01-01T00:00:00Z"}}).encode())
    given: Any = parse(json.dumps({"command": "RemoveDocument", "fields": fields}).encode())
    assert abs(datetime.now(UTC) - given.now) < timedelta(minutes=1)
    assert "now" not in bulk_commands.stated(OFFERED["RemoveDocument"])


@pytest.mark.parametrize("line", [b"", b"[]", b'{"command": 1, "fields": {}}', b'{"command": "CountStock"}', b"\xff"])
def test_what_is_no_command_is_refused(line: bytes) -> None:
    with pytest.raises(BadInput):
        bulk_commands.reader(DECIDERS)(line)


def test_every_command_is_listed_and_shown(oms: Oms) -> None:
    listed = json.loads(oms("commands", "list", "--json")[1])
    assert [one["command"] for one in listed] == sorted(OFFERED)
    assert all(one["what"] for one in listed)
    shown = json.loads(oms("commands", "show", "CountStock", "--json")[1])
    assert {one["field"] for one in shown["fields"] if one["required"]} == {"sku", "location", "count_id", "quantity"}
