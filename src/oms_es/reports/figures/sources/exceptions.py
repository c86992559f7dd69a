"""The source of exceptions that are open now."""

from __future__ import annotations

from sqlalchemy import exists, literal_column, select

from oms_es.projections.operations import exception_history, open_exceptions
from oms_es.reports.figures.sources.base import (
    AGES,
    HOURS_OF_AGES,
    KINDS,
    MOMENT,
    OF_ORDER,
    ONE,
    ORDERS,
    Number,
    Source,
    band,
    hours,
    m,
    now,
)

open_ = open_exceptions.projection.table.c
_past = exception_history.projection.table.c
_settled = exists().where(
    _past.exception_id == open_.exception_id,
    _past.what == exception_history.RESOLVED,
    _past.raised_at >= open_.last_raised_at,
)
_age = hours(literal_column("still_open.raised_at", MOMENT), now)
_aged = band(_age, HOURS_OF_AGES, AGES)
_open = select(open_exceptions.projection.table).where(~_settled).subquery("still_open")
exceptions = Source(
    "Exceptions that are open now, and how long they have been.",
    "operations",
    _open.outerjoin(ORDERS, m.order_id == _open.c.order_id),
    {**OF_ORDER, "exception": _open.c.kind, "age": _aged},
    {
        "exceptions": Number(ONE, "exceptions", "open exceptions"),
        "age_hours": Number(_age, "hours", "since it was raised"),
    },
    {"raised_at": _open.c.raised_at},
    {**KINDS, "age": AGES},
)
