"""What says something of a person: marked where it is declared, so that what shows it knows.

Invariant: a name that is marked is marked wherever it stands, in messages as in read models.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

KEYWORD = "x-personal"
"""As published schemas have it: `"x-personal": true`."""


@dataclass(frozen=True)
class Personal:
    """Of a field of a message."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(core), KEYWORD: True}


PERSONAL = Personal()


@dataclass(frozen=True)
class Coarse:
    """Of a part of a personal field that says of so many people that it may stay when the person is forgotten."""


COARSE = Coarse()
PERSONAL_COLUMN: dict[Any, Any] = {"personal": True}
"""The same of a read model's column, as its `info`."""


def personal_fields(shapes: Iterable[type[BaseModel]]) -> frozenset[str]:
    """The names that are marked in messages, or in what they are made of."""
    return frozenset(name for shape in shapes_in(shapes) for name in _marked(shape))


def shapes_in(shapes: Iterable[type[BaseModel]]) -> list[type[BaseModel]]:
    """They, and what they are made of, each once."""
    found: dict[type[BaseModel], None] = {}
    waiting = list(shapes)
    while waiting:
        shape = waiting.pop()
        if shape not in found:
            found[shape] = None
            waiting += [part for field in shape.model_fields.values() for part in shapes_of(field.annotation)]
    return list(found)


def shapes_of(annotation: Any) -> Iterator[type[BaseModel]]:
    """The shapes that a type names, however it wraps them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from shapes_of(part)


def _marked(shape: type[BaseModel]) -> Iterator[str]:
    for name, field in shape.model_fields.items():
        if any(isinstance(one, Personal) for one in field.metadata):
            yield name
