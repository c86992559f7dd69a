"""The demo's week in figures: how many orders, of what, and how often something goes wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import accumulate

EPOCH = datetime(2026, 1, 5, tzinfo=UTC)
"""The Monday on which the week of orders begins."""

RETURNED_AFTER = timedelta(days=9)

HOUR_SECONDS = 3600

DAY_WEIGHTS = (9, 8, 9, 10, 13, 15, 12)

HOUR_WEIGHTS = (2, 1, 1, 1, 1, 2, 4, 7, 10, 12, 13, 13, 12, 11, 11, 12, 13, 15, 18, 21, 22, 18, 11, 5)

WEEK = tuple(day * hour for day in DAY_WEIGHTS for hour in HOUR_WEIGHTS)
"""The relative number of orders in each hour of the week."""

WEEK_SO_FAR = tuple(accumulate(WEEK))

LINES = (1, 2, 3, 4, 5)

LINE_WEIGHTS = (50, 28, 14, 6, 2)

QUANTITIES = (1, 2, 3, 4)

QUANTITY_WEIGHTS = (80, 15, 4, 1)

CHANNELS = ("web", "marketplace", "pos")

CHANNEL_WEIGHTS = (60, 25, 15)

TOKENS = ("tok-ok", "tok-decline", "tok-timeout", "tok-duplicate", "tok-late")

TOKEN_WEIGHTS = (92, 2, 2, 2, 2)

SHIPPING_MINOR = {"web": 490, "marketplace": 390, "pos": 0}

FREE_SHIPPING_FROM_MINOR = 5_000

COUPON_SHARE, COUPON_PERCENT = 0.10, 10

REPEAT_SHARE, REPEAT_DISTANCE_MAX = 0.01, 60

CONFLICTS, ORDERS_PER_CONFLICT_MIN = 5, 50

CANCEL_SHARE, CANCEL_DELAY_ORDERS_MAX = 0.03, 300

SCARCE_FILLED, SCARCE_FILLED_LATE = 0.6, 0.2
"""Shares of the expected demand for scarce SKUs that are in stock from the start, and that arrive later."""

LATE_FROM, LATE_STEP = 0.60, 0.05

STOCK_MARGIN, STOCK_DEVIATIONS, STOCK_MIN = 1.15, 4.0, 12

SAFETY_SKUS, SAFETY_STOCK = 40, 2

PRESALE_SHARE, PRESALE_LATE = 0.01, 0.85

PRESALE_SKU, PRESALE_PRICE_MINOR, PRESALE_DEPOSIT_MINOR = "console-0401", 39_900, 5_000

BALANCE_DUE_SECONDS = 7 * 86_400

GIFT_CARD_SHARE, GIFT_CARD_MINOR = 0.02, 1_000

RETURN_SHARE, EXCHANGE_SHARE, KEPT_SHARE = 0.03, 0.2, 0.1
"""The share of orders that come back in part; of these, the shares that want other goods, and that may keep
the goods."""

REPLACEMENT_RANKS = 10

GOODWILL_SHARE, GOODWILL_MINOR = 0.01, 100

RETURN_DESK = "leipzig"


UNITS_PER_ORDER = (
    sum(n * weight for n, weight in zip(LINES, LINE_WEIGHTS, strict=True))
    / sum(LINE_WEIGHTS)
    * sum(n * weight for n, weight in zip(QUANTITIES, QUANTITY_WEIGHTS, strict=True))
    / sum(QUANTITY_WEIGHTS)
)
