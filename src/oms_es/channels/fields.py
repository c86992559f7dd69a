"""Reading of fields as shops write them: amounts, revisions, SKUs, and customers.

Data about a customer never causes an order to be refused: values that no field here can store are left out, notes that
are too long are cut, and card numbers in them are masked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from oms_es.channels.errors import BadInput
from oms_es.door import kept
from oms_es.schemas.inputs import Input
from oms_es.schemas.values.cards import masked
from oms_es.schemas.values.currency import to_minor
from oms_es.schemas.values.customer import (
    METADATA_MAX,
    NOTES_LENGTH_MAX,
    Email,
    Language,
    MetadataKey,
    MetadataValue,
    Phone,
)
from oms_es.schemas.values.types import YEARS, Identifier

NOT_IN_A_SKU = re.compile(r"[\s@]+")


def minor_of(field: str, amount: Decimal | None, currency: str) -> int:
    """Return the amount in minor units. Raise BadInput if it is no exact amount."""
    try:
        return to_minor(amount or Decimal(0), currency)
    except ValueError as error:
        raise BadInput(Input.INVALID_AMOUNT, f"{field}: {error}") from error


def revision_of(field: str, at: datetime) -> int:
    """Return the revision of a change: its time in seconds. Raise BadInput if the year is out of range."""
    if at.year not in YEARS:
        raise BadInput(
            Input.OUT_OF_RANGE,
            f"{field}: a year from {YEARS[0]} to {YEARS[-1]} is expected; correct the date",
        )
    return max(int(at.timestamp()), 1)


def sku_of(text: str | None) -> str:
    """Return the text as a valid SKU; empty if there is none."""
    return NOT_IN_A_SKU.sub("-", (text or "").strip())


def customer_of(*, customer_id: Any, emails: Iterable[Any], phones: Iterable[Any], language: Any) -> dict[str, Any]:
    """Return the customer's fields, with the first valid e-mail address and telephone number; empty if no field is
    valid.
    """
    found = {
        "customer_id": _fitting(Identifier, str(customer_id) if customer_id else None),
        "email": next((fit for one in emails if (fit := _fitting(Email, one))), None),
        "phone": next((fit for one in phones if (fit := _fitting(Phone, one))), None),
        "language": _fitting(Language, language),
    }
    named = {name: value for name, value in found.items() if value is not None}
    return {"customer": named} if named else {}


def notes_of(text: Any) -> dict[str, str]:
    notes = masked(text.strip())[:NOTES_LENGTH_MAX] if isinstance(text, str) else ""
    return {"notes": notes} if notes else {}


def metadata_of(pairs: Iterable[tuple[Any, Any]]) -> dict[str, dict[str, str]]:
    """Return the plain values by name, the first of each name, up to METADATA_MAX."""
    found: dict[str, str] = {}
    for name, value in pairs:
        if len(found) == METADATA_MAX:
            break
        key, said = _fitting(MetadataKey, name), _fitting(MetadataValue, _plain(value))
        if key is not None and said is not None:
            found.setdefault(key, said)
    return {"metadata": found} if found else {}


def _plain(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int | float | Decimal) else None


@cache
def _reader_of(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)


def _fitting(shape: Any, value: Any) -> str | None:
    """Return the value as a field of this type stores it; None if it is not valid."""
    if not isinstance(value, str) or not value.strip():
        return None
    try:
        text: str | None = kept(shape, _reader_of(shape).validate_python(value.strip()))
    except ValidationError:
        return None
    return text
