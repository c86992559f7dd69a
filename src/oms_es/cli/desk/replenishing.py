"""`oms-es replenish`: proposes reorder points, for a person to approve."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from math import isfinite
from typing import Annotated

import typer

from oms_es import rendering as display
from oms_es.cli.desk.then import as_of
from oms_es.cli.terminal import Json, print_json, say, set_up
from oms_es.history.proposing import (
    COVER_WEEKS,
    COVER_WEEKS_MAX,
    LEAD_DAYS_MAX,
    LEAD_DAYS_MIN,
    SERVICE,
    Asked,
    Proposed,
    percents_of,
    proposed,
)
from oms_es.reports.forecasting.demand import FACTS
from oms_es.reports.forecasting.replenishing import LEAD_TIMES_MIN, Proposal

app = typer.Typer(help="Reorder points: when more is to be ordered.", no_args_is_help=True)


@app.callback()
def replenish() -> None:
    """Reorder points: when to order more."""


@app.command("propose")
def propose(
    location: Annotated[str, typer.Argument(help="The location of the stock.")],
    *,
    sku: Annotated[
        list[str] | None, typer.Option(help="A SKU; may be repeated. Without it, the SKUs that were shipped most.")
    ] = None,
    service: Annotated[
        str,
        typer.Option(
            metavar="A,B,C", help="Percent of lead times in which stock must suffice, for classes A, B and C."
        ),
    ] = SERVICE,
    lead_days: Annotated[
        float | None,
        typer.Option(
            min=LEAD_DAYS_MIN,
            max=LEAD_DAYS_MAX,
            help="Days of lead time, in place of those measured from past deliveries.",
        ),
    ] = None,
    cover_weeks: Annotated[
        float, typer.Option(min=0, max=COVER_WEEKS_MAX, help="Weeks that an order of the proposed size lasts.")
    ] = COVER_WEEKS,
    since: Annotated[
        str | None,
        typer.Option("--from", metavar="DAY", help="Propose as if it were that day; without it, from this week."),
    ] = None,
    commands: Annotated[
        bool, typer.Option(help="Print only the commands that set the proposed reorder points.")
    ] = False,
    json: Json = False,
) -> None:
    """Reorder points from forecasts and lead times, with their arithmetic. Nothing is changed: a person
    approves them."""
    percents = percents_of(service)
    if percents is None:
        raise typer.BadParameter(f"{service!r} are no service levels; write three percents such as {SERVICE}")
    if not all(isfinite(number) for number in (cover_weeks, lead_days or 0)):
        raise typer.BadParameter("days and weeks are numbers, such as 10 or 2.5")
    asked = Asked(location, percents, tuple(sku or ()), lead_days, cover_weeks, since)
    with as_of(set_up(), FACTS, None) as connection:
        found = proposed(connection, asked)
    proposals = found.proposals
    if json:
        print_json([one.as_json() for one in proposals])
    elif commands:
        for one in proposals:
            if one.reorder_point != one.reorder_point_now:
                typer.echo(_command(one))
    elif proposals:
        _print(proposals)
    _say_what_is_missing(found, location)


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


def _say_what_is_missing(found: Proposed, location: str) -> None:
    if not found.answers:
        say(f"nothing left {location} before this week began")
    for one in found.too_short[:5]:
        say(f"not enough history of {one.series.sku} at {location}: {one.forecast.not_enough}")
    if waiting := found.without_lead_time:
        say(f"{waiting} have no lead time: fewer than {LEAD_TIMES_MIN} inbounds came to {location}; give --lead-days")
