"""`oms-es shipment quote`: what carriers would charge."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from oms_es import rendering as display
from oms_es.cli.terminal import (
    Json,
    print_json,
    reading,
    set_up,
)
from oms_es.errors import NotFound
from oms_es.reports.shipping_quote import UnknownLocation, quote_for
from oms_es.schemas.order import Address


def quote_shipment(
    origin: Annotated[str, typer.Argument(metavar="LOCATION", help="Where it is shipped from.")],
    country: Annotated[str, typer.Argument(metavar="COUNTRY", help="Where it goes, such as DE.")],
    weight_grams: Annotated[list[int], typer.Argument(min=1, metavar="GRAMS...", help="Of each carton.")],
    *,
    delivery_option: str = "standard",
    latitude: float | None = None,
    longitude: float | None = None,
    json: Json = False,
) -> None:
    """What each carrier would charge, and who would be chosen."""
    with reading(set_up()) as connection:
        to = Address(country=country, latitude=latitude, longitude=longitude)
        try:
            choice = quote_for(connection, origin, to, weight_grams, delivery_option)
        except UnknownLocation as unknown:
            raise NotFound(str(unknown)) from unknown
    if not choice.candidates:
        raise NotFound("no carrier has published rates; do so with `oms-es rates publish`")
    if json:
        print_json(choice.model_dump(mode="json"))
    else:
        display.console_on(sys.stdout).print(display.quote(choice))
