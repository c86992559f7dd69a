"""Fields as shops write them: amounts, revisions, SKUs."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal

from oms_es.channels.errors import BadInput
from oms_es.schemas.inputs import Input
from oms_es.schemas.values.currency import to_minor
from oms_es.schemas.values.types import YEARS

NOT_IN_A_SKU = re.compile(r"[\s@]+")


def minor_of(field: str, amount: Decimal | None, currency: str) -> int:
    """Raises BadInput."""
    try:
        return to_minor(amount or Decimal(0), currency)
    except ValueError as error:
        raise BadInput(Input.INVALID_AMOUNT, f"{field}: {error}") from error


def revision_of(field: str, at: datetime) -> int:
    """The second of a change. Raises BadInput."""
    if at.year not in YEARS:
        raise BadInput(
            Input.OUT_OF_RANGE,
            f"{field}: a year from {YEARS[0]} to {YEARS[-1]} is expected; correct the date",
        )
    return max(int(at.timestamp()), 1)


def sku_of(text: str | None) -> str:
    """As a SKU can be written here; nothing where there is none."""
    return NOT_IN_A_SKU.sub("-", (text or "").strip())
