"""`show` prints one entity whole, by the name that people use for it, and says in plain words what it waits for."""

from __future__ import annotations

from typing import Any

import pytest

from desk_story import OPEN, STOCK, lived, order, shown
from oms_es.app import Engine
from oms_es.exit_codes import Code
from oms_es.reports import queries
from oms_es.reports.streams import end_of_log
from oms_es.schemas import order as o
from oms_es.schemas.catalog.location import CloseLocation
from oms_es.schemas.payment import RecordDecline
from oms_es.schemas.stock import ReceiveStock


def test_an_order_is_shown_with_its_lines_its_money_its_address_and_its_parcels(oms: Any, database_url: str) -> None:
    lived(database_url, OPEN, STOCK, order(1))
    reported = shown(oms, "order", "show", "web/W-1")
    assert reported["lines"] == [
        {"line_id": "1", "sku": "A", "quantity": 1, "unit_price_minor": 1_000, "total_minor": 1_000}
    ]
    assert (reported["ship_to"]["name"], reported["total_minor"], reported["waits_for"]) == ("Ada Lovelace", 1_000, [])
    (parcel,) = reported["parcels"]
    assert (parcel["location"], parcel["status"], parcel["items"]) == (
        "berlin",
        "delivered",
        [{"sku": "A", "quantity": 1}],
    )
    assert [payment["status"] for payment in reported["payments"]] == ["captured"]
    _, text, _ = oms("order", "show", "web/W-1")
    assert all(word in text for word in ("10.00", "Ada Lovelace", parcel["tracking_number"], "2026-01-01 13:00:00"))
    assert "parcel 1 dispatched" in text


@pytest.mark.parametrize("what", ["payment", "shipment"])
def test_its_payment_and_its_parcel_are_shown_by_the_orders_name(oms: Any, database_url: str, what: str) -> None:
    lived(database_url, OPEN, STOCK, order(1))
    reported = shown(oms, what, "show", "web/W-1")
    of_it = f"{o.order_id_of('web', 'W-1')}.1"
    assert (reported["order"], reported[what][f"{what}_id"]) == ("web/W-1", of_it)
    assert reported["history"]
    assert "web/W-1" in oms(what, "show", of_it)[1]


def test_a_parcel_is_shown_by_its_tracking_number_and_a_payment_with_the_providers_references(
    oms: Any, database_url: str
) -> None:
    lived(database_url, OPEN, STOCK, order(1))
    number = shown(oms, "order", "show", "web/W-1")["parcels"][0]["tracking_number"]
    assert shown(oms, "shipment", "show", number)["shipment"]["tracking_number"] == number
    effects = shown(oms, "payment", "show", "web/W-1")["parts"]
    assert [effect["event"] for effect in effects] == ["PaymentAuthorized", "PaymentCaptured"]
    assert all(effect["reference"] for effect in effects)


def test_a_thing_is_shown_as_it_was(oms: Any, database_url: str) -> None:
    lived(database_url, OPEN, STOCK, order(1))
    history = shown(oms, "payment", "show", "web/W-1")["history"]
    then = history[0]["recorded_at"]
    assert shown(oms, "payment", "show", "web/W-1", "--at", then)["payment"]["state"] in ("requested", "authorized")
    code, _, err = oms("shipment", "show", "web/W-1", "--at", "2020-01-01")
    assert (code, "was not known at" in err) == (Code.NOT_FOUND, True)


AFTER_THE_END = (
    *(("order", "show", "web/W-1"), ("payment", "show", "web/W-1"), ("shipment", "show", "web/W-1")),
    *(("location", "show", "berlin"), ("stock", "show", "A"), ("explain", "stock_levels", "A", "berlin")),
    *(("rows", "stock_levels"), ("rows", "stock_levels", "--where", "sku=A", "--where", "location=berlin")),
)


@pytest.mark.parametrize("words", AFTER_THE_END, ids=" ".join)
def test_at_the_end_of_the_log_it_is_as_now_and_beyond_it_is_still_to_come(
    oms: Any, database_url: str, words: tuple[str, ...]
) -> None:
    lived(database_url, OPEN, STOCK, order(1))
    with queries.reading(database_url) as connection:
        end = end_of_log(connection)
    assert oms(*words, "--at", str(end))[0] == Code.OK
    assert oms(*words, "--at", "0")[0] in (Code.OK, Code.NOT_FOUND)
    for beyond in (end + 1, 10**18 - 1):
        code, _, said = oms(*words, "--at", str(beyond))
        assert (code, f"the log ends at position {end}; {beyond} is still to come" in said) == (Code.USAGE, True), said


def test_a_place_is_shown_and_listed(oms: Any, database_url: str) -> None:
    lived(database_url, OPEN, STOCK)
    assert shown(oms, "location", "show", "berlin")["location"]["open"] is True
    assert [row["location"] for row in shown(oms, "location", "list")] == ["berlin"]
    lived(database_url, CloseLocation(location="berlin", reason="a flood"))
    assert "a flood" in oms("location", "show", "berlin")[1]
    assert shown(oms, "location", "list") == []
    assert len(shown(oms, "location", "list", "--closed")) == 1


def test_stock_is_listed_a_page_at_a_time(oms: Any, database_url: str) -> None:
    more = [ReceiveStock(sku=sku, location=at, receipt_id="r", quantity=1) for sku in "AB" for at in ("one", "two")]
    lived(database_url, OPEN, *more)
    first = shown(oms, "stock", "list", "--limit", "3")
    assert [(row["sku"], row["location"]) for row in first["stock"]] == [("A", "one"), ("A", "two"), ("B", "one")]
    rest = shown(oms, "stock", "list", "--after", first["after"])
    assert [(row["sku"], row["location"]) for row in rest["stock"]] == [("B", "two")]
    assert rest["after"] is None
    assert (
        oms("stock", "list", "--location", "berlni")[2] == "oms-es: there is no location berlni; did you mean berlin?\n"
    )
    assert oms("stock", "list", "--after", "A")[0] == Code.USAGE


def test_where_no_place_is_open_an_order_says_so(oms: Any, database_url: str) -> None:
    lived(database_url, order(1))
    (sentence,) = shown(oms, "order", "show", "web/W-1")["waits_for"]
    assert "no location is open" in sentence
    assert "no location is open" in oms("order", "why", "web/W-1")[1]


def test_where_nothing_is_there_an_order_says_what_it_lacks_and_where_else_it_is(oms: Any, database_url: str) -> None:
    lived(database_url, OPEN, order(1))
    assert "no location has 1 x A" in shown(oms, "order", "show", "web/W-1")["waits_for"][0]
    lived(database_url, ReceiveStock(sku="A", location="attic", receipt_id="r", quantity=3))
    assert "attic has 3, and is not open" in shown(oms, "order", "show", "web/W-1")["waits_for"][0]


def test_a_held_order_says_how_it_is_released(oms: Any, database_url: str) -> None:
    held = o.HoldOrder(order_id=o.order_id_of("web", "W-1"), kind="fraud", note="same card, five names")
    lived(database_url, OPEN, order(1), held, STOCK)
    (sentence,) = shown(oms, "order", "show", "web/W-1")["waits_for"]
    assert "same card, five names" in sentence
    assert "oms-es order release-hold web/W-1 --kind fraud" in sentence


def test_an_order_whose_payment_was_not_answered_says_so(oms: Any, database_url: str) -> None:
    lived(database_url, OPEN, STOCK, order(1), gateways=())
    assert "has not answered about 10.00 EUR" in shown(oms, "order", "show", "web/W-1")["waits_for"][0]
    declined = RecordDecline(payment_id=f"{o.order_id_of('web', 'W-1')}.1", reason="no funds", retriable=True)
    lived(database_url, declined, gateways=())
    reported = shown(oms, "order", "show", "web/W-1")["waits_for"]
    assert any("oms-es order retry-payment web/W-1" in sentence for sentence in reported)


def test_a_released_order_says_how_far_its_parcels_are(oms: Any, database_url: str) -> None:
    with Engine(database_url) as engine:
        gateways = [gateway for gateway in engine.external_systems.gateways() if gateway.name.startswith("payment")]
        lived(database_url, OPEN, STOCK, order(1), gateways=gateways)
    (sentence,) = shown(oms, "order", "show", "web/W-1")["waits_for"]
    assert sentence.endswith("is to be packed at berlin")


@pytest.mark.parametrize("what", ["order", "payment", "shipment", "return"])
def test_a_name_that_is_spelled_nearly_right_gets_a_hint(oms: Any, database_url: str, what: str) -> None:
    lived(database_url, order(1))
    code, _, err = oms(what, "show", "web/W-11")
    assert (code, err.count("\n")) == (Code.NOT_FOUND, 1)
    assert "web/W-1" in err


def test_a_sku_that_is_spelled_nearly_right_gets_a_hint(oms: Any, database_url: str) -> None:
    lived(database_url, ReceiveStock(sku="CHAIR-OAK", location="berlin", receipt_id="r", quantity=1))
    assert "did you mean CHAIR-OAK?" in oms("stock", "show", "CHIAR-OAK")[2]


def test_a_thing_that_an_order_does_not_have_yet_is_said_so(oms: Any, database_url: str) -> None:
    lived(database_url, order(1))
    assert "has no shipment yet" in oms("shipment", "show", "web/W-1")[2]
