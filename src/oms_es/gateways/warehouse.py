"""A warehouse that packs what it is asked for at once: it stands where a warehouse system will be connected.

Reads    ShipmentRequested
Emits    PackShipment
Decides  the parcel's weight: of its cartons, if it is planned in cartons, else from its units.
"""

from __future__ import annotations

from collections.abc import Sequence

from oms_es.kernel import Command, Event, Recorded
from oms_es.schemas.shipment import PackShipment, ShipmentRequested

UNIT_GRAMS = 400
BOX_GRAMS = 150


class SimulatedWarehouse:
    name = "warehouse"
    intents: frozenset[type[Event]] = frozenset({ShipmentRequested})

    def perform(self, intents: Sequence[Recorded]) -> Sequence[Sequence[Command]]:
        return [(_packed(intent.event),) for intent in intents]


def _packed(event: Event) -> Command:
    assert isinstance(event, ShipmentRequested)
    units = sum(item.quantity for item in event.items)
    weight = sum(carton.weight_grams for carton in event.cartons) or BOX_GRAMS + units * UNIT_GRAMS
    return PackShipment(shipment_id=event.shipment_id, weight_grams=weight)
