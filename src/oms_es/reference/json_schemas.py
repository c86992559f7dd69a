"""Every message that is exchanged with other systems, as JSON Schema 2020-12: events and states that are sent, orders
that are received.

A message that is sent is described twice: closed, as it is produced, and open, as it is published. Readers must ignore
fields that they do not know; then a new field breaks no reader. A message that is received is closed: an unknown field
is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode
from sqlalchemy import ARRAY, Column, DateTime, Table
from sqlalchemy.dialects.postgresql import JSONB

from oms_es.app.workers import CATEGORY_OF, STATES
from oms_es.channels.canonical import SHAPES
from oms_es.http.app import all_routes
from oms_es.http.openapi import promises
from oms_es.kafka.relay.publishers import State
from oms_es.schemas.order import PlaceOrder
from oms_es.schemas.topics import CHANNEL_ORDERS, EVENT_TOPICS
from oms_es.schemas.values import names
from oms_es.schemas.values.types import AMOUNT_MINOR_MAX, LINE_UNITS_MAX, YEARS
from oms_es.schemas.vocabulary import EVENTS

DIALECT = "https://json-schema.org/draft/2020-12/schema"
JSON_TYPES: Mapping[type, str] = {str: "string", int: "integer", bool: "boolean", float: "number"}
"""JSON types by the column's type in Python, as PostgreSQL's `to_json` writes a column."""

ORDER_RULES = (
    "An order, as any program can write it. Closed: a field that is not named here is refused. Sent again, with the "
    "same channel and external_id, it is the same order. Beyond the schema: each line has its own line_id; a line is "
    f"of at most {LINE_UNITS_MAX} units; the total is from 0 to {AMOUNT_MINOR_MAX} minor units, also before the "
    f"discount; a moment is in a year from {YEARS[0]} to {YEARS[-1]}; no text holds the character NUL, and no name a "
    "control character or one that turns the direction of writing. Spaces around a name are taken away, and Unicode is "
    "brought to normal form C. Of kind exchange is only what the engine sends for a return; no external_id begins as "
    f"only names do that it makes: {', '.join(names.MADE)}."
)

LATER_RULES = (
    "The order is named by channel and external_id. Closed, with the rules of PlaceOrder. What comes before its order "
    "waits for it; sent again it changes nothing."
)

Schema = Mapping[str, Any]
Kind = Literal["event", "state", "inbound"]


class Described(NamedTuple):
    """A message as it is today. `exact` is its closed schema; `description` is for people."""

    name: str
    kind: Kind
    topic: str
    exact: Schema

    @property
    def published(self) -> Schema:
        return self.exact if self.kind == "inbound" else opened(self.exact)

    @property
    def description(self) -> str:
        return str(self.exact.get("description", ""))


class WithoutTitles(GenerateJsonSchema):
    """Generates schemas without titles, which only repeat the fields' names."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - the library's signature
        return False


def messages() -> list[Described]:
    """Return every message, sorted by name."""
    return sorted((*_events(), *_states(), *_inbound()), key=lambda message: message.name)


def over_http() -> list[Described]:
    """Return the bodies and answers of the HTTP interface, each under the name of its operation."""
    found = promises(all_routes())
    return [Described(name, "inbound" if taken else "state", place, schema) for name, taken, place, schema in found]


def _events() -> Iterator[Described]:
    for name, event in EVENTS.items():
        yield Described(name, "event", EVENT_TOPICS[CATEGORY_OF[event]], _of_model(event, "serialization"))


def _states() -> Iterator[Described]:
    for state in STATES:
        yield Described(state.type, "state", state.topic, _of_row(state))


def _inbound() -> Iterator[Described]:
    order = _of_model(PlaceOrder, "validation")
    fields = {**order["properties"], "type": {"const": PlaceOrder.__name__, "description": "May be left out."}}
    schema = {**order, "properties": fields, "description": ORDER_RULES}
    yield Described("PlaceOrder", "inbound", CHANNEL_ORDERS, schema)
    for name, shape in SHAPES.items():
        described = _of_model(shape, "validation")
        yield Described(name, "inbound", CHANNEL_ORDERS, {**described, "description": f"{shape.__doc__} {LATER_RULES}"})


def _of_model(model: type[BaseModel], mode: JsonSchemaMode) -> Schema:
    return {"$schema": DIALECT, **model.model_json_schema(mode=mode, schema_generator=WithoutTitles)}


def _of_row(state: State) -> Schema:
    table = state.table
    return {
        "$schema": DIALECT,
        "title": state.type,
        "description": state.description,
        "type": "object",
        "properties": {column.name: _of_column(table, column) for column in table.columns},
        "required": [column.name for column in table.columns],
        "additionalProperties": False,
    }


def _of_column(table: Table, column: Column[Any]) -> Schema:
    """Return the schema of a column. Raise TypeError for a type that has no declared form."""
    if isinstance(column.type, DateTime):
        schema: dict[str, Any] = {"type": "string", "format": "date-time"}
    elif isinstance(column.type, JSONB):
        schema = {}
    elif isinstance(column.type, ARRAY):
        schema = {"type": "array", "items": {"type": JSON_TYPES[column.type.item_type.python_type]}}
    elif name := JSON_TYPES.get(column.type.python_type):
        schema = {"type": name}
    else:
        raise TypeError(f"{table.name}.{column.name}: say in {__name__} how {column.type} looks in JSON")
    return {"anyOf": [schema, {"type": "null"}]} if column.nullable and schema else schema


def opened(schema: Any) -> Any:
    """Return the schema with unknown fields allowed."""
    if isinstance(schema, Mapping):
        return {
            name: opened(part)
            for name, part in schema.items()
            if not (name == "additionalProperties" and part is False)
        }
    return [opened(part) for part in schema] if isinstance(schema, list) else schema
