"""`oms-es report`: figures over many orders."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from oms_es import rendering as display
from oms_es.cli.terminal import (
    Json,
    print_json,
    reading,
    say,
    set_up,
)
from oms_es.reports import queries

DAYS_SHOWN = 31

app = typer.Typer(help="Reports.", no_args_is_help=True)


@app.command("daily-sales")
def daily_sales(
    *,
    days: Annotated[int, typer.Option(min=1, max=3_660, help="How many of the newest days.")] = DAYS_SHOWN,
    json: Json = False,
) -> None:
    """Orders and money per day of placing (UTC), by channel and currency."""
    with reading(set_up()) as connection:
        rows = queries.daily_sales(connection, days)
    if json:
        print_json(rows)
    elif rows:
        display.console_on(sys.stdout).print(display.daily_sales(rows))
    else:
        say("nothing was sold yet")
