"""A report's definition: TOML, parsed strictly, with every word checked against its source."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from oms_es.reports.figures.schedule import Schedule
from oms_es.reports.figures.sources import CURRENCY, SOURCES, Source
from oms_es.reports.figures.words import BadReport, UnknownReport, require, unknown
from oms_es.schemas.problems import details, problems
from oms_es.schemas.values.types import Currency

MEASURES_MAX = 20
DIMENSIONS_MAX = 6
FILTERS_MAX = 10
VALUES_MAX = 100
ROWS_MAX = 10_000
BYTES_MAX = 65_536
WITHIN_MAX = 1e12
TARGET = "_target"
"""The suffix of the column that says whether a measure's target is met."""
TIMES_MAX = 1_000_000
Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,49}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,49}$")]
Line = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00-\x1f]*$")]
Value = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]
Values = Annotated[tuple[Value, ...], Field(min_length=1, max_length=VALUES_MAX)]
Grain = Literal["hour", "day", "week", "month", "quarter", "year"]
GRAINS: tuple[Grain, ...] = ("hour", "day", "week", "month", "quarter", "year")
How = Literal["sum", "mean", "min", "max", "percentile", "share", "ratio"]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Measure(Part):
    """A measure.

    `sum`, `mean`, `min`, `max` and `percentile` aggregate a number of the source. `share` is the percentage of the rows
    with the number in which it is at most `within`. `ratio` divides two earlier measures: in percent if both have the
    same unit, else multiplied by `times`.
    """

    name: Word
    how: How = "sum"
    of: Word
    per: Word | None = None
    percent: Annotated[float, Field(gt=0, lt=100)] | None = None
    within: Annotated[float, Field(ge=0, le=WITHIN_MAX)] | None = None
    times: Annotated[int, Field(ge=2, le=TIMES_MAX)] | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.how == "ratio") != (self.per is not None):
            raise ValueError("a ratio needs `per`, the measure that it divides by, and nothing else has it")
        if (self.how == "percentile") != (self.percent is not None):
            raise ValueError("a percentile needs `percent`, such as 90, and nothing else has it")
        if (self.how == "share") != (self.within is not None):
            raise ValueError("a share needs `within`, such as 24, and nothing else has it")
        if self.times is not None and self.how != "ratio":
            raise ValueError("only a ratio has `times`, such as 365")
        return self


class Filter(Part):
    """A filter for rows with one of these values, or with none of them."""

    dimension: Word
    of: Values | None = Field(default=None, alias="is")
    others: Values | None = Field(default=None, alias="is_not")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.of is None) == (self.others is None):
            raise ValueError("a filter has either `is` or `is_not`, each a list of values")
        return self


class Target(Part):
    """The target of a measure: at least this value, or at most. An amount is in minor units, of one currency."""

    measure: Word
    at_least: Annotated[float, Field(ge=-WITHIN_MAX, le=WITHIN_MAX)] | None = None
    at_most: Annotated[float, Field(ge=-WITHIN_MAX, le=WITHIN_MAX)] | None = None
    currency: Currency | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("a target has either `at_least` or `at_most`")
        return self

    @property
    def bound(self) -> float:
        found = self.at_most if self.at_least is None else self.at_least
        assert found is not None
        return found

    def is_met(self, value: float) -> bool:
        return value <= self.bound if self.at_least is None else value >= self.bound


class Definition(Part):
    """A report.

    `time` names the source's time by which a period is selected. `top` limits the rows to the first ones by the measure
    in `sort`, in descending order.
    """

    name: Name
    title: Annotated[Line, Field(min_length=1)]
    about: Line = ""
    source: Word
    time: Word = ""
    by: Annotated[tuple[Word, ...], Field(max_length=DIMENSIONS_MAX)] = ()
    measure: Annotated[tuple[Measure, ...], Field(min_length=1, max_length=MEASURES_MAX)]
    filter: Annotated[tuple[Filter, ...], Field(max_length=FILTERS_MAX)] = ()
    chart: Word | None = None
    """The measure that is drawn; the first one by default."""
    sort: Word | None = None
    top: Annotated[int, Field(ge=1, le=ROWS_MAX)] | None = None
    target: Annotated[tuple[Target, ...], Field(max_length=MEASURES_MAX)] = ()
    schedule: Schedule | None = None

    @property
    def facts(self) -> Source:
        return SOURCES[self.source]

    @property
    def period_by(self) -> str:
        """The time by which the period is selected; empty if each row is computed from the whole period."""
        return self.time or next(iter(self.facts.times), "")

    @property
    def units(self) -> Mapping[str, str]:
        """The unit of each measure; "percent" for ratios of the same unit."""
        found: dict[str, str] = {}
        for one in self.measure:
            if one.how != "ratio":
                found[one.name] = "percent" if one.how == "share" else self.facts.numbers[one.of].unit
            else:
                assert one.per
                above, below = found[one.of], found[one.per]
                found[one.name] = "percent" if above == below else above if above == "minor" else f"{above} per {below}"
        return found

    @property
    def drawn(self) -> str:
        return self.chart or self.measure[0].name

    @property
    def has_money(self) -> bool:
        """Return whether a measure is an amount, or a share of amounts, which is computed within a currency."""
        return any(self.facts.numbers[one.of].unit == "minor" for one in self.measure if one.how != "ratio")


def checked(definition: Definition) -> Definition:
    """Return the definition if all its words exist in the source. Raise BadReport otherwise."""
    require(definition.source, SOURCES, "source")
    source = definition.facts
    if definition.time:
        require(definition.time, source.times, f"time of {definition.source}")
    require_dimensions(definition, definition.by)
    _require_measures(definition)
    for one in definition.filter:
        require_filter(definition, one)
    for word in filter(None, (definition.sort, definition.chart)):
        require(word, [one.name for one in definition.measure], "measure of this report")
    _require_targets(definition)
    return definition


def _require_targets(definition: Definition) -> None:
    units, seen = definition.units, set[str]()
    for one in definition.target:
        require(one.measure, units, "measure of this report")
        if one.measure in seen:
            raise BadReport(f"{one.measure} has two targets; keep one, or define the measure twice under two names")
        if (units[one.measure] == "minor") != (one.currency is not None):
            raise BadReport(f"the target of {one.measure}: an amount needs its `currency`, and nothing else has one")
        if f"{one.measure}{TARGET}" in (*units, *definition.facts.words):
            raise BadReport(
                f"{one.measure}{TARGET} is the column that says whether the target is met; rename the other one"
            )
        seen.add(one.measure)


def require_dimensions(definition: Definition, by: Sequence[str]) -> None:
    """Raise BadReport if a dimension does not exist, or is not allowed here."""
    for word in by:
        require(word, [*GRAINS, *definition.facts.words], f"dimension of {definition.source}")
    if definition.facts.of_period and set(by) & set(GRAINS):
        raise BadReport(
            f"{definition.source} are computed over the whole period, not by day; give --from and --to instead"
        )
    if len(set(by)) != len(by):
        raise BadReport(f"a dimension is named twice: {', '.join(by)}")
    if len([word for word in by if word in GRAINS]) > 1:
        raise BadReport("name one of hour, day, week, month, quarter and year")


def require_filter(definition: Definition, one: Filter) -> None:
    """Raise BadReport if the filter's dimension does not exist, or has no such value."""
    source = definition.facts
    require(one.dimension, source.words, f"dimension of {definition.source}")
    for value in one.of or one.others or ():
        if known := source.values_of(one.dimension):
            require(value, known, one.dimension)


def _require_measures(definition: Definition) -> None:
    before: list[str] = []
    for one in definition.measure:
        if one.name in before:
            raise BadReport(f"two measures are called {one.name}")
        if one.name in (*definition.facts.words, *GRAINS):
            raise BadReport(f"the measure {one.name} has the name of a dimension; rename the measure")
        if one.how == "ratio":
            for word in (one.of, one.per or ""):
                require(word, before, "measure before it in this report")
        else:
            require(one.of, definition.facts.numbers, f"number of {definition.source}")
        before.append(one.name)


def read(text: str, named: str) -> Definition:
    """Return the definition in a text, which messages call `named`. Raise BadReport if it is not valid."""
    if len(text) > BYTES_MAX:
        raise BadReport(f"{named} is larger than {BYTES_MAX} characters; a definition is a page of text")
    try:
        declared = tomllib.loads(text)
        return checked(Definition.model_validate(declared))
    except tomllib.TOMLDecodeError as error:
        raise BadReport(f"{named} is not valid TOML: {error}") from None
    except RecursionError:
        raise BadReport(f"{named} is not readable: it is nested too deeply") from None
    except ValidationError as error:
        raise BadReport(f"{named}: {_in_words(error)}") from None
    except BadReport as error:
        raise BadReport(f"{named}: {error}") from None


def _in_words(error: ValidationError) -> str:
    """Return the problems in words; an unknown word is reported with the most similar known one."""
    places = [one["loc"] for one in details(error) if one["type"] == "extra_forbidden"]
    words = [unknown(str(place[-1]), _known_at(place), "word") for place in places]
    return "; ".join(words) or problems(error)


PARTS: Mapping[str, type[BaseModel]] = {
    "measure": Measure,
    "filter": Filter,
    "target": Target,
    "schedule": Schedule,
}


def _known_at(place: Sequence[int | str]) -> list[str]:
    part = PARTS.get(str(place[0]), Definition) if place[1:] else Definition
    return [shape.alias or name for name, shape in part.model_fields.items()]


def read_file(path: Path) -> Definition:
    """Return the definition in a file. Raise BadReport if it cannot be read, or is not valid."""
    try:
        with path.open("rb") as file:
            return read(file.read(BYTES_MAX + 1).decode(), str(path))
    except UnicodeDecodeError:
        raise BadReport(f"{path} is no text in UTF-8") from None
    except OSError as error:
        raise BadReport(f"{path} cannot be read: {error.strerror}") from None


@cache
def built_in() -> Mapping[str, Definition]:
    """Return the built-in reports by name, in the order of the list."""
    return {one.name: one for one in _built_in()}


def _built_in() -> Iterator[Definition]:
    folder = files("oms_es.reports") / "definitions"
    for one in sorted(folder.iterdir(), key=lambda file: file.name):
        if one.name.endswith(".toml"):
            yield read(one.read_text(encoding="utf-8"), one.name)


def text_of(name: str) -> str:
    """Return the text of a built-in report. Raise UnknownReport if there is none of this name."""
    return (files("oms_es.reports") / "definitions" / f"{named(name).name}.toml").read_text(encoding="utf-8")


def named(name: str) -> Definition:
    """Return a built-in report. Raise UnknownReport if there is none of this name."""
    found = built_in().get(name)
    if found is None:
        raise UnknownReport(unknown(name, built_in(), "report"))
    return found


def needs_currency(definition: Definition, by: Sequence[str]) -> tuple[str, ...]:
    """Return the dimensions, with the currency if a measure is an amount."""
    return tuple(by) if CURRENCY in by or not definition.has_money else (*by, CURRENCY)
