"""Requests to warehouses, as a warehouse system is given them, and its answers.

Reads    ShipmentRequested, ShipmentPickRequestRepeated, ShipmentCancelled
Emits    AnswerPick
Decides  nothing. A request is named by its shipment: given twice it is the same one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from oms_es.kernel import BadInput, Command, Event, Message, Recorded
from oms_es.schemas import shipment as sh
from oms_es.schemas.inputs import Input
from oms_es.schemas.order import Address
from oms_es.schemas.problems import problems
from oms_es.schemas.values.types import Moment

NAME = "warehouse"
INTENTS: frozenset[type[Event]] = frozenset(
    {sh.ShipmentRequested, sh.ShipmentPickRequestRepeated, sh.ShipmentCancelled}
)
DIALECT = "pick_answer"


class PickCarton(Message):
    carton_id: str
    box: str
    items: tuple[sh.PickedUnits, ...]
    weight_grams: int
    """The planned weight, including the box."""


class PickRequest(Message):
    """Pick and pack these units. `cartons`: as they are planned, or empty."""

    type: Literal["pick"] = "pick"
    shipment_id: str
    order_id: str
    location: str
    requested_at: Moment
    items: tuple[sh.PickedUnits, ...]
    cartons: tuple[PickCarton, ...] = ()
    delivery_option: str
    pickup: bool
    ship_to: Address


class PickCancellation(Message):
    """Do not pick it, or unpack it."""

    type: Literal["cancel"] = "cancel"
    shipment_id: str
    order_id: str
    location: str
    cancelled_at: Moment


def request_of(intent: Recorded) -> PickRequest | PickCancellation | None:
    """Return what the warehouse is asked; None for a cancelled shipment without units, which no warehouse has."""
    event = intent.event
    if isinstance(event, sh.ShipmentRequested | sh.ShipmentPickRequestRepeated):
        return PickRequest(
            shipment_id=event.shipment_id,
            order_id=event.order_id,
            location=event.location,
            requested_at=intent.recorded_at,
            items=sh.units_of(event.items),
            cartons=tuple(
                PickCarton(
                    carton_id=carton.carton_id,
                    box=carton.box,
                    items=sh.units_of(carton.items),
                    weight_grams=carton.weight_grams,
                )
                for carton in event.cartons
            ),
            delivery_option=event.delivery_option,
            pickup=event.pickup,
            ship_to=event.ship_to,
        )
    assert isinstance(event, sh.ShipmentCancelled)
    if not event.items:
        return None
    return PickCancellation(
        shipment_id=event.shipment_id,
        order_id=event.order_id,
        location=event.items[0].location,
        cancelled_at=intent.recorded_at,
    )


def parse_answer(payload: bytes) -> Command:
    """Return the command for a warehouse's answer, which comes now. Raise BadInput."""
    try:
        return sh.AnswerPick.model_validate_json(_that_comes(payload, datetime.now(UTC)))
    except ValidationError as error:
        wrong = problems(error, whole="answer")
        raise BadInput(Input.BAD_CALLBACK, f"{wrong}; have the warehouse send it again") from error


def _that_comes(payload: bytes, now: datetime) -> bytes:
    """Return the answer with the time at which it comes; what is no JSON object as it is."""
    try:
        answer = from_json(payload)
    except ValueError:
        return payload
    return to_json({**answer, "now": now}) if isinstance(answer, dict) else payload
