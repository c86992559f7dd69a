"""The books in the terminal: every command of the how-to page works, and other accounting programs compute the same
balances.
"""

from __future__ import annotations

import csv
import shlex
import shutil
import subprocess
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from beancount import loader
from beancount.core import data

from desk_story import OPEN, STOCK, lived, order, shown
from oms_es.cli.operator.checking import verified
from oms_es.exit_codes import Code
from oms_es.reports.figures.words import TooLarge
from oms_es.reports.finance import accounts
from oms_es.reports.finance.books import Asked, trial_balance
from oms_es.reports.queries import reading
from oms_es.reports.streams import end_of_log
from pages import blocks

HLEDGER = shutil.which("hledger")


@pytest.fixture
def books(database_url: str, oms: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    lived(database_url, OPEN, STOCK, *(order(number) for number in range(3)), simulated=True)
    with psycopg.connect(database_url) as connection:
        position = connection.execute("SELECT min(position) FROM money_movements").fetchall()[0][0]
        reference = connection.execute(
            'SELECT "references" ->> 0 FROM money_movements WHERE position = %s', [position]
        ).fetchall()[0][0]
    day = "2026-01-10"
    (tmp_path / "bank.csv").write_text(f"day,amount,reference\n{day},10.00,{reference}\n{day},-3.00,\n")
    (tmp_path / "map.toml").write_text(
        'date_format = "%Y-%m-%d"\ncurrency = "EUR"\ndate = "day"\namount = "amount"\nreferences = ["reference"]\n'
    )
    monkeypatch.chdir(tmp_path)
    more = ("--format", "csv", "--mapping", "map.toml", "--account", "Bank.EU", "--statement-id", "one")
    shown(oms, "reconcile", "import", "bank.csv", *more)
    return oms


def test_other_bookkeepers_come_to_the_same_balances(database_url: str, books: Any, tmp_path: Path) -> None:
    found = shown(books, "books", "trial-balance")
    assert found["totals_minor"] == {"EUR": 0}
    ours = {one["account"]: Decimal(one["closing_minor"]) / 100 for one in found["accounts"]}
    assert ours["assets:clearing:card"] == 30
    assert ours["income:sales"] == -30
    for page in blocks("keep-the-books.md", "console"):
        for command in page.splitlines():
            code, _, err = books(*shlex.split(command.removeprefix("$ oms-es ")))
            assert code == Code.OK, (command, err)
    entries, errors, _ = loader.load_file(str(tmp_path / "books.beancount"))
    assert errors == []
    theirs: Counter[str] = Counter()
    for entry in entries:
        if isinstance(entry, data.Transaction):
            for posting in entry.postings:
                theirs[posting.account.lower()] += posting.units.number  # type: ignore[union-attr, operator, assignment]
    assert {account: amount for account, amount in theirs.items() if amount} == {
        account: amount for account, amount in ours.items() if amount
    }
    wrong = (
        (tmp_path / "books.beancount")
        .read_text()
        .replace("  Income:Sales  -10.00 EUR", "  Income:Sales  -10.01 EUR", 1)
    )
    assert loader.load_string(wrong)[1]
    cent_off = (
        (tmp_path / "books.beancount")
        .read_text()
        .replace("Assets:Clearing:Card  30.00 ~", "Assets:Clearing:Card  30.01 ~")
    )
    assert loader.load_string(cent_off)[1], "a closing balance may not be off by a cent"
    with (tmp_path / "books.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(Decimal(row["debit"] or 0) for row in rows) == sum(Decimal(row["credit"] or 0) for row in rows) > 0
    assert verified(database_url).passed


def test_what_was_recorded_late_is_in_what_a_period_begins_with(database_url: str, books: Any) -> None:
    """The order was paid today; the bank's booking of January was found afterwards."""
    shown(books, "reconcile", "run", "Bank.EU")
    with psycopg.connect(database_url) as connection:
        query = "SELECT break_id FROM reconciliation_breaks WHERE amount_minor = 1000"
        ((name,),) = connection.execute(query).fetchall()
    assert books("reconcile", "resolve", "Bank.EU", "--difference", name, "--resolution", "written_off")[0] == Code.OK
    period = ("--from", "2026-02-01")
    ours = [
        one
        for one in shown(books, "books", "trial-balance", *period)["accounts"]
        if one["account"].startswith("assets:")
    ]
    opening, closing = (sum(one[key] for one in ours) for key in ("opening_minor", "closing_minor"))
    assert opening == 1_000
    whole = shown(books, "books", "account", "assets", *period)
    assert (whole["opening_minor"], whole["closing_minor"]) == ({"EUR": opening}, {"EUR": closing})
    first, *_, last = whole["lines"]
    assert first["balance_minor"] == opening + first["postings"][0]["amount_minor"]
    assert last["balance_minor"] == closing
    after: tuple[str, ...] = ()
    read: list[Any] = []
    while True:
        page = shown(books, "books", "account", "assets", *period, *after, "--limit", "4")
        read += page["lines"]
        assert page["closing_minor"] == whole["closing_minor"]
        if page["after"] is None:
            break
        after = ("--after", page["after"])
    assert read == whole["lines"]


def test_an_account_that_is_on_no_first_page_has_a_report(books: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    more = ("--format", "csv", "--mapping", "map.toml", "--account", "A.Bank", "--statement-id", "one")
    shown(books, "reconcile", "import", "bank.csv", *more)
    monkeypatch.setattr(accounts, "ACCOUNTS_MAX", 1)
    for account in ("A.Bank", "Bank.EU"):
        assert shown(books, "reconcile", "report", account)["account"] == account


@pytest.mark.usefixtures("books")
def test_the_books_of_more_orders_than_there_is_memory_for_are_refused(database_url: str) -> None:
    with reading(database_url) as connection:
        asked = Asked(last=end_of_log(connection), orders_max=3)
        assert trial_balance(connection, asked)
        with pytest.raises(TooLarge, match="in a terminal"):
            trial_balance(connection, asked._replace(orders_max=2))


@pytest.mark.skipif(HLEDGER is None, reason="hledger is not on this machine")
def test_hledger_reads_the_journal_and_its_balances_hold(books: Any) -> None:
    assert books("books", "export", "--format", "hledger", "--file", "b.journal")[0] == Code.OK
    assert HLEDGER
    subprocess.run([HLEDGER, "-f", "b.journal", "check", "accounts", "autobalanced", "assertions"], check=True)


def test_pages_periods_and_mistakes(books: Any) -> None:
    whole = shown(books, "books", "journal", "--limit", "500")["entries"]
    first = shown(books, "books", "journal", "--limit", "2")
    rest = shown(books, "books", "journal", "--after", first["after"], "--limit", "500")
    assert [*first["entries"], *rest["entries"]] == whole
    assert all(sum(one["amount_minor"] for one in entry["postings"]) == 0 for entry in whole)
    lines = shown(books, "books", "account", "assets:clearing")["lines"]
    assert [one["balance_minor"] for one in lines] == [1_000, 2_000, 3_000]
    later = shown(books, "books", "trial-balance", "--from", "2199-01-01")["accounts"]
    assert all(one["debit_minor"] == one["credit_minor"] == 0 for one in later)
    assert sum(one["opening_minor"] for one in later) == 0
    assert shown(books, "books", "trial-balance", "--to", "1999-01-01")["accounts"] == []
    assert shown(books, "books", "journal", "--currency", "jpy")["entries"] == []
    assert books("books", "account", "assets:nothing")[0] == Code.NOT_FOUND
    assert books("books", "journal", "--after", "x")[0] == Code.USAGE
    assert books("books", "trial-balance", "--from", "2026-02-01", "--to", "2026-01-01")[0] == Code.USAGE
    assert books("books", "export", "--format", "csv", "--file", "no/such/folder")[0] == Code.USAGE
