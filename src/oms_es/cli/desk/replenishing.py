"""`oms-es replenish`: how low stock may fall before more is asked for, proposed for a person to approve."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Annotated

import typer

from oms_es import rendering as display
from oms_es.cli.desk.then import as_of
from oms_es.cli.terminal import Json, print_json, say, set_up
from oms_es.history import lead_times
from oms_es.reports.forecasting import asking
from oms_es.reports.forecasting.answering import Answer, answers
from oms_es.reports.forecasting.demand import FACTS
from oms_es.reports.forecasting.replenishing import CLASS_SHARES, LEAD_TIMES_MIN, Proposal, classes, learnt, proposal
from oms_es.reports.queries import Connection
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Codec

SERVICE = "98,95,90"
DAYS_MAX = 365
app = typer.Typer(help="What is asked for when stock runs low.", no_args_is_help=True)


@app.callback()
def replenish() -> None:
    """What is asked for when stock runs low."""


@app.command("propose")
def propose(
    location: Annotated[str, typer.Argument(help="Where the stock is.")],
    *,
    sku: Annotated[list[str] | None, typer.Option(help="May be repeated; without it, those that left most.")] = None,
    service: Annotated[
        str, typer.Option(metavar="A,B,C", help="In how many percent of lead times nothing may be missing, by class.")
    ] = SERVICE,
    lead_days: Annotated[
        float | None, typer.Option(min=0.1, max=DAYS_MAX, help="Instead of what is learnt from inbounds that came.")
    ] = None,
    cover_weeks: Annotated[float, typer.Option(min=0, max=52, help="How many weeks an order lasts.")] = 4,
    since: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="As if it were that day; this week otherwise.")
    ] = None,
    commands: Annotated[bool, typer.Option(help="Print the commands that approve it, and nothing else.")] = False,
    json: Json = False,
) -> None:
    """Reorder points from forecasts and lead times, with their arithmetic. Nothing is changed: a person approves."""
    percents = _percents(service)
    if not all(isfinite(number) for number in (cover_weeks, lead_days or 0)):
        raise typer.BadParameter("days and weeks are numbers, such as 10 or 2.5")
    asked = asking.question(sku or (), location=location, since=since, top=asking.SKUS_MAX)
    with as_of(set_up(), FACTS, None) as connection:
        found = answers(connection, asked)
        days = lead_times.days_at(connection, Codec(EVENTS).over(connection), location, asked.now)
        now = _as_set(connection, location)
    proposals = list(_proposals(found, days, percents, lead_days, cover_weeks, now))
    if json:
        print_json([one.as_json() for one in proposals])
    elif commands:
        for one in proposals:
            if one.reorder_point != one.reorder_point_now:
                typer.echo(_command(one))
    elif proposals:
        _print(proposals)
    _say_what_is_missing(found, {one.sku for one in proposals}, location)


def _proposals(
    found: Sequence[Answer],
    days: Mapping[str, Sequence[float]],
    percents: Mapping[str, float],
    lead_days: float | None,
    cover_weeks: float,
    now: Mapping[str, int],
) -> Iterator[Proposal]:
    of_location = [one for each in days.values() for one in each]
    abc = classes({one.series.sku: one.forecast.total.expected for one in found if one.forecast.total})
    for one in found:
        name = one.series.sku
        lead = learnt(days.get(name, ()), of_location, lead_days)
        if name in abc and lead is not None:
            yield proposal(
                name,
                one.series.location,
                one.forecast,
                lead,
                abc=abc[name],
                service_percent=percents[abc[name]],
                cover_weeks=cover_weeks,
                now=now.get(name, 0),
            )


def _percents(text: str) -> dict[str, float]:
    try:
        each = [float(one) for one in text.split(",")]
    except ValueError:
        each = []
    if len(each) != len(CLASS_SHARES) or not all(0 < one < 100 for one in each):  # noqa: PLR2004 - percent
        raise typer.BadParameter(f"{text!r} are no service levels; write three percents such as {SERVICE}")
    return dict(zip(CLASS_SHARES, each, strict=True))


def _as_set(connection: Connection, location: str) -> dict[str, int]:
    rows = connection.execute("SELECT sku, reorder_point FROM stock_levels WHERE location = %s", [location])
    return {row["sku"]: row["reorder_point"] for row in rows}


def _command(one: Proposal) -> str:
    amounts = ("--quantity", str(one.reorder_point), "--up-to", str(one.up_to))
    return shlex.join(["oms-es", "stock", "set-reorder-point", *amounts, "--", one.sku, one.location])


def _print(proposals: Sequence[Proposal]) -> None:
    columns = ("SKU", "class", "service", "a week", "lead days", "safety", "reorder point", "up to", "now")
    rows = [
        (
            *(one.sku, one.abc, f"{one.service_percent:g} %", f"{one.per_week:,.1f}"),
            f"{one.lead.days:,.1f} ({one.lead.whose})",
            *(f"{one.safety_stock:,}", f"{one.reorder_point:,}", f"{one.up_to:,}"),
            f"{one.reorder_point_now:,}",
        )
        for one in proposals
    ]
    title = f"Reorder points at {proposals[0].location}"
    display.console_on(sys.stdout).print(display.grid(title, rows, *columns, numbers=columns[2:]))
    for one in proposals[:5]:
        say(f"{one.sku}: {one.arithmetic}")
    say("nothing is changed; --commands prints what approves it, --json the arithmetic of each")


def _say_what_is_missing(found: Sequence[Answer], proposed: set[str], location: str) -> None:
    if not found:
        say(f"nothing left {location} before this week began")
    short = [one for one in found if one.forecast.not_enough]
    for one in short[:5]:
        say(f"not enough history of {one.series.sku} at {location}: {one.forecast.not_enough}")
    if waiting := len(found) - len(short) - len(proposed):
        say(f"{waiting} have no lead time: fewer than {LEAD_TIMES_MIN} inbounds came to {location}; give --lead-days")
