"""The content of an order changes: it is amended, or lines of it are cancelled."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, PositiveInt

from oms_es.schemas.order.content import (
    AMENDABLE,
    LINES_MAX,
    Address,
    ContentChange,
    EarlyCommand,
    LineUnits,
    OrderCommand,
    OrderEvent,
    OrderLine,
)
from oms_es.schemas.values.personal import PERSONAL
from oms_es.schemas.values.types import (
    COUNT_MAX,
    AmountMinor,
    Currency,
    Identifier,
    Text,
    at_most,
)


class AmendOrder(EarlyCommand):
    """Change an order before its release: lines, address, delivery option, charges. Omitted fields stay as they are.

    `lines` are all lines that the order shall have. A channel that numbers its amendments gives `revision`: for each
    field the highest revision wins, in whichever order they arrive. `keep`: if the order is not known yet, the
    amendment waits for it.
    """

    amendment_id: Identifier
    lines: Annotated[tuple[OrderLine, ...], Field(min_length=1, max_length=LINES_MAX)] | None = None
    ship_to: Annotated[Address | None, PERSONAL] = None
    delivery_option: Identifier | None = None
    shipping_minor: AmountMinor | None = None
    discount_minor: AmountMinor | None = None
    tax_minor: AmountMinor | None = None
    revision: Annotated[PositiveInt, at_most(COUNT_MAX)] | None = None
    fulfilled: Annotated[tuple[LineUnits, ...], Field(max_length=LINES_MAX)] | None = None
    """For a channel that ships orders itself: the units of the lines that were shipped by now, by us and by others.
    `lines` and the charges include them; units that others shipped are neither shipped nor charged here."""
    currency: Currency | None = None
    """The currency of the amounts, if the channel states it. One that is not the order's is a contradiction for a
    person: an order's currency never changes."""

    @property
    def changes(self) -> dict[str, Any]:
        named = {name: getattr(self, name) for name in AMENDABLE}
        return {name: value for name, value in named.items() if value is not None}


class CancelOrderLines(OrderCommand):
    """Cancel units of lines, as long as they are not with the carrier; the rest of the order goes on."""

    cancellation_id: Identifier
    lines: Annotated[tuple[LineUnits, ...], Field(min_length=1, max_length=LINES_MAX)]
    reason: Text


class OrderAmended(OrderEvent, ContentChange):
    amendment_id: str
    revision: int | None = None
    asked: str = ""
    """The command's content without its id, by which a repeat is recognised."""


class OrderAmendmentKept(OrderEvent):
    """The amendment came before its order; it is applied when the order comes."""

    amendment: AmendOrder


class OrderAmendmentRefused(OrderEvent):
    """The amendment came before its order, and does not fit it."""

    amendment_id: str
    reason: str


class OrderLinesCancelled(OrderEvent, ContentChange):
    cancellation_id: str
    cancelled: tuple[LineUnits, ...]
    reason: str
    revision: int | None = None
    """The revision of the channel's refund that cancelled them."""
    asked: str = ""
    """The command's content without its id, by which a repeat is recognised."""


class OrderLinesCancellationRequested(OrderEvent):
    """The warehouses were asked to stop the parcels with these units; the other contents are sent in new parcels."""

    cancellation_id: str
    lines: tuple[LineUnits, ...]
    shipment_ids: tuple[str, ...]
    held_shipment_ids: tuple[str, ...] = ()
    """Parcels that were not requested yet, because the order is held; they are stopped at once."""
    reason: str
    asked: str = ""
    """The command's content without its id, by which a repeat is recognised."""
