"""What a channel fulfilled, refunded or cancelled by itself."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveInt

from oms_es.schemas.order.content import LINES_MAX, ContentChange, EarlyCommand, LineUnits, OrderEvent
from oms_es.schemas.values.types import (
    COUNT_MAX,
    Identifier,
    Text,
    at_most,
)


class RecordFulfilment(EarlyCommand):
    """The channel says that these units of lines were shipped, once per `fulfilment_id`.

    What is no parcel of this engine was shipped by others: it is neither shipped nor charged here. `keep`: the order
    may not be known yet.
    """

    fulfilment_id: Identifier
    lines: Annotated[tuple[LineUnits, ...], Field(min_length=1, max_length=LINES_MAX)]


class RecordChannelRefund(EarlyCommand):
    """The channel has given money back, once per `refund_id`: for units of lines, or without any.

    Units that are still here are cancelled; of anything else a person decides, and no money moves. `revision`: as of
    which of the channel's revisions; what was reported of the order since includes it.
    """

    refund_id: Identifier
    lines: Annotated[tuple[LineUnits, ...], Field(max_length=LINES_MAX)] = ()
    reason: Text = ""
    revision: Annotated[PositiveInt, at_most(COUNT_MAX)] | None = None


class OrderFulfilledElsewhere(OrderEvent, ContentChange):
    """Others than this engine have shipped units of it, which are neither shipped nor charged here.

    `told`: what was said under `fulfilment_id`; `fulfilled`: what of it was not known yet. `released`: what was locked
    of it, and has left its shelf. `whole`: nothing is left for this engine to ship; the content stays as it was.
    """

    fulfilment_id: str = ""
    told: tuple[LineUnits, ...] = ()
    fulfilled: tuple[LineUnits, ...] = ()
    whole: bool = False
    unanswered: tuple[str, ...] = ()
    """Reservations that stock had not answered: what is released of them has not left."""


class OrderReportKept(OrderEvent):
    """What a channel said before the order came; it counts when the order comes."""

    fulfilment: RecordFulfilment | None = None
    refund: RecordChannelRefund | None = None


class OrderReportDisputed(OrderEvent):
    """The channel says what does not fit what is known here: a person must decide. Nothing follows from it."""

    report: str
    detail: str
    asked: str = ""
    """What the command said beside its own id: a repeat is recognised by it."""
