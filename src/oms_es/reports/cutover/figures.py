"""Orders and stock in figures that any order system knows, so that two systems can be compared.

Invariant: figures that are exported here and read back are equal to themselves. Amounts are integers in minor units.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field

from oms_es.reports.queries import Connection, Row, readable
from oms_es.schemas.values.types import AMOUNT_MINOR_MAX

FETCHED = 5_000
"""Number of rows that are read from the database at once."""
Key = tuple[str, str]
State = Literal["open", "completed", "cancelled", "merged"]
ENDED: Mapping[str, State] = {"completed": "completed", "cancelled": "cancelled", "merged": "merged"}
"""Phases of orders that are over; an order in any other phase is open."""
Name = Annotated[str, Field(min_length=1, max_length=500)]
Count = Annotated[int, Field(ge=-AMOUNT_MINOR_MAX, le=AMOUNT_MINOR_MAX)]


class Figures(BaseModel):
    """The figures of one order, or of one SKU at a location, in one system. A figure that is None is not compared."""

    model_config = ConfigDict(extra="ignore", frozen=True, str_strip_whitespace=True)
    KEY: ClassVar[tuple[str, str]]
    NOTED: ClassVar[frozenset[str]] = frozenset()
    """Fields that are written for people only and are not compared."""

    @property
    def key(self) -> Key:
        first, second = self.KEY
        return getattr(self, first), getattr(self, second)

    @classmethod
    def compared(cls) -> tuple[str, ...]:
        return tuple(name for name in cls.model_fields if name not in (*cls.KEY, *cls.NOTED))

    def is_nothing(self) -> bool:
        """Return whether a system that has none of this may leave the row out."""
        return False

    @classmethod
    def of_row(cls, row: Row) -> Self:
        """Return the figures in a row of the own database, without validation."""
        return cast("Self", cls.model_construct(**{name: row[name] for name in cls.model_fields}))


class OrderFigures(Figures):
    """Figures of an order. `units` and `total_minor` leave out what was cancelled before it was shipped."""

    KEY = ("channel", "external_id")
    NOTED = frozenset({"placed_at", "changed_at"})

    channel: Name
    external_id: Name
    placed_at: datetime | None = None
    changed_at: datetime | None = None
    state: State | None = None
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] | None = None
    total_minor: Count | None = None
    units: Count | None = None
    dispatched: Count | None = None
    """Number of parcels that were shipped."""
    captured_minor: Count | None = None
    refunded_minor: Count | None = None


class StockFigures(Figures):
    """Figures of a SKU at a location, in units."""

    KEY = ("sku", "location")

    sku: Name
    location: Name
    on_hand: Count | None = None
    reserved: Count | None = None
    damaged: Count | None = None
    quarantine: Count | None = None
    inbound: Count | None = None

    def is_nothing(self) -> bool:
        return not any(getattr(self, name) for name in self.compared())


ORDERS = """
SELECT o.channel, o.external_id, o.placed_at, o.changed_at, o.phase, o.currency, o.total_minor, o.units, o.dispatched,
       coalesce(p.captured_minor, 0) AS captured_minor, coalesce(p.refunded_minor, 0) AS refunded_minor
FROM order_status o
LEFT JOIN (SELECT order_id, sum(captured_minor) AS captured_minor, sum(refunded_minor) AS refunded_minor
           FROM payments GROUP BY order_id) p USING (order_id)
WHERE (%(channels)s::text[] IS NULL OR o.channel = ANY(%(channels)s))
  AND (%(changed_since)s::timestamptz IS NULL OR o.changed_at >= %(changed_since)s)
ORDER BY o.channel, o.external_id
"""
STOCK = """
SELECT sku, location, on_hand, reserved, damaged, quarantine, inbound FROM stock_levels ORDER BY sku, location
"""
TABLES = ("order_status", "payments", "stock_levels")
"""Read models that the figures are read from."""


def orders(
    connection: Connection, channels: Collection[str] | None = None, changed_since: datetime | None = None
) -> Iterator[OrderFigures]:
    asked = {"channels": None if channels is None else list(channels), "changed_since": changed_since}
    for row in _rows(connection, ORDERS, asked):
        yield OrderFigures.of_row({**row, "state": ENDED.get(row["phase"], "open")})


def stock(connection: Connection) -> Iterator[StockFigures]:
    yield from map(StockFigures.of_row, _rows(connection, STOCK, {}))


def _rows(connection: Connection, query: str, asked: Mapping[str, Any]) -> Iterator[Row]:
    with connection.transaction(), connection.cursor("cutover_figures") as cursor:
        cursor.itersize = FETCHED
        cursor.execute(query.encode(), asked)
        yield from map(readable, cursor)
