"""The sources of reports: each is one query over fact tables, with its dimensions, numbers and times.

Imports: projections, whose tables they query.
"""

from __future__ import annotations

from collections.abc import Mapping

from oms_es.reports.figures.sources.base import (
    CURRENCY,
    NOW,
    OF_TIME,
    SINCE,
    UNTIL,
    ZONE,
    Number,
    Source,
    Unit,
    of_time,
)
from oms_es.reports.figures.sources.classes import classes
from oms_es.reports.figures.sources.exceptions import exceptions
from oms_es.reports.figures.sources.money import payments, refunds
from oms_es.reports.figures.sources.orders import backorders, lines, orders
from oms_es.reports.figures.sources.parcels import bookings, parcels, shipped
from oms_es.reports.figures.sources.returns import feedback, returns
from oms_es.reports.figures.sources.stock import idle_stock, movements, stock_ages, stock_days

__all__ = ("CURRENCY", "NOW", "OF_TIME", "SINCE", "SOURCES", "UNTIL", "ZONE", "Number", "Source", "Unit", "of_time")
SOURCES: Mapping[str, Source] = {
    "orders": orders,
    "lines": lines,
    "classes": classes,
    "backorders": backorders,
    "parcels": parcels,
    "shipped": shipped,
    "bookings": bookings,
    "returns": returns,
    "feedback": feedback,
    "payments": payments,
    "refunds": refunds,
    "movements": movements,
    "stock_days": stock_days,
    "stock_ages": stock_ages,
    "idle_stock": idle_stock,
    "exceptions": exceptions,
}
