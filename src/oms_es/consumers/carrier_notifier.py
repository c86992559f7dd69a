"""Carrier notifier: a packed parcel is booked with the carrier.

Reads    ShipmentPacked
Emits    BookShipment
Decides  nothing; a booking that fails is an open exception, for a person to try again.
"""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.kernel import Consumer
from oms_es.schemas.shipment import BookShipment, ShipmentPacked

consumer = Consumer("carrier_notifier", emits=(BookShipment,))


@consumer.on(ShipmentPacked)
def book_the_parcel(event: ShipmentPacked) -> Iterator[BookShipment]:
    yield BookShipment(shipment_id=event.shipment_id)
