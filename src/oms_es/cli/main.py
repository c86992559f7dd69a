"""The command line's entry point.

Data goes to stdout, messages to stderr; the exit code says how the command ended. Every failure is one line that says
what to do next; with OMS_LOG_LEVEL=debug it comes with its traceback.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from oms_es.cli.lazy import LazyCommands, imported
from oms_es.cli.places import COMMANDS
from oms_es.exit_codes import Code
from oms_es.schemas.values.cards import masked

INTERRUPTED = 128 + signal.SIGINT
NO_TEXT = "what was typed is not text in UTF-8; set LC_ALL=C.UTF-8 or PYTHONUTF8=1, or correct the characters"


class Commands(TyperGroup):
    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands = LazyCommands({name: imported(place) for name, place in COMMANDS.items()})


app = typer.Typer(
    cls=Commands,
    help="An event-sourced order processing engine: stock that cannot be oversold, orders that explain themselves.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(*, asked: bool) -> None:
    if asked:
        from oms_es.store.schema import SCHEMA_VERSION

        typer.echo(f"oms-es {metadata.version('oms-es')}, schema {SCHEMA_VERSION}")
        raise typer.Exit


@app.callback()
def of_every_command(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=lambda asked: _version(asked=asked), is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """An event-sourced order processing engine: stock that cannot be oversold, orders that explain themselves."""


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Turn SIGTERM into an exception, so that everything that was opened is closed, including the embedded database."""

    def end(signum: int, _: FrameType | None) -> None:
        raise SystemExit(128 + signum)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def reader_gone() -> int:
    """Return the exit code after the reader of stdout has gone, such as `head`; nothing more is written, also not at
    exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + signal.SIGPIPE


def usage_of(wrong: typer.TyperException) -> str:
    """Return a usage error with the command whose help says more; if no command was given, the help itself."""
    message = wrong.format_message()
    asked: typer.Context | None = getattr(wrong, "ctx", None)
    if message.startswith("Usage:") or not asked:
        return message
    see = " See" if message.endswith((".", "?")) else "; see"
    return f"oms-es: {message}{see} `{asked.command_path} --help`"


def open_what_is_closed() -> None:
    """Replace a closed stdout or stderr (after `>&-`) by /dev/null, so that the command runs all the same."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - as long as the process
            setattr(sys, name, nowhere)


def is_text(argument: str) -> bool:
    """Return whether the argument is valid text: Python decodes other bytes as surrogates, which nothing can store."""
    return not any("\ud800" <= character <= "\udfff" for character in argument)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    open_what_is_closed()
    if not all(map(is_text, sys.argv[1:] if arguments is None else arguments)):
        typer.echo(err=True, message=f"oms-es: {NO_TEXT}")
        return Code.USAGE
    try:
        with ended_by_sigterm():
            ended_with = app(arguments, prog_name="oms-es", standalone_mode=False)
            sys.stdout.flush()
        if ended_with == INTERRUPTED:
            typer.echo(
                err=True,
                message="oms-es: interrupted; what was recorded stays, and the same command goes on from there",
            )
        return ended_with if isinstance(ended_with, int) else Code.OK
    except BrokenPipeError:
        return reader_gone()
    except typer.TyperException as wrong:
        typer.echo(masked(usage_of(wrong)), err=True)
        return wrong.exit_code
    except SystemExit as ended:
        if ended.code == 1:  # typer and rich exit with 1 on a broken pipe
            return reader_gone()
        return ended.code if isinstance(ended.code, int) else Code.OK
    except Exception as failure:  # noqa: BLE001 - whatever it is, a person gets one line
        from oms_es.cli.failures import failed

        code, message = failed(failure)
        typer.echo(f"oms-es: {message}", err=True)
        return code
