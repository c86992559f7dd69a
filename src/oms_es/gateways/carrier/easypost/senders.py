"""A sender's address with EasyPost's field names."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from oms_es.schemas.values.types import Country, LocationId

Line = Annotated[str, Field(max_length=100)]


class Sender(BaseModel):
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


SENDERS: TypeAdapter[dict[str, Sender]] = TypeAdapter(dict[LocationId, Sender])
