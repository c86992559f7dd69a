"""`oms-es cutover`: another system's orders and stock are compared with ours, differences are named, and an export
equals ours.
"""

from __future__ import annotations

import csv
import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import fresh_database
from oms_es.app import engine_on, migrate
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.demo.workload import Workload
from oms_es.exit_codes import Code

THEN = "1000"
"""A position at which some orders were placed, and some had not come yet."""
Oms = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def lived_in(embedded_server: EmbeddedPostgres) -> Iterator[str]:
    with fresh_database(embedded_server) as url:
        with engine_on(url) as engine:
            for batch in Workload(9, 80).steps(20):
                engine.submit("test", batch)
            engine.settle()
        yield url


@pytest.fixture
def database_url(lived_in: str) -> str:
    """Return the URL of the database that the fixture filled, for the commands too."""
    return lived_in


@pytest.fixture
def handed_over(oms: Oms, tmp_path: Path) -> Path:
    assert oms("cutover", "export", str(tmp_path / "out"))[0] == Code.OK
    return tmp_path / "out"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def rewritten(path: Path, rows: list[dict[str, str]]) -> str:
    with path.open("w") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def compared(oms: Oms, *arguments: str) -> tuple[int, dict[str, Any]]:
    code, said, _ = oms("cutover", "compare", "--json", *arguments)
    return code, json.loads(said)


def test_what_is_exported_is_equal_to_itself(oms: Oms, handed_over: Path) -> None:
    orders, stock = handed_over / "orders.csv", handed_over / "stock.csv"
    code, found = compared(oms, "--orders", str(orders), "--stock", str(stock))
    assert code == Code.OK
    assert (found["orders"]["equal"], found["stock"]["equal"]) == (len(rows_of(orders)), len(rows_of(stock)))
    assert found["orders"]["equal"] > 70


def test_every_kind_of_difference_is_named(oms: Oms, handed_over: Path) -> None:
    orders = rows_of(handed_over / "orders.csv")
    gone, other, *_ = orders
    orders[0] = {**gone, "external_id": "never-sent"}
    orders[1] = {**other, "total_minor": str(int(other["total_minor"]) + 1), "state": "merged"}
    code, found = compared(oms, "--orders", rewritten(handed_over / "theirs.csv", orders))
    assert code == Code.DIFFERENT
    named = {(one["key"], one["kind"], one["field"]) for one in found["orders"]["differences"]}
    of_other = f"{other['channel']}/{other['external_id']}"
    assert named == {
        (f"{gone['channel']}/{gone['external_id']}", "missing_there", ""),
        (f"{gone['channel']}/never-sent", "missing_here", ""),
        (of_other, "differs", "total_minor"),
        (of_other, "differs", "state"),
    }
    assert found["orders"]["equal"] == len(orders) - 2


def test_only_what_is_asked_is_compared(oms: Oms, handed_over: Path) -> None:
    orders = rows_of(handed_over / "orders.csv")
    half = [{**row, "captured_minor": "1"} for row in orders[::2]]
    listed = rewritten(handed_over / "half.csv", half)
    assert compared(oms, "--orders", listed, "--only-listed", "--figures", "state,units")[0] == Code.OK
    assert compared(oms, "--orders", listed, "--figures", "state,units")[1]["orders"]["missing_there"] > 0
    late = max(row["placed_at"] for row in orders)
    of_others = ("--since", "2030-01-01")
    assert compared(oms, "--orders", listed, "--figures", "state", *of_others)[0] == Code.OK
    assert compared(oms, "--orders", listed, "--figures", "state", "--until", late)[0] == Code.DIFFERENT


def test_as_of_a_moment_what_stood_there_then_is_compared(oms: Oms, tmp_path: Path, handed_over: Path) -> None:
    then = tmp_path / "then"
    assert oms("cutover", "export", str(then), "--at", THEN)[0] == Code.OK
    orders = str(then / "orders.csv")
    assert len(rows_of(then / "orders.csv")) < len(rows_of(handed_over / "orders.csv"))
    assert compared(oms, "--orders", orders, "--stock", str(then / "stock.csv"), "--at", THEN)[0] == Code.OK
    assert compared(oms, "--orders", orders)[0] == Code.DIFFERENT


def test_what_takes_over_ships_nothing_twice(
    handed_over: Path, embedded_server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch, oms: Oms
) -> None:
    orders = [json.loads(line) for line in (handed_over / "orders.jsonl").read_text().splitlines()]
    placeable = [order for order in orders if order.get("kind") != "exchange"]
    (handed_over / "placeable.jsonl").write_text("".join(json.dumps(order) + "\n" for order in placeable))
    assert stat.S_IMODE((handed_over / "orders.jsonl").stat().st_mode) == 0o600
    with fresh_database(embedded_server) as url:
        migrate(url)
        monkeypatch.setenv("OMS_DATABASE_URL", url)
        code, said, why = oms("orders", "import", str(handed_over / "placeable.jsonl"), "--json")
        assert (code, json.loads(said)["placed"]) == (Code.OK, len(placeable)), why
        with engine_on(url) as engine:
            engine.settle()
        rows = [row for row in rows_of(handed_over / "orders.csv") if row["state"] in ("completed", "cancelled")]
        ended = rewritten(handed_over / "ended.csv", rows)
        known = {order["external_id"] for order in placeable}
        _, found = compared(oms, "--orders", ended, "--figures", "state", "--only-listed")
        assert [one for one in found["orders"]["differences"] if one["key"].partition("/")[2] in known] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("channel,state\nweb,open\n", "has no column external_id"),
        ("channel,external_id\nweb,1\n", "has no figure to compare"),
        ("channel,external_id,state\nweb,1,shipped\n", "line 2: state"),
        ("channel,external_id,units\nweb,1,2\nweb,1,2\n", "line 3: web/1 is on line 2, too"),
        ("channel,external_id,units\nweb,1\n", "line 2: 2 cells where the header has 3"),
        ('{"channel": "web", "external_id": "1", "units": 1.5}\n', "line 1: units"),
        ("{\n", "line 1"),
        ("", "has no column channel"),
    ],
)
def test_a_file_that_cannot_be_compared_says_what_to_mend(oms: Oms, tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "theirs"
    file.write_text(text)
    code, _, why = oms("cutover", "compare", "--orders", str(file))
    assert (code, said in why) == (Code.USAGE, True), why


def test_a_file_without_rows_does_not_pass_for_equal(oms: Oms, tmp_path: Path) -> None:
    file = tmp_path / "theirs.csv"
    file.write_text("channel,external_id,state\n")
    code, found = compared(oms, "--orders", str(file))
    assert (code, found["orders"]["missing_there"] > 70) == (Code.DIFFERENT, True)


def test_stock_that_is_nowhere_may_be_left_out(oms: Oms, handed_over: Path) -> None:
    stock = rows_of(handed_over / "stock.csv")
    nothing = {**stock[0], "sku": "never-seen", **dict.fromkeys(("on_hand", "reserved", "inbound"), "0")}
    nothing |= {"damaged": "0", "quarantine": "0"}
    assert compared(oms, "--stock", rewritten(handed_over / "more.csv", [*stock, nothing]))[0] == Code.OK
