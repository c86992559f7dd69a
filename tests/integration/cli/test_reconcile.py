"""Statements in the terminal: imported once, refused where they do not add up, listed page by page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg

from desk_story import shown
from oms_es.app import migrate
from oms_es.cli.operator.checking import verified
from oms_es.exit_codes import Code
from statement_files import MAPPING, WRITTEN, movements

SEED = 5


def test_statements_are_imported_once_listed_and_verified(database_url: str, oms: Any, tmp_path: Path) -> None:
    migrate(database_url)
    (tmp_path / "mapping.toml").write_text(MAPPING)
    for name, written in WRITTEN.items():
        file = tmp_path / name
        file.write_bytes(written.write(movements(SEED)))
        ask: tuple[str, ...] = (
            "reconcile",
            "import",
            str(file),
            "--format",
            written.format,
            "--account",
            name.replace(".", "-"),
        )
        ask += ("--mapping", str(tmp_path / "mapping.toml")) if written.mapping else ()
        (taken,) = shown(oms, *ask)
        assert (taken["outcome"], taken["lines"]) == ("imported", 12)
        if name == "mt940":
            (again,) = shown(oms, *ask)
            assert again == {**taken, "outcome": "repeated", "position": None}
            file.write_bytes(
                written.write(movements(SEED, 11) + movements(SEED)[11:]).replace(b"EREF+ref", b"EREF+other")
            )
            code, _, err = oms(*ask)
            assert code == Code.REFUSED
            assert "says something else" in err
    file.write_bytes(file.read_bytes()[:-40])
    code, _, err = oms("reconcile", "import", str(file), "--format", "paypal", "--account", "other")
    assert code == Code.REFUSED
    assert "bad_statement" in err
    first = shown(oms, "reconcile", "statements", "--limit", "5")
    rest = shown(oms, "reconcile", "statements", "--after", first["after"])
    accounts = [row["account"] for row in (*first["statements"], *rest["statements"])]
    assert sorted(accounts) == sorted(name.replace(".", "-") for name in WRITTEN)
    statement = next(row for row in (*first["statements"], *rest["statements"]) if row["account"] == "mt940")
    lines = shown(oms, "reconcile", "lines", "mt940", statement["statement_id"], "--from", "11")
    assert [line["line"] for line in lines] == [11, 12]
    assert verified(database_url).passed
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM oms_documents")
    (missed,) = [check for check in verified(database_url).checks if check.failed]
    assert missed.failed == len(WRITTEN), "each statement's file is asked for"
