"""Units that moved from order to order are reported as missing if they did not arrive, and only then."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from oms_es.app import DECIDERS, PROJECTIONS, engine_on
from oms_es.schemas import order as o
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Codec
from oms_es.verification.verify import Report, verify
from shop import an_order

UNITS = "units conserved"
SPLIT = an_order("1", ("TEA", 2), ("CUP", 1))
MERGED = tuple(an_order(name, ("TEA", 1)) for name in ("2", "3"))
OFF = o.order_id_of("web", "split/s1/1")
MERGE = o.MergeOrders(channel="web", merge_id="m", order_ids=tuple(order.order_id for order in MERGED))
LIFE: tuple[Any, ...] = (
    OpenLocation(location="berlin", country="DE"),
    SPLIT,
    *MERGED,
    o.SplitOrder(order_id=SPLIT.order_id, split_id="s1", lines=(o.LineUnits(line_id="2", quantity=1),)),
    MERGE,
)


def lived(url: str, commands: tuple[Any, ...] = LIFE) -> None:
    with engine_on(url) as engine:
        for command in commands:
            assert not engine.submit("test", [command])
            engine.settle()


def report(url: str) -> Report:
    return verify(url, DECIDERS, PROJECTIONS, Codec(EVENTS))


def found(url: str) -> list[str]:
    (check,) = [check for check in report(url).checks if check.name.startswith(UNITS)]
    assert check.failed == len(check.differences)
    return check.differences


def without(url: str, order_id: str) -> None:
    with psycopg.connect(url) as connection:
        placed = "DELETE FROM oms_events WHERE topic = 'OrderPlaced' AND originator_id = %s"
        assert connection.execute(placed, [f"order-{order_id}"]).rowcount == 1


def test_what_was_split_off_and_merged_is_asked_for_and_is_there(database_url: str) -> None:
    lived(database_url)
    (check,) = [check for check in report(database_url).checks if check.name.startswith(UNITS)]
    assert (check.checked, check.failed) == (2, 0)
    assert report(database_url).passed


@pytest.mark.parametrize(
    ("order_id", "differs"),
    [(OFF, f"{{'CUP': 1}} go to order {OFF}"), (MERGE.order_id, f"{{'TEA': 2}} go to order {MERGE.order_id}")],
)
def test_units_that_are_in_no_order_are_found(database_url: str, order_id: str, differs: str) -> None:
    lived(database_url)
    without(database_url, order_id)
    (difference,) = found(database_url)
    assert differs in difference
    assert difference.startswith("position ")


def test_an_order_with_fewer_units_than_went_to_it_is_found(database_url: str) -> None:
    lived(database_url)
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "UPDATE oms_events SET state = convert_to(jsonb_set(convert_from(state, 'UTF8')::jsonb,"
            " '{event,content,lines,0,quantity}', '2')::text, 'UTF8') WHERE topic = 'OrderSplit'"
        )
    (difference,) = found(database_url)
    assert "has {'CUP': 1} of the {'CUP': 2}" in difference


@pytest.mark.parametrize("last", [LIFE[-2], LIFE[-1]], ids=["split", "merge"])
def test_units_on_their_way_are_no_ones_fault(database_url: str, last: Any) -> None:
    """The consumer has processed nothing since the units left."""
    lived(database_url, LIFE[:-2])
    with engine_on(database_url) as engine:
        assert not engine.submit("test", [last])
    assert found(database_url) == []
    with engine_on(database_url) as engine:
        engine.settle()
    assert found(database_url) == []
    assert report(database_url).passed
