"""Whose facts a read model holds: the scope that reads it is named after its family."""

from __future__ import annotations

from collections.abc import Mapping

from oms_es.http.access import FAMILIES
from oms_es.kernel import Projection

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
"""Facts stand in one package, whatever they are about."""


def family_of(projection: Projection) -> str:
    """By the package that its folds stand in, or by its name."""
    fold = next(iter(projection.folds.values()))
    family = FAMILY_OF_FACTS.get(projection.name) or FAMILY_OF_PACKAGE[fold.project.__module__.split(".")[-2]]
    assert family in FAMILIES
    return family
