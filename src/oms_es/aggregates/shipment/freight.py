"""What carriers bill for a shipment. Part of the shipment's decider.

Invariant: a line of a bill counts once, and all lines of a shipment are of one currency.
"""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.aggregates.shipment.state import Shipment, ids_of
from oms_es.kernel import Refused
from oms_es.schemas import shipment as sh
from oms_es.schemas.shipment.refusals import ShipmentRefusal
from oms_es.schemas.values.currency import to_text

BILLS_MAX = 100
"""Lines of bills for one shipment."""


def record_freight_bill(
    shipment: Shipment, requested: sh.ShipmentRequested, command: sh.RecordFreightBill
) -> Iterator[sh.ShipmentEvent]:
    amount = (command.amount_minor, command.currency)
    known = shipment.bills.get(command.bill_id)
    if known == amount:
        return
    if known:
        raise Refused(
            ShipmentRefusal.BILLED_OTHERWISE,
            f"bill {command.bill_id} is of {to_text(*known)}, and now of {to_text(*amount)}; name another bill_id, or "
            "ask the carrier which is right",
        )
    if any(currency != command.currency for _, currency in shipment.bills.values()):
        raise Refused(
            ShipmentRefusal.BILLED_OTHERWISE,
            f"shipment {command.shipment_id} is billed in another currency than {command.currency}; state the amount "
            "in that one",
        )
    if not (shipment.tracking or shipment.dispatched or shipment.void):
        raise Refused(
            ShipmentRefusal.NOT_BOOKED,
            f"no carrier has taken shipment {command.shipment_id}; look whose parcel the bill is of",
        )
    if len(shipment.bills) >= BILLS_MAX:
        raise Refused(
            ShipmentRefusal.TOO_MANY_BILLS,
            f"shipment {command.shipment_id} has {BILLS_MAX} lines of bills already; state their sum in one line",
        )
    yield sh.ShipmentFreightBilled(
        **ids_of(requested), bill_id=command.bill_id, amount_minor=command.amount_minor, currency=command.currency
    )
