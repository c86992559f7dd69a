"""A faster `_replace` for states of many fields: it copies the unchanged fields in one piece.

`NamedTuple._replace` looks up every field by its name, although of forty fields thirty-eight stay as they are.
"""

from __future__ import annotations

from typing import Any, TypeVar

State = TypeVar("State", bound=tuple[Any, ...])


def fast_replace(state: type[State]) -> type[State]:
    """Give a NamedTuple a `_replace` that costs as much as it changes.

    It raises KeyError for a field that does not exist.
    """
    places = {name: place for place, name in enumerate(state._fields)}  # type: ignore[attr-defined] # of a NamedTuple

    def _replace(self: State, /, **changes: Any) -> State:
        values = list(self)
        for name, value in changes.items():
            values[places[name]] = value
        return tuple.__new__(state, values)

    state._replace = _replace  # type: ignore[attr-defined] # of a NamedTuple
    return state
