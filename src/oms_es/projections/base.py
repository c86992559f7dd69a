"""What all read models share: one metadata, so that they are created together, a column for sums, money in words."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy import MetaData, Numeric
from sqlalchemy.types import TypeDecorator

from oms_es.schemas.values.currency import in_money

METADATA = MetaData()


def money_of(event: Any) -> str:
    """As people write it; older events of some kinds do not say their currency."""
    fields = event.__dict__  # asking a model for a field that it does not have costs as much as a summary
    amount_minor = fields["amount_minor"] if "amount_minor" in fields else getattr(event, "total_minor", None)
    if amount_minor is None:
        return ""
    return in_money(amount_minor, fields.get("currency"))


class Sum(TypeDecorator[int]):
    """A whole number that grows with history: whatever is added up fits."""

    impl = Numeric
    cache_ok = True

    @property
    def python_type(self) -> type[int]:
        return int

    def process_result_value(self, value: Decimal | None, dialect: Any) -> int | None:  # noqa: ARG002 - the library's signature
        return None if value is None else int(value)
