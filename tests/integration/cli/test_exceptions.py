"""Exceptions are listed until they are settled, and what was done about each is kept."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from desk_story import OPEN, STOCK, lived, order, shown
from oms_es.exit_codes import Code
from oms_es.projections.operations.deadlines import PLACEMENT_DUE_SECONDS
from oms_es.schemas import order as o
from oms_es.schemas.stock import ReceiveStock

CONFLICT = "duplicate_conflict/web/W-1"


def sent_again(**changes: Any) -> o.PlaceOrder:
    first = order(1)
    return o.PlaceOrder.model_validate(
        {**{name: getattr(first, name) for name in o.OrderContent.model_fields}, **changes}
    )


def more(quantity: int = 3, unit_price_minor: int = 1_000) -> Any:
    return (o.OrderLine(line_id="1", sku="A", quantity=quantity, unit_price_minor=unit_price_minor),)


def listed(oms: Any, *arguments: str) -> list[str]:
    return [row["exception_id"] for row in shown(oms, "exceptions", "list", *arguments)["exceptions"]]


def test_an_exception_is_listed_assigned_and_resolved_and_its_end_is_kept(oms: Any, database_url: str) -> None:
    lived(database_url, order(1))
    (name,) = listed(oms)
    assert name == f"backordered/{o.order_id_of('web', 'W-1')}"
    assert oms("exceptions", "assign", "backordered/web/W-1", "--to", "ada")[0] == Code.OK
    lived(database_url)
    assert (listed(oms, "--assignee", "ada"), listed(oms, "--assignee", "bob")) == ([name], [])
    assert (listed(oms, "--kind", "backordered", "--order", "web/W-1"), listed(oms, "--kind", "dispute")) == (
        [name],
        [],
    )
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert oms("exceptions", "snooze", name, "--until", later, "--note", "stock comes")[0] == Code.OK
    assert oms("exceptions", "snooze", name, "--until", "2020-01-01T00:00Z")[0] == Code.REFUSED
    lived(database_url)
    assert (listed(oms), listed(oms, "--snoozed")) == ([], [name])
    soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    assert oms("exceptions", "snooze", name, "--until", soon)[0] == Code.OK
    lived(database_url)
    while datetime.now(UTC).isoformat() <= soon:
        time.sleep(0.1)
    assert (listed(oms), listed(oms, "--snoozed")) == ([name], [])
    assert oms("exceptions", "resolve", name, "--note", "the customer waits")[0] == Code.OK
    lived(database_url)
    assert listed(oms) == []
    assert shown(oms, "order", "show", "web/W-1")["exceptions"] == []
    (past,) = shown(oms, "exceptions", "list", "--resolved")["exceptions"]
    assert (past["exception_id"], past["note"], past["detail"]) == (name, "the customer waits", "waits for 1 x A")
    assert past["actor"].startswith("cli")
    reported = shown(oms, "exceptions", "show", name)
    assert (reported["open"], [step["what"] for step in reported["history"]]) == (
        False,
        ["assigned", "snoozed", "snoozed", "resolved"],
    )
    assert "the customer waits" in oms("order", "show", "web/W-1")[1]


def test_what_was_resolved_once_is_refused_and_open_again_when_it_is_raised_again(oms: Any, database_url: str) -> None:
    lived(database_url, OPEN, order(1), sent_again(lines=more()))
    assert oms("exceptions", "resolve", CONFLICT, "--note", "ours is right")[0] == Code.OK
    lived(database_url)
    code, _, err = oms("exceptions", "resolve", CONFLICT, "--note", "no, theirs")
    assert (code, "ours is right" in err) == (Code.REFUSED, True)
    lived(database_url, sent_again(lines=more(2)))
    assert f"duplicate_conflict/{o.order_id_of('web', 'W-1')}" in listed(oms)
    assert CONFLICT in oms("exceptions", "list")[1], "the name that the other commands take, and not the order's id"
    assert oms("exceptions", "resolve", CONFLICT, "--note", "ours again")[0] == Code.OK


EARLY = """
{"type": "CancelOrder", "channel": "web", "external_id": "W-1", "reason": "changed their mind"}
{"type": "RecordChannelRefund", "channel": "web", "external_id": "W-2", "refund_id": "r"}
"""


def test_what_waits_for_an_order_that_does_not_come_is_listed_after_a_day(
    oms: Any, database_url: str, tmp_path: Path
) -> None:
    reported = tmp_path / "early.jsonl"
    reported.write_text(EARLY.strip())
    assert oms("orders", "import", str(reported))[0] == Code.OK
    assert listed(oms) == []
    now = [datetime.now(UTC) + timedelta(seconds=PLACEMENT_DUE_SECONDS)]
    lived(database_url, clock=lambda: now[0])
    assert oms("exceptions", "list", "--kind", "order_missing")[1].count("web/W-") == 2
    assert "order web/W-1 has not come" in oms("exceptions", "show", "order_missing/web/W-1")[1]
    assert oms("exceptions", "resolve", "order_missing/web/W-2", "--note", "another shop's")[0] == Code.OK
    lived(database_url, order(1), clock=lambda: now[0])
    assert listed(oms) == []
    assert "cancelled" in oms("order", "show", "web/W-1")[1]
    assert oms("verify")[0] == Code.OK


@pytest.mark.parametrize("verb", [("show",), ("assign", "--to", "ada"), ("resolve", "--note", "x"), ("take", "ours")])
def test_an_exception_that_there_is_not_is_refused_and_begins_nothing(
    oms: Any, database_url: str, verb: tuple[str, ...]
) -> None:
    lived(database_url, order(1))
    name, *options = verb
    code, _, err = oms("exceptions", name, *options, "backordred/web/W-1")
    assert (code, err.count("\n")) == (Code.NOT_FOUND, 1)
    assert "exceptions list" in err or "did you mean" in err


def test_pages_of_exceptions_follow_each_other(oms: Any, database_url: str) -> None:
    lived(database_url, *(order(n) for n in range(3)))
    first = shown(oms, "exceptions", "list", "--limit", "2")
    rest = shown(oms, "exceptions", "list", "--limit", "2", "--after", first["after"])
    names = [row["external_id"] for row in (*first["exceptions"], *rest["exceptions"])]
    assert (names, rest["after"]) == (["W-0", "W-1", "W-2"], None)
    assert oms("exceptions", "list", "--after", "x")[0] == Code.USAGE
    assert oms("exceptions", "list", "--resolved", "--after", "x")[0] == Code.USAGE


def test_what_a_person_noticed_is_open_until_it_is_resolved(oms: Any, database_url: str) -> None:
    lived(database_url, OPEN, STOCK, order(1))
    noticed = ("exceptions", "open", "till-3", "--detail", "the till was short", "--order", "web/W-1")
    assert oms(*noticed)[0] == Code.OK
    lived(database_url)
    (row,) = shown(oms, "exceptions", "list", "--kind", "noticed")["exceptions"]
    assert (row["kind"], row["detail"], row["order_id"]) == (
        "noticed",
        "the till was short",
        str(o.order_id_of("web", "W-1")),
    )
    assert "noticed/till-3 opened" in oms("order", "show", "web/W-1")[1]
    assert oms("exceptions", "resolve", "noticed/till-3", "--note", "counted again")[0] == Code.OK
    assert "already done" in oms(*noticed)[2]
    lived(database_url)
    assert "noticed/till-3" not in listed(oms)
    assert oms("exceptions", "open", "x", "--detail", "y", "--order", "web/unknown")[0] == Code.NOT_FOUND
    assert oms("exceptions", "open", "x", "--detail", "")[0] == Code.USAGE


def test_a_conflict_shows_what_differs_and_theirs_amends_the_order(oms: Any, database_url: str) -> None:
    lived(database_url, OPEN, order(1), sent_again(lines=more(3), ship_to=o.Address(name="Ada", country="FR")))
    reported = shown(oms, "exceptions", "show", CONFLICT)
    assert {d["field"]: (d["ours"], d["theirs"]) for d in reported["differences"]} == {
        "lines.1.quantity": (1, 3),
        "ship_to.name": ("Ada Lovelace", "Ada"),
        "ship_to.postal_code": ("10 115", ""),
        "ship_to.country": ("DE", "FR"),
    }
    assert "lines.1.quantity" in oms("exceptions", "show", CONFLICT)[1]
    code, out, err = oms("exceptions", "take", "theirs", CONFLICT, "--json")
    assert code == Code.OK, err
    assert json.loads(out)[-1]["event"]["note"] == "took theirs"
    lived(database_url)
    now = shown(oms, "order", "show", "web/W-1")
    assert (now["lines"][0]["quantity"], now["ship_to"]["country"]) == (3, "FR")
    assert [row["kind"] for row in now["exceptions"]] == ["backordered"]


def test_ours_keeps_the_order_as_it_is(oms: Any, database_url: str) -> None:
    lived(database_url, OPEN, order(1), sent_again(lines=more()))
    assert oms("exceptions", "take", "ours", CONFLICT, "--note", "they called")[0] == Code.OK
    lived(database_url)
    assert shown(oms, "order", "show", "web/W-1")["lines"][0]["quantity"] == 1
    assert shown(oms, "exceptions", "show", CONFLICT)["history"][-1]["note"] == "took ours: they called"


def test_theirs_is_refused_where_it_is_too_late_or_no_amendment_and_nothing_is_resolved(
    oms: Any, database_url: str
) -> None:
    lived(database_url, OPEN, STOCK, order(1), sent_again(lines=more(unit_price_minor=999)))
    code, _, err = oms("exceptions", "take", "theirs", CONFLICT)
    assert (code, err.count("\n")) == (Code.REFUSED, 1)
    assert shown(oms, "exceptions", "show", CONFLICT)["open"]
    lived(database_url, sent_again(payment_token="another"))
    code, _, err = oms("exceptions", "take", "theirs", CONFLICT)
    assert (code, "payment_token" in err) == (Code.REFUSED, True)


def test_only_a_conflict_has_sides(oms: Any, database_url: str) -> None:
    lived(database_url, order(1), ReceiveStock(sku="B", location="berlin", receipt_id="r", quantity=1))
    code, _, err = oms("exceptions", "take", "ours", "backordered/web/W-1")
    assert (code, "resolve" in err) == (Code.USAGE, True)
