"""A simulated warehouse that packs every parcel at once, in the place of a connected warehouse system.

Reads    ShipmentRequested, ShipmentCancelled
Emits    PackShipment, RecordCollection
Decides  the parcel's weight: of its cartons, if it is planned in cartons, else from its units. A customer
         who collects a parcel is assumed to be at the counter already. A cancelled parcel needs no answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from oms_es.gateways.warehouse.port import INTENTS, NAME
from oms_es.kernel import INTENTS_MAX, Command, Recorded
from oms_es.schemas.shipment import PackShipment, RecordCollection, ShipmentRequested

UNIT_GRAMS = 400
BOX_GRAMS = 150


class SimulatedWarehouse:
    name = NAME
    intents = INTENTS
    batch_max = INTENTS_MAX

    def perform(self, intents: Sequence[Recorded]) -> Sequence[Sequence[Command]]:
        return [tuple(_served(intent)) for intent in intents]


def _served(intent: Recorded) -> Iterator[Command]:
    event = intent.event
    if not isinstance(event, ShipmentRequested):
        return
    yield _packed(event)
    if event.pickup:
        yield RecordCollection(shipment_id=event.shipment_id, collected_at=intent.recorded_at)


def _packed(event: ShipmentRequested) -> PackShipment:
    units = sum(item.quantity for item in event.items)
    weight = sum(carton.weight_grams for carton in event.cartons) or BOX_GRAMS + units * UNIT_GRAMS
    return PackShipment(shipment_id=event.shipment_id, weight_grams=weight)
