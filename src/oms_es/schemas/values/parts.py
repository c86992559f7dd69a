"""The personal parts of an event, and the placeholders that replace them when they are taken out.

Invariant: the parts follow from the marks in the schemas alone. An event without its personal parts is a valid event of
its class, and with the parts put back it is what it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from oms_es.door import STORED
from oms_es.schemas.values.personal import Coarse, Personal, shapes_of

PLACEHOLDERS: Sequence[Any] = (None, "", "-", {}, [])
"""Placeholders; the first one that is valid for a field replaces its value."""


EACH = "*"
"""In a path: each item of a list."""


class Part(NamedTuple):
    """The path of a personal part in the JSON of its event, and the placeholder that replaces it."""

    path: tuple[str, ...]
    placeholder: Any


@cache
def parts_of(shape: type[BaseModel]) -> tuple[Part, ...]:
    """Return the personal parts of a class. Raise TypeError if an event is not valid without one of them."""
    return tuple({part.path: part for part in _found(shape, (), inside=False)}.values())


def _found(shape: type[BaseModel], at: tuple[str, ...], *, inside: bool) -> Iterator[Part]:
    for name, field in shape.model_fields.items():
        path = (*at, name)
        personal = inside or _has_mark(field, Personal)
        shapes = list(shapes_of(field.annotation))
        if _has_mark(field, Coarse) or shape in shapes:
            continue
        if personal and not any(map(_is_coarse_in_part, shapes)):
            yield Part(path, _placeholder(shape, name, field))
            continue
        of_each = path if _is_single(field) else (*path, EACH)
        below = [part for one in shapes for part in _found(one, of_each, inside=personal)]
        if below and not _is_single(field) and not _is_list(field):
            raise TypeError(f"{shape.__name__}.{name} is a map of what is personal: mark the map")
        yield from below


def _has_mark(field: FieldInfo, mark: type) -> bool:
    return any(isinstance(one, mark) for one in field.metadata)


def _is_coarse_in_part(shape: type[BaseModel]) -> bool:
    return any(_has_mark(field, Coarse) for field in shape.model_fields.values())


def _is_single(field: FieldInfo) -> bool:
    """Return whether the field is a single message, or None, and no collection."""
    return "Sequence" not in str(field.annotation) and not str(field.annotation).startswith(("list", "tuple", "dict"))


def _is_list(field: FieldInfo) -> bool:
    return str(field.annotation).startswith("tuple")


def _placeholder(shape: type[BaseModel], name: str, field: FieldInfo) -> Any:
    annotation: Any = field.annotation
    takes: TypeAdapter[Any] = TypeAdapter(Annotated[annotation, None, *field.metadata])
    for one in PLACEHOLDERS:
        try:
            takes.validate_python(one, context=STORED)
        except ValidationError:
            continue
        return one
    raise TypeError(f"{shape.__name__}.{name} is personal and cannot be left out: give it a default that says nothing")


def take_out(body: dict[str, Any], parts: Sequence[Part]) -> dict[str, Any]:
    """Replace the personal parts of the event's JSON by placeholders, and return their values by dotted path, in which
    items of lists have their number."""
    taken = {}
    for asked, placeholder in parts:
        for path in _places(body, asked) if EACH in asked else (asked,):
            holder, name = _holder(body, path), path[-1]
            if holder is not None and (value := holder.get(name, placeholder)) is not None and value != placeholder:
                taken[".".join(path)] = value
                holder[name] = placeholder
    return taken


def _places(body: Any, path: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield the path to each place that a path with `EACH` means."""
    if EACH not in path:
        yield tuple(path)
        return
    at = path.index(EACH)
    items = _holder(body, path[: at + 1]) or ()
    for number, item in enumerate(items):
        yield from ((*path[:at], str(number), *rest) for rest in _places(item, path[at + 1 :]))


def put_back(body: dict[str, Any], taken: Mapping[str, Any]) -> None:
    """Put the values back to where they were taken out, whichever version of its class the event has."""
    for path, value in taken.items():
        names = path.split(".")
        holder = _holder(body, names)
        assert holder is not None, "what stood in a message stands in one that is there"
        holder[names[-1]] = value


def _holder(body: dict[str, Any], path: Sequence[str]) -> dict[str, Any] | None:
    holder: Any = body
    for name in path[:-1]:
        holder = holder and (holder[int(name)] if isinstance(holder, list) else holder.get(name))
    return holder or None


M = TypeVar("M", bound=BaseModel)


def without_personal(message: M) -> M:
    """Return the message as it is read once the key of its order is destroyed."""
    for path, placeholder in parts_of(type(message)):
        message = _without(message, path, placeholder)
    return message


def _without(message: M, path: tuple[str, ...], placeholder: Any) -> M:
    name, *rest = path
    before: Any = getattr(message, name)
    if before is None:
        return message
    if rest and rest[0] == EACH:
        after: Any = tuple(_without(one, tuple(rest[1:]), placeholder) for one in before)
    else:
        after = _without(before, tuple(rest), placeholder) if rest else placeholder
    return message if after is before or after == before else message.model_copy(update={name: after})
