"""A quote for a shipment: the engine's own choice of a carrier, without shipping anything. It reads tables only."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from oms_es.consumers.sourcing.carrier_choice import CARRIERS_MAX, Freight, quote, rates_of
from oms_es.consumers.sourcing.lookups import place_of
from oms_es.consumers.sourcing.search import distance_km
from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.reports.queries import Connection, Row
from oms_es.schemas.catalog.rates import DeliveryOptionDefined
from oms_es.schemas.order import Address
from oms_es.schemas.shipment import CarrierChoice


class UnknownLocation(OmsError):
    """The shipment's origin is not a known location."""

    code = "unknown_location"
    exit_code = Code.NOT_FOUND
    status = HTTPStatus.NOT_FOUND


def quote_for(
    connection: Connection,
    origin: str,
    ship_to: Address,
    weights_grams: Sequence[int],
    delivery_option: str,
    volumes_ml: Sequence[int] = (),
) -> CarrierChoice:
    """Return the choice of a carrier.

    `volumes_ml` has the volume of each carton, or none. Raise UnknownLocation for an unknown origin.
    """
    place = _row(connection, "SELECT * FROM locations WHERE location = %s", origin)
    if place is None:
        raise UnknownLocation(f"there is no location {origin}; open it with `oms-es location open`")
    promise = _row(connection, "SELECT * FROM delivery_options WHERE option = %s", delivery_option)
    offered = connection.execute(
        "SELECT * FROM carrier_rates WHERE offered ORDER BY carrier LIMIT %s", [CARRIERS_MAX]
    ).fetchall()
    return quote(
        Freight(
            weights_grams,
            ship_to.country,
            distance_km(place_of(place), ship_to),
            delivery_option,
            ship_to.region,
            volumes_ml,
        ),
        [rates_of(row) for row in offered],
        DeliveryOptionDefined.model_validate(promise) if promise else None,
    )


def _row(connection: Connection, query: str, value: str) -> Row | None:
    return connection.execute(query.encode(), [value]).fetchone()
