"""What an order is made of changes: amended, or lines of it cancelled."""

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
    Identifier,
    Text,
    at_most,
)


class AmendOrder(EarlyCommand):
    """Change an order before its release: lines, address, delivery option, charges. What is left out stays.

    `lines` are all lines that the order shall have. A channel that numbers its amendments gives `revision`: of each
    field, the highest revision holds, in whichever order they arrive. `keep`: the order may not be known yet; then the
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
    """Of a channel that ships itself: what of its lines was shipped by now in all, by whomever. `lines` and the charges
    have it in them; what others shipped is neither shipped nor charged here."""

    @property
    def changes(self) -> dict[str, Any]:
        named = {name: getattr(self, name) for name in AMENDABLE}
        return {name: value for name, value in named.items() if value is not None}


class CancelOrderLines(OrderCommand):
    """Cancel units of lines, at any stage before they are with the carrier; the rest of the order goes on."""

    cancellation_id: Identifier
    lines: Annotated[tuple[LineUnits, ...], Field(min_length=1, max_length=LINES_MAX)]
    reason: Text


class OrderAmended(OrderEvent, ContentChange):
    amendment_id: str
    revision: int | None = None
    asked: str = ""
    """What the command said beside its own id: a repeat is recognised by it."""


class OrderAmendmentKept(OrderEvent):
    """It came before the order; it is applied when the order comes."""

    amendment: AmendOrder


class OrderAmendmentRefused(OrderEvent):
    """It came before the order, and does not fit it."""

    amendment_id: str
    reason: str


class OrderLinesCancelled(OrderEvent, ContentChange):
    cancellation_id: str
    cancelled: tuple[LineUnits, ...]
    reason: str
    revision: int | None = None
    """Of the channel's refund that they are cancelled for."""
    asked: str = ""
    """What the command said beside its own id: a repeat is recognised by it."""


class OrderLinesCancellationRequested(OrderEvent):
    """The warehouses were asked to stop the parcels with these units; what else is in them goes into new parcels."""

    cancellation_id: str
    lines: tuple[LineUnits, ...]
    shipment_ids: tuple[str, ...]
    held_shipment_ids: tuple[str, ...] = ()
    """Parcels that were not requested yet, as the order is held: they are stopped at once."""
    reason: str
    asked: str = ""
    """What the command said beside its own id: a repeat is recognised by it."""
