"""Order lines: one row per line that an order has or had, and what happened to its units before they left.

`quantity` is the number of units in the order, as its lines were last stated. A line whose `said_version` is not the
`lines_version` of its order (`order_milestones`) was removed since. `cancelled`, `elsewhere` (shipped by others) and
`moved` (to an order that was split off) are not in `quantity` any more; their amounts use the price that they had.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas import order as o

Changed = o.OrderAmended | o.OrderLinesCancelled | o.OrderSplit | o.OrderFulfilledElsewhere
GONE = ("cancelled", "elsewhere", "moved")
table = Table(
    "order_lines",
    METADATA,
    Column("order_id", Text, primary_key=True),
    Column("line_id", Text, primary_key=True),
    Column("channel", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("sku", Text, nullable=False),
    Column("placed_at", DateTime(timezone=True), nullable=False),
    Column("unit_price_minor", BigInteger, nullable=False),
    Column("ordered", BigInteger, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    *(Column(name, BigInteger, nullable=False) for gone in GONE for name in (gone, f"{gone}_minor")),
    Column("said_version", BigInteger, nullable=False),
    Index("order_lines_by_placed", "placed_at", "order_id", "line_id"),
    Index("order_lines_by_sku", "sku", "placed_at", "order_id", "line_id"),
)
projection = Projection(table, fed_by=("order-{order_id}",))


def key_of_line(event: o.OrderPlaced | Changed) -> Iterable[Key]:
    """Return the keys of all lines that the event names, including those that it names because their units are gone."""
    named = [line.line_id for line in event.lines or ()]
    match event:
        case o.OrderLinesCancelled(cancelled=gone):
            named += [line.line_id for line in gone]
        case o.OrderSplit(content=content):
            named += [line.line_id for line in content.lines]
        case o.OrderFulfilledElsewhere(fulfilled=gone):
            named += [line.line_id for line in gone]
    return [(event.order_id, line_id) for line_id in dict.fromkeys(named)]


@projection.on(o.OrderPlaced, keys=key_of_line)
def on_order_placed(_row: Row | None, event: o.OrderPlaced, recorded: Recorded, key: Key) -> Row:
    return _begun(event, _line(event.lines, key), recorded)


@projection.on(o.OrderAmended, o.OrderLinesCancelled, o.OrderSplit, o.OrderFulfilledElsewhere, keys=key_of_line)
def on_lines_changed(row: Row | None, event: Changed, recorded: Recorded, key: Key) -> Row | None:
    if event.lines is None:
        return row
    stated = [line for line in event.lines if line.line_id == key[1]]
    if row is None:
        return _begun(event, stated[0], recorded) if stated else None
    changed: dict[str, Any] = {**row, **_units_gone(row, event, key), "quantity": 0, "said_version": recorded.version}
    for line in stated:
        changed |= {"sku": line.sku, "unit_price_minor": line.unit_price_minor, "quantity": line.quantity}
    return changed


def _units_gone(row: Row, event: Changed, key: Key) -> Row:
    """Return the changed counts of units that are gone, at the price that the line had then."""
    match event:
        case o.OrderLinesCancelled(cancelled=lines):
            name, units = "cancelled", _units(lines, key)
        case o.OrderSplit(content=content):
            name, units = "moved", _units(content.lines, key)
        case o.OrderFulfilledElsewhere(fulfilled=lines):
            name, units = "elsewhere", _units(lines, key)
        case _:
            return {}
    return {name: row[name] + units, f"{name}_minor": row[f"{name}_minor"] + units * row["unit_price_minor"]}


def _units(lines: Iterable[o.LineUnits] | Iterable[o.OrderLine], key: Key) -> int:
    return sum(line.quantity for line in lines if line.line_id == key[1])


def _line(lines: Iterable[o.OrderLine], key: Key) -> o.OrderLine:
    return next(line for line in lines if line.line_id == key[1])


def _begun(event: o.OrderPlaced | Changed, line: o.OrderLine, recorded: Recorded) -> Row:
    return {
        "order_id": event.order_id,
        "line_id": line.line_id,
        "channel": event.channel,
        "currency": event.currency,
        "sku": line.sku,
        "placed_at": event.placed_at,
        "unit_price_minor": line.unit_price_minor,
        "ordered": line.quantity,
        "quantity": line.quantity,
        **{name: 0 for gone in GONE for name in (gone, f"{gone}_minor")},
        "said_version": recorded.version,
    }
