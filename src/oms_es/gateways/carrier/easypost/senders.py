"""Sender addresses by location, from a file of the operator."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from oms_es.gateways.outgoing import ProtocolError
from oms_es.schemas.problems import problems
from oms_es.schemas.values.types import Country, LocationId

FILE_BYTES_MAX = 1_000_000
Line = Annotated[str, Field(max_length=100)]


class BadSenders(ProtocolError):
    """The file of senders cannot be used; the message says why."""


class Sender(BaseModel):
    """An address with EasyPost's field names."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Line = ""
    company: Line = ""
    street1: Annotated[str, Field(min_length=1, max_length=100)]
    street2: Line = ""
    city: Line = ""
    state: Line = ""
    zip: Line = ""
    country: Country
    phone: Line = ""
    email: Line = ""


SENDERS = TypeAdapter(dict[LocationId, Sender])


HINT = "name the file of the senders, by location, with OMS_EASYPOST_SENDERS_FILE"


def senders_in(path: Path) -> Mapping[str, Sender]:
    """Return the senders in the file, by location. Raise BadSenders."""
    try:
        with path.open("rb") as file:
            return SENDERS.validate_json(file.read(FILE_BYTES_MAX))
    except OSError as error:
        raise BadSenders(f"{path} cannot be read: {error.strerror}; {HINT}") from None
    except ValidationError as error:
        raise BadSenders(f"{path}: {problems(error, whole='file')}; {HINT}") from None
