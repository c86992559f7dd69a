"""An import counts what the file brought, and a file that holds no orders stops it before anything is kept."""

from __future__ import annotations

import gzip
import io
import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from conftest import reachable_directory
from oms_es.app import Engine
from oms_es.cli.main import main
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.exit_codes import Code

Oms = Callable[..., tuple[int, str, str]]


def order(external_id: str, sku: str = "A") -> dict[str, Any]:
    return {
        "channel": "web",
        "external_id": external_id,
        "placed_at": "2026-01-05T09:30:00+01:00",
        "currency": "EUR",
        "lines": [{"line_id": "1", "sku": sku, "quantity": 1, "unit_price_minor": 1000}],
        "ship_to": {"country": "DE"},
    }


def lines_of(*orders: Any) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in orders)


def written(directory: Path, content: bytes, name: str = "orders.jsonl") -> str:
    file = directory / name
    file.write_bytes(content)
    return str(file)


def letters(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM oms_dead_letters").fetchone()
    assert row
    return int(row[0])


def test_every_line_is_counted_as_what_became_of_it(oms: Oms, tmp_path: Path) -> None:
    reported = lines_of(order("1"), order("2"), order("1"), order("1", sku="B"), {"no": "order"})
    code, out, err = oms("orders", "import", written(tmp_path, reported), "--json")
    assert code == Code.BURIED
    assert json.loads(out) == {
        "accepted": 4,
        "placed": 2,
        "changed": 0,
        "repeated": 1,
        "conflicting": 1,
        "skipped": 0,
        "rejected": 1,
    }
    assert "dead-letters list" in err
    code, out, _ = oms("orders", "import", written(tmp_path, lines_of(order("2"), order("3"))))
    assert (code, out) == (Code.OK, "placed 1, repeated 1, conflicting 0, rejected 0\n")


def test_a_repeat_of_an_order_that_is_held_is_a_repeat_and_another_version_of_it_a_conflict(
    oms: Oms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMS_UNKNOWN_SKU", "hold")
    reported = lines_of(order("1"), order("1"), order("1", sku="B"), order("1"))
    code, out, _ = oms("orders", "import", written(tmp_path, reported))
    assert (code, out) == (Code.OK, "placed 1, repeated 2, conflicting 1, rejected 0\n")


@pytest.mark.parametrize("batches", [1, 2], ids=["in one file", "in two files"])
def test_a_repeated_callback_is_a_repeat_also_beside_another_of_the_same_parcel(
    oms: Oms, tmp_path: Path, batches: int
) -> None:
    seen, later = (
        {
            "object": "Tracker",
            "carrier": "ACME",
            "tracking_code": "T1",
            "status": status,
            "updated_at": moment,
            "tracking_details": [{"status": status, "message": "seen", "datetime": moment}],
        }
        for status, moment in (("in_transit", "2026-01-05T10:00:00Z"), ("delivered", "2026-01-06T10:00:00Z"))
    )
    files = [[seen, seen, later, seen]] if batches == 1 else [[seen], [seen, later, seen]]
    counts: Counter[str] = Counter()
    for reported in files:
        code, out, err = oms(
            "callbacks", "import", written(tmp_path, lines_of(*reported)), "--format", "easypost_tracker", "--json"
        )
        assert code == Code.OK, err
        counts.update(json.loads(out))
    assert (counts["changed"], counts["repeated"]) == (2, 2)


def test_orders_that_wait_because_no_location_is_open_are_said_to(oms: Oms, tmp_path: Path) -> None:
    file = written(tmp_path, lines_of(order("1")))
    for _ in range(2):
        code, out, err = oms("orders", "import", file)
        assert (code, "no location is open" in err, "oms-es location open" in err) == (Code.OK, True, True)
        assert "no location" not in out
    assert oms("location", "open", "berlin", "--country", "DE")[0] == Code.OK
    with Engine(os.environ["OMS_DATABASE_URL"]) as engine:
        engine.settle()
    assert "no location" not in oms("orders", "import", file)[2]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_standard_input_is_read_also_where_it_is_packed(
    oms: Oms,
    monkeypatch: pytest.MonkeyPatch,
    packed: bool,
) -> None:
    content = lines_of(*(order(str(n)) for n in range(3)))
    given = io.TextIOWrapper(io.BytesIO(gzip.compress(content) if packed else content))
    monkeypatch.setattr(sys, "stdin", given)
    code, out, _ = oms("orders", "import", "-", "--json")
    assert (code, json.loads(out)["placed"]) == (Code.OK, 3)


def test_a_gzip_file_is_unpacked_whatever_its_name_and_however_many_parts_it_has(oms: Oms, tmp_path: Path) -> None:
    packed = gzip.compress(lines_of(order("1"))) + gzip.compress(lines_of(order("2")))
    code, out, _ = oms("orders", "import", written(tmp_path, packed, "orders.dat"), "--json")
    assert (code, json.loads(out)["placed"]) == (Code.OK, 2)


def test_a_gzip_file_that_breaks_off_says_that_the_rest_is_missing_and_may_come_again(oms: Oms, tmp_path: Path) -> None:
    content = lines_of(*(order(str(n)) for n in range(2_000)))
    packed = gzip.compress(content)
    code, said, err = oms("orders", "import", written(tmp_path, packed[: len(packed) // 2]), "--json")
    assert (code, err.count("\n")) == (Code.USAGE, 1)
    assert "breaks off" in err
    code, out, _ = oms("orders", "import", written(tmp_path, packed), "--json")
    outcome = json.loads(out)
    assert code == Code.OK
    assert outcome["placed"] + outcome["repeated"] == 2_000
    assert outcome["repeated"] == json.loads(said)["placed"] > 0, "what came before the break was taken"


def test_of_a_short_gzip_file_that_breaks_off_every_whole_line_is_taken(oms: Oms, tmp_path: Path) -> None:
    packed = gzip.compress(lines_of(*(order(str(n)) for n in range(30))))[:-8]
    code, out, err = oms("orders", "import", written(tmp_path, packed))
    assert (code, out) == (Code.USAGE, "placed 30, repeated 0, conflicting 0, rejected 0\n")
    assert "what came before is taken" in err


def test_a_file_that_is_packed_twice_is_to_be_unpacked(oms: Oms, tmp_path: Path, database_url: str) -> None:
    packed = gzip.compress(gzip.compress(lines_of(order("1"))))
    code, out, err = oms("orders", "import", written(tmp_path, packed))
    assert (code, out, letters(database_url)) == (Code.USAGE, "", 0)
    assert "unpack it" in err


PRETTY = json.dumps(order("1"), indent=2).encode()
LISTED = json.dumps([order("1"), order("2")]).encode()
INSTEAD: dict[str, tuple[bytes, str]] = {
    "one order over several lines": (PRETTY, "jq -c ."),
    "a list over several lines": (json.dumps([order("1"), order("2")], indent=2).encode(), "jq -c '.[]'"),
    "a list that begins with an order": (b"[" + json.dumps(order("1")).encode() + b",\n" + LISTED[1:], "jq -c"),
    "a list in one line": (LISTED, "jq -c '.[]'"),
    "an export in one line": (json.dumps({"orders": [order("1")]}).encode(), "jq -c '.orders[]'"),
    "a table": (b"channel,external_id\n" + b"".join(b"web,%d\n" % n for n in range(200)), "--format"),
    "a zip archive": (b"PK\x03\x04" + bytes(100), "unpack it"),
    "UTF-16": (json.dumps(order("1")).encode("utf-16"), "UTF-8"),
}


@pytest.mark.parametrize("what", INSTEAD)
def test_a_file_that_is_not_a_line_for_each_stops_at_once_in_one_sentence(
    oms: Oms, tmp_path: Path, database_url: str, what: str
) -> None:
    content, advice = INSTEAD[what]
    code, out, err = oms("orders", "import", written(tmp_path, content))
    assert (code, out, err.count("\n"), letters(database_url)) == (Code.USAGE, "", 1, 0)
    assert advice in err
    assert "unexpected" not in err


def test_anyone_who_wants_it_so_keeps_every_line_of_it_as_a_dead_letter(
    oms: Oms, tmp_path: Path, database_url: str
) -> None:
    content = b"".join(b"line %d\n" % n for n in range(150))
    code, out, _ = oms("orders", "import", written(tmp_path, content), "--anyway", "--json")
    assert (code, json.loads(out)["rejected"], letters(database_url)) == (Code.BURIED, 150, 150)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_a_line_that_is_nested_deeper_than_anyone_reads_is_one_dead_letter(
    oms: Oms, tmp_path: Path, database_url: str, opening: bytes
) -> None:
    content = opening * 5_000 + b"\n" + json.dumps(order("1")).encode()
    code, out, _ = oms("orders", "import", written(tmp_path, content), "--json")
    reported = json.loads(out)
    assert (code, reported["placed"], reported["rejected"], letters(database_url)) == (Code.BURIED, 1, 1, 1)


def test_a_few_bad_lines_are_dead_letters_as_ever(oms: Oms, tmp_path: Path, database_url: str) -> None:
    content = b"".join(b"line %d\n" % n for n in range(3))
    code, out, _ = oms("orders", "import", written(tmp_path, content), "--json")
    assert (code, json.loads(out)["rejected"], letters(database_url)) == (Code.BURIED, 3, 3)


@pytest.mark.parametrize("name", ["", "missing.jsonl"], ids=["a directory", "nothing"])
def test_what_cannot_be_read_has_a_sentence_of_its_own(oms: Oms, tmp_path: Path, name: str) -> None:
    code, out, err = oms("orders", "import", str(tmp_path / name))
    assert (code, out, err.count("\n")) == (Code.USAGE, "", 1)
    assert "cannot be read" in err


def test_an_empty_file_brings_nothing(oms: Oms, tmp_path: Path) -> None:
    for content in (b"", b"\n\n", gzip.compress(b"")):
        code, out, _ = oms("orders", "import", written(tmp_path, content), "--json")
        assert (code, json.loads(out)["accepted"]) == (Code.OK, 0)
        assert "nothing was in it" in oms("orders", "import", written(tmp_path, content))[2]
    written(tmp_path, b"", "none")
    said = oms("callbacks", "import", str(tmp_path / "none"), "--format", "stripe")
    assert said[1] == "changed 0, repeated 0, rejected 0\n"


def test_what_is_imported_alone_is_gone_on_with_before_the_command_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with reachable_directory() as directory:
        home = directory / "home"
        monkeypatch.setenv("OMS_HOME", str(home))
        monkeypatch.setenv("OMS_GATEWAYS", "simulated")
        assert main(["location", "open", "berlin", "--country", "DE"]) == Code.OK
        stock = ["stock", "receive", "A", "berlin", "--receipt-id", "r", "--quantity", "100"]
        assert main(stock) == Code.OK
        capsys.readouterr()
        file = written(tmp_path, lines_of(*(order(str(n)) for n in range(100))))
        assert main(["orders", "import", file]) == Code.OK
        assert capsys.readouterr().out == "placed 100, repeated 0, conflicting 0, rejected 0\n"
        with EmbeddedPostgres(home).open(exclusive=False) as server, psycopg.connect(server.url) as connection:
            phases = connection.execute("SELECT phase, count(*) FROM order_status GROUP BY phase").fetchall()
    assert phases == [("completed", 100)]


DISPUTE = {
    "object": "event",
    "type": "charge.dispute.created",
    "data": {"object": {"id": "dp_1", "amount": 100, "currency": "eur", "charge": "ch_1", "status": "needs_response"}},
}
TRACKER = {
    "object": "Tracker",
    "carrier": "USPS",
    "tracking_code": "N1",
    "status": "in_transit",
    "updated_at": "2026-01-05T10:00:00Z",
}
SEEN = {"shipment_id": "nobody", "status": "picked_up", "occurred_at": "2026-01-05T10:00:00Z"}
HELD = {"operation": "authorize", "outcome": "succeeded", "payment_id": "nobody", "reference": "a"}


@pytest.mark.parametrize(
    ("dialect", "reported", "changed", "rejected"),
    [
        ("stripe", DISPUTE, 1, 0),
        ("easypost_tracker", TRACKER, 1, 0),
        ("payment_callback", HELD, 0, 1),
        ("carrier_callback", SEEN, 0, 1),
    ],
)
def test_callbacks_of_every_dialect_come_in_from_stdin_and_again_change_nothing(
    oms: Oms, monkeypatch: pytest.MonkeyPatch, dialect: str, reported: dict[str, Any], changed: int, rejected: int
) -> None:
    def imported() -> tuple[int, dict[str, int]]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(lines_of(reported)))))
        code, out, _ = oms("callbacks", "import", "-", "--format", dialect, "--json")
        return code, json.loads(out)

    code, taken = imported()
    assert (taken["changed"], taken["rejected"]) == (changed, rejected)
    assert code == (Code.BURIED if rejected else Code.OK)
    assert imported()[1]["changed"] == 0


def test_callbacks_that_say_nothing_of_a_payment_are_skipped(oms: Oms, tmp_path: Path) -> None:
    payout = {"object": "event", "type": "payout.paid", "data": {"object": {"id": "po_1"}}}
    (tmp_path / "events.jsonl").write_bytes(lines_of(payout, DISPUTE))
    code, out, _ = oms("callbacks", "import", str(tmp_path / "events.jsonl"), "--format", "stripe", "--json")
    taken = json.loads(out)
    assert (code, taken["skipped"], taken["accepted"], taken["rejected"]) == (Code.OK, 1, 1, 0)
