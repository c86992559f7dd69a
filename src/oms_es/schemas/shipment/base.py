"""The fields that all commands and events of a shipment have."""

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
"""The common statuses that every carrier's own are mapped to. `return_to_sender`: on its way back; `returned`: it is
back; `failure`: the carrier gave up, as after a loss; `unknown`: a status that we do not know yet, kept beside it."""

DispatchStep: TypeAlias = Literal["packing", "booking", "collection"]
"""What a parcel waits for before it leaves: packing in the warehouse, a carrier's booking, or collection by the
carrier."""

SILENCE_SECONDS = 10 * 86_400
"""After how long without a tracking event, in seconds, a parcel that has left is suspected to be lost."""

DISPATCH_SECONDS = 3 * 86_400
"""Within how many seconds after its request a parcel should leave: a weekend, and a day to pack it."""

CARTONS_MAX = 200

CANDIDATES_MAX = 50

PARTS_MAX = 30

TRANSIT_DAYS_MAX = 365

LABEL_BYTES_MAX = 10_000_000

CARTON_ML_MAX = 10**9

Volume = Annotated[int, Field(ge=0, le=CARTON_ML_MAX)]
"""A volume in millilitres, which are cubic centimetres."""

TransitDays = Annotated[int, Field(ge=0, le=TRANSIT_DAYS_MAX)]

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 in hexadecimal: the address of a document."""


class Carton(Message):
    """One of a shipment's boxes, and its contents."""

    carton_id: Identifier
    box: Identifier
    items: Annotated[tuple[Reservation, ...], Field(min_length=1)]
    weight_grams: Units
    """The planned weight, including the box."""
    volume_ml: Volume = 0
    """The outer volume of the box; 0 if it is not known."""


class CartonWeight(Message):
    """A box as it was weighed, and perhaps measured."""

    carton_id: Identifier
    weight_grams: Units
    volume_ml: Volume = 0


class PricePart(Message):
    """A part of a price, and what it is for."""

    name: QuotedText
    amount_minor: AmountMinor


class CarrierCandidate(Message):
    """One service that could take a shipment, as it was compared. `reason` says why it cannot; empty if it can.

    `price_parts`: the parts of the price of all cartons, if it is more than a band's price.
    """

    carrier: Identifier
    service: Identifier
    price_minor: AmountMinor = 0
    transit_days: TransitDays = 0
    in_time: bool = True
    reason: QuotedText = ""
    price_parts: Annotated[tuple[PricePart, ...], Field(max_length=PARTS_MAX)] = ()


class CarrierChoice(Message):
    """The carrier chosen for a shipment, and why: empty if no rates are published, and the only connected carrier is
    used.
    """

    carrier: Annotated[PlainText, NAMED_OR_NOT] = ""
    service: Annotated[PlainText, NAMED_OR_NOT] = ""
    quoted_minor: AmountMinor = 0
    currency: QuotedText = ""
    transit_days: TransitDays = 0
    candidates: Annotated[tuple[CarrierCandidate, ...], Field(max_length=CANDIDATES_MAX)] = ()
    rule_version: QuotedText = ""


class LabelDocument(Message):
    """A document that is kept in the document store under the SHA-256 of its bytes."""

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
