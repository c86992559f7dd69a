"""The words for what is wrong with a message, in one line for its sender: the only place that words it.

Invariant: every field is named with what is expected of it. Its value is not repeated, as it may be a person's address.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from pydantic import ValidationError
from pydantic_core import ErrorDetails

CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,79}")
NAMED_MAX = 5
"""How many fields one line for another system names; the others are counted."""


def problems(
    error: ValidationError,
    *,
    whole: str = "",
    field: Callable[[str], str] = str,
    named_max: int | None = NAMED_MAX,
) -> str:
    """Return what is wrong, in one line.

    `whole` is the name of the message as a whole; `field` returns the sender's name of a field.
    """
    found = details(error)
    named = found[:named_max]
    more = f" (and {len(found) - len(named)} more)" if len(found) > len(named) else ""
    return "; ".join(_worded(one, whole, field) for one in named) + more


def details(error: ValidationError) -> list[ErrorDetails]:
    """Return the problems in our words.

    A list that is too short is not reported if a part of it is wrong: it is short because of that.
    """
    found = error.errors(include_url=False, include_input=False)
    inner = {problem["loc"][:depth] for problem in found for depth in range(len(problem["loc"]))}
    return [
        {"type": one["type"], "loc": one["loc"], "input": None, "msg": _counted(one)}
        for one in found
        if not (one["type"] in COUNTED and one["loc"] in inner)
    ]


COUNTED = {"too_short": ("at least", "min_length"), "too_long": ("at most", "max_length")}


def _counted(problem: ErrorDetails) -> str:
    if problem["type"] not in COUNTED:
        return problem["msg"]
    bound, name = COUNTED[problem["type"]]
    context = problem.get("ctx", {})
    given = context.get("actual_length")
    verb = "needed" if problem["type"] == "too_short" else "taken"
    return f"{bound} {context[name]} are {verb}" + ("" if given is None else f", and {given} are given")


def quoted(code: str) -> str:
    """Return a word of another system, such as a kind of event.

    Any other text is not repeated, as it may be a person's name.
    """
    return code if CODE.fullmatch(code) else "what stands there"


def _worded(problem: ErrorDetails, whole: str, field: Callable[[str], str]) -> str:
    at = ".".join(map(str, problem["loc"]))
    where = field(at) if at else whole
    expected = problem["msg"].removeprefix("Value error, ")
    return f"{where}: {expected}" if where else expected
