"""`oms-es export`: the log and the fact tables as Parquet files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from oms_es import rendering as display
from oms_es.cli.terminal import Json, print_json, reading, say, set_up
from oms_es.reports.exporting import manifest, run
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Codec


def export(
    *,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="The folder of the export.")],
    check: Annotated[bool, typer.Option("--check", help="Only compare the files with their checksums.")] = False,
    json: Json = False,
) -> None:
    """Write events and fact tables as Parquet files. Run again, it goes on where the last run ended or was killed. The
    files contain names and addresses, as the log does."""
    if check:
        _check(to)
        return
    with reading(set_up()) as connection, display.progress_on(display.console_on(sys.stderr)) as progress:
        found = run.export(
            connection, Codec(EVENTS).over(connection), to, display.history_progress(progress, "exporting")
        )
    if json:
        print_json(found._asdict())
    else:
        say(f"{found.events:,} new events, up to position {found.position:,}; {found.files:,} files in {to}")


def _check(directory: Path) -> None:
    have = manifest.read(directory)
    wrong = list(manifest.differences(directory, have, whole=True))
    if wrong or not have.log:
        raise manifest.BadExport("; ".join(wrong[:5]) or f"{directory} holds no export; make one without --check")
    say(f"{len(have.files):,} files are what was written, up to position {have.position:,}")
