"""Sales count for the UTC day on which the order was placed; its cancellation counts for that day too."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

from folding import fold
from oms_es.projections.order.daily_sales import projection
from story import NOON, cancelled, line, placed

DAY = date(2026, 1, 1)
WEB: Any = (DAY, "web", "EUR")


def test_orders_of_a_day_add_up() -> None:
    row = fold(projection, placed(), placed(line("C", 4, 50), order_id="p", external_id="2"))[WEB]
    assert (row["orders"], row["units"], row["gross_minor"]) == (2, 7, 1100)
    assert (row["cancelled_orders"], row["cancelled_units"], row["cancelled_minor"]) == (0, 0, 0)


def test_channels_currencies_and_days_are_kept_apart() -> None:
    rows = fold(
        projection,
        placed(),
        placed(channel="shop"),
        placed(currency="CHF"),
        placed(placed_at=NOON + timedelta(days=1)),
    )
    assert {key: row["orders"] for key, row in rows.items()} == {
        WEB: 1,
        (DAY, "shop", "EUR"): 1,
        (DAY, "web", "CHF"): 1,
        (date(2026, 1, 2), "web", "EUR"): 1,
    }


def test_the_day_is_that_of_utc_wherever_the_order_was_placed() -> None:
    in_tokyo = datetime(2026, 1, 2, 1, tzinfo=timezone(timedelta(hours=9)))
    assert in_tokyo.astimezone(UTC).date() == DAY
    assert list(fold(projection, placed(placed_at=in_tokyo))) == [WEB]


def test_a_cancellation_counts_on_the_day_of_placing_and_takes_nothing_from_the_sales() -> None:
    row = fold(projection, placed(), cancelled())[WEB]
    assert (row["orders"], row["units"], row["gross_minor"]) == (1, 3, 900)
    assert (row["cancelled_orders"], row["cancelled_units"], row["cancelled_minor"]) == (1, 3, 900)
