"""Documents in the terminal: every command of the how-to page works, and a refusal says what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
import pytest

from desk_story import OPEN, STOCK, lived, order, shown
from invoice_files import digital, ubl
from oms_es.cli.operator.checking import verified
from oms_es.exit_codes import Code
from oms_es.store.documents import places
from pages import blocks

SCAN = b"%PDF-1.7 a scan"
SHA256 = sha256(SCAN).hexdigest()
INVOICE = ubl(841, 159, 1_000)
"""Of as much as each order is."""


def commands() -> Iterator[list[str]]:
    for page in blocks("keep-documents.md", "console"):
        for line in page.replace("SHA256", SHA256).replace("INVOICE", sha256(INVOICE).hexdigest()).splitlines():
            yield shlex.split(line.removeprefix("$ oms-es "))


def test_every_command_of_the_page_works(
    database_url: str, oms: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived(database_url, OPEN, STOCK, order(1), order(2), simulated=True)
    monkeypatch.chdir(tmp_path)
    Path("receipt.pdf").write_bytes(SCAN)
    Path("invoice.xml").write_bytes(INVOICE)
    for command in commands():
        code, _, err = oms(*command)
        assert code == Code.OK, (command, err)
        if command[1] in ("add", "detach", "remove"):
            lived(database_url)  # folds what the command appended
        if command[1:3] == ["list", "--order"]:
            *_, row = shown(oms, *command)["documents"]
            assert (row["sha256"], row["media_type"], row["reference"]) == (SHA256, "application/pdf", "R-2026-7")
    assert Path("copy.pdf").read_bytes() == SCAN
    code, _, err = oms("documents", "get", SHA256)
    assert code == Code.NOT_FOUND
    assert "documents list" in err
    (row,) = shown(oms, "documents", "list")["documents"]
    assert (row["invoice_number"], row["total_minor"], row["currency"], row["differences"]) == (
        "INV-7",
        1_000,
        "EUR",
        [],
    )
    assert verified(database_url).passed


def test_what_cannot_be_says_what_to_do_next(database_url: str, oms: Any, tmp_path: Path) -> None:
    lived(database_url, OPEN, STOCK, order(1))
    scan = tmp_path / "scan"
    scan.write_bytes(SCAN)
    to = ("--entity", "order", "--entity-id", "web/W-1")
    assert oms("documents", "add", str(scan), "--entity", "order")[0] == Code.USAGE
    code, _, err = oms("documents", "add", str(scan), "--entity", "order", "--entity-id", "web/none")
    assert code == Code.NOT_FOUND
    assert "list the orders" in err
    code, _, err = oms("documents", "attach", "0" * 64, *to)
    assert code == Code.NOT_FOUND
    assert "oms-es documents add" in err
    assert oms("documents", "add", str(scan), *to, "--keep-until", "2199-12-31")[0] == Code.OK
    code, _, err = oms("documents", "remove", SHA256, "--reason", "tidying")
    assert code == Code.REFUSED
    assert "2199-12-31" in err
    code, _, err = oms("documents", "remove", SHA256, "--reason", "tidying", "--now", "2200-01-01T00:00Z")
    assert (code, "--now" in err) == (Code.USAGE, True)
    code, _, err = oms("documents", "add", str(tmp_path / "none"))
    assert code == Code.USAGE


def test_what_waited_too_long_cannot_be_attached_any_more_and_is_added_again(
    database_url: str, oms: Any, tmp_path: Path
) -> None:
    lived(database_url, OPEN, STOCK, order(1))
    scan = tmp_path / "scan"
    scan.write_bytes(SCAN)
    assert oms("documents", "add", str(scan))[0] == Code.OK
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE oms_documents SET loose_until = now() - interval '1 second'")
    to = ("--entity", "order", "--entity-id", "web/W-1")
    assert oms("documents", "attach", SHA256, *to)[0] == Code.NOT_FOUND
    assert oms("documents", "add", str(scan), *to)[0] == Code.OK


def test_settings_say_where_they_go_and_how_large_they_may_be(
    database_url: str, oms: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = tmp_path / "scan"
    scan.write_bytes(SCAN)
    try:
        monkeypatch.setenv("OMS_DOCUMENT_FOLDER", str(tmp_path / "kept"))
        assert oms("documents", "add", str(scan))[0] == Code.OK
        assert (tmp_path / "kept" / SHA256[:2] / SHA256).read_bytes() == SCAN
        monkeypatch.setenv("OMS_DOCUMENT_BYTES_MAX", "3")
        code, _, err = oms("documents", "add", str(scan))
        assert code == Code.USAGE
        assert "at most 3 bytes" in err
    finally:
        places.SHELF.set_up(None, places.BYTES_MAX, places.LOOSE_DAYS)


def test_an_invoice_names_what_it_may_be_of_by_name_then_by_amount(database_url: str, oms: Any, tmp_path: Path) -> None:
    lived(database_url, OPEN, STOCK, order(1), order(2), simulated=True)
    order_id = order(1).order_id
    file = tmp_path / "invoice"

    def proposed(content: bytes) -> list[dict[str, Any]]:
        file.write_bytes(content)
        address = shown(oms, "documents", "add", str(file))["sha256"]
        found: list[dict[str, Any]] = shown(oms, "documents", "read", address)["proposals"]
        return found

    first, *_ = proposed(INVOICE)
    assert (first["entity"], first["entity_id"], first["confidence"]) == ("order", order_id, 95)
    other_amount = proposed(ubl(840, 159, 999))
    assert [(one["entity_id"], one["confidence"]) for one in other_amount] == [(order_id, 70)]
    noted = INVOICE.replace(b"Thank you for", b"Ada, 0151-2345678, customer C-4711:")
    proposed(noted)
    with psycopg.connect(database_url) as connection:
        kept = connection.execute(
            "SELECT convert_from(state, 'UTF8') FROM oms_events WHERE topic = %s ORDER BY notification_id",
            ["DocumentFieldsRead"],
        )
        *_, (said,) = kept.fetchall()
    assert "web/W-1" in said
    assert not any(number in said for number in ("0151-2345678", "C-4711", "buyer")), said
    day = f"{datetime.now(UTC):%Y-%m-%d}".encode()
    unnamed = INVOICE.replace(b"W-1", b"none").replace(b"o-1.1", b"none").replace(b"2026-03-01", day)
    assert [(one["entity"], one["confidence"]) for one in proposed(unnamed)] == [("payment", 20)] * 2
    code, out, err = oms("documents", "read", shown(oms, "documents", "add", str(file))["sha256"])
    assert code == Code.OK
    assert "number: INV-7" in out
    file.write_bytes(digital("100.00", "13.00", "114.00"))
    code, _, err = oms("documents", "read", shown(oms, "documents", "add", str(file))["sha256"])
    assert code == Code.OK
    assert "does not add up" in err
    file.write_bytes(SCAN)
    code, _, err = oms("documents", "read", shown(oms, "documents", "add", str(file))["sha256"])
    assert code == Code.REFUSED
    assert "bad_invoice" in err
