"""`oms-es archive`: old events out of the database into files, and back."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from oms_es import rendering as display
from oms_es.app.archiving import moving, restoring, space
from oms_es.cli.operator.status import interests_of
from oms_es.cli.terminal import Json, at_of, print_json, reading, say, set_up, show_list, who
from oms_es.database.rows import Rows, connected
from oms_es.database.selection import database
from oms_es.history import moments
from oms_es.reports.streams import At, end_of_log
from oms_es.settings import DAYS_MAX, Settings
from oms_es.store.archive import tables


def archive(
    *,
    before: Annotated[
        str | None,
        typer.Option(
            metavar="MOMENT|POSITION",
            help="Archive the events recorded up to a moment, such as 2026-01-05T12:00Z, or a position of the log.",
        ),
    ] = None,
    older_than: Annotated[
        int | None,
        typer.Option(metavar="DAYS", min=0, max=DAYS_MAX, help="Archive the events recorded more than DAYS days ago."),
    ] = None,
    restore: Annotated[
        bool, typer.Option("--restore", help="Move every archived event back into the database.")
    ] = False,
    give_back: Annotated[
        bool,
        typer.Option(
            "--give-back",
            help="Then write the log's table again, so that the file system gets its disk space back; meanwhile "
            "nothing can be read from the log or appended.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Move what old events say into compressed files in OMS_ARCHIVE_FOLDER, which everything that reads events reads,
    too. Without an option, list the files."""
    if sum((before is not None, older_than is not None, restore)) > 1:
        raise typer.BadParameter("choose one of --before, --older-than and --restore")
    settings = set_up()
    with reading(settings) as connection:
        if before is None and older_than is None and not restore and not give_back:
            _list(tables.standing(connection), json=json)
            return
        at: At | None = datetime.now(UTC) - timedelta(days=older_than) if older_than is not None else at_of(before)
        until = moments.position_of(connection, at) if at is not None else end_of_log(connection)
    with database(settings, "reader") as place, connected(place.url) as rows:
        done: dict[str, object] = {}
        if restore:
            done = _restored(rows, quiet=json)
        elif at is not None:
            done = _archived(rows, settings, until, quiet=json)
        if give_back:
            done |= _given_back(rows, quiet=json)
    if json:
        print_json(done)


def _list(found: list[tables.Archived], *, json: bool) -> None:
    columns = {
        "file": lambda one: one.file,
        "positions": lambda one: f"{one.first:,} to {one.last:,}",
        "events": lambda one: f"{one.events:,}",
        "bytes in the log": lambda one: f"{one.event_bytes:,}",
        "bytes of the file": lambda one: f"{one.file_bytes:,}",
        "archived": lambda one: display.moment(one.archived_at),
        "by": lambda one: one.archived_by,
    }
    show_list("Archived events", found, columns, "nothing is archived: `oms-es archive --older-than DAYS`", json=json)


def _archived(rows: Rows, settings: Settings, until: int, *, quiet: bool) -> dict[str, object]:
    with display.progress_on(display.console_on(sys.stderr)) as progress:
        shown = display.history_progress(progress, "archiving")
        moved = moving.archive(rows, interests_of(settings), until, who(), shown)
    if not quiet:
        typer.echo(
            f"{moved.events:,} events of {moved.event_bytes:,} bytes are in {_files(moved.files)} of "
            f"{moved.file_bytes:,} bytes; the log is archived up to position {moved.through:,}"
        )
        if moved.held_by:
            say(f"{moved.held_by} has come no further: what it has not taken yet stays in the database")
        if moved.left:
            say(f"{moved.left:,} events that could not be encrypted stay in the database")
    return moved._asdict()


def _restored(rows: Rows, *, quiet: bool) -> dict[str, object]:
    with display.progress_on(display.console_on(sys.stderr)) as progress:
        done = restoring.restore(rows, display.history_progress(progress, "restoring"))
    if not quiet:
        typer.echo(f"{done.events:,} events of {_files(len(done.names))} are in the database again")
        if done.names:
            say("the files stay, for readers that began before and for older backups: delete them when none needs them")
    return {"files": done.names, "events": done.events}


def _given_back(rows: Rows, *, quiet: bool) -> dict[str, object]:
    say(f"the log's table, of {space.size_of_log(rows):,} bytes, is written again; until then the log cannot be used")
    done = space.give_back(rows)
    if not quiet:
        typer.echo(f"the log with its indexes was {done.before:,} bytes and is {done.after:,}")
    return {"log_bytes_before": done.before, "log_bytes_after": done.after}


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"
