"""Carrier notifier: books a packed shipment with the carrier that its delivery option and the published rates favour.

Reads    ShipmentPacked; looks up carrier_rates on offer, its delivery option, its location, gateway_routes in force
Emits    BookShipment, DeferBooking
Decides  which carrier takes it, by the rules of sourcing/carrier_choice.py. Without published rates there is nothing to
         choose; if no published rate serves it, a person books it. A booking that fails is an open exception, for a
         person to try again. A shipment that the customer collects is booked with no carrier.
         Which gateway is asked follows from the routes in force.
"""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.consumers.routes import ROUTES, carrier_gateway_for, routes_of
from oms_es.consumers.sourcing.carrier_choice import RATES, Freight, quote, rates_of
from oms_es.consumers.sourcing.lookups import place_of
from oms_es.consumers.sourcing.search import distance_km
from oms_es.kernel import Consumer, Lookup, LookupResults
from oms_es.schemas.catalog.rates import DeliveryOptionDefined
from oms_es.schemas.order import Address
from oms_es.schemas.shipment import BookShipment, CarrierChoice, DeferBooking, ShipmentPacked

consumer = Consumer("carrier_notifier", emits=(BookShipment, DeferBooking))
PROMISE = Lookup("delivery_options", by="option", keys=lambda event: (event.delivery_option,))
ORIGIN = Lookup("locations", by="location", keys=lambda event: (event.location,) if event.location else ())


@consumer.on(ShipmentPacked, lookups=(RATES, PROMISE, ORIGIN, ROUTES))
def book_shipment_on_shipment_packed(
    event: ShipmentPacked, results: LookupResults
) -> Iterator[BookShipment | DeferBooking]:
    if event.pickup:
        return
    offered = results["carrier_rates"][True]
    if not offered or event.ship_to is None:
        yield _book(event, CarrierChoice(), results)
        return
    choice = choose(event, event.ship_to, results)
    if choice.carrier:
        yield _book(event, choice, results)
    else:
        yield DeferBooking(
            shipment_id=event.shipment_id, candidates=choice.candidates, rule_version=choice.rule_version
        )


def _book(event: ShipmentPacked, choice: CarrierChoice, results: LookupResults) -> BookShipment:
    gateway = carrier_gateway_for(routes_of(results), event, choice.carrier)
    return BookShipment(shipment_id=event.shipment_id, carrier_gateway=gateway, **dict(choice))


def choose(event: ShipmentPacked, ship_to: Address, results: LookupResults) -> CarrierChoice:
    weights = [carton.weight_grams for carton in event.cartons] or [event.weight_grams]
    origin = next(iter(results["locations"][event.location]), None)
    km = distance_km(place_of(origin), ship_to) if origin else 0
    promise = next(iter(results["delivery_options"][event.delivery_option]), None)
    return quote(
        Freight(
            weights,
            ship_to.country,
            km,
            event.delivery_option,
            ship_to.region,
            [carton.volume_ml for carton in event.cartons],
        ),
        [rates_of(row) for row in results["carrier_rates"][True]],
        DeliveryOptionDefined.model_validate(dict(promise)) if promise else None,
    )
