"""Gift cards in the terminal: codes are printed once and read unseen, and cards of another system are taken over."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from desk_story import OPEN, STOCK, lived, order, shown
from oms_es.cli.operator.checking import verified
from oms_es.exit_codes import Code
from oms_es.schemas.finance.account import OpenAccount
from oms_es.schemas.finance.gift_card import IssueGiftCard, SetGiftCardCode
from oms_es.schemas.order import Tender
from oms_es.store.privacy import wrapping
from pages import blocks

ROWS = """account_id,code,channel,currency,amount_minor,expires_at
OLD-1,AAAA-1111-BBBB,web,EUR,2500,2099-01-31T00:00:00Z
OLD-2,CCCC2222DDDD,web,EUR,0,
OLD-3,aaaa 1111 bbbb,web,EUR,100,
OLD-4,SHORT,web,EUR,100,
OLD-5,EEEE3333FFFF,web,euros,100,
OLD-6,GGGG4444HHHH,web,EUR,-1,
OLD-7,JJJJ5555KKKK,web,EUR
"""


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapping.make_at(tmp_path / "cards.key")
    monkeypatch.setenv("OMS_GIFT_CARD_KEY_FILE", str(tmp_path / "cards.key"))


def typed(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(code + "\n"))


@pytest.mark.usefixtures("key")
def test_a_card_is_issued_shown_presented_and_pays(
    database_url: str, oms: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived(database_url, OPEN, STOCK)
    for page in blocks("keep-accounts.md", "console"):
        for line in page.splitlines():
            if "CARD-1" in line and "show-code" not in line:
                code, _, err = oms(*line.removeprefix("$ oms-es ").split())
                assert code == Code.OK, (line, err)
    code, out, _ = oms("account", "show-code", "CARD-1")
    assert code == Code.OK
    lived(database_url)
    secret = out.strip()
    assert oms("account", "show-code", "CARD-1")[0] == Code.REFUSED
    typed(monkeypatch, secret.lower())
    assert shown(oms, "account", "enquire")["available_minor"] == 5000
    typed(monkeypatch, "WRONG-WRONG-WRONG")
    code, _, err = oms("account", "enquire")
    assert code == Code.NOT_FOUND
    assert "WRONG" not in err
    placed = order(0)
    typed(monkeypatch, secret)
    assert oms("account", "present", placed.external_id)[0] == Code.OK
    tender = Tender(method="account", payment_token="CARD-1", amount_minor=1000)
    lived(database_url, placed.model_copy(update={"tenders": (tender,)}), simulated=True)
    assert shown(oms, "account", "show", "CARD-1")["balance_minor"] == 4000
    (owed,) = shown(oms, "account", "outstanding")["items"]
    assert (owed["kind"], owed["balance_minor"]) == ("gift_card", 4000)
    balances = {one["account"]: one["closing_minor"] for one in shown(oms, "books", "trial-balance")["accounts"]}
    assert balances["liabilities:customer-accounts:gift-card"] == -4000
    assert balances.get("assets:clearing:account", 0) == 0
    assert verified(database_url).passed
    assert secret not in oms("account", "statement", "CARD-1", "--from", "2026-01-01")[1]


@pytest.mark.usefixtures("key")
def test_cards_of_another_system_are_taken_over_once(
    database_url: str, oms: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "cards.csv"
    file.write_text(ROWS)
    for _ in range(2):
        code, out, err = oms("account", "import-cards", str(file))
        assert code == Code.BURIED, (out, err)
        assert "2 gift cards are here; 5 rows were refused" in err
        assert "line 4: card OLD-1 has the same code" in err
        for secret in ("AAAA", "CCCC2222", "SHORT", "EEEE3333", "JJJJ5555"):
            assert secret not in out + err
        lived(database_url)
    typed(monkeypatch, "aaaa1111bbbb")
    found = shown(oms, "account", "enquire")
    assert (found["account_id"], found["balance_minor"], found["state"]) == ("OLD-1", 2500, "active")
    typed(monkeypatch, "CCCC-2222-DDDD")
    assert shown(oms, "account", "enquire")["state"] == "inactive"
    assert verified(database_url).passed


@pytest.mark.usefixtures("key")
def test_a_row_that_is_refused_leaves_nothing_and_a_code_under_an_earlier_key_is_known(
    database_url: str, oms: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    deposit = OpenAccount(account_id="C-1", kind="deposit", channel="web", currency="JPY")
    shown_before = IssueGiftCard(account_id="C-2", channel="web", currency="EUR")
    lived(database_url, deposit, shown_before, SetGiftCardCode(account_id="C-2", code_hash="a" * 64))
    rows = "C-1,AAAA1111BBBB,web,EUR,500\nC-2,CCCC2222DDDD,web,EUR,500\nC-3,EEEE3333FFFF,web,EUR,500\n"
    file = tmp_path / "cards.csv"
    file.write_text(f"account_id,code,channel,currency,amount_minor\n{rows}")
    code, _, err = oms("account", "import-cards", str(file))
    assert code == Code.BURIED
    assert "1 gift cards are here; 2 rows were refused" in err
    lived(database_url)
    assert [shown(oms, "account", "show", name)["balance_minor"] for name in ("C-1", "C-2", "C-3")] == [0, 0, 500]
    key = tmp_path / "cards.key"
    key.write_text(f"{wrapping.generated()}\n{key.read_text()}")
    file.write_text(
        "account_id,code,channel,currency,amount_minor\nC-3,EEEE3333FFFF,web,EUR,500\nC-4,EEEE3333FFFF,web,EUR,5\n"
    )
    _, _, err = oms("account", "import-cards", str(file))
    assert "1 gift cards are here; 1 rows were refused" in err
    assert "line 3: card C-3 has the same code" in err
    typed(monkeypatch, "EEEE3333FFFF")
    assert shown(oms, "account", "enquire")["balance_minor"] == 500


def test_without_a_key_the_error_says_how_to_make_one(database_url: str, oms: Any) -> None:
    code, _, err = oms("account", "show-code", "CARD-1")
    assert code == Code.USAGE
    assert "OMS_GIFT_CARD_KEY_FILE" in err
    assert database_url
