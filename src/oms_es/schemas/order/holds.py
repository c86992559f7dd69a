"""Holding an order for a person, and releasing it."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import PositiveInt, model_validator

from oms_es.kernel import Message, SystemCommand
from oms_es.schemas.order.content import HoldKind, OrderCommand, OrderEvent
from oms_es.schemas.values.types import (
    COUNT_MAX,
    Moment,
    Text,
    at_most,
)


class HoldOrder(OrderCommand):
    """Keep an order from being released to fulfilment, until this kind of hold is released."""

    kind: HoldKind
    note: Text = ""
    until: Moment | None = None
    """The time by which a person should have decided; after it the hold is shown as overdue, and remains."""
    revision: Annotated[PositiveInt, at_most(COUNT_MAX)] | None = None
    """For a channel that numbers its updates: the revision of the one that asks for the hold. What it says in `note` is
    news once, until a later amendment has come. A hold that is older than an amendment is ignored."""

    @model_validator(mode="after")
    def _payments_have_their_own(self) -> Self:
        if self.until and self.kind == "payment":
            raise ValueError("a hold of kind payment lapses by itself: leave until out")
        return self


class ChaseHold(OrderCommand, SystemCommand):
    """Record that a hold is overdue at `now`, if it is still in force. A hold never ends by itself."""

    kind: HoldKind
    now: Moment


class ReleaseHold(OrderCommand):
    """Release one kind of hold. The order continues once no hold is left and it is paid and reserved."""

    kind: HoldKind
    note: Text = ""


class Hold(Message):
    """A hold on an order, and the time by which a person should have decided."""

    kind: HoldKind
    until: Moment | None = None
    note: str = ""
    """The reason of a payment hold: which refund, dispute or capture caused it. An order that takes the hold over has
    other payments, so that a person decides there."""


class OrderHeld(OrderEvent):
    kind: HoldKind
    note: str = ""
    until: Moment | None = None
    payment_id: str = ""
    effect: str = ""
    """The refund, dispute or capture of the payment, if the order is held because money is gone. When all such money is
    there again, the hold ends by itself."""
    shipment_ids: tuple[str, ...] = ()
    """Parcels that have not left, and are asked to stop; their contents are planned again."""
    revision: int | None = None


class OrderHoldOverdue(OrderEvent):
    """No person has decided about the hold by `until`."""

    kind: HoldKind
    until: Moment


class OrderHoldReleased(OrderEvent):
    kind: HoldKind
    note: str = ""
