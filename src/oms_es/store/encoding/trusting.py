"""Reading much of history again: types and bounds are checked, rules about whole messages are not asked again.

Invariant: what `TrustingCodec` decodes is what `Codec` decodes. What it cannot read, what is of another schema version
and what is wrong, the validating codec reads or refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import SchemaError, SchemaValidator, core_schema

from oms_es.door import STORED
from oms_es.kernel import Event, Recorded
from oms_es.schemas.upcasters import UPCASTERS, Upcasters
from oms_es.store.encoding.codec import Codec, StoredRow
from oms_es.store.privacy.subject_keys import SubjectKeys

OPAQUE = frozenset({"cls", "config", "default", "expected", "function", "members", "metadata", "serialization"})
"""Parts of a schema that have no schemas in them."""

Reader = Callable[..., dict[str, Any]]


class TrustingCodec(Codec):
    """For rebuilds: two thirds of the time of `Codec`, whose rules in Python were asked when the event was written."""

    def __init__(
        self, events: Mapping[str, type[Event]], upcasters: Upcasters = UPCASTERS, keys: SubjectKeys | None = None
    ) -> None:
        super().__init__(events, upcasters, keys)
        self._readers: dict[str, tuple[Reader | None, int]] = {}

    def decode(self, row: StoredRow, position: int = 0) -> Recorded:
        """Raises as `Codec.decode`."""
        reader, current = self._readers.get(row.topic) or self._made(row.topic)
        if reader is None:
            return super().decode(row, position)
        try:
            body = reader(self.in_the_clear(row.state), context=STORED)
        except ValidationError:
            return super().decode(row, position)
        if body["schema_version"] != current:
            return super().decode(row, position)
        return Recorded(
            position,
            str(row.originator_id),
            row.originator_version,
            body["event"],
            body["event_id"],
            body["recorded_at"],
            body["caused_by"],
            body["correlation_id"],
            body["actor"],
        )

    def _made(self, name: str) -> tuple[Reader | None, int]:
        event = self.events[name]
        self._readers[name] = made = (_reader_of(event), event.schema_version)
        return made


@cache
def _reader_of(event: type[Event]) -> Reader | None:
    """None where the library does not take the schema: then everything is validated."""
    event.model_rebuild()  # its schema is made when it is asked for first
    try:
        return SchemaValidator(
            _enveloped(_without_rules(event.__pydantic_core_schema__)), _use_prebuilt=False
        ).validate_json
    except (SchemaError, TypeError):
        return None


def _enveloped(event: Any) -> Any:
    """Return the schema of `Stored` around the event's, without creating an object for it."""
    definitions: list[Any] = []
    if event["type"] == "definitions":
        definitions, event = event["definitions"], event["schema"]
    fields = {
        "event": event,
        "schema_version": core_schema.int_schema(),
        "event_id": core_schema.uuid_schema(),
        "recorded_at": core_schema.datetime_schema(),
        "caused_by": core_schema.nullable_schema(core_schema.uuid_schema()),
        "correlation_id": core_schema.str_schema(),
        "actor": core_schema.str_schema(),
    }
    envelope = core_schema.typed_dict_schema({name: core_schema.typed_dict_field(one) for name, one in fields.items()})
    return core_schema.definitions_schema(envelope, definitions) if definitions else envelope


def _without_rules(schema: Any) -> Any:
    """Return the schema without the `after` validators of models, which return the model unchanged or refuse it."""
    if isinstance(schema, list | tuple):
        return type(schema)(map(_without_rules, schema))
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "function-after" and _is_of_a_model(schema["schema"]):
        return _without_rules(schema["schema"])
    return {name: part if name in OPAQUE else _without_rules(part) for name, part in schema.items()}


def _is_of_a_model(schema: Any) -> bool:
    while schema["type"] == "function-after":
        schema = schema["schema"]
    return bool(schema["type"] == "model")
