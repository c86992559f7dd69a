"""Payment references: which payment a provider's reference belongs to.

A reference such as `<charge>/<capture>` is stored under its first part, which is the provider's name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Column, Table, Text

from oms_es.kernel import Event, Key, Projection, Row
from oms_es.projections.base import METADATA
from oms_es.schemas import payment as p

table = Table(
    "payment_references",
    METADATA,
    Column("reference", Text, primary_key=True),
    Column("payment_id", Text, primary_key=True),
)
projection = Projection(table, version=2, fed_by=("payment-{payment_id}",))


def key_of_reference(event: Any) -> Iterable[Key]:
    return ((event.reference.partition("/")[0], event.payment_id),) if event.reference else ()


@projection.on(
    p.PaymentAuthorized,
    p.PaymentReauthorized,
    p.PaymentCaptured,
    p.PaymentRefunded,
    p.PaymentDeclined,
    p.PaymentActionRequired,
    keys=key_of_reference,
)
def on_reference_reported(_row: Row | None, _event: Event, key: Key) -> Row:
    return {"reference": key[0], "payment_id": key[1]}
