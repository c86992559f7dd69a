"""What every command and event of a shipment says."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, StringConstraints

from oms_es.kernel import Command, Event, Message
from oms_es.schemas.order import Reservation
from oms_es.schemas.values.types import (
    NAMED_OR_NOT,
    AmountMinor,
    Identifier,
    PlainText,
    QuotedText,
    Units,
)

MilestoneStatus = Literal[
    "in_transit",
    "out_for_delivery",
    "delivered",
    "exception",
    "pre_transit",
    "picked_up",
    "available_for_pickup",
    "return_to_sender",
    "returned",
    "failure",
    "cancelled",
    "unknown",
]
"""What every carrier's own words are brought to. `return_to_sender`: on its way back; `returned`: it is back;
`failure`: the carrier gives up, as on a loss; `unknown`: words that we do not know yet, kept beside it."""

DispatchStep: TypeAlias = Literal["packing", "booking", "collection"]
"""What a parcel waits for before it leaves: the warehouse, a carrier that takes it, the carrier that fetches it."""

SILENCE_SECONDS = 10 * 86_400
"""Of a parcel that has left: when nothing was seen of it for so long, it is suspected to be lost."""

DISPATCH_SECONDS = 3 * 86_400
"""From the request of a parcel until it should have left: a weekend, and a day to pack it."""

CARTONS_MAX = 200

CANDIDATES_MAX = 50

PARTS_MAX = 30

TRANSIT_DAYS_MAX = 365

LABEL_BYTES_MAX = 10_000_000

CARTON_ML_MAX = 10**9

Volume = Annotated[int, Field(ge=0, le=CARTON_ML_MAX)]
"""In millilitres, which are cubic centimetres."""

TransitDays = Annotated[int, Field(ge=0, le=TRANSIT_DAYS_MAX)]

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""In hexadecimal: the address of a document."""


class Carton(Message):
    """One of a shipment's boxes, and what goes into it."""

    carton_id: Identifier
    box: Identifier
    items: Annotated[tuple[Reservation, ...], Field(min_length=1)]
    weight_grams: Units
    """With the box, as planned."""
    volume_ml: Volume = 0
    """Of the box, from outside; 0 where it is not known."""


class CartonWeight(Message):
    """A box, as it was weighed, and perhaps measured."""

    carton_id: Identifier
    weight_grams: Units
    volume_ml: Volume = 0


class PricePart(Message):
    """What a part of a price is for."""

    name: QuotedText
    amount_minor: AmountMinor


class CarrierCandidate(Message):
    """One service that could take a shipment, as it was weighed. `reason` says why it cannot, where it cannot.

    `price_parts`: what makes up the price of all cartons, where it is more than a band's.
    """

    carrier: Identifier
    service: Identifier
    price_minor: AmountMinor = 0
    transit_days: TransitDays = 0
    in_time: bool = True
    reason: QuotedText = ""
    price_parts: Annotated[tuple[PricePart, ...], Field(max_length=PARTS_MAX)] = ()


class CarrierChoice(Message):
    """Who is to carry a shipment, and why: empty where no rates are published, and the carrier is the only one."""

    carrier: Annotated[PlainText, NAMED_OR_NOT] = ""
    service: Annotated[PlainText, NAMED_OR_NOT] = ""
    quoted_minor: AmountMinor = 0
    currency: QuotedText = ""
    transit_days: TransitDays = 0
    candidates: Annotated[tuple[CarrierCandidate, ...], Field(max_length=CANDIDATES_MAX)] = ()
    rule_version: QuotedText = ""


class LabelDocument(Message):
    """A document that lies in the store of documents under the SHA-256 of its bytes."""

    sha256: Sha256
    media_type: Identifier = "application/pdf"
    byte_count: Annotated[int, Field(gt=0, le=LABEL_BYTES_MAX)]


class ShipmentCommand(Command):
    shipment_id: Identifier

    @property
    def stream(self) -> str:
        return f"shipment-{self.shipment_id}"


class ShipmentEvent(Event):
    shipment_id: str
    order_id: str
