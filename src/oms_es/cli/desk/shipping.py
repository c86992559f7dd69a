"""`oms-es shipment quote` and `label`: what carriers would charge, and the label that the chosen one gave."""

from __future__ import annotations

import sys
from contextlib import nullcontext
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
from oms_es.reports.operations.labels import newest_labels
from oms_es.reports.shipping_quote import UnknownLocation, quote_for
from oms_es.schemas.order import Address
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.documents import table as documents
from oms_es.store.encoding.codec import Codec


def quote_shipment(
    origin: Annotated[str, typer.Argument(metavar="LOCATION", help="The location that ships it.")],
    country: Annotated[str, typer.Argument(metavar="COUNTRY", help="The destination's country, such as DE.")],
    weight_grams: Annotated[list[int], typer.Argument(min=1, metavar="GRAMS...", help="The weight of each carton.")],
    *,
    delivery_option: str = "standard",
    region: Annotated[str, typer.Option(help="The destination's state or province, if rates depend on it.")] = "",
    volume_ml: Annotated[
        list[int] | None, typer.Option(min=1, help="The volume of each carton, in the same order.")
    ] = None,
    latitude: float | None = None,
    longitude: float | None = None,
    json: Json = False,
) -> None:
    """What each carrier would charge for a shipment, and the carrier that would be chosen."""
    if volume_ml and len(volume_ml) != len(weight_grams):
        raise typer.BadParameter(
            f"there are {len(weight_grams)} cartons, and {len(volume_ml)} volumes: give one of each"
        )
    with reading(set_up()) as connection:
        to = Address(country=country, region=region, latitude=latitude, longitude=longitude)
        try:
            choice = quote_for(connection, origin, to, weight_grams, delivery_option, volume_ml or ())
        except UnknownLocation as unknown:
            raise NotFound(str(unknown)) from unknown
    if not choice.candidates:
        raise NotFound("no carrier has published rates; do so with `oms-es rates publish`")
    if json:
        print_json(choice.model_dump(mode="json"))
    else:
        display.console_on(sys.stdout).print(display.quote(choice))


def print_label(
    shipment_id: Annotated[str, typer.Argument(metavar="SHIPMENT", help="The shipment's id.")],
    *,
    carton_id: Annotated[str, typer.Option(help="The carton, if each has a label of its own.")] = "",
) -> None:
    """The carrier's label, as bytes on standard output: `oms-es shipment label ID > label.pdf`, or `| lp`."""
    with reading(set_up()) as connection:
        labels = newest_labels(connection, Codec(EVENTS).over(connection), shipment_id)
        if carton_id not in labels:
            cartons = ", ".join(filter(None, labels))
            raise NotFound(
                f"shipment {shipment_id} has labels of the cartons {cartons}; name one with --carton-id"
                if cartons
                else f"shipment {shipment_id} has no label now; `oms-es shipment show {shipment_id}` says why"
            )
        label = documents.look(connection, labels[carton_id].sha256)
        if sys.stdout.isatty():
            raise typer.BadParameter(
                f"it is {label.media_type}, which a terminal cannot show; send it to a file or printer"
            )
        for piece in documents.pieces(lambda: nullcontext(connection), label):
            sys.stdout.buffer.write(piece)
