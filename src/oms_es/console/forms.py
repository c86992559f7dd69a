"""Forms generated from the schemas of commands: a field for each that the API takes, and the filled form as JSON.

Invariant: nothing here knows what a command means, and nothing is decided here: a value that does not fit is sent as it
is, and the API says what is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from pydantic_core import from_json

from oms_es.console.rendering import as_json
from oms_es.schemas.sent import check_sent

Kind = Literal["text", "number", "decimal", "flag", "choice", "moment", "lines", "rows", "group", "json"]
ROWS = 3
"""Empty rows that a new form offers."""
ROWS_MAX = 50
WHOLE = re.compile(r"-?[0-9]{1,19}", re.ASCII)
DECIMAL = re.compile(r"-?[0-9]{1,9}(?:\.[0-9]{1,12})?", re.ASCII)
OFFSET = re.compile(r"(?:Z|[+-]\d\d:\d\d)$", re.IGNORECASE)
SCALARS = frozenset({"text", "number", "decimal", "flag", "choice", "moment"})
NAMED_BEFORE = frozenset({"line_id"})
"""Fields that are filled in beforehand: a row with nothing else counts as empty."""


class Field(NamedTuple):
    """One field of a form. `parts`: the columns of its rows, or the fields of its group."""

    name: str
    kind: Kind
    is_required: bool
    help: str = ""
    choices: tuple[str, ...] = ()
    default: Any = None
    parts: tuple[Field, ...] = ()
    example: Any = None


def fields_of(schema: Mapping[str, Any], example: Mapping[str, Any]) -> list[Field]:
    """Return the form's fields, required ones first."""
    shapes, required = schema.get("$defs", {}), set(schema.get("required", ()))
    found = [
        field_of(name, declared, shapes, is_required=name in required, example=example.get(name))
        for name, declared in schema.get("properties", {}).items()
    ]
    return sorted(found, key=lambda field: not field.is_required)


def field_of(
    name: str, declared: Mapping[str, Any], shapes: Mapping[str, Any], *, is_required: bool, example: Any = None
) -> Field:
    shape = _resolved(declared, shapes)
    about = {"help": declared.get("description") or shape.get("description", ""), "default": declared.get("default")}
    made = Field(name, "json", is_required, **about, example=example)
    if "enum" in shape or "const" in shape:
        return made._replace(kind="choice", choices=tuple(map(str, shape.get("enum") or [shape["const"]])))
    match shape.get("type"):
        case "string":
            return made._replace(kind="moment" if shape.get("format") == "date-time" else "text")
        case "integer":
            return made._replace(kind="number")
        case "number":
            return made._replace(kind="decimal")
        case "boolean":
            return made._replace(kind="flag")
        case "array":
            return _of_array(made, shape, shapes)
        case "object":
            parts = tuple(_parts(shape, shapes))
            return made._replace(kind="group", parts=parts) if parts and _are_scalars(parts) else made
    return made


def _of_array(made: Field, shape: Mapping[str, Any], shapes: Mapping[str, Any]) -> Field:
    items = _resolved(shape.get("items", {}), shapes)
    if items.get("type") == "string":
        return made._replace(kind="lines", choices=tuple(items.get("enum", ())))
    parts = tuple(_parts(items, shapes))
    return made._replace(kind="rows", parts=parts) if parts and _are_scalars(parts) else made


def _parts(shape: Mapping[str, Any], shapes: Mapping[str, Any]) -> Iterator[Field]:
    required = set(shape.get("required", ()))
    for name, declared in shape.get("properties", {}).items():
        yield field_of(name, declared, shapes, is_required=name in required)


def _are_scalars(parts: Sequence[Field]) -> bool:
    return all(part.kind in SCALARS or not part.is_required for part in parts) and any(
        part.kind in SCALARS for part in parts
    )


def _resolved(declared: Mapping[str, Any], shapes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema behind references and alternatives; several kinds that are all texts become one text."""
    if "$ref" in declared:
        return _resolved(shapes[declared["$ref"].rpartition("/")[2]], shapes)
    if declared.get("allOf"):
        return _resolved(declared["allOf"][0], shapes)
    either = [one for one in declared.get("anyOf") or declared.get("oneOf") or () if one.get("type") != "null"]
    if len(either) == 1:
        return _resolved(either[0], shapes)
    if either and all(_resolved(one, shapes).get("type") == "string" for one in either):
        return {"type": "string"}
    return {} if either else declared


def body_of(fields: Sequence[Field], form: Mapping[str, str]) -> dict[str, Any]:
    """Return the JSON body for a filled form; empty fields are left out unless they are required."""
    body = {}
    for field in fields:
        value = _value(field, field.name, form)
        if value is not None:
            body[field.name] = value
        elif field.is_required and field.kind in ("text", "lines", "rows"):
            body[field.name] = "" if field.kind == "text" else []
    return body


def _value(field: Field, name: str, form: Mapping[str, str]) -> Any:
    """Return the field's value as JSON, or None if it is empty."""
    if field.kind == "rows":
        rows = [_group(field, f"{name}.{number}", form) for number in range(ROWS_MAX)]
        return [row for row in rows if row.keys() - NAMED_BEFORE] or None
    if field.kind == "group":
        return _group(field, name, form) or None
    text = form.get(name, "").strip()
    return _read(field, text) if text else None


def _group(field: Field, name: str, form: Mapping[str, str]) -> dict[str, Any]:
    values = {part.name: _value(part, f"{name}.{part.name}", form) for part in field.parts if part.kind in SCALARS}
    return {key: value for key, value in values.items() if value is not None}


def _read(field: Field, text: str) -> Any:
    match field.kind:
        case "number":
            return int(text) if WHOLE.fullmatch(text) else text
        case "decimal":
            return float(text) if DECIMAL.fullmatch(text) else text
        case "flag":
            return {"true": True, "false": False}.get(text, text)
        case "moment":
            return text if OFFSET.search(text) else f"{text}Z"
        case "lines":
            return [line.strip() for line in text.splitlines() if line.strip()]
        case "json":
            return _json(text)
    return text


def _json(text: str) -> Any:
    """Parse the text as JSON, or return it as it is: the API then refuses it."""
    check_sent(text)
    try:
        return from_json(text)
    except ValueError:
        return text


def filled(fields: Sequence[Field], given: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts of a form's inputs, by their names, for a body as JSON."""
    return {name: text for field in fields for name, text in _filled(field, field.name, given.get(field.name))}


def _filled(field: Field, name: str, value: Any) -> Iterator[tuple[str, str]]:
    if value is None:
        return
    if field.kind == "rows" and isinstance(value, list):
        for number, row in enumerate(value[:ROWS_MAX]):
            for part in field.parts:
                yield from _filled(part, f"{name}.{number}.{part.name}", row.get(part.name))
    elif field.kind == "group" and isinstance(value, Mapping):
        for part in field.parts:
            yield from _filled(part, f"{name}.{part.name}", value.get(part.name))
    elif field.kind == "lines" and isinstance(value, list):
        yield name, "\n".join(map(str, value))
    elif field.kind == "flag":
        yield name, "true" if value else "false"
    else:
        yield name, value if isinstance(value, str) else as_json(value) if field.kind == "json" else str(value)


def rows_of(field: Field, form: Mapping[str, str]) -> range:
    """Return the numbers of the rows to show: those that are filled, and some empty ones."""
    taken = {int(name.split(".")[1]) for name in form if name.startswith(f"{field.name}.") and _is_row(name)}
    return range(min(ROWS_MAX, max(taken, default=-1) + 1 + (ROWS if not taken else 1)))


def _is_row(name: str) -> bool:
    return name.count(".") >= 2 and name.split(".")[1].isdecimal()  # noqa: PLR2004 - field, row, column
