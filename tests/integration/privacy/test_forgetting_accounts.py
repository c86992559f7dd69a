"""Whose an account is, is encrypted, given out, held and forgotten, as what an order says of its person."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from oms_es.app import Engine, migrate
from oms_es.app.privacy import erasing, exporting, family, holding
from oms_es.app.privacy.family import Named
from oms_es.app.privacy.forgetter import FOR_EVER, Forgetter
from oms_es.app.privacy.rows import OF_PEOPLE
from oms_es.exit_codes import Code
from oms_es.history import states
from oms_es.kernel import Refused
from oms_es.reports import queries
from oms_es.schemas.finance.account import CreditAccount, DebitAccount, OpenAccount
from oms_es.store import snapshots
from oms_es.store.encoding.codec import Cause
from oms_es.store.http.tables import note_access
from oms_es.store.privacy import subject_keys
from oms_es.store.recorder import SNAPSHOTS
from people import FIRST, KEY, SECOND, assert_right, engine_with_people, everything, rows_of

OF: Any = {"account_id": "acc-1"}
ACCOUNT, OTHER = "account-acc-1", "account-acc-2"
PAID_IN = CreditAccount(**OF, entry_id="in", amount_minor=700)
PAID_OUT = DebitAccount(**OF, entry_id="out", amount_minor=700)
WEB_ADA = Named(customer=("web", "c-1815"))


@pytest.fixture
def engine(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setenv("OMS_DATA_KEY", base64.b64encode(KEY).decode())
    with engine_with_people(database_url) as engine:
        of_customer: Any = {"kind": "deposit", "channel": "web", "currency": "EUR"}
        engine.submit("test", [OpenAccount(**OF, **of_customer, customer_id="c-1815")])
        engine.submit("test", [OpenAccount(account_id="acc-2", **of_customer, customer_id="c-9999")])
        engine.submit("test", [PAID_IN])
        engine.settle()
        yield engine


def meant(engine: Engine, named: Named) -> list[str]:
    with queries.reading(engine.database_url) as connection:
        return family.meant(connection, named)


def forget(engine: Engine, subjects: list[str]) -> erasing.Erased:
    erasing.ask(engine, "dpo", subjects, "request", "dsr-1")
    engine.settle()
    return erasing.erase(engine.database_url, subjects, "dpo")


def test_an_account_with_money_keeps_all_of_a_person_and_an_empty_one_is_forgotten_with_their_orders(
    engine: Engine,
) -> None:
    url, before = engine.database_url, engine.last_position()
    subjects = meant(engine, WEB_ADA)
    assert set(subjects) == {FIRST, SECOND, ACCOUNT}
    with pytest.raises(Refused, match=r"acc-1 cannot be forgotten yet: 7\.00 EUR is on it, of which 0\.00 EUR is held"):
        erasing.ask(engine, "dpo", subjects, "request", None)
    assert rows_of(url, "forgotten_orders") == [], "all of them, or none"
    engine.submit("test", [PAID_OUT])
    engine.settle()
    states.keep(url, OF_PEOPLE, before, "kept")
    with psycopg.connect(url, row_factory=dict_row) as connection:
        note_access(connection, datetime(2026, 1, 1, tzinfo=UTC), "support", "get-customer", "web~c-1815", "1")
    done = forget(engine, subjects)
    assert (set(done.orders), list(done.accounts)) == ({FIRST, SECOND}, ["acc-1"])
    assert "c-1815" not in everything(url)
    [first, second] = sorted(rows_of(url, "accounts"), key=lambda row: str(row["account_id"]))
    assert (first["customer_id"], first["balance_minor"], second["customer_id"]) == ("", 0, "c-9999")
    [asked] = rows_of(url, "forgotten_accounts")
    assert (asked["account_id"], asked["reason"], asked["case_id"]) == ("acc-1", "request", "dsr-1")
    assert_right(engine)
    rebuilt = engine.rebuild_all(OF_PEOPLE)
    assert [(one.projection, one.written, one.removed) for one in rebuilt if one.written or one.removed] == []
    assert forget(engine, subjects) == erasing.Erased([], 0, 0, 0, []), "asked again, nothing is left to be done"


def test_one_account_alone_is_forgotten_and_the_orders_of_its_customer_are_not(engine: Engine) -> None:
    engine.submit("test", [PAID_OUT])
    engine.settle()
    assert meant(engine, Named(account_id="acc-1")) == [ACCOUNT]
    assert list(forget(engine, [ACCOUNT]).accounts) == ["acc-1"]
    assert {row["order_id"] for row in rows_of(engine.database_url, "order_recipients") if row["name"]} >= {FIRST}
    assert {row["customer_id"] for row in rows_of(engine.database_url, "customers")} >= {"c-1815"}
    with pytest.raises(Refused, match="was forgotten, and nothing is kept on it any more"):
        engine.store.execute([(Cause("test"), [PAID_IN.model_copy(update={"entry_id": "in-2"})])])
    assert_right(engine)


def test_a_case_holds_an_account_until_it_is_lifted(engine: Engine) -> None:
    held, _ = holding.hold(engine, "dpo", [OTHER], "court-7", "dispute")
    engine.settle()
    assert held == [OTHER]
    assert [row["held_by"] for row in rows_of(engine.database_url, "accounts")] == [[], ["court-7"]]
    with pytest.raises(Refused, match="court-7 holds it"):
        erasing.ask(engine, "dpo", [OTHER], "request", None)
    assert holding.release(engine, "dpo", [OTHER], "court-7")[0] == [OTHER]
    engine.settle()
    assert list(forget(engine, [OTHER]).accounts) == ["acc-2"]
    assert_right(engine)


def test_a_person_is_given_the_accounts_that_they_have(engine: Engine) -> None:
    with queries.reading(engine.database_url) as connection:
        found = exporting.exported(connection, family.meant(connection, WEB_ADA), datetime.now(UTC))
    [of_account] = found["accounts"]
    assert [one["type"] for one in of_account["events"]] == ["AccountOpened", "AccountCredited"]
    assert of_account["events"][0]["event"].customer_id == "c-1815"
    assert [row["balance_minor"] for row in found["read_models"]["accounts"]] == [700]
    assert [row["amount_minor"] for row in found["read_models"]["account_entries"]] == [700]
    assert "c-9999" not in str(found)


def test_what_was_interrupted_is_named_and_finished_by_the_engine(engine: Engine) -> None:
    erasing.ask(engine, Forgetter.name, [OTHER], "request", None)
    with psycopg.connect(engine.database_url, row_factory=dict_row, autocommit=True) as connection:
        assert erasing.unfinished(connection) == [OTHER], "from the log, as no read model has it yet"
        engine.settle()
        assert erasing.unfinished(connection) == [OTHER]
        assert Forgetter(engine, FOR_EVER).step() == 1
        assert erasing.unfinished(connection) == []
        assert subject_keys.gone(connection) == {OTHER}


def test_a_snapshot_of_an_account_is_encrypted_and_goes_with_its_key(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = engine.database_url
    monkeypatch.setattr(snapshots, "EVERY_EVENTS", 2)
    engine.submit("test", [PAID_OUT])
    engine.settle()
    [taken] = rows_of(url, SNAPSHOTS)
    assert (taken["stream"], bytes(taken["state"])[:1]) == (ACCOUNT, snapshots.ENCRYPTED)
    assert b"c-1815" not in bytes(taken["state"])
    assert_right(engine)
    with Engine(url) as other:
        assert other.store.state_of(ACCOUNT) == engine.store.state_of(ACCOUNT), "read from the snapshot"
        assert other.store.state_of(ACCOUNT)[0].opened.customer_id == "c-1815"
    forget(engine, [ACCOUNT])
    assert rows_of(url, SNAPSHOTS) == []
    assert_right(engine)


def test_a_migration_deletes_snapshots_in_the_clear(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "EVERY_EVENTS", 2)
    migrate(database_url)
    with Engine(database_url) as engine:
        engine.submit("test", [OpenAccount(**OF, kind="deposit", channel="web", currency="EUR", customer_id="c-1815")])
        engine.submit("test", [PAID_IN])
        engine.settle()
    assert b"c-1815" in bytes(rows_of(database_url, SNAPSHOTS)[0]["state"])
    migrate(database_url, data_keys=[KEY])
    assert rows_of(database_url, SNAPSHOTS) == []
    with Engine(database_url) as engine:
        engine.submit("test", [PAID_OUT])
        engine.settle()
        assert list(forget(engine, [ACCOUNT]).accounts) == ["acc-1"]
        assert "c-1815" not in everything(database_url)
        assert_right(engine)


def test_the_command_line_names_accounts_and_why_one_stays(engine: Engine, oms: Any) -> None:
    code, out, _ = oms("privacy", "forget", "--customer", "web/c-1815", "--dry-run")
    assert (code, out.splitlines()[-1]) == (Code.OK, "account acc-1")
    code, _, err = oms("privacy", "forget", "--account", "acc-1")
    assert (code, "7.00 EUR is on it" in err) == (Code.REFUSED, True)
    code, out, _ = oms("privacy", "hold", "--account", "acc-2", "--case", "c")
    assert (code, out) == (Code.OK, "held: 0 orders and 1 accounts, by c\n")
    assert oms("privacy", "release", "--account", "acc-2", "--case", "c")[0] == Code.OK
    assert oms("privacy", "forget", "--account", "acc-2", "--wait", "0")[0] == Code.UNAVAILABLE
    engine.settle()
    assert "account acc-2 was forgotten and has its key still" in oms("privacy", "status")[2]
    code, out, _ = oms("privacy", "forget", "--resume", "--json")
    assert (code, json.loads(out)["accounts"]) == (Code.OK, ["acc-2"])
    assert oms("privacy", "forget", "--account", "none")[0] == Code.NOT_FOUND
    assert oms("privacy", "forget", "--account", "acc-1", "--customer", "web/c-1815")[0] == Code.USAGE
