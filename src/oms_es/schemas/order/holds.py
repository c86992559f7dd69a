"""An order is held for a person, and released."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from oms_es.kernel import Message, SystemCommand
from oms_es.schemas.order.content import HoldKind, OrderCommand, OrderEvent
from oms_es.schemas.values.types import (
    Moment,
    Text,
)


class HoldOrder(OrderCommand):
    """Keep an order from being released to fulfilment, until this kind of hold is released."""

    kind: HoldKind
    note: Text = ""
    until: Moment | None = None
    """By then a person should have decided; it stays held, and that it is overdue is shown."""

    @model_validator(mode="after")
    def _payments_have_their_own(self) -> Self:
        if self.until and self.kind == "payment":
            raise ValueError("a hold of kind payment lapses by itself: leave until out")
        return self


class ChaseHold(OrderCommand, SystemCommand):
    """A person should have decided by `now`: say so, if the hold is still on. It never comes off by itself."""

    kind: HoldKind
    now: Moment


class ReleaseHold(OrderCommand):
    """Take one kind of hold off an order; it is released once the last one is off and it is paid and locked."""

    kind: HoldKind
    note: Text = ""


class Hold(Message):
    """What keeps an order from being released, and by when a person should have decided."""

    kind: HoldKind
    until: Moment | None = None
    note: str = ""
    """Why, where its own payments hold an order: which refund, dispute or capture. An order that takes the hold along
    has other payments, so that a person decides there."""


class OrderHeld(OrderEvent):
    kind: HoldKind
    note: str = ""
    until: Moment | None = None
    payment_id: str = ""
    effect: str = ""
    """Where it is held because money is gone: the refund, dispute or capture of that payment. When all of these are
    there again, the hold comes off by itself."""
    shipment_ids: tuple[str, ...] = ()
    """Parcels that have not left, and are asked to stop: what is in them is planned again."""


class OrderHoldOverdue(OrderEvent):
    """By `until` a person should have decided, and no one has."""

    kind: HoldKind
    until: Moment


class OrderHoldReleased(OrderEvent):
    kind: HoldKind
    note: str = ""
