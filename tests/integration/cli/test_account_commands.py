"""Accounts in the terminal: every command of the how-to page works, and shows the balance of the account."""

from __future__ import annotations

import csv
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest

from desk_story import OPEN, STOCK, lived, order, shown
from oms_es.app import Engine
from oms_es.cli.operator.checking import verified
from oms_es.exit_codes import Code
from oms_es.reports.finance import customer_accounts as accounts
from oms_es.reports.queries import reading
from oms_es.schemas.finance import account as a
from oms_es.store.privacy import wrapping
from pages import blocks

DAY = datetime(2026, 1, 1, tzinfo=UTC)


def commands() -> Iterator[list[str]]:
    for page in blocks("keep-accounts.md", "console"):
        yield from (shlex.split(line.removeprefix("$ oms-es ")) for line in page.splitlines())


def test_every_command_of_the_page_works(
    database_url: str, oms: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrapping.make_at(tmp_path / "cards.key")
    monkeypatch.setenv("OMS_GIFT_CARD_KEY_FILE", str(tmp_path / "cards.key"))
    lived(database_url, OPEN, STOCK, order(0), simulated=True)
    for command in commands():
        code, _, err = oms(*command)
        assert code == Code.OK, (command, err)
        if command[1] in ("refund", "debit"):
            lived(database_url, simulated=True)
    found = shown(oms, "account", "show", "ACME-1")
    assert (found["balance_minor"], found["held_minor"], found["available_minor"]) == (380_000, 0, 380_000)
    assert shown(oms, "account", "show", "ADA-1")["balance_minor"] == 300
    balances = {one["account"]: one["closing_minor"] for one in shown(oms, "books", "trial-balance")["accounts"]}
    assert balances["liabilities:customer-accounts:deposit"] == -380_000
    assert balances["liabilities:customer-accounts:store-credit"] == -300
    assert balances["assets:account-funds:bank"] == 400_000
    assert balances["liabilities:customer-accounts:gift-card"] == -5_000
    assert balances["income:forfeited-deposits"] == -20_000
    assert balances.get("assets:clearing:account", 0) == 0
    assert verified(database_url).passed
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE accounts SET balance_minor = 1 WHERE account_id = 'ACME-1'")
    assert [check.name for check in verified(database_url).checks if check.failed] == [
        "accounts: every row is the fold of history"
    ]


def test_what_cannot_be_says_what_to_do_next(database_url: str, oms: Any) -> None:
    lived(database_url, a.OpenAccount(account_id="A", kind="deposit", channel="web", currency="EUR"))
    code, _, err = oms("account", "debit", "A", "--entry-id", "1", "--amount-minor", "1")
    assert code == Code.REFUSED
    assert "0.00 EUR is available" in err
    code, _, err = oms("account", "credit", "B", "--entry-id", "1", "--amount-minor", "1")
    assert code == Code.NOT_FOUND
    assert "oms-es account open" in err
    code, _, err = oms("account", "statement", "B", "--from", "2026-01-01")
    assert code == Code.NOT_FOUND
    assert "oms-es account list" in err


def test_a_statement_and_ages_are_of_their_days(database_url: str, oms: Any) -> None:
    """120 days: 100.00 at first, 40.00 after 50 and 10.00 after 100, of which 115.00 are gone at the end."""
    now = [DAY]
    with Engine(database_url, clock=lambda: now[0]) as engine:

        def give(day: int, command: a.AccountCommand) -> None:
            now[0] = DAY + timedelta(days=day)
            assert engine.submit("test", [command]) == []
            engine.settle()

        of: Any = {"account_id": "A"}
        give(0, a.OpenAccount(**of, kind="store_credit", channel="web", currency="EUR"))
        give(0, a.CreditAccount(**of, entry_id="1", amount_minor=10_000))
        give(50, a.CreditAccount(**of, entry_id="2", amount_minor=4_000, reference="=1+1"))
        give(100, a.CreditAccount(**of, entry_id="3", amount_minor=1_000))
        give(119, a.HoldAccount(**of, hold_id="h", amount_minor=2_000))
        give(120, a.DebitAccount(**of, entry_id="4", amount_minor=11_500))
    period = ("--from", "2026-02-20", "--to", "2026-04-30")
    found = shown(oms, "account", "statement", "A", *period)
    assert (found["opening_minor"], found["closing_minor"]) == (10_000, 15_000)
    assert [one["number"] for one in found["entries"]] == [2, 3, 4]
    code, out, _ = oms("account", "statement", "A", "--from", "2026-01-01", "--to", "2026-12-31", "--format", "csv")
    assert code == Code.OK
    rows = list(csv.DictReader(StringIO(out)))
    assert [row["moved_minor"] for row in rows] == ["10000", "4000", "1000", "0", "-11500"]
    assert rows[1]["reference"] == "'=1+1", "a spreadsheet would run it"
    ages = shown(oms, "account", "ageing", "A", "--at", "2026-05-01")["ages"]
    assert [one["amount_minor"] for one in ages] == [1_000, 0, 2_500, 0]
    before = shown(oms, "account", "ageing", "A", "--at", "2026-04-30")["ages"]
    assert [one["amount_minor"] for one in before] == [1_000, 0, 4_000, 10_000]


def test_ages_are_read_page_by_page(database_url: str, oms: Any, monkeypatch: Any) -> None:
    of: Any = {"account_id": "A"}
    paid = [a.CreditAccount(**of, entry_id=f"{number}", amount_minor=1) for number in range(7)]
    with Engine(database_url, clock=lambda: DAY) as engine:
        opened = a.OpenAccount(**of, kind="store_credit", channel="web", currency="EUR")
        assert engine.submit("test", [opened, *paid]) == []
        engine.settle()
    monkeypatch.setattr(accounts, "CREDITS_READ_MAX", 3)
    with reading(database_url) as connection:
        assert [one.amount_minor for one in accounts.ageing(connection, "A", "2026-01-01")] == [7, 0, 0, 0]
    monkeypatch.setattr(accounts, "ENTRIES_MAX", 6)
    code, _, err = oms("account", "statement", "A", "--from", "2026-01-01")
    assert code == Code.USAGE
    assert "shorter period" in err
