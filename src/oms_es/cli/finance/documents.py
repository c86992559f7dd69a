"""`oms-es documents`: store, download, attach and read documents."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer

from oms_es import rendering as display
from oms_es.app import Engine
from oms_es.app.finance.invoices import Found, read_invoice
from oms_es.app.verbs import id_of
from oms_es.cli.giving import require_what_it_names, screened
from oms_es.cli.terminal import Json, print_json, reading, say, say_more, set_up, who, writing
from oms_es.database.selection import database
from oms_es.processing.intake.input_files import STDIN
from oms_es.processing.intake.jsonl import BadFile
from oms_es.reports.finance import documents as attached
from oms_es.reports.queries import reading as connected
from oms_es.schemas.operations.document import ENTITIES, KINDS, AttachDocument
from oms_es.store.documents import table
from oms_es.store.documents.places import PIECE_BYTES, SHELF
from oms_es.store.documents.sniffing import suffix_of
from oms_es.store.encoding.codec import Cause
from oms_es.written_files import write_file

LIMIT = 50
Sha256 = Annotated[str, typer.Argument(metavar="SHA256", help="The document's address: the SHA-256 of its bytes.")]
EntityName = Annotated[
    str | None,
    typer.Option("--entity", metavar=f"[{'|'.join(ENTITIES)}]", help="The kind of thing that the document belongs to."),
]
EntityId = Annotated[
    str | None,
    typer.Option(
        "--entity-id", help="The thing's id; for an order also CHANNEL/EXTERNAL_ID, for a statement ACCOUNT/STATEMENT."
    ),
]


def add_document(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="The file to store; - is stdin.")],
    *,
    entity: EntityName = None,
    entity_id: EntityId = None,
    kind: Annotated[str, typer.Option(metavar=f"[{'|'.join(KINDS)}]", help="The kind of document.")] = "other",
    reference: Annotated[str, typer.Option(help="A reference printed on the document, such as its number.")] = "",
    keep_until: Annotated[
        str | None, typer.Option(metavar="DAY", help="The day until which it must not be removed, such as 2036-12-31.")
    ] = None,
    json: Json = False,
) -> None:
    """Store a document, and attach it if --entity names something. The same bytes are stored once."""
    if (entity is None) != (entity_id is None):
        raise typer.BadParameter("--entity and --entity-id go together: give both, or attach it later")
    settings = set_up()
    receiver = table.Receiver(SHELF.bytes_max)
    try:
        for piece in _pieces_of(file):
            receiver.take(piece)
        received = receiver.received()
        command = _attachment(received.sha256, entity, entity_id, kind, reference, keep_until)
        with writing(settings) as engine:
            with psycopg.connect(engine.database_url) as connection:
                kept = table.add(connection, received, datetime.now(UTC))
            position = _attach(engine, command) if command else None
    finally:
        receiver.close()
    if json:
        shown = {"sha256": kept.sha256, "media_type": kept.media_type, "byte_count": kept.byte_count}
        print_json({**shown, "position": position})
        return
    typer.echo(f"{kept.sha256} {kept.media_type} {kept.byte_count:,} bytes")
    if command is None and kept.loose_until:
        say(f"attached to nothing yet: kept until {kept.loose_until:%Y-%m-%d}, then `documents sweep` deletes it")


def _pieces_of(file: str) -> Iterator[bytes]:
    """Yield the file's bytes in pieces. Raise BadFile."""
    try:
        if file == STDIN:
            yield from iter(lambda: sys.stdin.buffer.read(PIECE_BYTES), b"")
            return
        with Path(file).open("rb") as source:
            yield from iter(lambda: source.read(PIECE_BYTES), b"")
    except OSError as error:
        raise BadFile(f"{file} cannot be read: {error.strerror}; give the name of a file, or - for stdin") from error


def _attachment(sha256: str, entity: str | None, entity_id: str | None, *more: str | None) -> AttachDocument | None:
    """Return the command that attaches the document, or None without an entity. Raise pydantic's ValidationError."""
    if entity is None:
        return None
    said: dict[str, Any] = dict(zip(("kind", "reference", "keep_until"), more, strict=True))
    return AttachDocument.model_validate({"sha256": sha256, "entity": entity, "entity_id": entity_id, **said})


def _attach(engine: Engine, command: AttachDocument) -> int | None:
    """Attach the document; return the event's position, or None if nothing changed. Raise Refused."""
    require_what_it_names(engine, command)
    recorded = engine.store.execute([(Cause(who()), screened(engine, command))])
    return recorded[-1].position if recorded else None


def get_document(
    sha256: Sha256,
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE|-]",
            help="The file to write; - is stdout. Without it, SHA256 with the type's suffix, such as .pdf.",
        ),
    ] = None,
) -> None:
    """Write a document's bytes to a file or to stdout, after their hash was verified."""
    with database(set_up(), "reader") as place:
        with connected(place.url) as connection:
            kept = table.look(connection, sha256)
        pieces = table.pieces(lambda: connected(place.url), kept)
        if file == STDIN:
            for piece in pieces:
                sys.stdout.buffer.write(piece)
            return
        target = Path(file or f"{sha256}{suffix_of(kept.media_type)}")
        write_file(target, pieces)
    say(f"{kept.byte_count:,} bytes of {kept.media_type} are in {target}")


def list_documents(
    *,
    order: Annotated[
        str | None, typer.Option(help="List documents of this order, its payments and its parcels.")
    ] = None,
    account: Annotated[str | None, typer.Option(help="List documents of this account's statements.")] = None,
    entity: EntityName = None,
    entity_id: EntityId = None,
    after: Annotated[
        int | None, typer.Option(metavar="POSITION", help="The cursor that the previous page ended with.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=attached.PAGE_MAX, help="Rows of a page.")] = LIMIT,
    json: Json = False,
) -> None:
    """Documents with what they are attached to, the newest first, a page at a time."""
    named = entity_id and id_of(entity_id) if entity == "order" else entity_id
    asked = attached.Asked(id_of(order) if order else "", account or "", entity or "", named or "")
    with reading(set_up()) as connection:
        page = attached.page(connection, asked, after, limit)
    if json:
        print_json({"documents": page.rows, "after": page.after})
        return
    if page.rows:
        titles = ("kind", "reference", "entity", "entity_id", "media_type", "byte_count", "keep_until", "sha256")
        rows = [tuple("" if row[name] is None else str(row[name]) for name in titles) for row in page.rows]
        display.console_on(sys.stdout).print(display.grid("Documents", rows, *titles, numbers=("byte_count",)))
    else:
        say("no such documents are attached; add one with `oms-es documents add`")
    say_more(page.after)


def read_document(sha256: Sha256, *, json: Json = False) -> None:
    """Read an invoice (UBL, CII, China's; also in a PDF or OFD), verify its totals, and say what it may belong to."""
    with writing(set_up()) as engine:
        found = read_invoice(lambda: connected(engine.database_url), sha256)
        require_what_it_names(engine, found.command)
        recorded = engine.store.execute([(Cause(who()), [found.command])])
    if json:
        print_json(found.shown(recorded[-1].position if recorded else None))
        return
    _print(found)


def _print(found: Found) -> None:
    invoice = found.invoice
    amounts = {"net": invoice.net_minor, "tax": invoice.tax_minor, "total": invoice.total_minor}
    said = {
        "kind": invoice.kind.replace("_", " "),
        "number": invoice.invoice_number,
        "issued on": invoice.issued_on,
        "seller": " ".join(filter(None, (invoice.seller, invoice.seller_id))),
        "buyer": " ".join(filter(None, (invoice.buyer, invoice.buyer_id))),
        **{name: display.money(amount, invoice.currency) for name, amount in amounts.items()},
        "currency": invoice.currency,
        "references": ", ".join(invoice.references),
    }
    for name, value in said.items():
        typer.echo(f"{name}: {value or '-'}")
    for difference in invoice.differences:
        say(f"does not add up: {difference}")
    for one in found.proposals:
        typer.echo(f"may be of {one.entity} {one.entity_id}, confidence {one.confidence}: {one.reason}")
    if not found.proposals:
        say("no order and no payment is like it; name one with `oms-es documents attach`")


def sweep_documents(*, json: Json = False) -> None:
    """Delete documents that were removed, and those that were attached to nothing in time. `oms-es serve`
    does so, too."""
    gone = 0
    with (
        writing(set_up(), run=False) as engine,
        psycopg.connect(engine.database_url, autocommit=True) as connection,
    ):
        while some := table.sweep(connection, datetime.now(UTC)):
            gone += some
    if json:
        print_json({"deleted": gone})
    else:
        typer.echo(f"{gone} documents deleted")
