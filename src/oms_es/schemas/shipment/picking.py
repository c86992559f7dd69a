"""What a warehouse system answers to a request to pick a shipment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from oms_es.kernel import Message
from oms_es.schemas.order import Address, Reservation
from oms_es.schemas.shipment.base import CARTONS_MAX, Carton, CartonWeight, ShipmentCommand, ShipmentEvent
from oms_es.schemas.values.personal import PERSONAL
from oms_es.schemas.values.types import Identifier, LocationId, Moment, Sku, Text, Units

PICKED_MAX = 1_000
ANSWERS_MAX = 100
"""The answers to one request that are kept."""
REPEATS_MAX = 20
"""How often one request may be repeated."""

ANSWERED_AHEAD_SECONDS_MAX = 300
"""By how many seconds the clock of a warehouse may be ahead: beyond that, an answer is refused, as each later one would
count as older."""

PickOutcome = Literal["packed", "short", "rejected"]


class PickedUnits(Message):
    """How many units of a SKU there are."""

    sku: Sku
    quantity: Annotated[int, Field(ge=0)]


def units_of(items: Iterable[Reservation]) -> list[dict[str, str | int]]:
    """Return the units by SKU, in the order of the items, as a warehouse is asked for them."""
    units: dict[str, int] = {}
    for item in items:
        units[item.sku] = units.get(item.sku, 0) + item.quantity
    return [{"sku": sku, "quantity": quantity} for sku, quantity in units.items()]


class PickAnswer(Message):
    """An answer to a request to pick. `answer_id` is the warehouse's own, by which a repeat is recognised.

    `packed`: everything is picked, packed and weighed. `short`: only `picked` was found, and nothing is packed.
    `rejected`: the warehouse will not pick it.
    """

    answer_id: Identifier
    outcome: PickOutcome
    answered_at: Moment
    """The warehouse's time. A short or rejected answer that is older than the one that counts changes nothing."""
    picked: Annotated[tuple[PickedUnits, ...], Field(max_length=PICKED_MAX)] = ()
    """The units that were found. May be left out if it is packed, or nothing was found."""
    weight_grams: Units | None = None
    cartons: Annotated[tuple[CartonWeight, ...], Field(max_length=CARTONS_MAX)] = ()
    reason: Text = ""
    location: LocationId | None = None
    """The location that answers, if the warehouse states it."""


class AnswerPick(ShipmentCommand, PickAnswer):
    """Record a warehouse's answer to the request to pick the shipment: packed, short or rejected. An answer that
    contradicts the request or an earlier answer is recorded for a person, and changes nothing.
    """

    now: Moment


class RequestPickAgain(ShipmentCommand):
    """Give the warehouse the request to pick the shipment once more, because it was lost: as a file, it is written
    again. Refused once the warehouse has answered.

    `repeat_id`: names this repeat; the same one again changes nothing.
    """

    repeat_id: Identifier


class ShipmentPickRequestRepeated(ShipmentEvent):
    """The intent to give the warehouse a request once more: it is the same request, with the same units."""

    repeat_id: str
    location: str
    items: tuple[Reservation, ...]
    ship_to: Annotated[Address, PERSONAL]
    delivery_option: str = "standard"
    cartons: tuple[Carton, ...] = ()
    pickup: bool = False
    warehouse_gateway: str | None = None


class ShipmentPickAnsweredLate(ShipmentEvent):
    """The warehouse says short or rejected of a shipment that is cancelled or packed, or before an answer that counts:
    nothing follows from it, and it is remembered."""

    answer: PickAnswer


class ShipmentPickedShort(ShipmentEvent):
    """The warehouse did not find everything: a person decides. The shipment is not packed."""

    answer: PickAnswer
    missing: tuple[PickedUnits, ...]
    location: str


class ShipmentPickRejected(ShipmentEvent):
    """The warehouse will not pick the shipment: a person decides."""

    answer: PickAnswer
    location: str


class ShipmentPickDisputed(ShipmentEvent):
    """An answer of the warehouse contradicts the request or an earlier answer: nothing follows, a person must ask."""

    answer: PickAnswer
    detail: str
