"""Sender addresses by location, from a file of the operator, in the form of each carrier."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from oms_es.gateways.outgoing import ProtocolError
from oms_es.schemas.problems import problems

FILE_BYTES_MAX = 1_000_000
Shape = TypeVar("Shape", bound=BaseModel)


class BadSenders(ProtocolError):
    """The file of senders cannot be used; the message says why."""


def senders_in(path: Path, shape: TypeAdapter[dict[str, Shape]], setting: str) -> Mapping[str, Shape]:
    """Return the senders in the file, by location. Raise BadSenders."""
    hint = f"name the file of the senders, by location, with {setting}"
    try:
        with path.open("rb") as file:
            return shape.validate_json(file.read(FILE_BYTES_MAX))
    except OSError as error:
        raise BadSenders(f"{path} cannot be read: {error.strerror}; {hint}") from None
    except ValidationError as error:
        raise BadSenders(f"{path}: {problems(error, whole='file')}; {hint}") from None
