"""What lines of statements say of people is encrypted, and forgotten after its period unless a case needs it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import psycopg
import pytest

from oms_es.app import Engine, migrate
from oms_es.app.privacy import erasing, exporting, family, holding
from oms_es.app.privacy.family import Named
from oms_es.app.privacy.forgetter import SWEEP_SECONDS, Forgetter, Periods
from oms_es.exit_codes import Code
from oms_es.kernel import Refused
from oms_es.reports import queries
from oms_es.schemas.finance.statement import RecordStatement, StatementLine, StatementPart
from oms_es.store.clock import Timing
from oms_es.store.documents import table as documents
from people import KEY, assert_right, everything, rows_of

FILE = b"a file that is kept for its own term"
SAID = "Ada Lovelace DE02120300000000202051"
FIRST, SECOND = "statement-bank/2026-01", "statement-bank/2026-02"


def record(engine: Engine, *statements: RecordStatement) -> None:
    with psycopg.connect(engine.database_url) as connection:
        documents.keep(connection, FILE, "text/plain")
    engine.submit("test", statements)


def a_statement(month: int) -> RecordStatement:
    of_batch = StatementPart(amount_minor=5, references=("R-2",), text=SAID)
    line: Any = {"kind": "transfer", "booked_on": f"2026-0{month}-02", "amount_minor": 10}
    return RecordStatement(
        account="bank",
        statement_id=f"2026-0{month}",
        format="mt940",
        currency="EUR",
        opened_on=f"2026-0{month}-01",
        closed_on=f"2026-0{month}-20",
        document_sha256=sha256(FILE).hexdigest(),
        lines=(
            StatementLine(**line, references=("R-1",), text=SAID),
            StatementLine(**line, parts=(of_batch, of_batch)),
        ),
    )


@pytest.fixture
def engine(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setenv("OMS_DATA_KEY", base64.b64encode(KEY).decode())
    migrate(database_url, data_keys=[KEY])
    with Engine(database_url) as engine:
        record(engine, a_statement(1), a_statement(2))
        engine.settle()
        yield engine


def forget(engine: Engine, subjects: list[str]) -> erasing.Erased:
    erasing.ask(engine, "dpo", subjects, "retention", None)
    engine.settle()
    engine.settle()  # a reader whose rows were written by another seeks, then passes the events
    return erasing.erase(engine.database_url, subjects, "dpo")


def test_texts_are_encrypted_and_go_and_amounts_and_references_stay(engine: Engine) -> None:
    url = engine.database_url
    with psycopg.connect(url) as connection:
        [(stored,)] = connection.execute(
            "SELECT string_agg(convert_from(state, 'UTF8'), '') FROM oms_events WHERE originator_id LIKE 'statement-%'"
        ).fetchall()
    assert SAID not in stored
    assert "R-1" in stored
    done = forget(engine, [FIRST])
    assert done.statements == ("bank/2026-01",)
    rows = {(row["statement_id"], row["line"]): row for row in rows_of(url, "statement_lines")}
    assert {key: row["text"] for key, row in rows.items() if row["text"]} == {("2026-02", 1): SAID}
    assert [part["text"] for part in rows["2026-01", 2]["parts"]] == ["", ""]
    assert [part["references"] for part in rows["2026-01", 2]["parts"]] == [["R-2"], ["R-2"]]
    assert (rows["2026-01", 1]["amount_minor"], rows["2026-01", 1]["references"]) == (10, ["R-1"])
    assert_right(engine)
    engine.submit("test", [a_statement(1)])
    engine.settle()
    assert forget(engine, [FIRST, SECOND]).statements == ("bank/2026-02",)
    assert SAID not in everything(url), "what is imported again is known, and stored no second time"
    assert_right(engine)


def test_what_ended_before_its_period_is_forgotten_by_itself_unless_a_case_holds_it(engine: Engine) -> None:
    since_january = datetime.now(UTC) - datetime(2026, 1, 21, tzinfo=UTC)
    now = [0.0]
    forgetter = Forgetter(engine, Periods(statements=since_january - timedelta(days=1)), Timing(lambda: now[0]))

    def sweep() -> None:
        for _ in range(8):
            now[0] += SWEEP_SECONDS / 4
            forgetter.step()
            engine.settle()

    holding.hold(engine, "dpo", [FIRST], "court-7", "dispute")
    engine.settle()
    sweep()
    assert {row["statement_id"]: row["forgotten_at"] for row in rows_of(engine.database_url, "statements")} == {
        "2026-01": None,
        "2026-02": None,
    }
    with pytest.raises(Refused, match="court-7 holds it"):
        erasing.ask(engine, "dpo", [FIRST], "request", None)
    holding.release(engine, "dpo", [FIRST], "court-7")
    engine.settle()
    sweep()
    texts = {row["statement_id"] for row in rows_of(engine.database_url, "statement_lines") if row["text"]}
    assert texts == {"2026-02"}, "the other has not ended so long ago"
    assert_right(engine)


def test_statements_from_before_there_was_a_key_are_encrypted_by_a_migration(database_url: str) -> None:
    migrate(database_url)
    with Engine(database_url) as engine:
        record(engine, a_statement(1))
        engine.settle()
        assert SAID in everything(database_url)
    migrate(database_url, data_keys=[KEY])
    with Engine(database_url) as engine:
        with queries.reading(database_url) as connection:
            erasing.require_encrypted(connection, [FIRST])
        assert_right(engine)
        forget(engine, [FIRST])
        assert SAID not in everything(database_url)
        assert_right(engine)


def test_the_command_line_forgets_holds_and_gives_out_one(engine: Engine, oms: Any) -> None:
    code, out, _ = oms("privacy", "export", "--statement", "bank/2026-01")
    assert (code, SAID in out) == (Code.OK, True)
    with queries.reading(engine.database_url) as connection:
        meant = family.meant(connection, Named(statement=("bank", "2026-01")))
        found = exporting.exported(connection, meant, datetime.now(UTC))
    assert [one["statement"] for one in found["statements"]] == ["bank/2026-01"]
    code, out, _ = oms("privacy", "hold", "--statement", "bank/2026-01", "--case", "c")
    assert (code, out) == (Code.OK, "held: 0 orders and 1 statements, by c\n")
    assert oms("privacy", "forget", "--statement", "bank/2026-01")[0] == Code.REFUSED
    assert oms("privacy", "forget", "--statement", "bank/none")[0] == Code.NOT_FOUND
    assert oms("privacy", "forget", "--statement", "bank/2026-02", "--wait", "0")[0] == Code.UNAVAILABLE
    engine.settle()
    code, out, _ = oms("privacy", "forget", "--resume")
    assert (code, out.split(",")[:2]) == (Code.OK, ["forgotten: 0 orders and 1 statements", " 1 keys destroyed"])
