"""The independent count of orders must be able to fail: a changed amount or count is found and named."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from oms_es.app import DECIDERS, PROJECTIONS, engine_on
from oms_es.schemas import order as o
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.order import returns as x
from oms_es.schemas.returns import rma as r
from oms_es.schemas.stock import ReceiveStock
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Codec
from oms_es.verification.verify import verify
from outside import PLACE
from whole_engine import START

OF: Any = {"order_id": PLACE.order_id}
BACK = (o.LineUnits(line_id="1", quantity=2),)
LIFE: tuple[Any, ...] = (
    OpenLocation(location="berlin", country="DE"),
    *(ReceiveStock(sku=sku, location="berlin", receipt_id="r", quantity=10) for sku in ("TEA", "CUP")),
    PLACE,
    o.RefundOrder(**OF, refund_id="dented", lines=(o.RefundLine(line_id="2", amount_minor=100),), shipping_minor=150),
    x.RequestReturn(**OF, rma_id="r1", lines=(r.ReturnLine(line_id="1", quantity=2, reason="damaged"),), now=START),
    r.ReceiveRma(rma_id="r1", receipt_id="c1", location="berlin", lines=BACK),
    r.InspectRma(
        rma_id="r1",
        inspection_id="i1",
        location="berlin",
        lines=(r.InspectedLine(line_id="1", quantity=2, grade="damaged", disposition="damaged"),),
    ),
)
"""An order of two lines that is shipped, refunded in part, and returned in part."""
SHARES, REFUNDS, RETURNS = "charges conserved", "refunds conserved", "returns conserved"


@pytest.fixture
def url(database_url: str) -> str:
    with engine_on(database_url) as engine:
        for command in LIFE:
            assert not engine.submit("test", [command])
            engine.settle()
    return database_url


def failed(url: str) -> dict[str, list[str]]:
    report = verify(url, DECIDERS, PROJECTIONS, Codec(EVENTS))
    return {check.name.partition(":")[0]: check.differences for check in report.checks if check.failed}


def test_a_life_with_refunds_and_returns_passes_and_its_questions_were_asked(url: str) -> None:
    report = verify(url, DECIDERS, PROJECTIONS, Codec(EVENTS))
    assert not [check for check in report.checks if check.failed]
    asked = {check.name.partition(":")[0] for check in report.checks if check.checked}
    assert {SHARES, REFUNDS, RETURNS} <= asked


@pytest.mark.parametrize(
    ("topic", "path", "value", "check", "differs"),
    [
        ("OrderReleased", "shipments,0,lines,0,amount_minor", "2701", SHARES, "shares sum to"),
        ("OrderReleased", "shipments,0,shipping_minor", "0", SHARES, "the total is 35.50 EUR"),
        ("OrderReleased", "shipments,0,amount_minor", "3549", SHARES, "35.49 EUR is charged, 35.50 EUR is due"),
        ("OrderReleased", "shipments,0,lines,0,quantity", "4", SHARES, "without a share"),
        (
            "PaymentCaptureRequested",
            "amount_minor",
            "3549",
            SHARES,
            "35.49 EUR is taken, the parcel is charged 35.50 EUR",
        ),
        ("PaymentCaptured", "amount_minor", "3549", SHARES, "35.49 EUR was taken, 35.50 EUR was asked for"),
        ("OrderRefundRequested", "amount_minor", "251", REFUNDS, "parts sum to 2.50 EUR, the refund is 2.51 EUR"),
        ("OrderRefundRequested", "parts,0,allocations,0,amount_minor", "9000", REFUNDS, "gives back 2.50 EUR"),
        ("OrderRefundRequested", "parts,0,allocations,0,amount_minor", "9000", REFUNDS, "90.00 EUR given back of"),
        ("OrderRefundRequested", "refunded_units", '{"2": 7}', REFUNDS, "given back of"),
        ("PaymentRefundRequested", "allocations,0,amount_minor", "101", REFUNDS, "parts sum to 2.51 EUR"),
        ("PaymentRefunded", "amount_minor", "249", REFUNDS, "2.49 EUR was given back, 2.50 EUR was asked for"),
        ("OrderReturnRequested", "lines,0,quantity", "4", RETURNS, "asked back of"),
        ("RmaOpened", "lines,0,quantity", "1", RETURNS, "{'1': 1} expected, {'1': 2} asked back"),
        ("RmaReceived", "lines,0,quantity", "3", RETURNS, "{'1': 3} received of {'1': 2} asked back"),
        ("RmaInspected", "lines,0,quantity", "3", RETURNS, "{'1': 3} inspected of {'1': 2} received"),
        ("RmaCreditDue", "lines,0,quantity", "3", RETURNS, "{'1': 3} credited of {'1': 2} accepted"),
    ],
)
def test_an_event_that_was_changed_is_found_with_its_position_its_stream_and_what_differs(
    url: str, topic: str, path: str, value: str, check: str, differs: str
) -> None:
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "UPDATE oms_events SET state = convert_to("
            "jsonb_set(convert_from(state, 'UTF8')::jsonb, %s, %s::jsonb)::text, 'UTF8') WHERE notification_id = "
            "(SELECT min(notification_id) FROM oms_events WHERE topic = %s) RETURNING notification_id, originator_id",
            ["{event," + path + "}", value, topic],
        ).fetchone()
    assert row
    found = failed(url).get(check, [])
    assert any(differs in difference for difference in found), found
    assert any(f"position {row[0]}, {topic} in {row[1]}: " in difference for difference in found), found
