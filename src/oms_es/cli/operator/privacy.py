"""`oms-es privacy`: the keys that encrypt personal data, the key that wraps them, and forgetting people."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from pydantic_core import to_json

from oms_es.app.privacy import erasing, expiring, exporting, family, holding, purging
from oms_es.app.privacy.family import Named
from oms_es.app.verbs import id_of
from oms_es.cli.desk.orders import customer_named
from oms_es.cli.operator.running import IN_THE_CLEAR
from oms_es.cli.terminal import Json, data_keys_of, print_json, reading, say, set_up, who, writing
from oms_es.database.rows import connected
from oms_es.database.selection import database
from oms_es.reports import queries
from oms_es.schemas.order.forgetting import ForgetReason, LegalHoldReason
from oms_es.settings import DAYS_MAX, Settings
from oms_es.store.privacy import rotation, wrapping
from oms_es.store.privacy.subjects import ACCOUNT, NAMED_BY_STREAM, STATEMENT
from oms_es.store.privacy.wrapping import HOW, NoDataKey
from oms_es.written_files import write_file

app = typer.Typer(help="Encryption of personal data, and forgetting people.", no_args_is_help=True)
WAIT_SECONDS = 30.0
LISTED_MAX = 20
"""Dead letters that are listed as possibly about a person."""
OneOrder = Annotated[str | None, typer.Argument(metavar="[ORDER]", help="The order's id, or CHANNEL/EXTERNAL_ID.")]
OfCustomer = Annotated[
    str | None,
    typer.Option(metavar="CHANNEL/ID", help="All orders and accounts of this customer, in place of one order."),
]
OfAccount = Annotated[
    str | None, typer.Option("--account", metavar="ACCOUNT", help="One account of a customer, in place of an order.")
]
OfStatement = Annotated[
    str | None,
    typer.Option("--statement", metavar="ACCOUNT/STATEMENT", help="The texts of the lines of one statement."),
]
Wait = Annotated[
    float,
    typer.Option(metavar="SECONDS", min=0, help="How long to wait at most until the engine has processed the request."),
]


@app.command("status")
def status(*, json: Json = False) -> None:
    """Whether personal data is encrypted, the number of keys, and the key that wraps them."""
    with reading(set_up()) as connection:
        found = rotation.standing(connection)
        unfinished = erasing.unfinished(connection)
    if json:
        print_json({**found._asdict(), "unfinished": unfinished})
        return
    for subject in unfinished:
        say(f"{_label(subject)} was forgotten and has its key still: `oms-es privacy forget --resume`")
    if not found.wraps_with:
        say(IN_THE_CLEAR)
    else:
        typer.echo(f"encrypted: {found.orders:,} keys, wrapped with {found.wraps_with}")
        if found.others:
            say(f"some may still be wrapped with {', '.join(found.others)}: `oms-es privacy rotate`")


@app.command("rotate")
def rotate(*, json: Json = False) -> None:
    """Wrap all keys of orders, accounts and statements with the first data key that is configured; no event changes.
    Configure the new key before the old one in every process, restart the processes, then rotate; then remove the old
    key."""
    settings = set_up()
    keys = data_keys_of(settings)
    if not keys:
        raise NoDataKey(f"no data key is given: {HOW}")
    with reading(settings) as connection:
        before = rotation.standing(connection)
    if not before.wraps_with:
        raise NoDataKey("nothing is encrypted here yet: `oms-es migrate` begins it")
    with database(settings, "reader") as place, connected(place.url) as rows:
        done = rotation.rotate(rows, wrapping.id_of(keys[0]))
    if json:
        print_json(done._asdict())
        return
    typer.echo(f"{done.wrapped:,} keys are now wrapped with {done.to}")
    for one in done.unneeded:
        say(f"nothing here needs the key {one} any more; backups from before do")


@app.command("forget")
def forget(
    order: OneOrder = None,
    *,
    customer: OfCustomer = None,
    account: OfAccount = None,
    statement: OfStatement = None,
    reason: Annotated[ForgetReason, typer.Option(help="Why.")] = "request",
    case: Annotated[str | None, typer.Option(help="The case under which you filed the request and who asked.")] = None,
    wait: Wait = WAIT_SECONDS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print which orders these are.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Only finish interrupted requests.")] = False,
    json: Json = False,
) -> None:
    """Destroy the keys of a person's orders that have ended, of orders that were split off, merged or sent in
    exchange, and of the person's accounts, on which nothing may be left. This is for ever. Sales, stock, money and
    proofs stay. An interrupted run is finished first."""
    settings = set_up()
    named = _named(order, customer, account, statement)
    if resume and (dry_run or any(named)):
        raise typer.BadParameter("--resume finishes all that was interrupted: give it alone")
    if dry_run:
        with database(settings, "reader") as place:
            found = _called(place.url, _whose(place.url, named))
        for one in found:
            typer.echo(one)
        return
    if not resume:
        _require_one(named)
    done, orders = _finish(settings, wait), list[str]()
    if not resume:
        with writing(settings) as engine:
            orders = _whose(engine.database_url, named)
            _name_them(engine.database_url, orders)
            with queries.reading(engine.database_url) as connection:
                erasing.require_encrypted(connection, orders)
            erasing.ask(engine, who(), orders, reason, case)
        with database(settings, "reader") as place:
            done = done.with_more(erasing.erase(place.url, orders, who(), wait))
    if json:
        print_json(done._asdict())
        return
    _say_forgotten(done, orders)


@app.command("expire")
def expire(
    days: Annotated[
        int, typer.Option(min=1, max=DAYS_MAX, help="Days since the last change of an order that has ended.")
    ],
    *,
    wait: Wait = WAIT_SECONDS,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print which orders these are, including those under a legal hold.")
    ] = False,
    json: Json = False,
) -> None:
    """Forget the people of orders that ended long ago; to be run each night by a scheduler such as cron. It works as
    `forget` with the reason `retention`. An order under a legal hold is kept, and named; so is one that was split,
    merged or exchanged as long as a related order has not ended. Reports then count the earliest remaining order of a
    customer as a new customer's. At most 10,000 orders in one run."""
    settings = set_up()
    before = datetime.now(UTC) - timedelta(days=days)
    if dry_run:
        with reading(settings) as connection:
            asked = expiring.due(connection, before)
        _say_kept(asked)
        with database(settings, "reader") as place:
            for line in _called(place.url, asked.orders):
                typer.echo(line)
        return
    done = _finish(settings, wait)
    with writing(settings) as engine, queries.reading(engine.database_url) as connection:
        asked = expiring.ask(engine, connection, who(), before)
    with database(settings, "reader") as place:
        for first in range(0, len(asked.orders), family.ORDERS_MAX):
            batch = asked.orders[first : first + family.ORDERS_MAX]
            done = done.with_more(erasing.erase(place.url, batch, who(), wait))
    if json:
        kept = [one._asdict() for one in asked.kept]
        print_json({**done._asdict(), "kept": kept, "kept_count": asked.kept_count, "more": asked.more})
        return
    _say_kept(asked)
    _say_forgotten(done, asked.orders)
    if asked.more:
        say("there may be more: give it again")


def _say_kept(asked: expiring.Asked) -> None:
    for one in asked.kept[:LISTED_MAX]:
        say(f"order {one.order_id} is kept: {one.reason}")
    if asked.kept_count > LISTED_MAX:
        say(f"and {asked.kept_count - LISTED_MAX:,} more are kept")


def _say_forgotten(done: erasing.Erased, asked: Sequence[str]) -> None:
    gone = [
        *done.orders,
        *(f"{ACCOUNT}{one}" for one in done.accounts),
        *(f"{STATEMENT}{one}" for one in done.statements),
    ]
    subjects = {*asked, *gone}
    typer.echo(
        f"forgotten: {_counted(subjects)}, {len(gone):,} keys destroyed, {done.rows:,} rows "
        f"and {done.dead_letters:,} dead letters written without the person"
    )
    _look_at(done.like_theirs)
    if subjects:
        say("old versions of rows, and WAL, are in the files until `oms-es privacy purge`; backups keep what they have")


def _finish(settings: Settings, wait: float) -> erasing.Erased:
    """Finish interrupted requests, some at a time. Raise NotPassed."""
    done = erasing.Erased([], 0, 0, 0, [])
    while True:
        with reading(settings) as connection:
            orders = erasing.unfinished(connection)
        if not orders:
            return done
        with writing(settings):
            pass  # if no other engine runs, this one processes the log up to the request
        with database(settings, "reader") as place:
            done = done.with_more(erasing.erase(place.url, orders, who(), wait))


def _counted(subjects: Collection[str]) -> str:
    """Return how many orders these are, and how many accounts and statements if there are any."""
    of_kind = {kind: sum(one.startswith(kind) for one in subjects) for kind in NAMED_BY_STREAM}
    others = (f" and {count:,} {kind.removesuffix('-')}s" for kind, count in of_kind.items() if count)
    return f"{len(subjects) - sum(of_kind.values()):,} orders" + "".join(others)


def _look_at(letters: Sequence[int]) -> None:
    if letters:
        more = f" and {len(letters) - LISTED_MAX:,} more" if len(letters) > LISTED_MAX else ""
        ids = ", ".join(map(str, letters[:LISTED_MAX]))
        say(f"may be of them: look at dead letters {ids}{more} (`oms-es dead-letters show ID`)")


def _called(database_url: str, orders: Sequence[str]) -> list[str]:
    with queries.reading(database_url) as connection:
        return family.called(connection, orders)


def _name_them(database_url: str, orders: Sequence[str]) -> None:
    """Name the orders and accounts on stderr before anything is done."""
    for subject, one in zip(orders, _called(database_url, orders), strict=True):
        say(one if subject.startswith(NAMED_BY_STREAM) else f"order {one}")


def _label(subject: str) -> str:
    return family.labelled(subject) if subject.startswith(NAMED_BY_STREAM) else f"order {subject}"


def _named(order: str | None, customer: str | None, account: str | None, statement: str | None) -> Named:
    of_account, _, statement_id = (statement or "").partition("/")
    return Named(
        None if order is None else id_of(order),
        None if customer is None else customer_named(customer),
        account,
        None if statement is None else (of_account, statement_id),
    )


def _require_one(named: Named) -> None:
    if sum(one is not None for one in named) != 1:
        raise typer.BadParameter("name an order, or else one of --customer, --account and --statement")


def _whose(database_url: str, named: Named) -> list[str]:
    """Return the ids of the orders that are meant, and the names of accounts. Raise NotFound or TooManyOrders."""
    _require_one(named)
    with queries.reading(database_url) as connection:
        return family.meant(connection, named)


@app.command("hold")
def hold(
    order: OneOrder = None,
    *,
    customer: OfCustomer = None,
    account: OfAccount = None,
    statement: OfStatement = None,
    case: Annotated[str, typer.Option(help="The case under which you filed it; lifting the hold needs the same.")],
    reason: Annotated[LegalHoldReason, typer.Option(help="Why.")] = "dispute",
) -> None:
    """Place a legal hold: the person's orders and accounts are not forgotten until the case is over. Later ones are not
    held."""
    with writing(set_up()) as engine:
        orders = _whose(engine.database_url, _named(order, customer, account, statement))
        _name_them(engine.database_url, orders)
        held, _ = holding.hold(engine, who(), orders, case, reason)
    typer.echo(f"held: {_counted(held)}, by {case}")


@app.command("release")
def release(
    order: OneOrder = None,
    *,
    customer: OfCustomer = None,
    account: OfAccount = None,
    statement: OfStatement = None,
    case: Annotated[str, typer.Option(help="The case of the hold.")],
) -> None:
    """Lift a legal hold: the case no longer needs the person's data."""
    with writing(set_up()) as engine:
        orders = _whose(engine.database_url, _named(order, customer, account, statement))
        _name_them(engine.database_url, orders)
        released, _ = holding.release(engine, who(), orders, case)
    typer.echo(f"released: {_counted(released)}, by {case}")


@app.command("export")
def export(
    order: OneOrder = None,
    *,
    customer: OfCustomer = None,
    account: OfAccount = None,
    statement: OfStatement = None,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The file to write, readable by you alone; without it, standard output."),
    ] = None,
) -> None:
    """Everything that is stored about a person, as JSON: events, rows, dead letters, webhooks, and who saw it."""
    settings = set_up()
    with database(settings, "reader") as place, queries.reading(place.url) as connection:
        orders = _whose(place.url, _named(order, customer, account, statement))
        found = exporting.exported(connection, orders, datetime.now(UTC))
    content = to_json(found, indent=2, inf_nan_mode="null")
    _look_at(found["dead_letters_like_theirs"])
    if to is None:
        typer.echo(content.decode())
        return
    write_file(to, [content], private=True)
    say(f"{_counted(orders)}, {len(content):,} bytes in {to}")


@app.command("purge")
def purge(*, json: Json = False) -> None:
    """Rewrite the tables that had personal data, and overwrite old WAL; to be run after people were forgotten. Each
    table is locked while it is rewritten. Replicas, archived WAL and backups are yours to clean."""
    settings = set_up()
    with reading(settings):
        pass
    with database(settings, "reader") as place:
        done = purging.purge(place.url, say)
    if json:
        print_json(done._asdict())
        return
    typer.echo(f"{done.tables:,} tables are written again, and {done.wal_segments:,} segments of WAL written over")
    for one in done.left:
        say(f"left, for the server's administrator where the database's user may not, else for another run: {one}")
