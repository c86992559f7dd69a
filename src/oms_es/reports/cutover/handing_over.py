"""Exports what another system needs to take over: figures as CSV, and each order as the canonical message that places
it.

Invariant: an exported order states which units were shipped already, so that the system that takes over ships no unit
twice.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from pydantic_core import to_json

from oms_es.aggregates.order.decider import decider
from oms_es.aggregates.order.refunding import shipped_units
from oms_es.aggregates.order.state import Order
from oms_es.kernel import Recorded
from oms_es.reports import streams
from oms_es.reports.cutover.figures import Figures, OrderFigures
from oms_es.reports.queries import Connection
from oms_es.schemas.order import OrderCancelled, OrderLine, PlaceOrder, order_id_of
from oms_es.store.encoding.codec import Codec

ORDERS_AT_ONCE = 100
"""Number of orders whose events are read together."""
CONTENT = tuple(name for name in PlaceOrder.model_fields if name not in ("fulfilled", "cancelled", "revision"))

OF_A_PRESALE = frozenset(
    {"kind", "deposit_minor", "available_by", "balance_due_seconds", "deposit_kept", "deposit_kept_early"}
)
"""Fields that are left out once units of a presale were shipped: the order then continues as a standard order."""


def as_csv(kind: type[Figures], rows: Iterable[Figures]) -> Iterator[bytes]:
    """Return the lines of a CSV file: a header, then one line for each row."""
    columns = list(kind.model_fields)
    yield _line(columns)
    for row in rows:
        yield _line([_cell(getattr(row, name)) for name in columns])


def as_orders(
    connection: Connection, codec: Codec, figures: Sequence[OrderFigures], position: int | None
) -> Iterator[bytes]:
    """Return one line of JSON for each order: its content with the units that were shipped, or with the reason for
    which it was cancelled.
    """
    for some in _batches(figures):
        ids = [order_id_of(*one.key) for one in some]
        histories = streams.histories(connection, codec, [f"order-{order_id}" for order_id in ids], position)
        for order_id in ids:
            recorded = histories.get(f"order-{order_id}", [])
            order = streams.state(decider, recorded)
            if order.content and order.phase != "merged":  # what was merged is in the order that it became part of
                yield to_json(_as_placed(order, recorded)) + b"\n"


def _batches(figures: Sequence[OrderFigures]) -> Iterator[Sequence[OrderFigures]]:
    for begin in range(0, len(figures), ORDERS_AT_ONCE):
        yield figures[begin : begin + ORDERS_AT_ONCE]


def _as_placed(order: Order, history: Sequence[Recorded]) -> dict[str, Any]:
    assert order.content
    said = order.content.model_dump(mode="json", exclude_defaults=True)
    shipped = {line.line_id: _shipped(order, line) for line in order.content.lines}
    fulfilled = [{"line_id": line, "quantity": units} for line, units in shipped.items() if units]
    over = OF_A_PRESALE if fulfilled else frozenset()
    reasons = [one.event.reason for one in history if isinstance(one.event, OrderCancelled)]
    return {
        "type": PlaceOrder.__name__,
        **{name: said[name] for name in CONTENT if name in said and name not in over},
        **({"fulfilled": fulfilled} if fulfilled and order.phase != "cancelled" else {}),
        **({"cancelled": reasons[-1] or "cancelled"} if reasons and order.phase == "cancelled" else {}),
    }


def _shipped(order: Order, line: OrderLine) -> int:
    """Return the shipped units of a line.

    All units that a completed order still has were shipped, here or elsewhere.
    """
    return line.quantity if order.phase == "completed" else shipped_units(order, line.line_id)


def _cell(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else "" if value is None else value


def _line(cells: Sequence[Any]) -> bytes:
    into = io.StringIO()
    csv.writer(into, lineterminator="\n").writerow(cells)
    return into.getvalue().encode()
