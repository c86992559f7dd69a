"""Encodes a command as bytes, so that one that the domain refused can be stored as a dead letter and replayed.

Invariant: what is written here is read back as the same command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from oms_es.kernel import BadInput, Command, Decider
from oms_es.schemas.inputs import Input

DIALECT = "command"


def as_bytes(command: Command) -> bytes:
    return to_json({"command": type(command).__name__, "fields": command})


def parser_of(deciders: Iterable[Decider[Any]]) -> Callable[[bytes], Command]:
    """Reads any command that one of the deciders accepts."""
    shapes = {shape.__name__: shape for decider in deciders for shape in decider.accepts}

    def parse(payload: bytes) -> Command:
        """Raises BadInput."""
        try:
            document = from_json(payload)
            return shapes[document["command"]].model_validate(document["fields"])
        except (ValidationError, ValueError, KeyError, TypeError) as error:
            raise BadInput(
                Input.NO_COMMAND, f"{type(error).__name__}: this is no command that the engine knows"
            ) from error

    return parse
