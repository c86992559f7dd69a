"""`oms-es reference`: writes, checks and releases the published schemas and reference pages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oms_es.cli.main import app as cli
from oms_es.cli.terminal import (
    say,
)
from oms_es.exit_codes import Code
from oms_es.reference import files, releases
from oms_es.reference.json_schemas import messages, over_http
from oms_es.reference.narrowings import NARROWINGS

app = typer.Typer(help="The published reference: message schemas, AsyncAPI, pages.", no_args_is_help=True)
Directory = Annotated[Path, typer.Argument(file_okay=False, help="The folder of the reference.")]


@app.command("write")
def write_reference(directory: Directory = files.DIRECTORY) -> None:
    """Write the schemas of all messages, the AsyncAPI document and the reference pages."""
    changed = files.write(directory, files.contents(cli))
    say(f"wrote {len(changed)} files in {directory}" if changed else f"{directory} is as it should be")


@app.command("check")
def check_reference(directory: Directory = files.DIRECTORY) -> None:
    """Verify that the reference is current, and that clients of every release can still read and send messages."""
    stale = files.stale(directory, files.contents(cli))
    broken = releases.broken_promises(releases.released(directory), [*messages(), *over_http()], NARROWINGS)
    for problem in (*(f"{name} is stale: run `make reference`" for name in stale), *broken):
        typer.echo(problem)
    if broken:
        say(releases.ADVICE)
    if stale or broken:
        raise typer.Exit(Code.DIFFERENT)


@app.command("release")
def release_reference(directory: Directory = files.DIRECTORY) -> None:
    """Save today's schemas as those of this version: from then on, nothing may break them."""
    written = releases.release(directory, files.current_version(), [*messages(), *over_http()])
    say(f"wrote {written}" if written else f"{files.current_version()} is published already, as it is")
