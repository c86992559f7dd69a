"""An example of a JSON option's value, generated from its declaration: the required fields only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

NAMED: Mapping[str, Any] = {
    "country": "DE",
    "currency": "EUR",
    "channel": "web",
    "line_id": "1",
    "location": "berlin",
    "sku": "TEA-250G",
    "carrier": "dhl",
    "exception_id": "noticed/till-3",
    "url": "https://crm.example.com/oms",
    "types": "OrderShipped",
    "secret_id": "sec_0123456789abcdef01234567",
    "occurred_at": "2026-01-05T12:00:00Z",
    **dict.fromkeys(("booked_on", "opened_on", "closed_on", "issued_on", "day", "since", "through"), "2026-01-31"),
    **dict.fromkeys(("happened_on", "keep_until", "first_day", "last_day"), "2026-01-31"),
    **dict.fromkeys(("tax_rate", "tax_rates", "included_tax"), "19"),
    "vat_id": "DE123456789",
    "document_sha256": "0" * 64,
    "sha256": "0" * 64,
    "code_hash": "0" * 64,
}
"""Values as a person would write them; others are `a`, the smallest number, or the first choice."""
SHAPES: Mapping[str, Any] = {
    "EncryptedEvent": {"position": 1, "before": "0" * 64, "after": "1" * 64},
    "RefundLine": {"line_id": "1", "quantity": 1},
    "LabelDocument": {"sha256": "0" * 64, "media_type": "application/pdf", "byte_count": 1},
}
"""Values for types whose fields have conditions in common."""
KEYS: Mapping[str, str] = {"carton_numbers": "1", "ruled_out": "berlin"}
"""Keys of maps that are not by SKU."""


def example(name: str, field: FieldInfo) -> str:
    """Return JSON that the field accepts."""
    declared = TypeAdapter(field.rebuild_annotation()).json_schema()
    return json.dumps(_value(declared, declared.get("$defs", {}), name), ensure_ascii=False)


def _value(declared: Mapping[str, Any], shapes: Mapping[str, Any], name: str) -> Any:
    if "$ref" in declared:
        shape = declared["$ref"].rpartition("/")[2]
        return SHAPES.get(shape) or _value(shapes[shape], shapes, name)
    if choices := declared.get("anyOf") or declared.get("oneOf"):
        return _value(next(one for one in choices if one.get("type") != "null"), shapes, name)
    if "const" in declared:
        return declared["const"]
    if "enum" in declared:
        return declared["enum"][0]
    match declared.get("type"):
        case "object":
            return _object(declared, shapes, name)
        case "array":
            items = declared.get("prefixItems") or [declared.get("items", {})] * max(1, declared.get("minItems", 1))
            return [_value(item, shapes, name) for item in items]
        case "integer" | "number":
            return max(1, declared.get("minimum", 1), declared.get("exclusiveMinimum", 0) + 1)
        case "boolean":
            return True
    return _text(declared, name)


def _object(declared: Mapping[str, Any], shapes: Mapping[str, Any], name: str) -> dict[str, Any]:
    if declared.get("title") in SHAPES:
        return dict(SHAPES[declared["title"]])
    if "properties" not in declared:
        by_pattern = declared.get("patternProperties", {}).values()
        values = next(iter(by_pattern), declared.get("additionalProperties", {}))
        key = declared.get("propertyNames", {}).get("enum", [KEYS.get(name, NAMED["sku"])])[0]
        return {key: _value(values, shapes, "")}
    fields = declared["properties"]
    required = declared.get("required") or list(fields)[:1]
    return {name: _value(fields[name], shapes, name) for name in required}


def _text(declared: Mapping[str, Any], name: str) -> str:
    if declared.get("format") == "date-time":
        return str(NAMED["occurred_at"])
    return str(NAMED.get(name, "a"))
