"""The canonical dialect: the JSON of PlaceOrder, as any program can write it. Closed and strict.

Invariant: an order that leaves here can be kept and projected: its numbers fit the columns of a database, its texts
hold no NUL, its moment is within the calendar. What every dialect is mapped to passes the same door.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from oms_es.channels.errors import BadInput, bad_input
from oms_es.schemas.order import PlaceOrder
from oms_es.schemas.types import AMOUNT_MINOR_MAX

QUANTITY_MAX = 1_000_000
"""Units of one line."""

YEARS = range(1970, 2200)
"""Years in which an order can be placed: any time zone's offset stays within the calendar."""


def parse(line: bytes | str) -> PlaceOrder:
    """Raises BadInput."""
    refuse_nul(line)
    try:
        return checked(PlaceOrder.model_validate_json(line, strict=True))
    except ValidationError as error:
        raise bad_input(error) from error


def order_of(fields: Mapping[str, Any]) -> PlaceOrder:
    """What another dialect was mapped to, as an order. Raises BadInput."""
    try:
        return checked(PlaceOrder.model_validate(fields))
    except ValidationError as error:
        raise bad_input(error) from error


def refuse_nul(line: bytes | str) -> None:
    """PostgreSQL's text cannot hold the character, and an order that no table can show must not be placed."""
    if (b"\\u0000" in line) if isinstance(line, bytes) else ("\\u0000" in line):
        raise BadInput("nul_character", "a text contains \\u0000; leave that character out and send the order again")


def checked(order: PlaceOrder) -> PlaceOrder:
    goods_minor = 0
    for line in order.lines:
        if line.quantity > QUANTITY_MAX:
            raise BadInput(
                "out_of_range", f"line {line.line_id}: at most {QUANTITY_MAX} units are taken; split the line"
            )
        goods_minor += line.quantity * line.unit_price_minor
    amounts = {"shipping_minor": order.shipping_minor, "tax_minor": order.tax_minor, "lines": goods_minor}
    for field, amount in (*amounts.items(), ("total_minor", sum(amounts.values()))):
        if amount > AMOUNT_MINOR_MAX:
            raise BadInput("out_of_range", f"{field}: at most {AMOUNT_MINOR_MAX} minor units; split the order")
    if order.placed_at.year not in YEARS:
        raise BadInput(
            "out_of_range", f"placed_at: a year from {YEARS[0]} to {YEARS[-1]} is expected; correct the date"
        )
    return order
