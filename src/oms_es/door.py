"""Checks of values that apply only to commands from outside: history may contain more than is accepted today.

Invariant: a type with `AtTheDoor` loads whatever was stored under an older, wider rule. A command from outside is
normalised, or refused with every invalid field, before anything is decided about it.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from operator import is_
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

STORED = object()
"""The validation context for stored data, which was accepted before and is not checked again."""

PROBLEM = "at_the_door"
"""The type of the errors of these checks."""

M = TypeVar("M", bound=BaseModel)
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class ByTheClock:
    """Marks a field with the current time, which no sender may set, because checks depend on it."""


BY_THE_CLOCK = ByTheClock()


@dataclass(frozen=True)
class AtTheDoor:
    """A check of values from outside. `check` returns the value in the form in which it is stored, or raises
    ValueError; it does not change a value that it returned.

    `schema` is the part of the check that JSON Schema can express, for senders.
    """

    check: Callable[[Any], Any]
    schema: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        described = handler(core)
        return {**described, **self.schema} if handler.mode == "validation" else described


@dataclass
class _Visit:
    """The problems of a message, by field."""

    title: str
    problems: list[tuple[Path, str, Any]] = field(default_factory=list)

    def raise_for_problems(self) -> None:
        if self.problems:
            raise ValidationError.from_exception_data(
                self.title,
                [
                    {
                        "type": PydanticCustomError(PROBLEM, "{problem}", {"problem": said}),
                        "loc": at,
                        "input": given,
                    }
                    for at, said, given in self.problems
                ],
            )


Step = Callable[[Any, Path, _Visit], Any]


def brought_in(message: M) -> M:
    """Return the message with every value as it is stored. Raise ValidationError, which names every invalid field.

    If values were changed, the whole message is validated again.
    """
    step = _of_shape(type(message))
    if step is None:
        return message
    visit = _Visit(type(message).__name__)
    kept = step(message, (), visit)
    visit.raise_for_problems()
    if kept is not message:
        fields = {name: kept.__dict__[name] for name in kept.model_fields_set}
        message.__pydantic_validator__.validate_python(fields, self_instance=message)
    return message


def takes(annotation: Any, value: Any) -> bool:
    """Return whether a value, which is valid for the type itself, passes its checks."""
    visit = _Visit("")
    if step := _of(annotation):
        step(value, (), visit)
    return not visit.problems


def kept(annotation: Any, value: Any) -> Any:
    """Return a value in the form in which it is stored; None if it does not pass the checks."""
    visit = _Visit("")
    step = _of(annotation)
    brought = step(value, (), visit) if step else value
    return None if visit.problems else brought


@cache
def _of_shape(shape: type[BaseModel]) -> Step | None:
    """Return the check of a message class; None if no field has anything to check."""
    fields = {
        name: step
        for name, declared in shape.model_fields.items()
        if (step := _of(declared.annotation, declared.metadata)) is not None
    }
    if not fields:
        return None

    def of_the_fields(message: BaseModel, at: Path, visit: _Visit) -> BaseModel:
        values = message.__dict__
        changed = {}
        for name, step in fields.items():
            value = values[name]
            if (kept := step(value, (*at, name), visit)) is not value:
                changed[name] = kept
        return message.model_copy(update=changed) if changed else message

    return of_the_fields


def _of(annotation: Any, metadata: Iterable[Any] = ()) -> Step | None:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _of(parts[0], (*parts[1:], *metadata))
    inner = _of_parts(annotation, origin, parts)
    checks = [one.check for one in metadata if isinstance(one, AtTheDoor)]
    return _checked(inner, checks) if checks else inner


def _of_parts(annotation: Any, origin: Any, parts: tuple[Any, ...]) -> Step | None:
    if origin in (Union, types.UnionType):
        steps = [step for part in parts if part is not type(None) and (step := _of(part))]
        if len(steps) > 1:
            raise TypeError(f"{annotation}: say in {__name__} how alternatives are distinguished")
        return _unless_none(steps[0]) if steps else None
    if origin is tuple:
        return _of_each(step) if (step := _of(parts[0])) else None
    if origin is dict:
        of_key, of_value = (_of(part) for part in parts)
        return _of_entries(of_key, of_value) if of_key or of_value else None
    return _of_shape(annotation) if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _checked(inner: Step | None, checks: Iterable[Callable[[Any], Any]]) -> Step:
    def check(value: Any, at: Path, visit: _Visit) -> Any:
        if value is None:
            return None
        try:
            for one in checks:
                value = one(value)
        except ValueError as error:
            visit.problems.append((at, str(error), value))
            return value
        return inner(value, at, visit) if inner else value

    return check


def _unless_none(step: Step) -> Step:
    return lambda value, at, visit: None if value is None else step(value, at, visit)


def _of_each(step: Step) -> Step:
    def of_each(values: Any, at: Path, visit: _Visit) -> Any:
        kept = tuple(step(value, (*at, index), visit) for index, value in enumerate(values))
        return values if all(map(is_, kept, values)) else kept

    return of_each


def _of_entries(of_key: Step | None, of_value: Step | None) -> Step:
    def of_entries(entries: Any, at: Path, visit: _Visit) -> Any:
        kept = {
            of_key(key, (*at, key), visit) if of_key else key: of_value(value, (*at, key), visit) if of_value else value
            for key, value in entries.items()
        }
        if len(kept) < len(entries):
            visit.problems.append(
                (at, "two names are the same once they are brought into form; name each once", entries)
            )
        same = len(kept) == len(entries) and all(map(is_, (*kept, *kept.values()), (*entries, *entries.values())))
        return entries if same else kept

    return of_entries
