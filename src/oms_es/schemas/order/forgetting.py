"""Forgetting a person: what an order contains about them cannot be read by anyone any more."""

from __future__ import annotations

from typing import Literal

from oms_es.kernel import SystemCommand
from oms_es.schemas.order.content import OrderCommand, OrderEvent
from oms_es.schemas.values.types import Identifier

ForgetReason = Literal["request", "objection", "retention", "order_of_authority"]
"""`request`: the person asks for it. `objection`: they object to how their data is used. `retention`: the data was kept
for as long as it is needed. `order_of_authority`: a court or a supervisory authority demands it."""


class ForgetOrder(OrderCommand, SystemCommand):
    """Forget the person of an order that has ended.

    The command only records this; `oms-es privacy forget` sends it and destroys the key.
    """

    reason: ForgetReason
    case_id: Identifier | None = None
    """The id of the case in another system's files, with the person who asked: nothing about the person is stored
    here."""


LegalHoldReason = Literal["dispute", "investigation", "order_of_authority", "other"]


class PlaceLegalHold(OrderCommand, SystemCommand):
    """Keep what the order contains about its person, in spite of any request, until the hold is lifted.

    A case holds an order once.
    """

    case_id: Identifier
    reason: LegalHoldReason


class LiftLegalHold(OrderCommand, SystemCommand):
    """End the hold of a case that does not need the order any more."""

    case_id: Identifier


class OrderForgotten(OrderEvent):
    """The order contains no person from now on. The actor of its envelope is responsible."""

    reason: str
    case_id: str | None = None


class OrderLegalHoldPlaced(OrderEvent):
    """The order is not forgotten as long as this hold is in force. The actor of its envelope is responsible."""

    case_id: str
    reason: str


class OrderLegalHoldLifted(OrderEvent):
    case_id: str
