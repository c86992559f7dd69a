"""`oms-es account`, of gift cards: their codes, what is on them, and what is outstanding on all accounts.

Invariant: a code is printed by the command that makes it and by no other; it is read from standard input, never from an
argument, which other users of the machine could see.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated

import typer

from oms_es import rendering as display
from oms_es.app import Engine
from oms_es.app.finance.gift_cards import new_code, presented
from oms_es.cli.finance.accounts import Account
from oms_es.cli.finance.reconciling import day_of
from oms_es.cli.importing import InputName
from oms_es.cli.terminal import Json, print_json, reading, say, set_up, who, writing
from oms_es.exit_codes import Code
from oms_es.kernel import Command, Refused
from oms_es.processing.intake.gift_card_files import BadRow, Card, cards_in
from oms_es.processing.intake.input_files import opened_input
from oms_es.reports.finance import gift_cards
from oms_es.reports.queries import Row
from oms_es.reports.queries import reading as reading_at
from oms_es.store.encoding.codec import Cause
from oms_es.store.privacy import gift_codes
from oms_es.store.privacy.gift_codes import CODES

TYPED_MAX = 100
CARDS_AT_ONCE = 100
REFUSALS_SHOWN = 20
AMOUNTS = ("balance_minor", "held_minor")


def show_code(
    account: Account,
    *,
    replace: Annotated[
        bool, typer.Option("--replace", help="Make a new code in place of the earlier one, which counts no more.")
    ] = False,
    json: Json = False,
) -> None:
    """Make the code of a gift card, and print it this once."""
    with writing(set_up()) as engine:
        code, command = new_code(account, replace=replace)
        engine.append([(Cause(who()), [command])])
    if json:
        print_json({"account_id": account, "code": code})
        return
    typer.echo(code)
    say(f"this is the code of gift card {account}; it is shown this once")


def enquire(*, json: Json = False) -> None:
    """What is on the gift card whose code is typed, or comes on standard input."""
    code = _typed()
    with reading(set_up()) as connection:
        found = gift_cards.of_code(connection, CODES.hashes_of(code)) if code else None
    if found is None:
        raise gift_cards.wrong_code()
    _show(found, json=json)


def present(
    order: Annotated[str, typer.Argument(metavar="EXTERNAL_ID", help="The order's id in the card's channel.")],
    *,
    json: Json = False,
) -> None:
    """Let an order be paid from the gift card whose code is typed, or comes on standard input."""
    code = _typed()
    with writing(set_up()) as engine:
        with reading_at(engine.database_url) as connection:
            found = gift_cards.of_code(connection, CODES.hashes_of(code)) if code else None
        if found is None:
            raise gift_cards.wrong_code()
        engine.append([(Cause(who()), [presented(found, order, datetime.now(UTC))])])
    _show(found, json=json)


def import_cards(file: InputName, *, json: Json = False) -> None:
    """Take over gift cards with their codes from a CSV file with the columns account_id, code, channel, currency and
    amount_minor, and as you like expires_at and on_expiry.

    A repeated row changes nothing. A row that is refused is printed, and the others are taken.
    """
    taken, refused = 0, list[BadRow]()
    with writing(set_up()) as engine, opened_input(file) as source:
        seen: dict[str, str] = {}
        rows = cards_in(source, CODES.hashes_of)
        while some := list(islice(rows, CARDS_AT_ONCE)):
            cards = [one for one in some if isinstance(one, Card)]
            bad = [one for one in some if isinstance(one, BadRow)]
            good, twice = _checked(engine, seen, cards)
            bad += [*twice, *_given(engine, good)]
            taken += len(some) - len(bad)
            refused += bad
    if json:
        print_json({"taken": taken, "refused": [one._asdict() for one in refused]})
    else:
        say(f"{taken} gift cards are here; {len(refused)} rows were refused")
        for one in refused[:REFUSALS_SHOWN]:
            say(f"line {one.line}: {one.why}")
    if refused:
        raise typer.Exit(Code.BURIED)


def _given(engine: Engine, cards: Sequence[tuple[Card, Sequence[Command]]]) -> Iterator[BadRow]:
    """Give the commands of the cards. Yield the rows of which a command is refused: nothing of such a row is taken."""
    if not cards:
        return
    try:
        engine.append([(Cause(who()), commands) for _, commands in cards])
    except Refused as refused:
        if len(cards) == 1:
            yield BadRow(cards[0][0].line, str(refused))
            return
        middle = len(cards) // 2
        yield from _given(engine, cards[:middle])
        yield from _given(engine, cards[middle:])


def _checked(
    engine: Engine, seen: dict[str, str], cards: Sequence[Card]
) -> tuple[list[tuple[Card, Sequence[Command]]], list[BadRow]]:
    """Return the cards with the commands to give, and the rows whose code another card has, in the file or here."""
    with reading_at(engine.database_url) as connection:
        query = "SELECT code_hash, account_id FROM accounts WHERE code_hash = ANY(%s)"
        for row in connection.execute(query, [[one for card in cards for one in card.hashes]]):
            seen[row["code_hash"]] = row["account_id"]
    good, bad = list[tuple[Card, Sequence[Command]]](), list[BadRow]()
    for card in cards:
        owners = {seen[one] for one in card.hashes if one in seen}
        if others := owners - {card.account_id}:
            bad.append(BadRow(card.line, f"card {min(others)} has the same code; a code belongs to one card"))
            continue
        good.append((card, card.commands if owners else card.with_code))
        seen[card.hashes[0]] = card.account_id
    return good, bad


def show_outstanding(
    *,
    at: Annotated[
        str | None, typer.Option(metavar="DAY", help="The day at whose end (UTC) it was there; without it, today.")
    ] = None,
    json: Json = False,
) -> None:
    """What is on all accounts together, which is owed: by kind, channel and currency."""
    day = day_of(at) if at else gift_cards.today()
    with reading(set_up()) as connection:
        found = gift_cards.outstanding(connection, day)
    if json:
        print_json({"day": day, "items": found})
        return
    rows = [
        (
            *(row[name] for name in ("kind", "channel", "currency", "accounts")),
            *(display.money(row[name], row["currency"]) for name in AMOUNTS),
        )
        for row in found
    ]
    titles = ("kind", "channel", "currency", "accounts", "balance", "held")
    title = f"Outstanding at the end of {day}"
    display.console_on(sys.stdout).print(display.grid(title, rows, *titles, numbers=titles[3:]))


def _typed() -> str | None:
    """Return the code that is typed unseen, or is the line on standard input."""
    if sys.stdin.isatty():
        text: str = typer.prompt("Code", hide_input=True, err=True)
    else:
        text = sys.stdin.readline(TYPED_MAX + 1)
    return gift_codes.plain(text) if len(text) <= TYPED_MAX else None


def _show(row: Row, *, json: bool) -> None:
    now = datetime.now(UTC)
    found = gift_cards.enquiry(row, now)
    if json:
        print_json(found)
        return
    shown = [
        ("state", found["state"]),
        ("available", f"{display.money(found['available_minor'], found['currency'])} {found['currency']}"),
        ("expires (UTC)", display.moment(row["expires_at"]) if row["expires_at"] else "never"),
    ]
    display.console_on(sys.stdout).print(display.grid(found["account_id"], shown, "gift card", ""))
