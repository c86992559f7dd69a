"""The current labels of a shipment: a cancelled booking invalidates its labels."""

from __future__ import annotations

from collections.abc import Mapping

from oms_es.reports.queries import Connection
from oms_es.reports.streams import history
from oms_es.schemas import shipment as sh
from oms_es.store.encoding.codec import Codec


def newest_labels(connection: Connection, codec: Codec, shipment_id: str) -> Mapping[str, sh.LabelDocument]:
    """Return the labels by carton; under the empty name that of the whole shipment."""
    labels: dict[str, sh.LabelDocument] = {}
    for recorded in history(connection, codec, f"shipment-{shipment_id}", None):
        if isinstance(recorded.event, sh.ShipmentBookingCancelled):
            labels.clear()
        elif isinstance(recorded.event, sh.ShipmentLabelAttached):
            labels[recorded.event.carton_id] = recorded.event.document
    return labels
