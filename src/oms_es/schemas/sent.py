"""What no message may hold, of whatever dialect: seen in its text, before its fields are read.

Invariant: of what passes, every JSON program reads the same. Of a name that stands twice in one object some take the
first value and some the last, and what lies on the way may have looked at the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from json import JSONDecoder
from typing import Any

from oms_es.kernel import BadInput
from oms_es.schemas.inputs import Input
from oms_es.schemas.problems import quoted

NUL = "\\u0000"


def check_sent(message: bytes | str) -> None:
    """What is no JSON passes: its reader says why. Raises BadInput."""
    try:
        text = message.decode() if isinstance(message, bytes) else message
    except UnicodeDecodeError:
        return
    refuse_nul(text)
    refuse_named_twice(text)


def refuse_nul(text: str) -> None:
    """PostgreSQL's text cannot hold the character, and an order that no table can show must not be placed."""
    if NUL in text:
        raise BadInput(Input.NUL_CHARACTER, "a text contains \\u0000; leave that character out and send it again")


def refuse_named_twice(text: str) -> None:
    """Raises BadInput."""
    try:
        ONCE.decode(text)
    except (ValueError, RecursionError):
        return  # readers say where it is no JSON, and refuse what is nested deeper than this goes


def _once(pairs: Sequence[tuple[str, Any]]) -> None:
    if len(dict(pairs)) == len(pairs):
        return
    names = [name for name, _ in pairs]
    twice = next(name for at, name in enumerate(names) if name in names[:at])
    raise BadInput(
        Input.NAME_TWICE,
        f"{quoted(twice)}: it stands twice in the same object; leave one of them out and send it again",
    )


ONCE = JSONDecoder(object_pairs_hook=_once, parse_int=str, parse_float=str, parse_constant=str)
