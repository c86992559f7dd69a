"""`oms-es audit`: proofs for people who do not trust the database, and checkpoints for those who keep them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from oms_es import rendering as display
from oms_es.cli.desk.single import order_named
from oms_es.cli.operator.checking import DIFFERENCES_SHOWN_MAX
from oms_es.cli.operator.held import Against, Keys, Witnesses, held_checkpoints, text_of, trusted_keys
from oms_es.cli.terminal import Json, print_json, reading, say, set_up, writing
from oms_es.database.rows import connected
from oms_es.database.selection import database
from oms_es.exit_codes import Code
from oms_es.proof import proofs
from oms_es.proof.entries import StoredEvent
from oms_es.proof.proofs import Checked
from oms_es.reports import proving as subjects
from oms_es.reports.queries import Connection
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Codec
from oms_es.store.sealing import folder, keys, witnessed
from oms_es.store.sealing.proving import newest_checkpoint, proof_of
from oms_es.store.sealing.seals import head_of
from oms_es.verification.verify import check_log
from oms_es.written_files import write_file

app = typer.Typer(
    no_args_is_help=True, help="Proofs about orders and the log, for people who do not trust the database."
)

FIND: Mapping[str, Callable[[Connection, str], Sequence[StoredEvent]]] = {
    "order": lambda connection, name: subjects.of_order(connection, order_named(connection, name)["order_id"]),
    "event": lambda connection, name: subjects.at_position(connection, int(name)),
    "payment": lambda connection, name: subjects.of_stream(connection, f"payment-{name}"),
    "stock": subjects.of_stock,
    "stream": subjects.of_stream,
}
"""Functions that find the events to prove, by the option that names them."""


@app.command("prove")
def prove(
    *,
    order: Annotated[
        str | None, typer.Option(metavar="ORDER", help="Prove an order, by its id or CHANNEL/EXTERNAL_ID.")
    ] = None,
    event: Annotated[int | None, typer.Option(metavar="POSITION", help="Prove the event at this position.")] = None,
    payment: Annotated[str | None, typer.Option(metavar="ID", help="Prove all events of a payment.")] = None,
    stock: Annotated[
        str | None, typer.Option(metavar="SKU[@LOCATION]", help="Prove all events of a SKU's stock.")
    ] = None,
    stream: Annotated[str | None, typer.Option(metavar="STREAM", help="Prove all events of a stream.")] = None,
    older: Annotated[
        Path | None, typer.Option(metavar="FILE", help="An older checkpoint: prove that the log continues it.")
    ] = None,
    newer: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The checkpoint to prove against; without it, the newest.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="The file to write; without it, the proof is printed.")
    ] = None,
    disclose: Annotated[
        bool,
        typer.Option(
            "--disclose",
            help="Of events that were encrypted after they were sealed, add the bytes that were sealed, with personal "
            "data in the clear; without them only the place and the digest of such an event is proved.",
        ),
    ] = False,
) -> None:
    """Write a file that proves events of the log to anyone who has the log's key, without the database. The file
    contains the events, names and addresses among them. With --older alone it proves only that the log continues."""
    asked = {"order": order, "event": event, "payment": payment, "stock": stock, "stream": stream}
    named = {kind: value for kind, value in asked.items() if value is not None}
    if len(named) > 1 or not (named or older):
        raise typer.BadParameter(f"say one of {', '.join(f'--{kind}' for kind in asked)}, or --older")
    with reading(set_up()) as connection:
        events = [found for kind, value in named.items() for found in FIND[kind](connection, str(value))]
        subject = " ".join(f"{kind} {value}" for kind, value in named.items())
        clear = Codec(EVENTS).over(connection).in_the_clear if disclose else None
        proof = proof_of(connection, subject, events, _note_in(older), _note_in(newer), clear)
    written = proofs.written(proof)
    if to is None:
        typer.echo(written, nl=False)
    else:
        write_file(to, [written.encode()])
        say(f"{len(events):,} events are proved in {to}; `oms-es audit check {to} --key KEY` checks it")


def _note_in(file: Path | None) -> str | None:
    return None if file is None else text_of(file)


@app.command("check")
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A proof that `oms-es audit prove` wrote.")],
    *,
    key: Keys = None,
    witness: Witnesses = None,
    json: Json = False,
) -> None:
    """Verify a proof without a database. Exit code 6: it proves nothing. Exit code 11: it proves which events there are
    and where, but not what those say that were encrypted after they were sealed."""
    trusted = trusted_keys(key)
    if not trusted:
        raise typer.BadParameter("say whom you believe with --key; `oms-es audit key` shows the keys of a log")
    proof = proofs.read(text_of(file, proofs.PROOF_BYTES_MAX))
    checked = proofs.check(proof, trusted, trusted_keys(witness))
    if json:
        print_json(_as_json(checked))
    else:
        _say_checked(checked)
    if checked.not_proved:
        raise typer.Exit(Code.CONTENT_NOT_PROVED)


def _say_checked(checked: Checked) -> None:
    rows = [(one.position, one.type, one.stream, one.version) for one in checked.events]
    if rows:
        display.console_on(sys.stdout).print(display.grid("Proved", rows, "position", "event", "stream", "version"))
    newest, older = checked.checkpoint, checked.older
    say(f"{len(rows):,} events are in the log {newest.origin}, of {newest.size:,} events, that the key has signed")
    if checked.encrypted:
        say(f"what is personal in {len(checked.encrypted):,} of them was encrypted later, as a record among them says")
    if checked.not_proved:
        say(
            f"NOT PROVED: what {len(checked.not_proved):,} of them say, the first at position {checked.not_proved[0]}: "
            "the bytes that were sealed are not here; `oms-es audit prove --disclose` adds them, but for whom was "
            "forgotten"
        )
    if older:
        say(f"it begins with the {older.size:,} events of the older checkpoint")


def _as_json(checked: Checked) -> dict[str, object]:
    events = [{**one._asdict(), "state": one.state.decode()} for one in checked.events]
    sizes = {"size": checked.checkpoint.size, "older_size": checked.older.size if checked.older else None}
    found = {"encrypted_later": checked.encrypted, "content_not_proved": checked.not_proved, "events": events}
    return {"origin": checked.checkpoint.origin, **sizes, **found}


@app.command("check-log")
def check_whole_log(*, key: Keys = None, against: Against = None, json: Json = False) -> None:
    """Verify that every event is as it was sealed, and that the log continues older checkpoints."""
    with database(set_up(), "reader") as place, display.progress_on(display.console_on(sys.stderr)) as progress:
        shown = display.history_progress(progress, "reading the log")
        book, report = check_log(place.url, trusted_keys(key), held_checkpoints(against), Codec(EVENTS), shown)
    if json:
        print_json({"passed": report.passed, "unsealed": book.unsealed, **report._asdict()})
    else:
        display.console_on(sys.stdout).print(display.findings(report, DIFFERENCES_SHOWN_MAX))
        say(f"{book.unsealed:,} of the newest events wait for their checkpoint" if book.unsealed else "all are sealed")
    if not report.passed:
        raise typer.Exit(Code.DIFFERENT)


@app.command("checkpoint")
def checkpoint(
    *,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", metavar="DIR", help="The folder to write to; tiles that are missing there are written, too."
        ),
    ] = None,
    add: Annotated[
        Path | None, typer.Option("--add", metavar="FILE", help="Store the co-signatures in this copy of a checkpoint.")
    ] = None,
    witness: Witnesses = None,
) -> None:
    """Print the newest checkpoint, or write it to where the database's owner cannot change it. The folder holds what a
    server of static files needs so that others can follow the log (C2SP tlog-tiles)."""
    if add is not None:
        if not witness:
            raise typer.BadParameter("say whose co-signatures these are with --witness")
        with writing(set_up(), run=False) as engine, connected(engine.database_url) as connection:
            size = witnessed.add(connection, text_of(add), trusted_keys(witness))
        say(f"the co-signatures of {len(witness)} witnesses are kept with the checkpoint of {size:,} events")
        return
    with reading(set_up()) as connection:
        if to is None:
            typer.echo(newest_checkpoint(connection), nl=False)
        else:
            size, tiles = folder.export(connection, to)
            say(f"the checkpoint of {size:,} events and {tiles:,} new tiles are in {to}")


@app.command("key")
def key(
    *,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Make a new key, and write it to this file.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The new key's name; without it, the log's. Only a new log needs another.")
    ] = None,
) -> None:
    """Show the public keys of this log, for people who verify it; or make a key to sign it with (OMS_LOG_KEY_FILE)."""
    if to is None:
        with reading(set_up()) as connection:
            for one in keys.known(connection):
                typer.echo(str(one))
        return
    if name is None:
        with reading(set_up()) as connection:
            name = head_of(connection).origin
    if not keys.is_name(name):
        raise typer.BadParameter("a name has no spaces and no plus sign, such as orders.example.com/log")
    made = keys.generated(name)
    try:
        with os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{made}\n")
    except OSError as error:
        raise typer.BadParameter(f"{to}: {error.strerror}; name a file that is not there yet") from None
    typer.echo(str(made.verifier))
    say(f"the private key is in {to}: keep it, and set OMS_LOG_KEY_FILE; the line above is for those who check")
