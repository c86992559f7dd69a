"""`oms-es dead-letters`: list, show, replay, and discard them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from oms_es import rendering as display
from oms_es.app.replaying import replayed
from oms_es.cli.terminal import Json, print_json, reading, say, set_up, who, writing
from oms_es.errors import NotFound
from oms_es.exit_codes import Code
from oms_es.reports import names, queries
from oms_es.schemas.values.types import TEXT_LENGTH_MAX
from oms_es.store import dead_letters
from oms_es.store.dead_letters import Chosen

PAYLOAD_CHARACTERS_SHOWN_MAX = 4_000
DETAIL_CHARACTERS_SHOWN_MAX = 80
Id = Annotated[int | None, typer.Argument(metavar="[ID]")]
FromSource = Annotated[
    str | None, typer.Option("--source", help="Choose dead letters of this source, such as import:orders.jsonl.")
]
ForReason = Annotated[str | None, typer.Option("--reason", help="Choose dead letters with this reason.")]
Every = Annotated[bool, typer.Option("--all", help="Choose every open dead letter.")]


def listed(
    *,
    source: FromSource = None,
    reason: ForReason = None,
    settled: Annotated[bool, typer.Option("--settled", help="List replayed and discarded dead letters, too.")] = False,
    after: Annotated[int, typer.Option(metavar="ID", min=0, help="Begin after this id.")] = 0,
    limit: Annotated[
        int, typer.Option(min=1, max=dead_letters.LISTED_MAX, help="Dead letters to list.")
    ] = dead_letters.LISTED_MAX,
    json: Json = False,
) -> None:
    """Input that could not be used, with the reason; the oldest first."""
    chosen = Chosen(source=source, reason=reason, after=after)
    with reading(set_up()) as connection:
        stored = _as_typed(connection, dead_letters.listed(connection.cursor(), chosen, settled=settled, limit=limit))
    if json:
        print_json([_as_json(dead_letter) for dead_letter in stored])
        return
    rows = [(b.id, b.source, b.place, b.dialect, b.arrivals, b.reason, _cut(b.detail), _state(b)) for b in stored]
    columns = ("id", "source", "place", "dialect", "arrivals", "reason", "detail", "")
    display.console_on(sys.stdout).print(display.grid("Dead letters", rows, *columns, numbers=("id", "arrivals")))
    if len(stored) == limit:
        say(f"there may be more: repeat the command with --after {stored[-1].id}")


def _as_typed(
    connection: queries.Connection, stored: Sequence[dead_letters.StoredDeadLetter]
) -> list[dead_letters.StoredDeadLetter]:
    """Return the dead letters with orders named as people name them in the detail."""
    called = names.called_each(connection, {name for one in stored for name in names.ids_in(one.detail)})
    return [one._replace(detail=names.with_names(one.detail, called)) for one in stored]


def _cut(detail: str) -> str:
    """Shorten the text after a whole word, and mark it with an ellipsis."""
    if len(detail) <= DETAIL_CHARACTERS_SHOWN_MAX:
        return detail
    kept = detail[: DETAIL_CHARACTERS_SHOWN_MAX - 1]
    return f"{kept.rpartition(' ')[0] or kept}…"


def _state(dead_letter: dead_letters.StoredDeadLetter) -> str:
    if dead_letter.discarded_at:
        return f"discarded by {dead_letter.discarded_by}: {dead_letter.discarded_because}"
    return "replayed" if dead_letter.replayed_at else ""


def show(dead_letter_id: Annotated[int, typer.Argument(metavar="ID")], *, json: Json = False) -> None:
    """One dead letter with its whole content."""
    with reading(set_up()) as connection:
        (dead_letter,) = _as_typed(connection, [_named(connection, dead_letter_id)])
    shown = _as_json(dead_letter)
    if json:
        print_json(shown)
        return
    payload = display.plain_lines(shown.pop("payload")[:PAYLOAD_CHARACTERS_SHOWN_MAX])
    facts = [(name, "" if value is None else value) for name, value in shown.items()]
    display.console_on(sys.stdout).print(display.grid("Dead letter", facts, "", "fact"), payload, sep="\n")


def replay(
    dead_letter_id: Id = None,
    *,
    source: FromSource = None,
    reason: ForReason = None,
    every: Every = False,
    json: Json = False,
) -> None:
    """Replay dead letters. One that still cannot be used stays open."""
    chosen = _chosen(dead_letter_id, source, reason, every=every)
    with writing(set_up()) as engine:
        with queries.reading(engine.database_url) as connection:
            stored = (
                dead_letters.listed(connection.cursor(), chosen)
                if dead_letter_id is None
                else [_named(connection, dead_letter_id)]
            )
        outcomes = {dead_letter.id: replayed(engine, who(), dead_letter) for dead_letter in stored}
        with queries.reading(engine.database_url) as connection:
            called = names.called_each(connection, {name for why in outcomes.values() for name in names.ids_in(why)})
    rejected = {number: names.with_names(why, called) for number, why in outcomes.items() if why}
    if json:
        print_json({"accepted": [n for n, why in outcomes.items() if not why], "buried": rejected})
    else:
        typer.echo(f"accepted {len(outcomes) - len(rejected)}, still dead letters {len(rejected)}")
        for number, why in rejected.items():
            say(f"{number}: {why}")
    if rejected:
        raise typer.Exit(Code.BURIED)


def discard(
    dead_letter_id: Id = None,
    *,
    because: Annotated[str, typer.Option(help="Why it is not needed; recorded with it.")],
    source: FromSource = None,
    reason: ForReason = None,
    every: Every = False,
    json: Json = False,
) -> None:
    """Discard dead letters that are not needed. Each is kept, with who discarded it, when and why."""
    chosen = _chosen(dead_letter_id, source, reason, every=every)
    if not because.strip() or len(because) > TEXT_LENGTH_MAX:
        raise typer.BadParameter(f"say in --because, in up to {TEXT_LENGTH_MAX} characters, why it is not needed")
    with writing(set_up(), run=False) as engine:
        if dead_letter_id is not None:
            with queries.reading(engine.database_url) as connection:
                _named(connection, dead_letter_id)
        with engine.recorder.datastore.transaction(commit=True) as curs:
            gone = dead_letters.discard(curs, chosen, who(), because)
    if json:
        print_json({"discarded": gone})
        return
    typer.echo(f"discarded {len(gone)}")
    if not gone:
        say("no change: none of them is open")


def _chosen(dead_letter_id: int | None, source: str | None, reason: str | None, *, every: bool) -> Chosen:
    ways = (dead_letter_id is not None, source is not None or reason is not None, every)
    if sum(ways) != 1:
        raise typer.BadParameter("give either the ID of one dead letter, or --source, --reason or both, or --all")
    return Chosen(dead_letter_id, source, reason)


def _named(connection: queries.Connection, dead_letter_id: int) -> dead_letters.StoredDeadLetter:
    if dead_letter := dead_letters.shown(connection.cursor(), dead_letter_id):
        return dead_letter
    raise NotFound(f"there is no dead letter {dead_letter_id}; `oms-es dead-letters list --settled` shows all")


def _as_json(dead_letter: dead_letters.StoredDeadLetter) -> dict[str, Any]:
    return {**dead_letter._asdict(), "payload": dead_letter.payload.decode(errors="replace")}


app = typer.Typer(help="Dead letters: input from outside that could not be used.", no_args_is_help=True)
app.command("list")(listed)
app.command("show")(show)
app.command("replay")(replay)
app.command("discard")(discard)
