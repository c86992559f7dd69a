"""The labels of a parcel: the newest of each carton. Their bytes are documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from oms_es.http.errors import NoResource
from oms_es.http.reading.tables import page_of, page_schema
from oms_es.http.requests import Asked
from oms_es.http.routing import Route
from oms_es.reports.operations.labels import newest_labels

TEXT: Mapping[str, Any] = {"type": "string"}


async def list_labels(asked: Asked) -> Response:
    """Answer with the labels of a parcel. Raise NoResource if there is none, or Forbidden for a key of some
    channels."""
    asked.caller.require_all_channels("labels are of every channel")
    shipment, codec = asked.values["shipment"], asked.services.codec
    labels = await asked.read(lambda connection: newest_labels(connection, codec.over(connection), shipment))
    if not labels:
        raise NoResource("it has no label now, or there is no such parcel")
    rows = [{"carton_id": carton_id, **label.model_dump()} for carton_id, label in sorted(labels.items())]
    return page_of(asked, rows, None)


ROUTES: Sequence[Route] = (
    Route(
        "GET",
        "/v1/shipments/{shipment}/labels",
        "list-labels",
        "The current labels of a parcel: one for each carton, or, without `carton_id`, one for the whole. "
        "Their bytes are at `GET /v1/documents/{sha256}`.",
        "shipments:read",
        list_labels,
        answers={200: "They are these.", 404: "It has none now."},
        answer=page_schema(
            {
                "type": "object",
                "properties": {
                    **dict.fromkeys(("carton_id", "sha256", "media_type"), TEXT),
                    "byte_count": {"type": "integer"},
                },
                "required": ["carton_id", "sha256", "media_type", "byte_count"],
            }
        ),
        tag="shipments",
    ),
)
