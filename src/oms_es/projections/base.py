"""What all read models share: one metadata, so that they are created together, a column type for sums, money as
text.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy import Index, MetaData, Numeric, Table
from sqlalchemy.types import TypeDecorator

from oms_es.schemas.values.currency import in_money

METADATA = MetaData()


def indexes_of_all(table: Table) -> list[Index]:
    """Return the indexes that have every row of the table, by name: by one that has some, not every row is found."""
    of_all = [index for index in table.indexes if index.dialect_options["postgresql"]["where"] is None]
    return sorted(of_all, key=lambda index: str(index.name))


def money_of(event: Any) -> str:
    """Return the event's amount as text; older events of some kinds do not state their currency."""
    fields = event.__dict__  # asking a model for a field that it does not have costs as much as a summary
    amount_minor = fields["amount_minor"] if "amount_minor" in fields else getattr(event, "total_minor", None)
    if amount_minor is None:
        return ""
    return in_money(amount_minor, fields.get("currency"))


class Sum(TypeDecorator[int]):
    """A column for sums that grow with history: a whole number without an upper bound."""

    impl = Numeric
    cache_ok = True

    @property
    def python_type(self) -> type[int]:
        return int

    def process_result_value(self, value: Decimal | None, dialect: Any) -> int | None:  # noqa: ARG002 - the library's signature
        return None if value is None else int(value)
