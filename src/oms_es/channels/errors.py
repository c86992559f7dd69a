"""Why input was not understood: a stable code, and one line that tells its sender what to do next."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from oms_es.door import PROBLEM
from oms_es.kernel import BadInput

__all__ = ["BadInput", "bad_input", "or_bad_input"]

Read = TypeVar("Read")

DETAIL_CHARACTERS_MAX = 500
PROBLEMS_NAMED_MAX = 5


def bad_input(error: ValidationError) -> BadInput:
    """The problems by their fields; what was sent there is not repeated, it may be somebody's address."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    first = problems[0]
    if first["type"] == "json_invalid":
        return BadInput("not_json", one_line(f"{first['msg']}; send one JSON object per message, in UTF-8"))
    named = "; ".join(_named(problem) for problem in problems[:PROBLEMS_NAMED_MAX])
    more = f" (and {len(problems) - PROBLEMS_NAMED_MAX} more)" if len(problems) > PROBLEMS_NAMED_MAX else ""
    reason = "out_of_range" if first["type"] == PROBLEM else "invalid_order"
    return BadInput(reason, one_line(f"{named}{more}; correct it and send the order again"))


def _named(problem: ErrorDetails) -> str:
    where = ".".join(map(str, problem["loc"])) or "order"
    return f"{where}: {problem['msg'].removeprefix('Value error, ')}"


def or_bad_input(parse: Callable[[bytes | str], Read]) -> Callable[[bytes | str], Read]:
    """A dialect whose words make no command that could be given says so of its input."""

    @wraps(parse)
    def parsed(line: bytes | str) -> Read:
        try:
            return parse(line)
        except ValidationError as error:
            raise bad_input(error) from error

    return parsed


def one_line(text: str) -> str:
    return " ".join(text.split())[:DETAIL_CHARACTERS_MAX]
