"""An order is released to its warehouses; its shipments leave, arrive, come back or are lost."""

from __future__ import annotations

from typing import Annotated, Literal

from oms_es.kernel import Message, SystemCommand
from oms_es.schemas.order.content import Address, Charge, Cut, OrderCommand, OrderEvent, Reservation
from oms_es.schemas.values import names
from oms_es.schemas.values.personal import PERSONAL
from oms_es.schemas.values.types import (
    Identifier,
    Moment,
    Text,
)


class RecordShipmentDispatched(OrderCommand, SystemCommand):
    shipment_id: Identifier


class RecordShipmentDelivered(OrderCommand, SystemCommand):
    shipment_id: Identifier
    delivered_at: Moment | None = None


class RecordShipmentCancelled(OrderCommand, SystemCommand):
    shipment_id: Identifier


class RecordShipmentKept(OrderCommand, SystemCommand):
    """Record that a shipment could not be stopped."""

    shipment_id: Identifier


class RecordShipmentReturned(OrderCommand, SystemCommand):
    """Record that a shipment, or a carton of it, came back undelivered. `complete`: none of it reached the customer."""

    shipment_id: Identifier
    return_id: Identifier
    location: Identifier
    items: tuple[Reservation, ...]
    complete: bool


LossChoice = Literal["refund", "reship"]
"""What a person chooses for a lost parcel: its worth is refunded, or pays for sending it again."""


class RecordShipmentLost(OrderCommand, SystemCommand):
    """Record that a shipment, or some cartons of it, will not arrive. `complete`: none of it reached the customer."""

    shipment_id: Identifier
    items: tuple[Reservation, ...]
    complete: bool
    choice: LossChoice
    reason: Text


class LineShare(Message):
    """Units of a line in a parcel, and their part of the order's total, which is fixed when the order is released."""

    line_id: str
    sku: str
    quantity: int
    amount_minor: int
    tax_minor: int = 0
    """The part of `amount_minor` that is tax on top."""


class ShipmentPlan(Message):
    shipment_id: str
    location: str
    items: tuple[Reservation, ...]
    amount_minor: int
    """The amount that is captured when the shipment leaves: its share of the order's total, less what was paid
    before."""
    charges: tuple[Charge, ...] = ()
    """The distribution of that share over several payments, and the part of a deposit that it uses up, which is not in
    `amount_minor`; empty if the order's one payment bears all."""
    lines: tuple[LineShare, ...] = ()
    shipping_minor: int = 0
    """The shipment's share of the order's shipping costs."""

    @property
    def worth_minor(self) -> int:
        return sum(line.amount_minor for line in self.lines) + self.shipping_minor


class OrderReleased(OrderEvent):
    """The order is paid and reserved: the warehouses may begin."""

    payment_id: str
    currency: str
    shipments: tuple[ShipmentPlan, ...]
    ship_to: Annotated[Address, PERSONAL]
    delivery_option: str = "standard"
    pickup: bool = False


class OrderShipmentDispatched(OrderEvent):
    shipment_id: str


class OrderShipmentDelivered(OrderEvent):
    shipment_id: str
    delivered_at: Moment | None = None


class OrderShipmentReturned(OrderEvent):
    """Units came back undelivered and were put aside at `location`; a person decides whether they are refunded.

    `complete`: none of the shipment reached the customer. `lines`: the order lines of the units, and their worth.
    """

    shipment_id: str
    return_id: str
    location: str
    items: tuple[Reservation, ...]
    lines: tuple[LineShare, ...] = ()
    complete: bool


class OrderShipmentLost(OrderEvent):
    """Units will not arrive. `lines`: their order lines, and what was paid for them."""

    shipment_id: str
    items: tuple[Reservation, ...]
    lines: tuple[LineShare, ...]
    shipping_minor: int = 0
    complete: bool
    choice: LossChoice
    reason: str

    @property
    def worth_minor(self) -> int:
        return sum(line.amount_minor for line in self.lines) + self.shipping_minor


def loss_of(shipment_id: str) -> str:
    """Return the name of a refund, or of an order that is sent again, because of a lost parcel."""
    return f"{names.LOST}{shipment_id}"


def lost_shipment_of(loss: str | None) -> str | None:
    return loss.removeprefix(names.LOST) if loss and loss.startswith(names.LOST) else None


class OrderShipmentCancelled(OrderEvent):
    """The shipment was stopped. `released` will not be shipped; its other contents are in a new plan."""

    shipment_id: str
    released: tuple[Cut, ...] = ()


class OrderShipmentPlanned(OrderEvent):
    """Units of a stopped parcel that are still wanted are sent in another parcel.

    `held`: not yet, as the order is held; once it is released, the same plan is emitted again without `held`.
    """

    plan: ShipmentPlan
    payment_id: str
    ship_to: Annotated[Address, PERSONAL]
    delivery_option: str = "standard"
    pickup: bool = False
    held: bool = False


class OrderShipped(OrderEvent):
    """Everything that will be shipped has left."""


class ParcelCharge(Message):
    """The amount that a parcel which left captures from one payment."""

    shipment_id: str
    payment_id: str
    amount_minor: int
