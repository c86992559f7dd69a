"""Inputs generated from the schemas themselves: values at and around every bound of every field.

Invariant: a message is drawn only from its declaration and from recorded events; a new field, bound or command is tried
as soon as it exists. Messages that the schema refuses are of no interest here.
"""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cache
from random import Random
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Len, Lt, MaxLen, MinLen
from pydantic import AliasChoices, BaseModel, StringConstraints, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from oms_es.door import AtTheDoor, brought_in, takes
from oms_es.kernel import Command, Event, Recorded

REMEMBERED_MAX = 60
"""Recorded events, and names of each kind, that later messages may refer to."""
LENGTHS = (1, 2, 31, 32, 33, 60, 61, 64, 65, 127, 128, 129, 256, 257, 500, 501)
TRIED_MAX = 40
"""How often a message is drawn until the schema accepts one."""
ITEMS_MAX = 40
"""Items of the longest list that is usually drawn; the longest that is accepted is drawn seldom."""
SELDOM = 0.01
REPEATED_SHARES = (0.85, 0.98)
"""Shares of a command's fields that repeat the recorded event: the rest is unusual."""
SOURCES = 8
"""Recorded events of which the one that shares most fields with a command is chosen."""
USUAL_MAX = 1_000
"""Half of the drawn integers are between 1 and this: a command with unusual numbers is mostly refused early."""
BY_SKU = frozenset({"components", "bundles", "backordered"})
LETTERS = "aZ0é\U0001f600\u0958\u0301'\"\\%_/.- @#\u202e\x07\x00\ud800"
WORDS = (
    "", " ", "a", "A", "0", "-", "*", ".", "DE", "EUR", "JPY", "XXX", "web", "1", "None", "null", " a", "a ", "\ufeffa",
    "1/1", "a/s1", "merge/1", "exchange/1", "lost/1", "noticed/1", "../..", "a@b", "a b", "a\tb", "a\nb", "é",
    "e\u0301", "f" * 64,
    "4242424242424242", "https://shop.example/hooks?a=1", "sec_0123456789abcdef01234567", "OrderPlaced",
    "+49 30 1234567", "zh-Hant-TW", "Ω≈ç", "\u202e", "٣", "𝒳", "ﬃ", "2026-01-31",
)  # fmt: skip
NUMBERS = (-(10**12), -1, 0, 1, 2, 3, 9, 10, 100, 333, 1_000, 10**6, 10**6 + 1, 10**9, 2**31, 10**12, 2**53, 2**63)
MOMENTS = tuple(
    f"{day}{offset}"
    for day in ("0001-01-01T00:00:00", "1969-12-31T23:59:59", "1970-01-01T00:00:00", "2026-01-01T12:00:00",
                "2026-02-28T23:59:59.999999",
                "2199-12-31T23:59:59.999999", "2200-01-01T00:00:00", "9999-12-31T23:59:59")
    for offset in ("Z", "+14:00", "-12:00", "+15:59", "-15:59", "+16:00", "-16:00", "+23:59", "-23:59")
)  # fmt: skip
FLOATS = (-180.0, -90.0, -1e-300, -0.0, 0.0, 48.0, 90.0, 180.0, float("nan"), float("inf"))


def _texts() -> tuple[str, ...]:
    return (*WORDS, *(letter * length for letter in LETTERS for length in LENGTHS))


@cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation)


@cache
def _edges(annotation: Any) -> tuple[Any, ...]:
    """Return values of a plain type that the schema accepts, at and around its bounds."""
    origin = _base(annotation)
    if origin is bool:
        return (False, True)
    if origin is float:
        candidates: Iterable[Any] = FLOATS
    elif origin is int:
        candidates = {n + d for n in (*NUMBERS, *_bounds(annotation)) for d in (-1, 0, 1)}
    elif issubclass(origin, datetime) or origin.__name__ == "AwareDatetime":
        candidates = MOMENTS
    else:
        candidates = (*_choices(annotation), *_texts())
    return tuple(_taken(annotation, sorted(candidates) if isinstance(candidates, set) else candidates))


def _taken(annotation: Any, candidates: Iterable[Any]) -> Iterator[Any]:
    for candidate in candidates:
        with suppress(ValueError):
            if takes(annotation, _adapter(annotation).validate_python(candidate)):
                yield candidate


def _base(annotation: Any) -> Any:
    return _base(get_args(annotation)[0]) if get_origin(annotation) is Annotated else annotation


def _metadata(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is not Annotated:
        return ()
    first, *rest = get_args(annotation)
    return (
        *_metadata(first),
        *(part for one in rest for part in (one.metadata if isinstance(one, FieldInfo) else [one])),
    )


def _bounds(annotation: Any) -> Iterator[int]:
    for one in _metadata(annotation):
        match one:
            case Ge(bound) | Gt(bound) | Le(bound) | Lt(bound) if isinstance(bound, int):
                yield bound
            case AtTheDoor(schema=schema) if "maximum" in schema:
                yield schema["maximum"]


def _choices(annotation: Any) -> Iterator[Any]:
    for one in _metadata(annotation):
        if isinstance(one, AtTheDoor):
            yield from one.schema.get("enum", ())


def _sizes(annotation: Any) -> tuple[int, int]:
    least, most = 0, ITEMS_MAX
    for one in _metadata(annotation):
        match one:
            case Len(low, high):
                least, most = low, high if high is not None else most
            case MinLen(low):
                least = low
            case MaxLen(high):
                most = high
            case AtTheDoor(schema=schema) if "maxItems" in schema:
                most = schema["maxItems"]
            case StringConstraints():
                pass
    return least, most


def declared(field: FieldInfo) -> Any:
    """Return a field's type with all its declared constraints."""
    annotation = field.annotation
    return Annotated[(annotation, *field.metadata)] if field.metadata else annotation


def _spelled(name: str, field: FieldInfo) -> str:
    """Return the field's name as a sender writes it."""
    alias = field.validation_alias
    first = alias.choices[0] if isinstance(alias, AliasChoices) else alias
    return first if isinstance(first, str) else name


class Inputs:
    """A generator of commands. It is given recorded events, so that most commands refer to something that exists."""

    def __init__(self, chance: Random, shapes: Sequence[type[Command]], names: Mapping[str, Sequence[Any]]) -> None:
        self.chance = chance
        self.shapes = shapes
        self._repeated_share = REPEATED_SHARES[0]
        self.events: deque[Event] = deque(maxlen=REMEMBERED_MAX)
        self.names: dict[str, deque[Any]] = {}
        for name, values in names.items():
            self._remember(name, *values)

    def note(self, recorded: Iterable[Recorded]) -> None:
        for one in recorded:
            self.events.append(one.event)
            for name, value in one.event.__dict__.items():
                if isinstance(value, str) and value:
                    self._remember(name, value)

    def command(self, shape: type[Command] | None = None, about: Event | None = None) -> Command | None:
        """Return a command that the schema accepts, or None if none of TRIED_MAX is."""
        shape = shape or self.chance.choice(self.shapes)
        for _ in range(TRIED_MAX):
            with suppress(ValidationError):
                self._repeated_share = self.chance.choice(REPEATED_SHARES)
                values = self._like(shape, about) if about else self.fields(shape)
                return brought_in(shape.model_validate(values))
        return None

    def fields(self, shape: type[BaseModel]) -> dict[str, Any]:
        """Return values for the fields of a shape, valid or not."""
        return self._like(shape, self._source(shape))

    def _likely(self, share: float) -> bool:
        return self.chance.random() < share

    def _remember(self, name: str, *values: Any) -> None:
        known = self.names.setdefault(name, deque(maxlen=REMEMBERED_MAX))
        known.extend(value for value in values if value not in known)

    def _source(self, shape: type[BaseModel]) -> Event | None:
        """Return a recorded event that the command may refer to; the more fields they share, the likelier."""
        if not self.events or self._likely(0.2):
            return None
        drawn = [self.chance.choice(self.events) for _ in range(SOURCES)]
        return max(drawn, key=lambda event: sum(name in event.__dict__ for name in shape.model_fields))

    def _like(self, shape: type[BaseModel], source: Any) -> dict[str, Any]:
        there = vars(source) if isinstance(source, BaseModel) else {}
        eager = self.chance.random()
        values = {}
        for name, field in shape.model_fields.items():
            if field.is_required() or self._likely(eager * 0.6) or (name in there and self._likely(0.5)):
                values[_spelled(name, field)] = self._value(name, declared(field), there.get(name))
        return values

    def _value(self, name: str, annotation: Any, like: Any = None) -> Any:
        base = _base(annotation)
        origin, parts = get_origin(base), get_args(base)
        if origin in (Union, types.UnionType):
            return self._one_of(name, [part for part in parts if part is not type(None)], like)
        if origin is Literal:
            return like if like in parts and self._likely(0.7) else self.chance.choice(parts)
        if origin in (tuple, list):
            return self._items(name, annotation, parts[0], like)
        if origin is dict:
            return self._entries(name, annotation, parts, like)
        if isinstance(base, type) and issubclass(base, BaseModel):
            return self._like(base, like)
        return self._plain(name, annotation, base, like)

    def _one_of(self, name: str, kinds: Sequence[Any], like: Any) -> Any:
        absent = like is None and self._likely(0.3)
        return None if absent else self._value(name, self.chance.choice(kinds), like)

    def _items(self, name: str, annotation: Any, item: Any, like: Any) -> list[Any]:
        if like and isinstance(like, tuple) and self._likely(self._repeated_share):
            return [self._value(name, item, source) for source in like]
        return [self._value(name, item) for _ in range(self._size(annotation))]

    def _size(self, annotation: Any) -> int:
        least, most = _sizes(annotation)
        if self._likely(SELDOM):
            return most
        return min(
            most, self.chance.choice((least, least + 1, least + 1, least + 2, ITEMS_MAX if self._likely(0.1) else 1))
        )

    def _entries(self, name: str, annotation: Any, parts: tuple[Any, ...], like: Any) -> dict[Any, Any]:
        if like and isinstance(like, dict) and self._likely(0.8):
            return dict(like)
        of = "sku" if name in BY_SKU else name
        return {self._value(of, parts[0]): self._value(name, parts[1]) for _ in range(self._size(annotation))}

    def _plain(self, name: str, annotation: Any, base: Any, like: Any) -> Any:
        if like is not None and not isinstance(like, BaseModel) and self._likely(self._repeated_share):
            return like
        if (known := self.names.get(name)) and self._likely(0.7):
            return self.chance.choice(known)
        edges = _edges(annotation)
        if not edges:
            raise AssertionError(f"{name}: nothing that is drawn fits {annotation}: add to the words of {__name__}")
        if base is int and self._likely(0.5):
            edges = tuple(edge for edge in edges if 0 < edge <= USUAL_MAX) or edges
        return self.chance.choice(edges)
