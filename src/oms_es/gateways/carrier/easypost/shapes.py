"""Shapes of EasyPost's answers, as far as they are read; amounts are exact."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from oms_es.gateways.carrier.easypost.client import REASON_CHARACTERS_MAX
from oms_es.schemas.values.types import Identifier

RefundStatus = Literal["submitted", "refunded", "rejected", "not_applicable"]
GIVEN_BACK = frozenset({"submitted", "refunded"})
"""Refund statuses under which a label is void: EasyPost refunds it at once, or after the carrier has agreed."""


class Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Rate(Shape):
    id: str = Field(min_length=1)
    carrier: Identifier
    service: str = Field(min_length=1)
    rate: Decimal = Field(ge=0, allow_inf_nan=False)
    currency: str = Field(min_length=3, max_length=3)


class CarrierMessage(Shape):
    """The reason why a carrier offers no rate."""

    carrier: str | None = None
    message: str | dict[str, object] | list[object] | None = None


class PostageLabel(Shape):
    label_url: str | None = None
    label_file_type: str | None = None


class Bought(Shape):
    """A shipment, bought or not yet."""

    id: str = Field(min_length=1)
    reference: str | None = None
    tracking_code: Identifier | None = None
    refund_status: RefundStatus | None = None
    rates: Sequence[Rate] = ()
    messages: Sequence[CarrierMessage] = ()
    selected_rate: Rate | None = None
    postage_label: PostageLabel | None = None

    @property
    def is_bought(self) -> bool:
        return bool(self.selected_rate and self.tracking_code)

    @property
    def is_given_back(self) -> bool:
        return self.refund_status in GIVEN_BACK

    @property
    def why_no_rate(self) -> str:
        said = [f"{one.carrier or 'EasyPost'}: {one.message}" for one in self.messages if one.message]
        return "; ".join(said)[:REASON_CHARACTERS_MAX]
