"""`oms-es stock`: stock of a SKU, picking advice, and SKUs that ran low."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from oms_es import rendering as display
from oms_es.cli.desk import single as desk_single
from oms_es.cli.terminal import (
    AtPosition,
    Json,
    at_of,
    not_known_at,
    print_json,
    reading,
    say,
    set_up,
)
from oms_es.errors import NotFound
from oms_es.history import as_of, moments
from oms_es.reports import queries
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Codec


def show_stock(sku: str, *, at: AtPosition = None, json: Json = False) -> None:
    """Stock of a SKU at each location, now or as of a moment, and how much of it can be promised."""
    moment = at_of(at)
    with reading(set_up()) as connection:
        if moment is not None:
            position = moments.position_of(connection, moment)
            levels, places, numbered = as_of.stock(connection, Codec(EVENTS).over(connection), sku, position)
        else:
            levels, places = queries.stock_of(connection, sku), queries.places_of(connection, sku)
            numbered = queries.numbered_at(connection, sku)
        if not levels and moment is None:
            raise desk_single.no_stock(connection, sku)
    if moment is not None and not levels:
        raise not_known_at(f"stock of {sku}", moment)
    if json:
        shown = [
            {
                **level,
                "places": [place for place in places if place["location"] == level["location"]],
                "serials": numbered.get(level["location"], []),
            }
            for level in levels
        ]
        print_json(shown)
    else:
        display.console_on(sys.stdout).print(display.stock_levels(sku, levels, places, numbered))


def pick_advice(sku: str, location: str, *, json: Json = False) -> None:
    """Bins and lots to take units from, the first to expire first."""
    with reading(set_up()) as connection:
        places = queries.pick_advice(connection, sku, location, datetime.now(UTC))
    if not places:
        raise NotFound(f"there is nothing sellable of {sku} at {location}; `oms-es stock show {sku}` says where it is")
    if json:
        print_json(places)
    else:
        display.console_on(sys.stdout).print(display.pick_advice(sku, location, places))


def running_low(*, json: Json = False) -> None:
    """SKUs that ran low and were reordered, until the goods arrive; the oldest first."""
    with reading(set_up()) as connection:
        requests = queries.running_low(connection)
    if json:
        print_json(requests)
    elif requests:
        display.console_on(sys.stdout).print(display.running_low(requests))
    else:
        say("nothing is low; `oms-es stock set-reorder-point` says when to ask for more")
