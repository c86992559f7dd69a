"""Small inputs that once went wrong, imported as a person would: each gets its correct value, and none stops the
import.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from oms_es.app import Engine
from oms_es.exit_codes import Code
from oms_es.schemas.order import order_id_of

Oms = Callable[..., tuple[int, str, str]]
PAYMENT = f"{order_id_of('web', '1')}.1"
ORDER = {
    "channel": "web",
    "external_id": "1",
    "placed_at": "2026-01-05T09:30:00+01:00",
    "currency": "EUR",
    "lines": [{"line_id": "1", "sku": "A", "quantity": 1, "unit_price_minor": 10_000}],
    "ship_to": {"country": "DE"},
}
BEFORE_YEAR_1 = ORDER | {
    "external_id": "presale",
    "kind": "presale",
    "available_by": "0001-01-01T00:00:00+14:00",
    "deposit_minor": 10,
}


@pytest.fixture
def oms(oms: Oms) -> Oms:
    """Return the commands, with a location that has stock."""
    assert oms("location", "open", "berlin", "--country", "DE")[0] == Code.OK
    assert oms("stock", "receive", "A", "berlin", "--receipt-id", "r", "--quantity", "5")[0] == Code.OK
    return oms


def imported(oms: Oms, directory: Path, what: str, *documents: Any, dialect: str | None = None) -> dict[str, Any]:
    file = directory / "input.jsonl"
    file.write_text("".join(json.dumps(document) + "\n" for document in documents))
    chosen = ("--format", dialect) if dialect else ()
    _, out, err = oms(what, "import", str(file), *chosen, "--json")
    assert "unexpected" not in err
    settle()
    return dict(json.loads(out))


def settle() -> None:
    with Engine(os.environ["OMS_DATABASE_URL"], gateways=()) as engine:
        engine.loop.run_until_idle()


def rows(query: str) -> list[dict[str, Any]]:
    with psycopg.connect(os.environ["OMS_DATABASE_URL"], row_factory=dict_row) as connection:
        return connection.execute(query.encode()).fetchall()


def stripe(kind: str, **content: Any) -> dict[str, Any]:
    return {"object": "event", "type": kind, "data": {"object": content}}


INTENT = {"id": "pi_1", "amount": 10_000, "currency": "eur", "metadata": {"payment_id": PAYMENT}}
PAID = stripe("payment_intent.succeeded", **INTENT, amount_received=10_000, latest_charge="ch_1")
OF_THE_DASHBOARD = stripe(
    "refund.created",
    id="re_1",
    amount=10_000,
    currency="eur",
    status="succeeded",
    charge="ch_1",
    payment_intent="pi_1",
    metadata={},
)


def test_a_presale_from_before_year_1_is_one_dead_letter_and_the_engine_goes_on(oms: Oms, tmp_path: Path) -> None:
    limit = ("stock", "set-presale-limit", "A", "berlin", "--quantity", "10")
    assert oms(*limit)[0] == Code.OK
    taken = imported(oms, tmp_path, "orders", BEFORE_YEAR_1, ORDER)
    assert (taken["placed"], taken["rejected"]) == (1, 1)
    (letter,) = rows("SELECT detail FROM oms_dead_letters")
    assert "available_by" in letter["detail"]
    assert [row["external_id"] for row in rows("SELECT external_id FROM order_status")] == ["1"]
    assert oms("verify")[0] == Code.OK


@pytest.mark.parametrize("first", ["report", "booking"])
def test_a_tracking_history_older_than_its_parcel_is_not_this_parcels(oms: Oms, tmp_path: Path, first: str) -> None:
    """A carrier gives a number again: what it saw of another parcel under it moves neither goods nor money."""
    old = {
        "object": "Event",
        "description": "tracker.updated",
        "result": {
            "id": "trk_1",
            "object": "Tracker",
            "carrier": "USPS",
            "tracking_code": "N1",
            "status": "pre_transit",
            "updated_at": "2024-11-03T10:00:00Z",
            "tracking_details": [
                {"message": "accepted", "status": "in_transit", "datetime": "2024-11-01T10:00:00Z"},
                {"message": "left at the door", "status": "delivered", "datetime": "2024-11-03T10:00:00Z"},
            ],
        },
    }
    held = stripe("payment_intent.amount_capturable_updated", **INTENT, amount_capturable=10_000)
    imported(oms, tmp_path, "orders", ORDER)
    imported(oms, tmp_path, "callbacks", held, dialect="stripe")
    (parcel,) = rows("SELECT shipment_id FROM shipments")

    def report() -> None:
        assert imported(oms, tmp_path, "callbacks", old, dialect="easypost_tracker")["rejected"] == 0

    if first == "report":
        report()
    shipment = str(parcel["shipment_id"])
    assert oms("shipment", "pack", shipment, "--weight-grams", "500")[0] == Code.OK
    settle()  # the carrier is asked
    booked = ("--carrier", "USPS", "--tracking-number", "N1")
    code, _, err = oms("shipment", "record-booking", shipment, *booked, "--as-system")
    assert code == Code.OK, err
    settle()
    if first == "booking":
        report()
    (row,) = rows("SELECT status, dispatched_at, delivered_at FROM shipments")
    assert (row["dispatched_at"], row["delivered_at"]) == (None, None)
    assert rows("SELECT captured_minor FROM payments") == [{"captured_minor": 0}]
    assert oms("verify")[0] == Code.OK


def test_a_refund_made_in_the_providers_dashboard_counts_when_its_export_is_imported(oms: Oms, tmp_path: Path) -> None:
    imported(oms, tmp_path, "orders", ORDER)
    taken = imported(oms, tmp_path, "callbacks", PAID, OF_THE_DASHBOARD, OF_THE_DASHBOARD, dialect="stripe")
    assert taken["rejected"] == 0
    (payment,) = rows("SELECT captured_minor, refunded_minor FROM payments")
    assert (payment["captured_minor"], payment["refunded_minor"]) == (10_000, 10_000)
    (order,) = rows("SELECT phase FROM order_status")
    assert order["phase"] != "completed", "its goods do not go out for nothing"
    assert oms("verify")[0] == Code.OK


def test_a_pipe_that_closes_in_the_middle_of_a_line_costs_that_line_alone(
    oms: Oms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer died: each whole line is accepted, the rest is one dead letter, and sending all again duplicates
    nothing."""
    lines = "".join(json.dumps(ORDER | {"external_id": str(n)}) + "\n" for n in range(3))

    def piped(content: str) -> tuple[int, dict[str, int]]:
        reading, writing = os.pipe()
        os.write(writing, content.encode())
        os.close(writing)
        with os.fdopen(reading) as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            code, out, _ = oms("orders", "import", "-", "--json", "--no-run")
        return code, json.loads(out)

    code, cut = piped(lines[:-40])
    assert (code, cut["placed"], cut["rejected"]) == (Code.BURIED, 2, 1)
    code, whole = piped(lines)
    assert (code, whole["placed"], whole["repeated"], whole["rejected"]) == (Code.OK, 1, 2, 0)
