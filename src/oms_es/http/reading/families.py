"""The family of a read model: the scope that a caller needs to read it is named after the family."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Table

from oms_es.http.access import FAMILIES, PERSONAL
from oms_es.http.requests import Asked
from oms_es.kernel import Projection
from oms_es.reports.queries import Row, readable

FAMILY_OF_PACKAGE: Mapping[str, str] = {
    "order": "orders",
    "payment": "payments",
    "shipment": "shipments",
    "returns": "returns",
    "stock": "stock",
    "catalog": "catalog",
    "operations": "operations",
    "finance": "finance",
    "documents": "documents",
    "privacy": "privacy",
    "reports": "reports",
}
FAMILY_OF_FACTS: Mapping[str, str] = {
    "order_milestones": "orders",
    "order_lines": "orders",
    "parcel_lines": "shipments",
    "return_lines": "returns",
    "refunds": "payments",
    "stock_movements": "stock",
    "bookings": "shipments",
    "feedback": "returns",
}
"""Families of the fact tables: these are all in one package, whatever they are about."""


def family_of(projection: Projection) -> str:
    """Return the family of a read model, by its name or by the package of its folds."""
    fold = next(iter(projection.folds.values()))
    family = FAMILY_OF_FACTS.get(projection.name) or FAMILY_OF_PACKAGE[fold.project.__module__.split(".")[-2]]
    assert family in FAMILIES
    return family


def without_people(table: Table, row: Row, asked: Asked) -> Row:
    """Return the row without its personal columns, unless the caller may see people."""
    personal = {column.name for column in table.columns if column.info.get("personal")}
    hidden = frozenset() if PERSONAL in asked.caller.scopes else personal
    return {name: value for name, value in readable(row).items() if name not in hidden}
