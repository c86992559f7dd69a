"""Exceptions about odd days, for a person to look at.

Invariant: a day of a series has one exception, however often it is found; one that was resolved is not opened again.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from oms_es.reports.figures import answering, writing
from oms_es.reports.figures.sources import CURRENCY
from oms_es.reports.odd.finding import Found
from oms_es.schemas.operations.exception import ODD_DAY, OpenException
from oms_es.schemas.values.types import TEXT_LENGTH_MAX

OPENED_MAX = 100
"""Exceptions that one search opens, of the days that are farthest off."""
SERIES_CHARACTERS_MAX = 300
"""A longer name of a series is replaced by its digest."""


def openings(found: Sequence[Found]) -> list[OpenException]:
    return [_opening(one) for one in found[:OPENED_MAX]]


def _opening(found: Found) -> OpenException:
    series = series_of(found)
    if len(series) > SERIES_CHARACTERS_MAX:
        series = sha256(series.encode()).hexdigest()[:16]
    name = "/".join(filter(None, (found.report, str(found.odd.day), series)))
    value, _, low, high = numbers_of(found)
    of = f" of {series_of(found)}" if found.of else ""
    detail = f"{title_of(found)} on {found.odd.day}: {value}, where {low} to {high} is usual{of}"
    return OpenException(exception_id=f"{ODD_DAY}/{name}", detail=detail[:TEXT_LENGTH_MAX])


def series_of(found: Found) -> str:
    """Return the values of the series' dimensions, or an empty string for a series of everything."""
    return ", ".join(str(value or "none") for value in found.of.values())


def title_of(found: Found) -> str:
    return writing.title_of(answering.Column(found.measure, found.unit))


def numbers_of(found: Found) -> list[str]:
    """Return the value, the expected one, and the usual ones from and to, as people read them."""
    currency, odd = str(found.of.get(CURRENCY, "")), found.odd
    columns = [answering.Column(CURRENCY, ""), answering.Column(found.measure, found.unit)]
    values = (odd.value, odd.expected, odd.low, odd.high)
    return [writing.shown([currency, _whole(number, found.unit)], columns)[1] for number in values]


def _whole(value: float, unit: str) -> float:
    """Return amounts as whole minor units, also where the median lies between two; other values unchanged."""
    return round(value) if unit == "minor" else value
