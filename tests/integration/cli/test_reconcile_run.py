"""An account is reconciled in the terminal: matched, explained, settled, undone and closed; and verified."""

from __future__ import annotations

import csv
from json import dumps
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from desk_story import OPEN, STOCK, lived, order, shown
from oms_es.cli.operator.checking import verified
from oms_es.exit_codes import Code
from statement_files import STRIPE, decimal


def report_of(rows: list[dict[str, Any]], path: Path) -> None:
    """Write a provider's report of what moved, with its references."""
    with path.open("w", newline="") as file:
        written = csv.DictWriter(file, STRIPE)
        written.writeheader()
        for number, row in enumerate(rows):
            at = f"{row['happened_at']:%Y-%m-%d %H:%M:%S}"
            amount = decimal(row["amount_minor"])
            written.writerow(
                dict.fromkeys(STRIPE, "")
                | {"balance_transaction_id": f"txn_{number}", "created_utc": at, "currency": "eur"}
                | {"gross": amount, "fee": "0.00", "net": amount}
                | {"reporting_category": "charge", "source_id": row["references"][0]}
            )


def test_an_account_is_reconciled_settled_and_closed(database_url: str, oms: Any, tmp_path: Path) -> None:
    lived(database_url, OPEN, STOCK, *(order(number) for number in range(4)), simulated=True)
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        rows = connection.execute("SELECT * FROM money_movements ORDER BY position").fetchall()
    assert len(rows) == 4
    strange = {**rows[0], "amount_minor": 1_234, "references": ["ch_unknown"]}
    report_of([*rows[:3], {**rows[3], "amount_minor": 999}, strange], tmp_path / "report.csv")
    shown(oms, "reconcile", "import", str(tmp_path / "report.csv"), "--format", "stripe", "--account", "stripe")
    ran = shown(oms, "reconcile", "run", "stripe", "--method", "card")
    assert (ran["lines"], ran["movements"], ran["matched"], ran["breaks"]) == (5, 4, 3, 2)
    again = shown(oms, "reconcile", "run", "stripe", "--method", "card")
    assert (again["matched"], again["breaks"]) == (0, 2)
    breaks = shown(oms, "reconcile", "breaks", "stripe")["breaks"]
    assert sorted((one["kind"], one["amount_minor"]) for one in breaks) == [("amount", -1), ("missing_here", 1_234)]
    (match,) = shown(oms, "reconcile", "explain", "stripe", _line(database_url, 1))["matches"]
    assert (match["reason"], match["confidence"]) == ("the same reference and amount", 100)
    through = ran["through"]
    code, _, err = oms("reconcile", "close", "stripe", "--through", through)
    assert code == Code.REFUSED
    assert "2 breaks" in err
    for one in breaks:
        assert (
            oms("reconcile", "resolve", "stripe", "--difference", one["break_id"], "--resolution", "accepted")[0] == 0
        )
    assert oms("reconcile", "close", "stripe", "--through", through)[0] == Code.OK
    assert oms("reconcile", "undo", "stripe", "--match", match["match_id"])[0] == Code.OK
    after = shown(oms, "reconcile", "run", "stripe", "--method", "card")
    assert (after["matched"], after["breaks"]) == (0, 4)
    resolved = shown(oms, "reconcile", "breaks", "stripe", "--resolved")["breaks"]
    assert {one["break_id"] for one in resolved} == {one["break_id"] for one in breaks}
    (explained,) = shown(oms, "reconcile", "explain", "stripe", _line(database_url, 1))["matches"]
    assert (explained["status"], explained["adjusts"]) == ("undone", through)
    code, _, err = oms("reconcile", "resolve", "nobody-knows", "--difference", "b", "--resolution", "accepted")
    assert code == Code.NOT_FOUND
    assert "reconcile run" in err
    open_now = {one["kind"]: one["break_id"] for one in shown(oms, "reconcile", "breaks", "stripe")["breaks"]}
    both = dumps([open_now["missing_here"], open_now["timing"]])
    by_hand = ("reconcile", "match", "stripe", "--differences", both)
    assert oms(*by_hand, "--note", "looked at")[0] == Code.OK
    assert oms(*by_hand, "--note", "looked at")[0] == Code.OK
    after = shown(oms, "reconcile", "run", "stripe", "--method", "card")
    assert (after["matched"], after["breaks"]) == (0, 2)
    assert shown(oms, "reconcile", "breaks", "stripe")["breaks"] == []
    explained = shown(oms, "reconcile", "explain", "stripe", _line(database_url, 1))["matches"]
    assert [(one["status"], one["reason"]) for one in explained] == [("matched", "by hand: looked at")]
    assert verified(database_url).passed


def _line(database_url: str, number: int) -> str:
    with psycopg.connect(database_url) as connection:
        found = connection.execute("SELECT statement_id FROM statements").fetchall()
    return f"{found[0][0]}/{number}"
