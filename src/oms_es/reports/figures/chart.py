"""A chart of a measure: lines over time, bars otherwise, as SVG without references to other files.

The colours are those of Okabe and Ito, which people with colour blindness can distinguish; lines differ in their
dashes, too. Amounts of different currencies never share an axis.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from html import escape
from math import floor, log10
from typing import NamedTuple

from oms_es.reports.figures.answering import Answer, Cell
from oms_es.reports.figures.definition import GRAINS
from oms_es.reports.figures.sources import CURRENCY
from oms_es.schemas.values.currency import exponent_of

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C7A00")
DASHES = ("", "7 3", "2 3", "10 3 2 3", "", "7 3", "2 3", "10 3 2 3")
WIDTH, HEIGHT = 860, 340
LEFT, RIGHT, TOP, BOTTOM = 84, 16, 16, 56
LABEL, BAR = 260, 22
BARS_MAX = 25
TICKS = 5
TIMES_MAX = 8
LABEL_CHARACTERS_MAX = 34
WHOLE_FROM = 10
"""Numbers from here on are written without decimals."""


NOUGHT = ' class="nought"'


class Point(NamedTuple):
    at: Cell
    value: float


class Picture(NamedTuple):
    """A chart. `left_out` is the number of rows or lines for which there is no room."""

    caption: str
    svg: str
    left_out: int


def pictures(answer: Answer) -> Iterator[Picture]:
    """Yield the charts, one for each currency if there is money; none without rows."""
    measure = answer.question.definition.drawn
    names = [column.name for column in answer.columns]
    place = names.index(measure)
    unit = answer.columns[place].unit
    money = names.index(CURRENCY) if unit == "minor" and CURRENCY in names else None
    for currency in sorted({str(row[money]) for row in answer.rows}) if money is not None else [""]:
        rows = [row for row in answer.rows if money is None or row[money] == currency]
        if any(row[place] is not None for row in rows):
            yield _picture(answer, rows, place, currency)


def _picture(answer: Answer, rows: Sequence[Sequence[Cell]], place: int, currency: str) -> Picture:
    grain = answer.question.grain
    column = answer.columns[place]
    unit = currency or {"percent": "%"}.get(column.unit, column.unit)
    words = answer.question.by
    said = currency or len({row[words.index(CURRENCY)] for row in rows if CURRENCY in words}) == 1
    kept = [n for n, word in enumerate(words) if word not in GRAINS and not (word == CURRENCY and said)]
    points = [(_label(row, kept), row, _scaled(row[place], currency)) for row in rows]
    caption = f"{column.name.replace('_', ' ')}, {unit}"
    wanted = _target(answer, column.name, currency)
    if grain is None:
        bars = [(label, value) for label, _, value in points if value is not None]
        return Picture(caption, bars_of(bars[:BARS_MAX], unit, wanted), max(len(bars) - BARS_MAX, 0))
    at = words.index(grain)
    lines: dict[str, list[Point]] = {}
    for label, row, value in points:
        if value is not None and row[at] is not None:
            lines.setdefault(label, []).append(Point(row[at], value))
    most = sorted(lines, key=lambda name: (-sum(abs(point.value) for point in lines[name]), name))[: len(COLOURS)]
    return Picture(
        caption, lines_of({name: lines[name] for name in sorted(most)}, unit, wanted), len(lines) - len(most)
    )


def _target(answer: Answer, measure: str, currency: str) -> float | None:
    """Return the target of the drawn measure; None if its target is in another currency."""
    for one in answer.question.definition.target:
        if one.measure == measure and (one.currency is None or one.currency == currency):
            return _scaled(one.bound, currency)
    return None


def _label(row: Sequence[Cell], kept: Sequence[int]) -> str:
    return ", ".join(str(row[n]) if row[n] not in (None, "") else "none" for n in kept)


def _scaled(value: Cell, currency: str) -> float | None:
    if not isinstance(value, int | float):
        return None
    return float(Decimal(value).scaleb(-exponent_of(currency))) if currency else float(value)


def ticks(least: float, most: float) -> list[float]:
    """Return a handful of round numbers for an axis, from zero or below to above the largest value."""
    least, most = min(least, 0.0), max(most, 0.0)
    span = most - least or 1.0
    size: float = 10.0 ** floor(log10(span / TICKS))
    step: float = next(size * n for n in (1, 2, 5, 10) if size * n * TICKS >= span)
    first, last = floor(least / step), -floor(-most / step)
    return [n * step for n in range(first, max(last, first + 1) + 1)]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= WHOLE_FROM or value == int(value) else f"{value:,.2f}"


def lines_of(lines: Mapping[str, Sequence[Point]], unit: str, wanted: float | None = None) -> str:
    values = [point.value for line in lines.values() for point in line] + [n for n in (wanted,) if n is not None]
    marks = ticks(min(values), max(values))
    times = sorted({_seconds(point.at) for line in lines.values() for point in line})
    named = {_seconds(point.at): point.at for line in lines.values() for point in line}
    bottom, top = HEIGHT - BOTTOM, TOP
    span = (times[-1] - times[0]) or 1.0

    def x(at: Cell) -> float:
        room = WIDTH - RIGHT - LEFT
        return LEFT + (room / 2 if len(times) == 1 else room * (_seconds(at) - times[0]) / span)

    def y(value: float) -> float:
        return bottom - (bottom - top) * (value - marks[0]) / (marks[-1] - marks[0])

    parts = [_horizontal_line(mark, y(mark)) for mark in marks]
    if wanted is not None:
        parts.append(_wanted(LEFT, y(wanted), WIDTH - RIGHT, y(wanted)))
        parts.append(f'<text x="{WIDTH - RIGHT}" y="{y(wanted) - 4:.1f}" text-anchor="end">target</text>')
    every = -(-len(times) // TIMES_MAX)
    parts += [
        f'<text x="{x(named[at]):.1f}" y="{bottom + 18}" text-anchor="{_anchor(at, times)}">'
        f"{escape(_time(named[at]))}</text>"
        for at in times[::every]
    ]
    parts.append(_turned(unit, (top + bottom) / 2))
    for number, (name, line) in enumerate(lines.items()):
        parts += _line(number, [(x(point.at), y(point.value)) for point in sorted(line, key=lambda p: _seconds(p.at))])
        if len(lines) > 1:
            parts.append(_key(number, name, len(lines)))
    return _drawn(HEIGHT + 20 * (-(-len(lines) // 4) - 1 if len(lines) > 1 else 0), parts)


def _anchor(at: float, times: Sequence[float]) -> str:
    """Return the anchor of a label: the last one ends at the edge of the chart."""
    return "end" if at == times[-1] and len(times) > 1 else "middle"


def _horizontal_line(mark: float, y: float) -> str:
    line = f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"{"" if mark else NOUGHT}/>'
    return f'{line}<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_number(mark)}</text>'


def _wanted(x1: float, y1: float, x2: float, y2: float) -> str:
    place = f'x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}"'
    return f'<line {place} style="stroke:#000000" stroke-width="1.5" stroke-dasharray="1 4" class="key"/>'


def _turned(unit: str, y: float) -> str:
    return f'<text transform="translate(14 {y:.1f}) rotate(-90)" text-anchor="middle">{escape(unit)}</text>'


def _line(number: int, points: Sequence[tuple[float, float]]) -> Iterator[str]:
    colour, dash = COLOURS[number], DASHES[number]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>'
    yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{colour}"/>' for x, y in points)


def _key(number: int, name: str, count: int) -> str:
    wide = (WIDTH - LEFT) / min(count, 4)
    x, y = LEFT + wide * (number % 4), HEIGHT - BOTTOM + 42 + 20 * (number // 4)
    line = f'<line x1="{x:.0f}" x2="{x + 26:.0f}" y1="{y - 4}" y2="{y - 4}" style="stroke:{COLOURS[number]}"'
    said = f'<text x="{x + 32:.0f}" y="{y}">{escape(_short(name, 24))}</text>'
    return f'{line} stroke-width="2.5" stroke-dasharray="{DASHES[number]}" class="key"/>{said}'


def bars_of(bars: Sequence[tuple[str, float]], unit: str, wanted: float | None = None) -> str:
    values = [value for _, value in bars] + [n for n in (wanted,) if n is not None]
    marks = ticks(min(values), max(values))
    height = TOP + len(bars) * BAR

    def x(value: float) -> float:
        return LABEL + (WIDTH - RIGHT - 60 - LABEL) * (value - marks[0]) / (marks[-1] - marks[0])

    parts = [
        f'<line x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="{TOP}" y2="{height}"{"" if mark else NOUGHT}/>'
        f'<text x="{x(mark):.1f}" y="{height + 16}" text-anchor="middle">{_number(mark)}</text>'
        for mark in marks
    ]
    middle = (LABEL + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle:.0f}" y="{height + 36}" text-anchor="middle">{escape(unit)}</text>')
    for number, (name, value) in enumerate(bars):
        y = TOP + number * BAR
        left, right = sorted((x(0.0), x(value)))
        named = escape(_short(name or "all", LABEL_CHARACTERS_MAX))
        parts.append(
            f'<rect x="{left:.1f}" y="{y + 3}" width="{right - left:.1f}" height="{BAR - 6}" fill="{COLOURS[0]}"/>'
            f'<text x="{LABEL - 8}" y="{y + 15}" text-anchor="end">{named}</text>'
            f'<text x="{right + 6:.1f}" y="{y + 15}">{_number(value)}</text>'
        )
    if wanted is not None:
        parts.append(_wanted(x(wanted), TOP - 4, x(wanted), height))
        parts.append(f'<text x="{x(wanted):.1f}" y="{TOP - 6}" text-anchor="middle">target</text>')
    return _drawn(height + 46, parts)


def _drawn(height: int, parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img" class="chart">{"".join(parts)}</svg>'


def _short(name: str, characters_max: int) -> str:
    return name if len(name) <= characters_max else f"{name[: characters_max - 1]}…"


def _seconds(at: Cell) -> float:
    assert isinstance(at, date)
    here = at if isinstance(at, datetime) else datetime(at.year, at.month, at.day)  # noqa: DTZ001 - of no zone: only steps count
    return (here - datetime(1970, 1, 1)).total_seconds()  # noqa: DTZ001 - the same


def _time(at: Cell) -> str:
    return f"{at:%d %b %H:%M}" if isinstance(at, datetime) else str(at)
