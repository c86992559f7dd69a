"""The data dictionary: every read model, its columns with type and unit, and its joins."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module

from sqlalchemy import Column, Table

from oms_es import projections
from oms_es.app import PROJECTIONS
from oms_es.kernel import Projection
from oms_es.projections.base import indexes_of_all
from oms_es.reference.pages import page, table

UNIT_OF_ENDING = {
    "_minor": "minor units of the currency",
    "_at": "UTC",
    "_ml": "millilitres",
    "_days_max": "days",
    "_seconds": "seconds",
    "_grams": "grams",
    "_mm": "millimetres",
    "_percent": "percent",
}
JOINED_BY = {
    "order_id": "order_status",
    "payment_id": "payments",
    "shipment_id": "tracking_numbers",
    "rma_id": "returns",
    "sku": "items",
    "location": "locations",
}
"""The table that a column refers to, by the column's name."""


def read_models() -> str:
    listed = [(f"[`{one.name}`](#{one.name})", _purpose(one)) for one in PROJECTIONS]
    parts = [table("table, a row is", listed), *(_described(one) for one in PROJECTIONS)]
    said = (
        "Every table that is folded from history, in the schema `public` of the database. Times are UTC; amounts are "
        "whole numbers of the currency's minor unit (cents). The shapes of `order_status` and `stock_levels` are "
        "published and stay compatible; columns of the others may change with a release. Ready queries: "
        "[query the read models](../howto/query-read-models.md)."
    )
    return page("Read models", said, "\n".join(parts))


def _described(projection: Projection) -> str:
    one = projection.table
    rows = [(f"`{c.name}`", _type(c), _key(one, c), _unit(c.name), _joined(one, c)) for c in one.columns]
    return f"## {one.name}\n\n{_purpose(projection)}\n\n{table('column, type, key, unit, joins', rows)}"


def _purpose(projection: Projection) -> str:
    """Return the first paragraph of the read model's module, without the name that it begins with."""
    text = inspect.getdoc(_modules()[projection.name]) or ""
    return " ".join(text.partition("\n\n")[0].split())


def _modules() -> dict[str, object]:
    found = (import_module(one.name) for one in pkgutil.walk_packages(projections.__path__, f"{projections.__name__}."))
    return {one.projection.name: one for one in found if isinstance(getattr(one, "projection", None), Projection)}


def _type(column: Column[object]) -> str:
    text = str(column.type).lower()
    return f"{text}, may be null" if column.nullable and not column.primary_key else text


def _key(one: Table, column: Column[object]) -> str:
    if column.primary_key:
        return "primary"
    return "indexed" if any(column.name in index.columns for index in indexes_of_all(one)) else ""


def _unit(name: str) -> str:
    return next(_units(name), "")


def _units(name: str) -> Iterator[str]:
    yield from (unit for ending, unit in UNIT_OF_ENDING.items() if name.endswith(ending))


def _joined(one: Table, column: Column[object]) -> str:
    other = JOINED_BY.get(column.name)
    return f"`{other}`" if other and other != one.name else ""
