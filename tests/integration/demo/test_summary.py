"""The demo's last screen fits a page of a terminal, and says what a person wants to know."""

from __future__ import annotations

import io
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console, RenderableType

from oms_es.cli.operator.demo import next_steps
from oms_es.demo import summary
from oms_es.verification.check import Check
from oms_es.verification.verify import Report

ORDER = "5ae37083-f34d-5923-9e9e-3df9fbd3fab6"
SHOWN = {"order_id": ORDER, "channel": "web", "external_id": "W-1", "phase": "shipped"}
START = datetime(2026, 1, 5, 9, tzinfo=UTC)
STEPS = (
    ("OrderPlaced", f"order-{ORDER}", "placed on web as W-1, 9.89 EUR"),
    ("OrderSourced", f"order-{ORDER}", "sourced, attempt 1"),
    ("StockShort", "stock-mug@milano", "short of mug at milano: 1 requested, 0 available"),
    ("OrderSourced", f"order-{ORDER}", "sourced, attempt 2"),
    ("StockReserved", "stock-mug@berlin", "reserved 1 x mug at berlin"),
    ("OrderLineAllocated", f"order-{ORDER}", "allocated 1 x mug at berlin"),
    ("ShipmentDispatched", f"shipment-{ORDER}.2", "dispatched from berlin"),
    ("OrderShipmentDispatched", f"order-{ORDER}", f"{ORDER}.2 dispatched"),
    ("PaymentCaptured", f"payment-{ORDER}.1", "9.89 EUR captured"),
    ("OrderShipmentLost", f"order-{ORDER}", f"{ORDER}.2 lost, reship"),
)


def timeline(*steps: tuple[str, str, str]) -> list[dict[str, Any]]:
    return [
        {"event": event, "stream": stream, "summary": text, "recorded_at": START + timedelta(seconds=n)}
        for n, (event, stream, text) in enumerate(steps)
    ]


def printed(shown: RenderableType) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=80, markup=False, highlight=False).print(shown)
    return file.getvalue().splitlines()


def check(name: str, failed: int) -> Check:
    return Check(name, 10, failed, [f"difference {n}" for n in range(failed)])


def test_a_story_names_parcels_and_folds_what_is_repeated() -> None:
    lines = printed(summary.story(SHOWN, timeline(*STEPS)))
    assert lines[1] == "Order web/W-1: shipped"
    assert [re.split(r" {2,}", line.rstrip())[-1] for line in lines[2:]] == [
        "placed on web as W-1, 9.89 EUR",
        "short of mug at milano: 1 requested, 0 available",
        "sourced (2 times)",
        "reserved 1 x mug at berlin",
        "dispatched from berlin",
        "9.89 EUR captured",
        "parcel 2 lost, reship",
    ]
    assert "parcel 2" in lines[6]
    assert ORDER not in "".join(lines)


def test_the_last_screen_fits_a_page_however_long_the_story() -> None:
    long = [(f"Event{n}", f"order-{ORDER}", f"step {n} " + "x" * 200) for n in range(300)]
    counts = Counter(orders=3_000, delivered=2_800, backordered=20, cancelled=180, events=98_000, dead_letters=3)
    report = Report(98_000, 1_798, tuple(check(f"question {n}", 0) for n in range(60)))
    lines = [
        *printed(summary.headline(counts, 3_000, 31.4, 7)),
        *printed(summary.story(SHOWN, timeline(*long))),
        *printed(summary.verified(report, 3)),
    ]
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    assert "60 checks" in " ".join(lines)
    assert any("277 more" in line for line in lines)


def test_what_fails_is_on_it_with_its_differences() -> None:
    report = Report(10, 2, (check("all is well", 0), check("never oversold", 2)))
    text = "\n".join(printed(summary.verified(report, 1)))
    assert "1 failed" in text
    assert "difference 0" in text
    assert "all is well" not in text


def test_what_comes_next_can_be_copied_and_does_not_wait_for_payments() -> None:
    gone, kept = next_steps(None, ".venv/bin/oms-es"), next_steps("/home/ada/oms", "oms-es")
    assert "\n  .venv/bin/oms-es demo --keep\n  OMS_GATEWAYS=simulated .venv/bin/oms-es serve --with-engine\n" in gone
    assert "kept in /home/ada/oms" in kept
    assert "demo --keep" not in kept
