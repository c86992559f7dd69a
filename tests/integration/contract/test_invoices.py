"""Invoices through the whole engine: every capture and refund gets its document. Numbers have no gap with racing
writers, with repeated requests, and after a person was forgotten.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import psycopg
import pytest
from psycopg.rows import dict_row

from conftest import fresh_database
from desk_story import OPEN, STOCK, order, shown
from oms_es.aggregates.finance import invoice
from oms_es.app import DECIDERS, PROJECTIONS, Engine, engine_on, external_systems, migrate
from oms_es.app.finance.invoices import read_invoice
from oms_es.app.invoicing.issuing import InvoicingGateway
from oms_es.app.invoicing.pdf import as_pdf
from oms_es.app.privacy import erasing
from oms_es.app.replaying import replayed
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.exit_codes import Code
from oms_es.gateways.simulated.modes import Chaos
from oms_es.kernel import Command, GatewayUnavailable, Refused, WaitsForEngine
from oms_es.reports.finance import invoices
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas.finance import account as a
from oms_es.schemas.finance import invoicing as v
from oms_es.schemas.finance.refusals import FinanceRefusal
from oms_es.schemas.operations.document import AttachDocument, RemoveDocument
from oms_es.schemas.vocabulary import EVENTS
from oms_es.statements.invoices.fields import Invoice
from oms_es.store import dead_letters
from oms_es.store.documents import places
from oms_es.store.documents import table as documents
from oms_es.store.encoding.codec import Cause, Codec
from oms_es.store.privacy import wrapping
from oms_es.store.recorder import Recorder, datastore_of
from oms_es.store.store import Store
from oms_es.verification.verify import verify
from own_invoices import content

WRITERS = 60
ACME = v.SetSeller(seller="ACME", name="Acme Ltd", country="DE", vat_id="DE123456789", included_tax="19", prefix="A-")
KEY = b"\x07" * wrapping.KEY_BYTES
RACED: Any = {"seller": "ACME", "year": 2026, "keep_until": "2036-12-31"}


def test_of_writers_that_race_each_gets_the_next_number_and_asked_twice_none(database_url: str) -> None:
    """Each has loaded the series before any of them writes, and every document is asked for by two."""
    migrate(database_url)
    with datastore_of(database_url, connections_max=20) as datastore:
        ready = threading.Barrier(WRITERS)

        def write(number: int) -> None:
            mine = Store([invoice.decider], EVENTS, Recorder(datastore))
            mine.state_of("invoice-ACME/2026")
            ready.wait(300)
            command = v.IssueInvoice(**RACED, content=content(f"capture/{number // 2}"))
            mine.execute([(Cause("test"), [command])])

        writers = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join(300)
        state, version = Store([invoice.decider], EVENTS, Recorder(datastore)).state_of("invoice-ACME/2026")
    assert version == WRITERS // 2
    assert sorted(state.numbers.values()) == list(range(1, WRITERS // 2 + 1))


@pytest.fixture(scope="module")
def engine(embedded_server: EmbeddedPostgres) -> Iterator[Engine]:
    """Each test has orders of its own. What they all made is verified in the end."""
    with fresh_database(embedded_server) as url:
        migrate(url, data_keys=[KEY])
        with Engine(url) as an_engine:
            give(an_engine, OPEN, STOCK.model_copy(update={"quantity": 100}), order(99), ACME)
            yield an_engine
            report = verify(url, DECIDERS, PROJECTIONS, Codec(EVENTS))
        assert report.passed, [check for check in report.checks if check.failed]
        of_invoices = {check.name: check.checked for check in report.checks if check.name.startswith("invoices:")}
        assert min(of_invoices.values()) > 0, of_invoices


def give(engine: Engine, *commands: Any) -> None:
    for command in commands:
        assert engine.submit("test", [command]) == []
        engine.settle()


def rows(engine: Engine, query: str, *values: Any) -> list[dict[str, Any]]:
    with psycopg.connect(engine.database_url, row_factory=dict_row) as connection:
        return connection.execute(query.encode(), values).fetchall()


def read_of(engine: Engine, address: str) -> Invoice:
    """Return the invoice as any reader of such files reads it."""
    return read_invoice(lambda: psycopg.connect(engine.database_url, row_factory=dict_row), address).invoice


def issued(engine: Engine, placed: o.PlaceOrder) -> list[dict[str, Any]]:
    return rows(engine, "SELECT * FROM invoices WHERE order_id = %s ORDER BY position", placed.order_id)


def test_what_was_taken_before_a_seller_was_set_has_no_document(engine: Engine) -> None:
    before = order(99)
    assert issued(engine, before) == []
    give(engine, o.RefundOrder(order_id=before.order_id, refund_id="r", goodwill_minor=100))
    assert issued(engine, before) == []


def test_a_capture_has_an_invoice_and_its_refund_a_credit_note_each_once(engine: Engine) -> None:
    placed = order(1)
    refund = o.RefundOrder(order_id=placed.order_id, refund_id="r-1", goodwill_minor=400, reason="scratched")
    give(engine, placed, placed, refund, refund)
    bill, note = issued(engine, placed)
    assert (bill["kind"], bill["total_minor"], bill["tax_minor"]) == ("invoice", 1000, 160)
    assert (note["kind"], note["total_minor"], note["tax_minor"]) == ("credit_note", 400, 64)
    assert note["number"] == bill["number"] + 1
    assert bill["name"].startswith("A-20")


def test_the_document_is_kept_attached_and_says_what_was_issued(engine: Engine) -> None:
    placed = order(2)
    give(engine, placed)
    (row,) = issued(engine, placed)
    kept = rows(engine, "SELECT * FROM document_attachments WHERE reference = %s ORDER BY entity", row["name"])
    assert [(one["entity"], one["entity_id"], one["kind"]) for one in kept] == [
        ("order", placed.order_id, "invoice"),
        ("payment", row["payment_id"], "invoice"),
    ]
    address = kept[0]["sha256"]
    assert kept[0]["keep_until"] == row["keep_until"] == f"{row['year'] + 10}-12-31"
    found = read_of(engine, address)
    assert not found.differences
    assert (found.invoice_number, found.total_minor, found.tax_minor) == (row["name"], 1000, 160)
    (said,) = rows(engine, "SELECT * FROM document_fields WHERE sha256 = %s", address)
    assert (said["invoice_number"], said["net_minor"], said["differences"]) == (row["name"], 840, [])
    (event,) = engine.recorder.after(row["position"] - 1, 1)
    made = engine.store.codec.decode(event, row["position"]).event
    assert isinstance(made, v.InvoiceIssued)
    assert made.buyer.name == "Ada Lovelace"
    (bytes_kept,) = rows(engine, f"SELECT content FROM {documents.DOCUMENTS} WHERE sha256 = %s", address)
    assert as_pdf(made) == bytes(bytes_kept["content"]), "made again, it has the same bytes"
    refused = engine.submit("test", [RemoveDocument(sha256=address, reason="x", now=placed.placed_at)])
    assert [str(one.reason) for _, one in refused] == ["document_retained"]


def invoicing(engine: Engine) -> InvoicingGateway:
    (found,) = [one for one in engine.gateways if isinstance(one, InvoicingGateway)]
    return found


def again_of(engine: Engine, position: int) -> Sequence[Command]:
    """Return the gateway's answer to the event at the position, given a second time."""
    (event,) = engine.recorder.after(position - 1, 1)
    (said,) = invoicing(engine).perform([engine.store.codec.decode(event, position)])
    return said


def test_a_document_that_is_attached_is_not_attached_again_with_other_bytes(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed = order(7)
    give(engine, placed)
    (row,) = issued(engine, placed)
    monkeypatch.setattr(invoicing(engine), "make", lambda made: as_pdf(made) + b"% made by another library")
    assert again_of(engine, row["position"]) == ()


def test_an_invoice_is_listed_once_also_where_a_person_attached_a_scan_of_it(engine: Engine) -> None:
    placed = order(9)
    give(engine, placed)
    (row,) = issued(engine, placed)
    scan: Any = {"sha256": "5c" * 32, "kind": row["kind"], "reference": row["name"]}
    with psycopg.connect(engine.database_url, row_factory=dict_row) as connection:
        (before,) = invoices.page(connection, None, placed.order_id, None, 10).rows
        scan["sha256"] = documents.keep(connection, b"%PDF-1.7 a scan", "application/pdf").sha256
    give(engine, AttachDocument(entity="order", entity_id=placed.order_id, **scan))
    with psycopg.connect(engine.database_url, row_factory=dict_row) as connection:
        assert invoices.page(connection, None, placed.order_id, None, 10).rows == [before]


def test_a_refund_after_a_correction_waits_for_what_replaces_the_invoice(engine: Engine) -> None:
    """This happens where another process has the partition of the correction and has not processed it yet."""
    placed = order(10)
    give(engine, placed)
    (bill,) = issued(engine, placed)
    assert engine.submit("test", [v.CorrectInvoice(**series_of(bill), number=bill["number"], reason="misspelt")]) == []
    (captured,) = engine.recorder.after(int(bill["movement"].split("/")[1]) - 1, 1)
    money = engine.store.codec.decode(captured, captured.id)
    said = {name: getattr(money.event, name) for name in ("payment_id", "order_id", "currency")}
    refund = p.PaymentRefunded(**said, refund_id="r", amount_minor=100, reference="r")
    later, earlier = (money._replace(position=engine.last_position() + more, event=refund) for more in (1, -1))
    with pytest.raises(GatewayUnavailable, match=f"{bill['name']} is being corrected"):
        invoicing(engine).perform([later])
    ((before,),) = invoicing(engine).perform([earlier])
    assert isinstance(before, v.IssueInvoice)
    assert before.content.precedes == (bill["name"],)
    engine.settle()
    ((note,),) = invoicing(engine).perform([later])
    assert isinstance(note, v.IssueInvoice)
    assert note.content.precedes == (issued(engine, placed)[-1]["name"],)


def series_of(bill: dict[str, Any]) -> dict[str, Any]:
    return {name: bill[name] for name in ("seller", "year")}


@pytest.mark.parametrize("who", ["invoicing", "labels"])
def test_a_folder_that_is_not_there_is_an_outage_and_what_is_made_is_kept_later(
    database_url: str, tmp_path: Path, who: str
) -> None:
    migrate(database_url)
    taken = tmp_path / "taken"
    taken.write_text("a file where the folder is to be")
    with Engine(database_url) as engine:
        label = partial(external_systems._keep, database_url, media_type="application/pdf")
        keep: Callable[[bytes], Any] = invoicing(engine).keep if who == "invoicing" else label
        try:
            places.SHELF.set_up(taken, places.BYTES_MAX, places.LOOSE_DAYS)
            with pytest.raises(GatewayUnavailable, match="taken"):
                keep(b"%PDF-1.7")
            taken.unlink()
            keep(b"%PDF-1.7")
        finally:
            places.SHELF.set_up(None, places.BYTES_MAX, places.LOOSE_DAYS)
        assert [row["in_folder"] for row in rows(engine, f"SELECT in_folder FROM {documents.DOCUMENTS}")] == [True]


def test_what_has_a_number_gets_no_other_also_where_its_series_does_not_remember_it(engine: Engine) -> None:
    """After a rebalancing an event that another process has answered is processed again."""
    placed = order(8)
    give(engine, placed)
    (bill,) = issued(engine, placed)
    give(
        engine,
        o.RefundOrder(order_id=placed.order_id, refund_id="r", goodwill_minor=100),
        v.CorrectInvoice(seller="ACME", year=bill["year"], number=bill["number"], reason="misspelt"),
    )
    movements = [row["movement"] for row in issued(engine, placed)]
    assert [movement.split("/")[0] for movement in movements] == ["capture", "refund", "cancellation", "replacement"]
    for movement in movements:
        assert again_of(engine, int(movement.split("/")[1])) == ()


def test_tenders_have_a_document_each_and_what_is_free_has_none(engine: Engine) -> None:
    give(
        engine,
        a.OpenAccount(account_id="G-1", kind="store_credit", channel="web", currency="EUR"),
        a.CreditAccount(account_id="G-1", entry_id="in", amount_minor=300),
    )
    tender = o.Tender(method="account", payment_token="G-1", amount_minor=300)
    mixed = order(3).model_copy(update={"tenders": (tender,)})
    line = mixed.lines[0].model_copy(update={"unit_price_minor": 0})
    free = order(4).model_copy(update={"lines": (line,)})
    give(engine, mixed, free)
    assert sorted(row["total_minor"] for row in issued(engine, mixed)) == [300, 700]
    assert issued(engine, free) == []


def test_a_mistaken_document_is_cancelled_and_issued_again(engine: Engine) -> None:
    placed = order(5)
    give(engine, placed, ACME.model_copy(update={"name": "Acme & Co"}))
    (bill,) = issued(engine, placed)
    correct = v.CorrectInvoice(seller="ACME", year=bill["year"], number=bill["number"], reason="our name is another")
    give(engine, correct, correct, o.RefundOrder(order_id=placed.order_id, refund_id="all", goodwill_minor=1000))
    _, cancelled, again, note = issued(engine, placed)
    assert (cancelled["kind"], cancelled["corrects"], cancelled["total_minor"]) == ("credit_note", bill["name"], 1000)
    assert (again["kind"], again["corrects"], again["tax_minor"]) == ("invoice", "", bill["tax_minor"])
    assert (note["kind"], note["tax_minor"]) == ("credit_note", again["tax_minor"])


def test_an_invoice_stays_where_its_credit_notes_give_back_more_tax_than_it_would_have(database_url: str) -> None:
    """It is put aside with the reason, blocks nothing, and succeeds once the seller is set correctly."""
    migrate(database_url)
    with Engine(database_url) as engine:
        placed = order(1)
        back = o.RefundOrder(order_id=placed.order_id, refund_id="r-1", goodwill_minor=900)
        give(engine, OPEN, STOCK, ACME, placed, back, ACME.model_copy(update={"included_tax": "0"}))
        correct = v.CorrectInvoice(seller="ACME", year=issued(engine, placed)[0]["year"], number=1, reason="misspelt")
        give(engine, correct, back.model_copy(update={"refund_id": "r-2", "goodwill_minor": 50}))
        assert [row["kind"] for row in issued(engine, placed)] == ["invoice", "credit_note", "credit_note"]
        with engine.recorder.datastore.cursor() as curs:
            (letter,) = dead_letters.listed(curs)
        assert (letter.source, letter.reason) == ("invoicing", "invoice_credited")
        assert replayed(engine, "ann", letter).startswith("invoice_credited")
        give(engine, ACME.model_copy(update={"name": "Acme & Co"}))
        assert replayed(engine, "ann", letter) == ""
        engine.settle()
        *_, cancelled, again = issued(engine, placed)
        assert (cancelled["kind"], again["kind"], again["tax_minor"]) == ("credit_note", "invoice", 160)
    report = verify(database_url, DECIDERS, PROJECTIONS, Codec(EVENTS))
    assert report.passed, [check for check in report.checks if check.failed]


def test_what_refers_to_a_document_that_was_put_aside_is_put_aside_too_and_is_replayed_after_it(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither holds up what comes after it: another order has its invoice meanwhile."""

    def refused(*_: Any) -> None:
        raise Refused(FinanceRefusal.INVOICE_NOT_DRAWN_UP, "it cannot be drawn up today")

    migrate(database_url)
    with Engine(database_url) as engine:
        placed, other = order(1), order(2)
        give(engine, OPEN, STOCK, ACME)
        with monkeypatch.context() as patch:
            patch.setattr("oms_es.app.invoicing.issuing.drawn_up", refused)
            give(engine, placed)
        for refund in ("r-1", "r-2"):
            give(engine, o.RefundOrder(order_id=placed.order_id, refund_id=refund, goodwill_minor=100))
        give(engine, other)
        assert [len(issued(engine, one)) for one in (placed, other)] == [0, 1]
        with engine.recorder.datastore.cursor() as curs:
            letters = sorted(dead_letters.listed(curs), key=lambda letter: letter.id)
        assert [letter.reason for letter in letters] == ["invoice_not_drawn_up", "invoice_missing", "invoice_missing"]
        assert replayed(engine, "ann", letters[1]).startswith("invoice_missing")
        for letter in letters:
            assert replayed(engine, "ann", letter) == ""
            engine.settle()
        bill, first, second = issued(engine, placed)
        assert [one["kind"] for one in (bill, first, second)] == ["invoice", "credit_note", "credit_note"]
    report = verify(database_url, DECIDERS, PROJECTIONS, Codec(EVENTS))
    assert report.passed, [check for check in report.checks if check.failed]


def test_what_waits_for_the_engine_is_no_gateway_that_does_not_answer(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(database_url)
    with Engine(database_url) as engine:
        give(engine, OPEN, STOCK, ACME)
        placed = order(1)
        for error, silent in ((WaitsForEngine("in a moment"), []), (GatewayUnavailable("out"), ["invoicing"])):
            with monkeypatch.context() as patch:
                asked = Mock(side_effect=error)
                patch.setattr(InvoicingGateway, "perform", asked)
                assert engine.submit("test", [placed]) == []
                for _ in range(400):
                    if not engine.loop.iterate() and asked.called:
                        break
                    time.sleep(0.01)
                assert (asked.called, engine.loop.paused()) == (True, silent)
        engine.settle()
        assert engine.loop.paused() == []
        assert len(issued(engine, placed)) == 1


def test_a_person_is_forgotten_and_the_invoice_stays_for_its_term(engine: Engine) -> None:
    placed = order(6, name="Grace Hopper")
    give(engine, placed)
    (row,) = issued(engine, placed)
    erasing.ask(engine, "dpo", [placed.order_id], "request", "dsr-1")
    engine.settle()
    erasing.erase(engine.database_url, [placed.order_id], "dpo")
    (event,) = engine.recorder.after(row["position"] - 1, 1)
    with psycopg.connect(engine.database_url) as connection:
        made = Codec(EVENTS).over(connection).decode(event, row["position"]).event
    assert isinstance(made, v.InvoiceIssued)
    assert (made.buyer.name, made.buyer.country) == ("", "DE")
    assert made.total_minor == 1000
    address = rows(engine, "SELECT sha256 FROM document_attachments WHERE reference = %s", row["name"])[0]["sha256"]
    kept = read_of(engine, address)
    assert kept.buyer == "Grace Hopper"


def test_payments_that_are_answered_late_twice_and_otherwise_have_documents_of_what_moved(database_url: str) -> None:
    with engine_on(database_url, chaos=Chaos(seed=11, timeout=0.2, duplicate=0.3, late=0.3, reordered=0.2)) as engine:
        give(engine, OPEN, STOCK.model_copy(update={"quantity": 100}), ACME)
        placed = [order(number) for number in range(20)]
        assert engine.submit("test", placed) == []
        engine.settle()
        give(engine, *(o.RefundOrder(order_id=one.order_id, refund_id="r", goodwill_minor=99) for one in placed[:5]))
        (said,) = rows(engine, "SELECT count(*) AS n, max(number) AS last FROM invoices")
        (moved,) = rows(engine, "SELECT count(*) AS n FROM money_movements")
    assert said["n"] == said["last"] == moved["n"] > 20
    report = verify(database_url, DECIDERS, PROJECTIONS, Codec(EVENTS))
    assert report.passed, [check for check in report.checks if check.failed]


def test_the_terminal_lists_what_was_issued_and_who_sells(oms: Any, database_url: str) -> None:
    code, _, err = oms("invoice", "list")
    assert (code, "`oms-es seller set`" in err) == (Code.OK, True)
    assert (
        oms("seller", "set", "--seller", "ACME", "--name", "Acme", "--country", "DE", "--vat-id", "DE1234")[0]
        == Code.OK
    )
    with Engine(database_url) as engine:
        give(engine, OPEN, STOCK, order(1), order(2))
    listed = shown(oms, "invoice", "list")
    assert [row["number"] for row in listed["invoices"]] == [2, 1]
    assert all(row["sha256"] for row in listed["invoices"])
    assert [row["seller"] for row in shown(oms, "seller", "list")] == ["ACME"]
    of_one = shown(oms, "invoice", "list", "--order", "web/W-1")
    assert [row["order_id"] for row in of_one["invoices"]] == [order(1).order_id]
    assert "Acme" in oms("seller", "list")[1]
    year = str(listed["invoices"][0]["year"])
    code, _, err = oms("invoice", "correct", "ACME", year, "--number", "9", "--reason", "x")
    assert (code, "unknown_invoice" in err) == (Code.NOT_FOUND, True)
