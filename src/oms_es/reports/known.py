"""The check whether the names in orders are known here, according to the read models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from oms_es.processing.intake.screening import Kind, Nearest, unknown_countries
from oms_es.reports import queries
from oms_es.reports.names import most_alike, stocked_or_described_like
from oms_es.reports.queries import Connection
from oms_es.schemas.order import OrderContent

NAMES_MAX = 10_000
"""How many channels, or delivery options, are looked at."""
SKUS_COMPARED_MAX = 100
"""How many unknown SKUs of a batch are compared with known ones: each comparison costs queries."""
SKUS = """
SELECT sku FROM unnest(%b::text[]) AS asked(sku)
WHERE EXISTS (SELECT FROM items WHERE items.sku = asked.sku)
OR EXISTS (SELECT FROM stock_levels WHERE stock_levels.sku = asked.sku)
"""
CHANNELS = """
SELECT channel AS name FROM return_policies
UNION SELECT unnest(channels) FROM locations LIMIT %s
"""
DELIVERY_OPTIONS = """
SELECT option AS name FROM delivery_options
UNION SELECT unnest(delivery_options) FROM locations LIMIT %s
"""
DEFAULT_OPTION: str = OrderContent.model_fields["delivery_option"].default
"""The delivery option of an order that names none."""


class ReadModelRegister:
    """A register that looks names up in the read models, with one connection per batch."""

    def __init__(self, database_url: str) -> None:
        self.database_url = database_url

    def unknown(self, named: Mapping[Kind, Sequence[str]]) -> Mapping[Kind, Nearest]:
        with queries.reading(self.database_url) as connection:
            return {kind: _unknown(connection, kind, names) for kind, names in named.items()}


def _unknown(connection: Connection, kind: Kind, names: Sequence[str]) -> Nearest:
    if kind == "country":
        return unknown_countries(names)
    if kind == "sku":
        return _unknown_skus(connection, names)
    query, more = (CHANNELS, []) if kind == "channel" else (DELIVERY_OPTIONS, [DEFAULT_OPTION])
    known = {row["name"] for row in connection.execute(query.encode(), [NAMES_MAX])}.union(more)
    return {name: _like(name, known) for name in names if name not in known}


def _unknown_skus(connection: Connection, skus: Sequence[str]) -> Nearest:
    known = {row["sku"] for row in connection.execute(SKUS.encode(), [list(skus)])}
    unknown = [sku for sku in skus if sku not in known]
    compared = {sku: stocked_or_described_like(connection, sku) for sku in unknown[:SKUS_COMPARED_MAX]}
    return {sku: compared.get(sku) for sku in unknown}


def _like(name: str, known: set[str]) -> str | None:
    return most_alike(name, sorted(known))
