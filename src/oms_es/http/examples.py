"""Examples of request bodies, generated from the commands' declarations: each is accepted as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic_core import from_json

from oms_es.app.examples import NAMED, example
from oms_es.app.verbs import GIVEN_HERE
from oms_es.kernel import Command, stream_fields

ORDER: Mapping[str, Any] = {
    "channel": "web",
    "external_id": "W-1001",
    "placed_at": "2026-01-05T12:00:00Z",
    "currency": "EUR",
    "lines": [{"line_id": "1", "sku": "TEA-250G", "quantity": 2, "unit_price_minor": 1250}],
    "ship_to": {
        "name": "Ada Lovelace",
        "street": "Rosenweg 7",
        "city": "Berlin",
        "postal_code": "10115",
        "country": "DE",
    },
}
NO_ID = str(UUID(int=0))
PATH: Mapping[str, str] = {**NAMED, "year": "2026", "order_id": "web~W-1001"}


MORE: Mapping[str, Mapping[str, Any]] = {
    "RecordReport": {"reference": "r-1"},
    "SetSeller": {"vat_id": "DE123456789"},
    "RecordProviderReport": {"report": {"operation": "authorize", "outcome": "succeeded", "reference": "r-1"}},
}
"""Values that several fields together require, which no field's declaration says."""


def body_of(command: type[Command]) -> dict[str, Any]:
    """Return an example body of the command with its required fields only."""
    apart = {*stream_fields(command), *GIVEN_HERE}
    needed = {
        name: from_json(example(name, field))
        for name, field in command.model_fields.items()
        if name not in apart and field.is_required()
    }
    return {**needed, **MORE.get(command.__name__, {})}


def values_of(command: type[Command]) -> dict[str, str]:
    """Return example values of the fields that the path holds."""
    fields = command.model_fields
    return {name: NO_ID if fields[name].annotation is UUID else PATH.get(name, "a") for name in stream_fields(command)}
