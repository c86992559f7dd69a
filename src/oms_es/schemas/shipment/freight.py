"""What a carrier bills for a shipment, beside what it quoted."""

from __future__ import annotations

from oms_es.schemas.shipment.base import ShipmentCommand, ShipmentEvent
from oms_es.schemas.values.types import AmountMinor, Currency, Identifier


class RecordFreightBill(ShipmentCommand):
    """Record what the carrier bills for the shipment. `bill_id` names the line of its bill, so that it counts once."""

    bill_id: Identifier
    amount_minor: AmountMinor
    currency: Currency


class ShipmentFreightBilled(ShipmentEvent):
    bill_id: str
    amount_minor: int
    currency: str
