"""`oms-es report`: figures over many orders."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from oms_es import rendering as display
from oms_es.cli.desk.then import as_of
from oms_es.cli.terminal import (
    AtPosition,
    Json,
    at_of,
    print_json,
    reading,
    say,
    set_up,
    show_list,
    who,
)
from oms_es.cli.terminal import writing as with_engine
from oms_es.history import moments
from oms_es.reports import queries
from oms_es.reports.delivering import delivery, files
from oms_es.reports.delivering.formats import MAKERS
from oms_es.reports.figures import answering, asking, definition, words, writing
from oms_es.reports.figures.definition import Definition
from oms_es.reports.figures.sources import SOURCES, Source
from oms_es.reports.figures.words import BadReport
from oms_es.reports.odd import finding, opening, series
from oms_es.store.encoding.codec import Cause
from oms_es.written_files import complete, write_file

DAYS_SHOWN = 31
Format = Literal["table", "csv", "json", "html", "xlsx", "pdf", "parquet"]
FILES = ("xlsx", "pdf", "parquet")
"""Binary formats, which need a file."""

app = typer.Typer(help="Reports: figures over many orders.", no_args_is_help=True)


@app.command("list")
def list_reports(*, json: Json = False) -> None:
    """The built-in reports; a definition of your own is run in the same way."""
    found = definition.built_in().values()
    if json:
        print_json([{"name": one.name, "title": one.title, "about": one.about, "source": one.source} for one in found])
        return
    rows = [(one.name, one.about) for one in found]
    display.console_on(sys.stdout).print(display.grid("Reports", rows, "name", "says"))


@app.command("show")
def show_report(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The report's name; see `report list`.")],
) -> None:
    """The definition of a report, to copy for one of your own."""
    typer.echo(definition.text_of(name), nl=False)


@app.command("words")
def report_words(
    source: Annotated[
        str | None, typer.Argument(metavar="SOURCE", help=f"The source of facts, one of {', '.join(SOURCES)}.")
    ] = None,
    *,
    json: Json = False,
) -> None:
    """The words of a definition: the sources, or one source with its dimensions, measures and times."""
    if source is not None:
        words.require(source, SOURCES, "source")
    named = {source: SOURCES[source]} if source else SOURCES
    if json:
        print_json({name: _words(one) for name, one in named.items()})
        return
    for name, one in named.items():
        rows = [
            *(("dimension", word, ", ".join(one.values_of(word))) for word in one.words),
            *(("number", word, f"{number.says} ({number.unit})") for word, number in one.numbers.items()),
            *(("time", word, "") for word in one.times),
        ]
        display.console_on(sys.stdout).print(display.grid(f"{name}: {one.about}", rows, "is a", "word", "says"))


def _words(one: Source) -> dict[str, object]:
    return {
        "about": one.about,
        "dimensions": [*definition.GRAINS, *one.words],
        "numbers": {word: {"unit": number.unit, "says": number.says} for word, number in one.numbers.items()},
        "times": list(one.times),
    }


@app.command("run")
def run_report(
    report: Annotated[
        str,
        typer.Argument(metavar="NAME|FILE", help="A report from `report list`, or a file with a definition in TOML."),
    ],
    *,
    since: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="The first day, such as 2026-01-05.")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="DAY", help="The day after the last one.")] = None,
    by: Annotated[
        str | None, typer.Option(metavar="WORDS", help="Dimensions, such as week,channel; see `report words`.")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="FILTER", help="A filter such as channel=web or country!=DE,AT; may be repeated."),
    ] = None,
    timezone: Annotated[
        str, typer.Option(metavar="ZONE", help="The time zone of days, such as Europe/Berlin.")
    ] = "UTC",
    compare: Annotated[
        Literal["previous", "last-year"] | None, typer.Option(help="Compare with the period before, or a year before.")
    ] = None,
    at: AtPosition = None,
    format: Annotated[Format, typer.Option(help="The format of the output.")] = "table",  # noqa: A002 - as the option is called
    output: Annotated[Path | None, typer.Option(help="Write the report to this file.")] = None,
) -> None:
    """Run a report. Amounts of different currencies are in different rows; in CSV and JSON they are in minor units."""
    moment = at_of(at)
    if output is None and format in FILES:
        raise typer.BadParameter(f"{format} is no text; name a file with --output")
    asked = asking.question(
        _definition(report),
        since=since,
        until=until,
        by=None if by is None else [word.strip() for word in by.split(",") if word.strip()],
        zone=timezone,
        compare=compare,
        where=where or (),
    )
    with as_of(set_up(), asked.tables, moment) as connection:
        if moment is not None:
            asked = asked._replace(now=moments.moment_of(connection, moment))
        found = answering.answer(connection, asked)
    if output is not None:
        _write(output, found, format)
    elif format == "table":
        _print_table(found)
    else:
        typer.echo(MAKERS[format](found), nl=False)


def _definition(report: str) -> Definition:
    """Return the definition: from a file if the name is a path or ends with .toml, else the built-in one."""
    if report.endswith(".toml") or "/" in report:
        return definition.read_file(Path(report))
    return definition.named(report)


def _write(output: Path, found: answering.Answer, format: Format) -> None:  # noqa: A002 - as the option is called
    """Write the report to a file. Raise NoArrow or CannotWrite."""
    write_file(output, [_as_text(found).encode() if format == "table" else MAKERS[format](found)])
    say(f"written to {output}")


def _as_text(found: answering.Answer) -> str:
    rows = [writing.shown(row, found.columns) for row in found.rows]
    titles = [writing.title_of(column) for column in found.columns]
    return "".join("\t".join(row) + "\n" for row in [titles, *rows])


def _print_table(found: answering.Answer) -> None:
    if not found.rows:
        say("nothing was found in this period")
        return
    titles = [writing.title_of(column) for column in found.columns]
    numbers = [title for title, column in zip(titles, found.columns, strict=True) if column.unit]
    rows = [writing.shown(row, found.columns) for row in found.rows]
    title = f"{found.question.definition.title}, days in {found.question.zone}"
    display.console_on(sys.stdout).print(display.grid(title, rows, *titles, numbers=numbers))


@app.command("deliver")
def deliver_reports(
    reports: Annotated[list[str], typer.Argument(metavar="FILE...", help="Definitions with a schedule.")],
    *,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="The folder for the files.")],
) -> None:
    """Write the files that are due by the schedules of the definitions and are not in the folder yet. Run it from cron.
    Run again, it writes nothing twice, and it catches up on what fell due while it did not run."""
    asked = [_definition(report) for report in reports]
    names = [one.name for one in asked]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise BadReport(f"two definitions are called {twice}, and so would their files be; call one otherwise")
    with reading(set_up()) as connection:
        for one in asked:
            with complete(to):
                for path in delivery.deliver(connection, one, to):
                    say(f"written to {path}")


def report_files(
    report: Annotated[str, typer.Argument(metavar="[NAME]", help="Only those of this report.")] = "",
    *,
    limit: Annotated[int, typer.Option(min=1, max=files.LISTED_MAX, help="The newest so many.")] = files.LISTED,
    json: Json = False,
) -> None:
    """The files that the engine has made of reports by their schedules, the newest first."""
    with reading(set_up()) as connection:
        found = files.listed(connection, report, limit)
    columns: Mapping[str, Callable[[queries.Row], str]] = {
        "report": lambda row: row["report"],
        "period": lambda row: f"{row['every']} {row['first_day']}",
        "file": lambda row: row["format"],
        "made (UTC)": lambda row: display.moment(row["made_at"]),
        "in the folder": lambda row: files.delivery_of(row, "folder"),
        "mailed": lambda row: files.delivery_of(row, "mail"),
        "SHA-256": lambda row: row["sha256"],
    }
    show_list("Files of reports", found, columns, "no report was made by a schedule yet", json=json)


@app.command("odd")
def odd_report(
    report: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME|FILE]...",
            help=f"A report, or one of these series: {', '.join(series.TEXTS)}; these if none.",
        ),
    ] = None,
    *,
    since: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="The first day; without it, seven days ago.")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="DAY", help="The day after the last one.")] = None,
    by: Annotated[
        str | None, typer.Option(metavar="WORDS", help="Dimensions with a series for each value, such as channel.")
    ] = None,
    timezone: Annotated[
        str, typer.Option(metavar="ZONE", help="The time zone of days, such as Europe/Berlin.")
    ] = "UTC",
    open_exceptions: Annotated[
        bool, typer.Option("--open-exceptions", help="Open an exception for each, once, for a person to look at.")
    ] = False,
    json: Json = False,
) -> None:
    """Days that are far from their own past: from the median of the same weekday in the eight weeks before."""
    when = finding.period(since, until, timezone)
    words = [word.strip() for word in (by or "").split(",") if word.strip()]
    own = series.built_in()
    asked = [own.get(name) or _definition(name) for name in report or own]
    with reading(set_up()) as connection:
        each = [finding.odd_days(connection, one, when, words, timezone) for one in asked]
    found = [one for days in each for one in days]
    if json:
        print_json([one.as_json() for one in found])
    elif not found:
        say(f"no day from {when.since} to {when.until}, without it, is odd; a series needs four weeks to be judged")
    else:
        _print_odd(found)
    if open_exceptions and found:
        _open_exceptions(found)


def _print_odd(found: Sequence[finding.Found]) -> None:
    columns = ("day", "report", "of", "measure", "was", "expected", "usually from", "to", "times off")
    rows = [
        (
            str(one.odd.day),
            one.report,
            opening.series_of(one) or "all",
            opening.title_of(one),
            *opening.numbers_of(one),
            f"{one.odd.times:+.1f}",
        )
        for one in found
    ]
    display.console_on(sys.stdout).print(display.grid("Odd days", rows, *columns, numbers=columns[4:]))


def _open_exceptions(found: Sequence[finding.Found]) -> None:
    """Open an exception for each day that has none yet, and say for how many."""
    with with_engine(set_up()) as engine:
        opened = engine.append([(Cause(who()), opening.openings(found))])
    left = max(0, len(found) - opening.OPENED_MAX)
    more = f"; {left} that are less far off were left out" if left else ""
    say(f"opened {len(opened)} exceptions{more}: `oms-es exceptions list --kind odd_day`")


@app.command("daily-sales")
def daily_sales(
    *,
    days: Annotated[int, typer.Option(min=1, max=3_660, help="Days to show, the newest ones.")] = DAYS_SHOWN,
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
