"""`oms-es exceptions`: list, show, open, assign, snooze and resolve open exceptions."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from oms_es import rendering as display
from oms_es.app.verbs import id_of, named_as_typed
from oms_es.cli.desk.orders import cursor
from oms_es.cli.giving import do
from oms_es.cli.terminal import Json, moment_of, print_json, reading, say, say_more, set_up, who, writing
from oms_es.errors import NotFound
from oms_es.kernel import Command, Recorded, Refused
from oms_es.projections.operations.exception_history import RESOLVED
from oms_es.reports.operations import exceptions
from oms_es.reports.queries import Connection, Row
from oms_es.schemas.operations.exception import (
    NOTICED,
    AssignException,
    OpenException,
    ResolveException,
    SnoozeException,
)
from oms_es.schemas.operations.refusals import OperationsRefusal
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Cause, Codec

GIVEN_HERE: tuple[type[Command], ...] = (OpenException, AssignException, SnoozeException, ResolveException)
"""Commands of the vocabulary that these commands give; what identifies an open exception is looked up."""
Name = Annotated[str, typer.Argument(metavar="EXCEPTION", help="The exception's id, or KIND/ORDER.")]
After = Annotated[str | None, typer.Option(metavar="CURSOR", help="The cursor that the previous page ended with.")]
Limit = Annotated[int, typer.Option(min=1, max=exceptions.PAGE_MAX, help="Rows of a page.")]


def listed(
    *,
    kind: Annotated[str | None, typer.Option(help="List exceptions of this kind, such as backordered.")] = None,
    order: Annotated[str | None, typer.Option(help="List exceptions of this order.")] = None,
    assignee: Annotated[str | None, typer.Option(help="List exceptions assigned to this person.")] = None,
    resolved: Annotated[bool, typer.Option("--resolved", help="List resolved exceptions instead.")] = False,
    snoozed: Annotated[bool, typer.Option("--snoozed", help="List snoozed exceptions instead.")] = False,
    after: After = None,
    limit: Limit = 100,
    json: Json = False,
) -> None:
    """Open exceptions, the longest open first; with --resolved, those that people resolved, the newest first."""
    with reading(set_up()) as connection:
        if resolved:
            rows = exceptions.resolved(connection, _position(after), limit + 1)
        else:
            asked = exceptions.Asked(kind, order and id_of(order), assignee, cursor(after), snoozed=snoozed)
            rows = exceptions.page(connection, asked, limit + 1)
    more = _after(rows[limit - 1], resolved=resolved) if len(rows) > limit else None
    if json:
        print_json({"exceptions": rows[:limit], "after": more})
        return
    if rows:
        display.console_on(sys.stdout).print(_resolved(rows[:limit]) if resolved else _open(rows[:limit]))
    else:
        say("nothing is there" if after is None else "there are no more")
    say_more(more)


def _open(rows: Sequence[Row]) -> object:
    shown = [
        (_name(row), _order(row), display.moment(row["raised_at"]), row["assignee"] or "", _detail(row)) for row in rows
    ]
    return display.grid("Open exceptions", shown, "exception", "order", "since (UTC)", "assignee", "what")


def _resolved(rows: Sequence[Row]) -> object:
    shown = [
        (row["exception_id"], display.moment(row["recorded_at"]), row["actor"], row["note"], row["detail"])
        for row in rows
    ]
    return display.grid("Resolved exceptions", shown, "exception", "resolved (UTC)", "by", "note", "what it was")


def _name(row: Row) -> str:
    """Return the shortest name of the exception that the other commands accept, since ids of orders are long."""
    kind, _, subject = row["exception_id"].partition("/")
    return f"{kind}/{_order(row)}" if _is_of_order(kind) and subject == row["order_id"] else row["exception_id"]


def _detail(row: Row) -> str:
    detail: str = row["detail"]
    return detail.replace(f"{row['order_id']}.", "parcel ") if row["kind"] == "cancellation_refused" else detail


def _order(row: Row) -> str:
    return f"{row['channel']}/{row['external_id']}" if row["channel"] else row["order_id"]


def _after(row: Row, *, resolved: bool) -> str:
    return str(row["position"]) if resolved else f"{row['raised_at'].isoformat()}~{row['exception_id']}"


def _position(after: str | None) -> int | None:
    if after is not None and not (after.isascii() and after.isdecimal()):
        raise typer.BadParameter(
            f"{after!r} is no cursor of resolved exceptions; copy the one that the page ended with"
        )
    return int(after) if after else None


def show(exception: Name, *, json: Json = False) -> None:
    """One exception, open or not, with what people did about it; for an order that was sent twice, with the
    differences."""
    with reading(set_up()) as connection:
        exception_id = _id_of(exception)
        row, past = exceptions.one(connection, exception_id), exceptions.seen_to(connection, exception_id)
        if row is None and not past:
            raise _unknown(connection, exception)
        conflict = _conflict(connection, exception_id)
    differences = conflict.differences if conflict else []
    if json:
        document = {"open": row is not None, "exception": row, "history": past}
        print_json({**document, "differences": [difference._asdict() for difference in differences]})
        return
    document = row or {"detail": past[-1]["detail"], "order_id": past[-1]["order_id"], "open": "no"}
    parts = [display.facts((key.replace("_", " "), display.fact(value)) for key, value in document.items() if value)]
    if differences:
        shown = [(d.field, display.fact(d.ours), display.fact(d.theirs)) for d in differences]
        parts.append(display.grid("What differs", shown, "field", "ours", "theirs"))
        say("settle it with `oms-es exceptions take ours` or `take theirs`")
    if past:
        did = [(display.moment(h["recorded_at"]), h["what"], h["actor"], h["assignee"], h["note"]) for h in past]
        parts.append(display.grid("What people did", did, "time (UTC)", "what", "by", "for", "note"))
    display.console_on(sys.stdout).print(*parts, sep="\n")


def open_one(
    exception: Annotated[str, typer.Argument(metavar="NAME", help="A name of your own, by which it is opened once.")],
    *,
    detail: Annotated[str, typer.Option(help="What should be looked at, and where.")],
    order: Annotated[str, typer.Option(help="The order that it is about, if any.")] = "",
    json: Json = False,
    preview: Annotated[bool, typer.Option("--preview", help="Only say what would happen.")] = False,
) -> None:
    """Open an exception about something that the engine cannot know, for a person to look at. It is open until it is
    resolved."""
    order_id = id_of(order) if order else ""
    with named_as_typed({order_id: order} if order else {}):
        command = OpenException(exception_id=f"{NOTICED}/{exception}", detail=detail, order_id=order_id)
        do(command, json=json, preview=preview)


def assign(
    exception: Name,
    *,
    to: Annotated[str, typer.Option(help="The person to assign it to.")],
    note: Annotated[str, typer.Option(help="A note for that person.")] = "",
    json: Json = False,
) -> None:
    """Assign an open exception to a person."""
    with reading(set_up()) as connection:
        row = _open_one(connection, exception)
    _give([AssignException(**exceptions.about(row), assignee=to, note=note)], json=json)


def snooze(
    exception: Name,
    *,
    until: Annotated[str, typer.Option(metavar="MOMENT", help="When it returns to the list.")],
    note: Annotated[str, typer.Option(help="Why.")] = "",
    json: Json = False,
) -> None:
    """Take an open exception off the list until a moment, or until it is raised again."""
    with reading(set_up()) as connection:
        row = _open_one(connection, exception)
    now = exceptions.present(row, datetime.now(UTC))
    _give([SnoozeException(**exceptions.about(row), until=moment_of(until), note=note, now=now)], json=json)


def resolve(
    exception: Name, *, note: Annotated[str, typer.Option(help="What was done about it.")], json: Json = False
) -> None:
    """Resolve an open exception with a note: it is off the list until it is raised again."""
    with reading(set_up()) as connection:
        row = _open_one(connection, exception)
    now = exceptions.present(row, datetime.now(UTC))
    _give([ResolveException(**exceptions.about(row), note=note, now=now)], json=json)


def take(
    side: Annotated[exceptions.Side, typer.Argument(help="The version of the order to keep.")],
    exception: Name,
    *,
    note: Annotated[str, typer.Option(help="Why.")] = "",
    json: Json = False,
) -> None:
    """Settle that a channel sent an order twice: keep our version, or amend the order to the version that was sent
    last."""
    with reading(set_up()) as connection:
        row = _open_one(connection, exception)
        conflict = _conflict(connection, row["exception_id"])
    if conflict is None:
        raise typer.BadParameter(f"{exception} is not about two versions of an order; say what was done with `resolve`")
    with named_as_typed({id_of(_order(row)): _order(row)} if row["channel"] else {}):
        _give(exceptions.taking(row, conflict, side, note, datetime.now(UTC)), json=json)


def _give(commands: Sequence[Command], *, json: bool) -> None:
    """Give all of the commands, or none if one is refused."""
    with writing(set_up()) as engine:
        recorded: Sequence[Recorded] = engine.append([(Cause(who()), list(commands))])
    if json:
        print_json([{"position": r.position, "stream": r.stream, "event": r.event} for r in recorded])
        return
    for one in recorded:
        typer.echo(f"{one.position} {type(one.event).__name__} in {one.stream}")
    if not recorded:
        say("no change: already applied")


def _open_one(connection: Connection, name: str) -> Row:
    """Return the open exception with this name. Raise NotFound, or Refused if it was resolved."""
    exception_id = _id_of(name)
    if row := exceptions.one(connection, exception_id):
        return row
    past = exceptions.seen_to(connection, exception_id)
    if past and past[-1]["what"] == RESOLVED:
        raise Refused(
            OperationsRefusal.ALREADY_RESOLVED, f"{name} was resolved by {past[-1]['actor']}: {past[-1]['note']}"
        )
    raise _unknown(connection, name)


def _unknown(connection: Connection, name: str) -> NotFound:
    alike = exceptions.like(connection, _id_of(name))
    hint = f"did you mean {alike}?" if alike else "`oms-es exceptions list` shows them"
    return NotFound(f"no exception {name} is open, or it has settled itself; {hint}")


def _id_of(name: str) -> str:
    """Return the exception's id, also for KIND/CHANNEL/EXTERNAL_ID if its kind is about the order itself."""
    kind, slash, rest = name.partition("/")
    return f"{kind}/{id_of(rest)}" if slash and _is_of_order(kind) else name


def _is_of_order(kind: str) -> bool:
    return kind in ORDER_KINDS or kind.startswith("held_")


ORDER_KINDS = frozenset(
    {
        exceptions.DUPLICATE,
        "backordered",
        "cancellation_refused",
        "amendment_refused",
        "channel_contradiction",
        "order_missing",
    }
)


def _conflict(connection: Connection, exception_id: str) -> exceptions.Conflict | None:
    return exceptions.conflict_of_exception(connection, Codec(EVENTS).over(connection), exception_id)


app = typer.Typer(help="Open exceptions: what a person must look at, until it is settled.", no_args_is_help=True)
app.command("list")(listed)
app.command("show")(show)
app.command("open")(open_one)
app.command("assign")(assign)
app.command("snooze")(snooze)
app.command("resolve")(resolve)
app.command("take")(take)
