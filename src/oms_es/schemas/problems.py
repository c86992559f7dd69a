"""What is wrong with a message, in one line for its sender: the only place that words it.

Invariant: every field is named with what is expected of it; what stood there is not repeated, it may be a person's
address.
"""

from __future__ import annotations

from collections.abc import Callable

from pydantic import ValidationError
from pydantic_core import ErrorDetails

NAMED_MAX = 5
"""Fields in one line for another system; the others are counted."""


def problems(
    error: ValidationError,
    *,
    whole: str = "",
    field: Callable[[str], str] = str,
    named_max: int | None = NAMED_MAX,
) -> str:
    """`whole`: what the message as a whole is called; `field`: what its sender calls one of its fields."""
    found = details(error)
    named = found[:named_max]
    more = f" (and {len(found) - len(named)} more)" if len(found) > len(named) else ""
    return "; ".join(_worded(one, whole, field) for one in named) + more


def details(error: ValidationError) -> list[ErrorDetails]:
    return error.errors(include_url=False, include_context=False, include_input=False)


def _worded(problem: ErrorDetails, whole: str, field: Callable[[str], str]) -> str:
    at = ".".join(map(str, problem["loc"]))
    where = field(at) if at else whole
    expected = problem["msg"].removeprefix("Value error, ")
    return f"{where}: {expected}" if where else expected
