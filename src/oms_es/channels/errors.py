"""Errors of input that was not understood: a stable code, and one line that says to the sender what to do next."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from pydantic import ValidationError

from oms_es.door import PROBLEM
from oms_es.kernel import BadInput
from oms_es.schemas.inputs import Input
from oms_es.schemas.problems import details, problems

__all__ = ["BadInput", "bad_input", "or_bad_input"]

Read = TypeVar("Read")

DETAIL_CHARACTERS_MAX = 500


def bad_input(error: ValidationError) -> BadInput:
    first = details(error)[0]
    if first["type"] == "json_invalid":
        return BadInput(Input.NOT_JSON, one_line(f"{first['msg']}; send one JSON object per message, in UTF-8"))
    reason = Input.OUT_OF_RANGE if first["type"] == PROBLEM else Input.INVALID_ORDER
    return BadInput(reason, one_line(f"{problems(error, whole='order')}; correct it and send the order again"))


def or_bad_input(parse: Callable[[bytes | str], Read]) -> Callable[[bytes | str], Read]:
    """Wrap a parser so that it raises BadInput if its values make no valid command."""

    @wraps(parse)
    def parsed(line: bytes | str) -> Read:
        try:
            return parse(line)
        except ValidationError as error:
            raise bad_input(error) from error

    return parsed


def one_line(text: str) -> str:
    return " ".join(text.split())[:DETAIL_CHARACTERS_MAX]
