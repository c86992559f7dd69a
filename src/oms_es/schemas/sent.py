"""Checks of the text of a message from outside, before its fields are read, the same for every dialect.

Invariant: every JSON parser reads the same from a message that passes. Of a name that stands twice in one object some
take the first value and some the last, so that a proxy may have checked another value than the one that is used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from json import JSONDecoder
from typing import Any

from oms_es.kernel import BadInput
from oms_es.schemas.inputs import Input
from oms_es.schemas.problems import quoted

NUL = "\\u0000"


def check_sent(message: bytes | str) -> None:
    """Refuse NUL and names that stand twice. What is not JSON passes: its parser says why. Raise BadInput."""
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
    """Raise BadInput."""
    try:
        ONCE.decode(text)
    except (ValueError, RecursionError):
        return  # parsers say where it is not JSON, and refuse deeper nesting than this can follow


def _once(pairs: Sequence[tuple[str, Any]]) -> None:
    if len(dict(pairs)) == len(pairs):
        return
    counts = Counter(name for name, _ in pairs)
    twice = next(name for name, count in counts.items() if count > 1)
    raise BadInput(
        Input.NAME_TWICE,
        f"{quoted(twice)}: it stands twice in the same object; leave one of them out and send it again",
    )


ONCE = JSONDecoder(object_pairs_hook=_once, parse_int=str, parse_float=str, parse_constant=str)
