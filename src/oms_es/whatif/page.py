"""A comparison as one HTML page without references to other files: the changes, figures before and after, charts by
day.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from html import escape

from oms_es.reports.figures.chart import Point, bars_of, lines_of
from oms_es.reports.figures.writing import STYLE
from oms_es.whatif.changes import Changes
from oms_es.whatif.comparing import Comparison
from oms_es.whatif.figures import BY_DAY, BY_LOCATION, MEASURES, days_of, locations_of

ORDERS_SHOWN_MAX = 200
BARS_MAX = 25


def as_html(found: Comparison, changes: Changes) -> str:
    title = "What if"
    total = "".join(_row(name, found, says) for name, says in MEASURES.items())
    orders = "".join(f"<li>{escape(order)}</li>" for order in found.differ[:ORDERS_SHOWN_MAX])
    more = max(len(found.differ) - ORDERS_SHOWN_MAX, 0)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{title}</title>'
        f"<style>{STYLE}</style></head><body><h1>{title}</h1>"
        f'<p class="about">History from position {found.begins} to {found.ends}, and what would have become of it with '
        f"{escape('; '.join(said(changes)))}.</p>"
        f"<p>{len(found.differ)} orders differ. {found.modelled} orders rest on answers that history does not have: "
        "the median time of the same kind of answer, and a good one.</p>"
        "<table><thead><tr><th>figure</th>"
        '<th class="n">before</th><th class="n">after</th><th class="n">change</th><th>says</th></tr></thead>'
        f"<tbody>{total}</tbody></table>{''.join(_charts(found))}"
        f"<h2>Orders that differ</h2><ul>{orders}</ul>{f'<p>{more} more.</p>' if more else ''}</body></html>\n"
    )


def said(changes: Changes) -> Iterator[str]:
    yield from (f"{type(command).__name__} of {command.stream}" for command in changes.published)
    numbers = {"safety stock": changes.safety_stock, "presale limit": changes.presale_limits, "stock": changes.stock}
    for what, of in numbers.items():
        yield from (f"{what} of {sku} at {location} {number:+d}" for (sku, location), number in of.items())
    yield from (f"capacity of {location} {number}" for location, number in changes.capacities.items())


def _row(name: str, found: Comparison, says: str) -> str:
    was, would_be = found.before.total[name], found.after.total[name]
    cells = "".join(
        f'<td class="n">{text}</td>' for text in (f"{was:,.6g}", f"{would_be:,.6g}", f"{would_be - was:+,.6g}")
    )
    return f"<tr><td>{escape(name.replace('_', ' '))}</td>{cells}<td>{escape(says)}</td></tr>"


def _charts(found: Comparison) -> Iterator[str]:
    days = days_of(found.before, found.after)
    for name in BY_DAY:
        sides = {"before": found.before.by_day, "after": found.after.by_day}
        lines = {
            side: [Point(date.fromisoformat(day), of.get(day, {}).get(name, 0.0)) for day in days]
            for side, of in sides.items()
        }
        if any(point.value for line in lines.values() for point in line):
            yield _figure(f"{name}, by day", lines_of(lines, name))
    for name in BY_LOCATION:
        bars = [
            (f"{location}, {side}", of.get(location, {}).get(name, 0.0))
            for location in locations_of(found.before, found.after)
            for side, of in (("before", found.before.by_location), ("after", found.after.by_location))
        ]
        if any(value for _, value in bars):
            yield _figure(f"{name}, by location", bars_of(bars[:BARS_MAX], name))


def _figure(caption: str, svg: str) -> str:
    return f"<figure><figcaption>{escape(caption.replace('_', ' '))}</figcaption>{svg}</figure>"
