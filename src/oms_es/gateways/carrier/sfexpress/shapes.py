"""Shapes of SF's answers, as far as they are read, and of a sender's address, with SF's field names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from oms_es.schemas.values.types import Country, Identifier, LocationId

Line = Annotated[str, Field(max_length=100)]
FullLine = Annotated[str, Field(min_length=1, max_length=200)]
MAIN = 1
"""The type of a parcel's first waybill; those of its other cartons have type 2."""
BY_HAND, OUT_OF_REACH = "1", "3"
"""Results of SF's check of the addresses: people of SF's decide, or it does not deliver there."""


def text(value: object) -> object:
    """Return numbers as text: SF sends some fields as either."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Waybill(Shape):
    waybillNo: Identifier  # noqa: N815 - its name
    waybillType: int  # noqa: N815 - its name


class Order(Shape):
    """An order at SF, as its creation and its search show it."""

    orderId: Identifier  # noqa: N815 - its name
    waybillNoInfoList: Annotated[Sequence[Waybill], BeforeValidator(lambda value: value or ())] = ()  # noqa: N815
    filterResult: Annotated[str | None, BeforeValidator(text)] = None  # noqa: N815 - its name
    remark: str | None = None

    @property
    def numbers(self) -> Sequence[str]:
        """Return the parcel's waybill numbers, each once, the main one first, and in the same order in every answer."""
        ordered = sorted((one.waybillType != MAIN, one.waybillNo) for one in self.waybillNoInfoList)
        return list(dict.fromkeys(number for _, number in ordered))


class Withdrawal(Shape):
    resStatus: Annotated[str | None, BeforeValidator(text)] = None  # noqa: N815 - its name


class Sender(Shape):
    """A location's address. SF needs a name, and a mobile number or another one."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    contact: FullLine
    mobile: Line = ""
    tel: Line = ""
    company: Line = ""
    country: Country = "CN"
    province: Line = ""
    city: Line = ""
    county: Line = ""
    address: FullLine
    postCode: Line = ""  # noqa: N815 - its name


SENDERS: TypeAdapter[dict[str, Sender]] = TypeAdapter(dict[LocationId, Sender])
