"""`oms-es forecast`: expected demand, and the likely error of the forecast."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Literal

import typer

from oms_es import rendering as display
from oms_es.cli.desk.then import as_of
from oms_es.cli.terminal import At, Json, past_moment_of, print_json, say, set_up
from oms_es.reports.forecasting import asking
from oms_es.reports.forecasting.answering import Answer, answers
from oms_es.reports.forecasting.demand import FACTS
from oms_es.reports.forecasting.forecast import Errors

BETWEEN = "eight of ten cases lie between low and high"


def forecast_demand(
    *,
    sku: Annotated[
        list[str] | None, typer.Option(help="A SKU; may be repeated. Without it, the SKUs with the highest demand.")
    ] = None,
    location: Annotated[
        str | None, typer.Option(help="Forecast what is shipped from this location, not what is ordered anywhere.")
    ] = None,
    by: Annotated[Literal["day", "week"], typer.Option(help="The length of a period.")] = "week",
    horizon: Annotated[int | None, typer.Option(help="Periods to forecast; without it, 13 weeks or 14 days.")] = None,
    top: Annotated[int, typer.Option(min=1, max=asking.SKUS_MAX, help="How many SKUs, if none is named.")] = 20,
    timezone: Annotated[
        str, typer.Option(metavar="ZONE", help="The time zone of days, such as Europe/Berlin.")
    ] = "UTC",
    since: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="DAY", help="Forecast as if it were that day; without it, from the current period."
        ),
    ] = None,
    at: At = None,
    json: Json = False,
) -> None:
    """The expected demand for a SKU in each period, with its range, and how wrong such forecasts were in the past."""
    asked = asking.question(
        sku or (),
        location=location,
        by=by,
        horizon=horizon,
        zone=timezone,
        since=since,
        now=past_moment_of(at) if at else None,
        top=max(top, len(sku or ())),
    )
    with as_of(set_up(), FACTS, asked.now if at else None) as connection:
        found = answers(connection, asked)
    if json:
        print_json([one.as_json() for one in found])
    elif not found:
        say(f"nothing was wanted before this {by} began; a forecast needs {asked.grain.periods_min} {by}s of history")
    elif len(found) == 1:
        _print_one(found[0])
    else:
        _print_many(found)


def _print_one(one: Answer) -> None:
    asked, said = one.question, one.forecast
    if said.not_enough:
        say(f"not enough history of {one.series.sku}: {said.not_enough}")
        return
    assert said.total
    columns = (asked.by, "expected", "low", "middle", "high")
    each = [*zip(map(str, one.days), said.periods, strict=True), ("all", said.total)]
    rows = [(day, f"{n.expected:,.1f}", f"{n.low:,}", f"{n.middle:,}", f"{n.high:,}") for day, n in each]
    at = f" at {one.series.location}" if one.series.location else ""
    title = f"{one.series.sku}{at}: units by {asked.by}"
    display.console_on(sys.stdout).print(display.grid(title, rows, *columns, numbers=columns[1:]))
    out = sum(one.series.out)
    say(f"of {len(one.series.sold)} {asked.by}s since {one.series.begins}, {out} of them without stock; {BETWEEN}")
    if said.errors:
        say(_errors_in_words(said.errors))
    say(f"weights: {', '.join(f'{name} {share:.0%}' for name, share in list(said.weights.items())[:5])}")


def _errors_in_words(one: Errors) -> str:
    mase = "-" if one.mase is None else f"{one.mase:.2f}"
    bias = "-" if one.bias is None else f"{one.bias:+.0%}"
    return f"tried on {one.periods} periods of the past: MASE {mase}, bias {bias}, {one.covered:.0%} lay between"


def _print_many(found: Sequence[Answer]) -> None:
    columns = ("SKU", "expected", "low", "high", "MASE", "bias", "between", "says")
    rows = []
    for one in found:
        total, errors = one.forecast.total, one.forecast.errors
        if total is None:
            rows.append((one.series.sku, *("-",) * 6, f"not enough history: {one.forecast.not_enough}"))
            continue
        mase = "-" if errors is None or errors.mase is None else f"{errors.mase:.2f}"
        bias = "-" if errors is None or errors.bias is None else f"{errors.bias:+.0%}"
        between = "-" if errors is None else f"{errors.covered:.0%}"
        counts = (f"{total.expected:,.1f}", f"{total.low:,}", f"{total.high:,}")
        rows.append((one.series.sku, *counts, mase, bias, between, next(iter(one.forecast.weights), "")))
    asked = found[0].question
    title = f"Units in {asked.horizon} {asked.by}s from {asked.begins}"
    display.console_on(sys.stdout).print(display.grid(title, rows, *columns, numbers=columns[1:-1]))
    say(BETWEEN)
