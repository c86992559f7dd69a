"""What all read models share: one metadata, so that they are created together, and a column for sums."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy import MetaData, Numeric
from sqlalchemy.types import TypeDecorator

METADATA = MetaData()


class Sum(TypeDecorator[int]):
    """A whole number that grows with history: whatever is added up fits."""

    impl = Numeric
    cache_ok = True

    @property
    def python_type(self) -> type[int]:
        return int

    def process_result_value(self, value: Decimal | None, dialect: Any) -> int | None:  # noqa: ARG002 - the library's signature
        return None if value is None else int(value)
