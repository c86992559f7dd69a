"""Marks of personal fields, set where a field is declared, so that everything that shows the field knows.

Invariant: a name that is marked as such is marked everywhere, in messages and in read models.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

KEYWORD = "x-personal"
"""The mark in published schemas: `"x-personal": true`."""


@dataclass(frozen=True)
class Personal:
    """The mark of a message's field with personal data.

    `by_name`: whether every field of this name is personal, wherever it stands. Otherwise the name is one that others
    use for what is not, and the field is hidden where its message is known.
    """

    by_name: bool = True

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(core), KEYWORD: True}


PERSONAL, PERSONAL_HERE = Personal(), Personal(by_name=False)


@dataclass(frozen=True)
class Coarse:
    """The mark of a part of a personal field that is the same for so many people that it may stay when the person is
    forgotten.
    """


COARSE = Coarse()
PERSONAL_COLUMN: dict[Any, Any] = {"personal": True}
PERSONAL_HERE_COLUMN: dict[Any, Any] = {"personal": True, "by_name": False}
"""The marks of a read model's column, as its `info`."""


def personal_fields(shapes: Iterable[type[BaseModel]]) -> frozenset[str]:
    """Return the names that are marked as such in these messages, and in the messages that they contain."""
    return frozenset(name for shape in shapes_in(shapes) for name, mark in _marked(shape) if mark.by_name)


@cache
def personal_here(shape: type[BaseModel]) -> frozenset[str]:
    """Return the fields of this message alone that are personal, though others of these names are not."""
    return frozenset(name for name, mark in _marked(shape) if not mark.by_name)


def shapes_in(shapes: Iterable[type[BaseModel]]) -> list[type[BaseModel]]:
    """Return these messages and all messages that they contain, each once."""
    found: dict[type[BaseModel], None] = {}
    waiting = list(shapes)
    while waiting:
        shape = waiting.pop()
        if shape not in found:
            found[shape] = None
            waiting += [part for field in shape.model_fields.values() for part in shapes_of(field.annotation)]
    return list(found)


def shapes_of(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the message classes that a type contains, however it wraps them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from shapes_of(part)


def _marked(shape: type[BaseModel]) -> Iterator[tuple[str, Personal]]:
    for name, field in shape.model_fields.items():
        yield from ((name, one) for one in field.metadata if isinstance(one, Personal))
