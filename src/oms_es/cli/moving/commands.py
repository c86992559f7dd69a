"""`oms-es commands`: commands of the vocabulary in bulk, such as locations, items and the stock that was counted."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from pydantic_core import from_json, to_json

from oms_es import rendering as display
from oms_es.app import DECIDERS, bulk_commands
from oms_es.app.examples import example
from oms_es.attribute_docs import attribute_docs
from oms_es.cli.importing import Anyway, InputName, NoRun, import_lines, report
from oms_es.cli.moving import tables
from oms_es.cli.terminal import Json, one_of, print_json
from oms_es.kernel import Command

SHOWN = ("changed", "repeated", "rejected")
EXAMPLES = {"order_id": "web/W-1001", "order_ids": ["web/W-1001", "web/W-1002"]}


def import_commands(
    file: InputName,
    *,
    json: Json = False,
    table: Annotated[
        str | None,
        typer.Option(
            "--csv", metavar="COMMAND", help="The file is CSV: each row is this command, each column a field."
        ),
    ] = None,
    no_run: NoRun = False,
    anyway: Anyway = False,
) -> None:
    """Give commands in bulk, one JSON object per line, such as {"command": "CountStock", "fields": {...}}.

    Each line passes the checks of the same command given alone. A repeated line changes nothing. A line that is
    refused is kept as a dead letter, and the others are taken.
    """
    shape = _named(table) if table is not None else None
    batches_of = (lambda source: tables.batches_of(source, shape)) if shape else None
    taken = import_lines(file, bulk_commands.DIALECT, run=not no_run, anyway=anyway, batches_of=batches_of)
    report(taken, json=json, hint="a corrected line may simply be imported again", shown=SHOWN)


def list_commands(*, json: Json = False) -> None:
    """List the commands that a person may give, and what each of them does."""
    offered = sorted(bulk_commands.offered(DECIDERS).items())
    if json:
        print_json([{"command": name, "what": _what(shape)} for name, shape in offered])
        return
    rows = [(name, _what(shape)) for name, shape in offered]
    display.console_on(sys.stdout).print(display.grid("Commands", rows, "command", "what it does"))


def show_command(
    name: Annotated[
        str, typer.Argument(metavar="COMMAND", help="The command's name, such as CountStock; see `commands list`.")
    ],
    *,
    json: Json = False,
) -> None:
    """Show the fields of a command, and a line that gives it."""
    shape = _named(name)
    line = {"command": shape.__name__, "fields": example_of(shape)}
    docs = attribute_docs(shape)
    stated = bulk_commands.stated(shape)
    fields = [(name, "yes" if one.is_required() else "", docs.get(name, "")) for name, one in stated.items()]
    if json:
        needed = [{"field": field, "required": bool(must), "what": what} for field, must, what in fields]
        print_json({"command": shape.__name__, "what": _what(shape), "fields": needed, "example": line})
        return
    display.console_on(sys.stdout).print(
        display.grid(f"{shape.__name__}: {_what(shape)}", fields, "field", "required", "what it is")
    )
    typer.echo(to_json(line).decode())


def example_of(shape: type[Command]) -> dict[str, object]:
    """Return the required fields, each with a value that is accepted."""
    required = ((name, field) for name, field in bulk_commands.stated(shape).items() if field.is_required())
    return {name: EXAMPLES[name] if name in EXAMPLES else from_json(example(name, field)) for name, field in required}


def _named(name: str) -> type[Command]:
    return one_of(bulk_commands.offered(DECIDERS), name, "command")


def _what(shape: type[Command]) -> str:
    return " ".join((shape.__doc__ or "").split("\n\n", maxsplit=1)[0].split())


app = typer.Typer(help="Commands in bulk, such as locations, items and counted stock.", no_args_is_help=True)
app.command("import")(import_commands)
app.command("list")(list_commands)
app.command("show")(show_command)
