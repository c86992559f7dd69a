"""An order is found by each SKU that it has or once had, and by its recipient."""

from __future__ import annotations

from folding import fold
from oms_es.projections.order import order_recipients, order_skus
from oms_es.schemas import order as o
from story import BERLIN, NOON, OF, ORDER, line, placed


def amended(**changes: object) -> o.OrderAmended:
    reported = {
        "amendment_id": "a",
        "channel": "web",
        "placed_at": NOON,
        "currency": "EUR",
        "total_minor": 0,
        "units": 1,
    }
    return o.OrderAmended.model_validate({**OF, **reported, "more_minor": 0, "more_units": 0, **changes})


def test_each_sku_of_an_order_is_there_once_also_one_that_an_amendment_brought_or_took_away() -> None:
    rows = fold(order_skus.projection, placed(), amended(lines=(line("A", 1), line("C", 1))))
    assert {key[1]: row["placed_at"] for key, row in rows.items()} == dict.fromkeys("ABC", NOON)


def test_an_amendment_that_names_no_lines_asks_for_nothing_new() -> None:
    assert len(fold(order_skus.projection, placed(), amended(ship_to=BERLIN))) == 2


def test_it_goes_to_whom_the_last_address_says_whatever_the_case_and_the_spaces() -> None:
    first = o.Address(name="Ada  LOVELACE", postal_code="SW1A 1AA", country="GB")
    row = fold(order_recipients.projection, placed(ship_to=first))[(ORDER,)]
    assert (row["name_key"], row["postal_code_key"], row["country"]) == ("ada lovelace", "sw1a1aa", "GB")
    row = fold(order_recipients.projection, placed(ship_to=first), amended(ship_to=BERLIN))[(ORDER,)]
    assert (row["name"], row["country"], row["placed_at"]) == ("", "DE", NOON)
    assert fold(order_recipients.projection, placed(), amended(lines=(line("A", 1),)))[(ORDER,)]["country"] == "DE"


def test_an_amendment_of_an_order_that_no_one_knows_shows_nothing() -> None:
    assert fold(order_recipients.projection, amended(ship_to=BERLIN)) == {}
