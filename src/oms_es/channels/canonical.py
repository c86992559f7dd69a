"""The canonical dialect: the JSON of PlaceOrder, as any program can write it. Closed and strict.

Invariant: what every dialect is mapped to passes the same door as an order that is written here, which is the door of
`PlaceOrder` itself (schemas/types.py): it can be kept, projected and added up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from oms_es.channels.errors import BadInput, bad_input
from oms_es.schemas.order import PlaceOrder


def parse(line: bytes | str) -> PlaceOrder:
    """Raises BadInput."""
    refuse_nul(line)
    try:
        return PlaceOrder.model_validate_json(line, strict=True)
    except ValidationError as error:
        raise bad_input(error) from error


def order_of(fields: Mapping[str, Any]) -> PlaceOrder:
    """What another dialect was mapped to, as an order. Raises BadInput."""
    try:
        return PlaceOrder.model_validate(fields)
    except ValidationError as error:
        raise bad_input(error) from error


def refuse_nul(line: bytes | str) -> None:
    """PostgreSQL's text cannot hold the character, and an order that no table can show must not be placed."""
    if (b"\\u0000" in line) if isinstance(line, bytes) else ("\\u0000" in line):
        raise BadInput("nul_character", "a text contains \\u0000; leave that character out and send the order again")
