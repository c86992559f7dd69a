"""The names of the fields that were given to a message, shared by messages of a class that were given the same.

Each message has a set of its own for them, which is a third of what an event takes in memory.

Invariant: a message says of itself what it said before. No one changes such a set: messages are immutable, and a copy
has a set of its own.
"""

from __future__ import annotations

from functools import cache
from typing import Any, get_args

from pydantic import BaseModel

SHARED_MAX = 8
"""Sets of one class: which of the optional fields are given differs little."""


class Names(set[str]):
    """Those that are shared: the program holds them, not the message."""


class Shape:
    """What is known of a class. `holding`: its fields in which there may be messages."""

    def __init__(self, kind: type[BaseModel]) -> None:
        self.holding = [name for name, field in kind.model_fields.items() if _holds_messages(field.annotation)]
        self.shared: list[Names] = []


def share_names(message: BaseModel) -> None:
    """Also those of the messages in it."""
    shape = _shape_of(type(message))
    own = message.__pydantic_fields_set__
    for shared in shape.shared:
        if shared == own:
            _set_names(message, shared)
            break
    else:
        if len(shape.shared) < SHARED_MAX:
            shape.shared.append(Names(own))
            _set_names(message, shape.shared[-1])
    for name in shape.holding:
        value = message.__dict__[name]
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, BaseModel):
                share_names(one)


_shape_of = cache(Shape)
_set_names = vars(BaseModel)["__pydantic_fields_set__"].__set__
"""A message is immutable once it is made, but for its slots."""


def _holds_messages(annotation: Any) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return True
    return any(map(_holds_messages, get_args(annotation)))
