"""`oms-es simulate`: the whole engine in simulated time, with crashes, repeats and lost answers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from oms_es.cli.terminal import (
    one_of,
    say,
)
from oms_es.exit_codes import Code
from oms_es.simulation.campaign import campaign, failure, soaking, story
from oms_es.simulation.components import WHOLE
from oms_es.simulation.guards.table import BY_NAME, missed
from oms_es.simulation.logging_off import quiet
from oms_es.simulation.run import Outcome
from oms_es.simulation.scenario import MINUTES, PROFILES

SEEDS_PER_LINE = 200


def simulate(
    *,
    seed: Annotated[int | None, typer.Option(help="Play this seed, and print its last events.")] = None,
    seeds: Annotated[str, typer.Option(metavar="A..B", help="Play the seeds from A up to, and without, B.")] = "0..200",
    minutes: Annotated[float, typer.Option(min=0.1, help="Simulated minutes with faults.")] = MINUTES,
    profile: Annotated[str, typer.Option(help=f"One of {', '.join(PROFILES)}.")] = "stormy",
    without: Annotated[
        list[str] | None, typer.Option(metavar="GUARD", help="Remove this guard of the design; may be repeated.")
    ] = None,
    guards: Annotated[
        bool, typer.Option("--guards", help="Remove each guard in turn, and count the seeds until an invariant breaks.")
    ] = False,
    soak: Annotated[float, typer.Option(metavar="SECONDS", help="Play new seeds for so many seconds instead.")] = 0.0,
) -> None:
    """Play the whole engine in simulated time, with crashes, repeats and lost answers, and verify every invariant."""
    quiet(for_good=True)
    if guards:
        for row in missed(span_of(seeds), minutes):
            typer.echo(row)
        return
    chosen = one_of(PROFILES, profile, "profile")
    kit = WHOLE
    for name in without or ():
        kit = one_of(BY_NAME, name, "guard").without(kit)
    span = range(seed, seed + 1) if seed is not None else span_of(seeds)
    summary = campaign(
        soaking(soak, span.start) if soak else span, chosen, minutes, kit, on_outcome=reporting(soak, span)
    )
    for line in summary.lines():
        typer.echo(line)
    for outcome in summary.failed:
        for line in failure(outcome, kit):
            typer.echo(line)
        typer.echo(f"  again: oms-es simulate --seed {outcome.scenario.seed} --profile {profile} --minutes {minutes:g}")
    if summary.failed:
        raise typer.Exit(Code.DIFFERENT)
    if seed is not None:
        for line in story(summary):
            typer.echo(line)


def span_of(seeds: str) -> range:
    first, dots, last = seeds.partition("..")
    if not (dots and first.isdecimal() and last.isdecimal() and int(first) < int(last)):
        raise typer.BadParameter("seeds are written as A..B with A less than B, such as 0..200")
    return range(int(first), int(last))


def reporting(soak: float, span: range) -> Callable[[Outcome], None]:
    """Return a function that prints a line now and then, on a terminal."""

    def report(outcome: Outcome) -> None:
        done = outcome.scenario.seed - span.start + 1
        if done % SEEDS_PER_LINE == 0 and sys.stderr.isatty():
            say(f"{done} seeds" + ("" if soak else f" of {len(span)}"))

    return report
