"""The fields that all commands and events of a payment have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, TypeVar

from pydantic import Field

from oms_es.kernel import Command, Event, Message, SystemCommand
from oms_es.schemas.payment.references import claims
from oms_es.schemas.values.types import AmountMinor, Identifier, PartName

C = TypeVar("C")

ALLOCATIONS_MAX = 1_000
"""How many parts one refund may have: every line of an order, its shipping and some more."""

PositiveMinor = Annotated[AmountMinor, Field(gt=0)]


class RefundAllocation(Message):
    """What a part of a refund is for. `line_id` names the line; it is empty for the other kinds.

    `credit`: the part of the returned goods' worth that an exchange did not use.
    """

    kind: Literal["line", "shipping", "goodwill", "credit"]
    line_id: PartName = ""
    amount_minor: AmountMinor


class PaymentCommand(Command):
    payment_id: Identifier

    @property
    def stream(self) -> str:
        return f"payment-{self.payment_id}"


class NamedCommand(PaymentCommand, SystemCommand):
    """A command about something that the provider has done or prepared; no other payment may rest on its
    `reference`.
    """

    reference: Identifier

    @property
    def beside(self) -> Sequence[Command]:
        return claims(self.payment_id, (self.reference,))


class PaymentEvent(Event):
    payment_id: str
    order_id: str


class GatewayIntent(PaymentEvent):
    """An event that asks a gateway for something. `gateway` is that of the payment's first request; if it is empty, the
    payment token decides.
    """

    gateway: str = ""
