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
    """Record that the channel reports units of lines as shipped, once per `fulfilment_id`.

    Units that are in no parcel of this engine were shipped by others: they are neither shipped nor charged here.
    `keep`: if the order is not known yet, the report waits for it.
    """

    fulfilment_id: Identifier
    lines: Annotated[tuple[LineUnits, ...], Field(min_length=1, max_length=LINES_MAX)]


class RecordChannelRefund(EarlyCommand):
    """Record that the channel has refunded money, once per `refund_id`: for units of lines, or without any.

    Units that are still here are cancelled. About anything else a person decides, and no money moves. `revision`: the
    channel's revision of the order; any report of a later revision includes the refund.
    """

    refund_id: Identifier
    lines: Annotated[tuple[LineUnits, ...], Field(max_length=LINES_MAX)] = ()
    reason: Text = ""
    revision: Annotated[PositiveInt, at_most(COUNT_MAX)] | None = None


class OrderFulfilledElsewhere(OrderEvent, ContentChange):
    """Others have shipped units of the order, which are neither shipped nor charged here.

    `told`: what was said under `fulfilment_id`; `fulfilled`: the part of it that was not known yet. `released`: the
    reservations of these units, which have left their shelf. `whole`: nothing is left for this engine to ship; the
    content stays as it was.
    """

    fulfilment_id: str = ""
    told: tuple[LineUnits, ...] = ()
    fulfilled: tuple[LineUnits, ...] = ()
    whole: bool = False
    unanswered: tuple[str, ...] = ()
    """Reservations that stock had not answered: units released of them have not left."""


class OrderReportKept(OrderEvent):
    """A channel's report came before its order; it counts when the order comes."""

    fulfilment: RecordFulfilment | None = None
    refund: RecordChannelRefund | None = None


class OrderReportDisputed(OrderEvent):
    """A report of the channel does not fit what is known here: a person must decide. Nothing else follows from it."""

    report: str
    detail: str
    asked: str = ""
    """The command's content without its id, by which a repeat is recognised."""
