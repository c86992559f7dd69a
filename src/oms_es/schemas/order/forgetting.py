"""A person is forgotten: what an order says of them is not read again, by anyone."""

from __future__ import annotations

from typing import Literal

from oms_es.kernel import SystemCommand
from oms_es.schemas.order.content import OrderCommand, OrderEvent
from oms_es.schemas.values.types import Identifier

ForgetReason = Literal["request", "objection", "retention", "order_of_authority"]
"""`request`: the person asks for it, `objection`: they object to what is done with their data, `retention`: it was kept
for as long as it is needed, `order_of_authority`: a court or a supervisory authority says so."""


class ForgetOrder(OrderCommand, SystemCommand):
    """Forget whose order it was, once it has ended. By itself it is only recorded: `oms-es privacy forget` gives it and
    destroys the key."""

    reason: ForgetReason
    case_id: Identifier | None = None
    """Under which it is on file elsewhere, with who asked: nothing of the person stands here."""


LegalHoldReason = Literal["dispute", "investigation", "order_of_authority", "other"]


class PlaceLegalHold(OrderCommand, SystemCommand):
    """Keep what the order says of its person, whatever is asked, until it is lifted. A case holds an order once."""

    case_id: Identifier
    reason: LegalHoldReason


class LiftLegalHold(OrderCommand, SystemCommand):
    """The case needs it no longer."""

    case_id: Identifier


class OrderForgotten(OrderEvent):
    """From here on the order has no person. The actor of its envelope answers for it."""

    reason: str
    case_id: str | None = None


class OrderLegalHoldPlaced(OrderEvent):
    """The order is not forgotten as long as this holds. The actor of its envelope answers for it."""

    case_id: str
    reason: str


class OrderLegalHoldLifted(OrderEvent):
    case_id: str
