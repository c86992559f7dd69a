"""The data dictionary: every read model, its columns with type, unit, joins and meaning (`columns.toml`)."""

from __future__ import annotations

import inspect
import pkgutil
import tomllib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module, resources
from typing import NamedTuple

from sqlalchemy import Column, Table

from oms_es import projections
from oms_es.app import PROJECTIONS
from oms_es.kernel import Projection
from oms_es.projections.base import indexes_of_all
from oms_es.reference.pages import page, table

UNITS: Mapping[str, tuple[str, ...]] = {
    "minor units of the currency": ("*_minor",),
    "UTC": ("*_at", "since", "until", "waiting_since", "previous_until", "turn"),
    "day": (
        "booked_on",
        "value_on",
        "issued_on",
        "opened_on",
        "closed_on",
        "day",
        "keep_until",
        "closed_through",
        "adjusts",
        "first_day",
        "last_day",
    ),
    "days": ("*_days", "*_days_max"),
    "seconds": ("*_seconds",),
    "grams": ("*_grams",),
    "millilitres": ("*_ml",),
    "millimetres": ("*_mm",),
    "percent": ("*_percent", "tax_rate", "tax_rates", "included_tax"),
    "degrees": ("latitude", "longitude"),
    "years": ("keep_years",),
    "stars, 1 to 5": ("rating", "last_rating", "lowest"),
    "orders a day": ("capacity_per_day",),
    "units": (
        *("units", "*_units", "quantity", "on_hand", "reserved", "safety_stock", "atp", "presale_atp", "short"),
        *("received", "shipped", "damaged", "quarantine", "presale_limit", "presold", "inbound", "reorder_point"),
        *("returned", "moved", "moved_in", "moved_out", "variance", "written_off", "broken", "backordered"),
        *("ordered", "cancelled", "elsewhere", "requested", "inspected", "credited", "surplus"),
    ),
}
"""For each unit, the names of the columns that count in it; `*` is anything before."""


class Join(NamedTuple):
    """A column refers to `table`, to its column `column` if the names differ; a row is found together with `also`."""

    table: str
    column: str = ""
    also: str = ""


JOINS: Mapping[str, Join] = {
    "order_id": Join("order_status"),
    "last_order_id": Join("order_status", "order_id"),
    "payment_id": Join("payments"),
    "shipment_id": Join("shipments"),
    "tracking_number": Join("tracking_numbers"),
    "rma_id": Join("returns"),
    "sku": Join("items"),
    "location": Join("locations"),
    "from_location": Join("locations", "location"),
    "request_id": Join("replenishments", also="sku and location"),
    "delivery_option": Join("delivery_options", "option"),
    "customer_id": Join("customers", also="channel"),
    "account_id": Join("accounts"),
    "statement_id": Join("statements", also="account"),
    "exception_id": Join("open_exceptions"),
}
"""The table that a column refers to, by the column's name."""
OF_ONE_TABLE: Mapping[tuple[str, str], Join] = {
    ("parcel_lines", "line_id"): Join("order_lines", also="order_id"),
    ("return_lines", "line_id"): Join("order_lines", also="order_id"),
    ("invoices", "seller"): Join("sellers"),
    ("invoices", "movement"): Join("money_movements"),
    ("statements", "document_sha256"): Join("document_attachments", "sha256"),
    ("document_fields", "sha256"): Join("document_attachments"),
    ("forgotten_orders", "case_id"): Join("legal_holds", also="order_id"),
}


def read_models() -> str:
    listed = [(f"[`{one.name}`](#{one.name})", _purpose(one)) for one in PROJECTIONS]
    parts = [table("table, a row is", listed), *(_described(one) for one in PROJECTIONS)]
    said = (
        "Every table that is folded from history, in the schema `public` of the database. Times are UTC; amounts are "
        "whole numbers of the currency's minor unit (cents): a query over several currencies groups by `currency`. A "
        "text that is not known is empty, not null. A join is on the column of the same name, unless another is named; "
        "use a `LEFT JOIN`, as a column may be empty, and a SKU that was never described has no row in `items`. Tables "
        "are written one after the other, so that two may differ for a moment.\n\nThe shapes of "
        "`order_status` and `stock_levels` are published and stay compatible; columns of the others may change with a "
        "release. Ready queries: [query the read models](../howto/query-read-models.md)."
    )
    return page("Read models", said, "\n".join(parts))


def _described(projection: Projection) -> str:
    one = projection.table
    rows = [
        (f"`{c.name}`", _type(c), _key(one, c), unit_of(c.name), _joined(one, c), meaning_of(one.name, c.name))
        for c in one.columns
    ]
    return f"## {one.name}\n\n{_purpose(projection)}\n\n{table('column, type, key, unit, joins, meaning', rows)}"


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


def unit_of(name: str) -> str:
    fitting = (unit for unit, names in UNITS.items() if any(fnmatchcase(name, pattern) for pattern in names))
    return next(fitting, "")


def join_of(one: Table, name: str) -> Join | None:
    join = OF_ONE_TABLE.get((one.name, name)) or JOINS.get(name)
    return join if join and join.table != one.name else None


def _joined(one: Table, column: Column[object]) -> str:
    join = join_of(one, column.name)
    if join is None:
        return ""
    other = f"`{join.table}.{join.column}`" if join.column else f"`{join.table}`"
    return f"{other}, with {join.also}" if join.also else other


@cache
def meanings() -> Mapping[str, Mapping[str, str]]:
    """Return the meanings of columns by table; those under `every` hold for any table."""
    text = resources.files("oms_es.reference").joinpath("columns.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def meaning_of(name_of_table: str, column: str) -> str:
    found = meanings()
    return found.get(name_of_table, {}).get(column) or found["every"].get(column, "")
