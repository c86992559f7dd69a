"""Whatever a card's number looks like, and by whichever door it comes, it is in no table and in no log."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any
from unicodedata import normalize

import psycopg
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from http_requests import order
from http_server import Served
from oms_es.exit_codes import Code

APART = ("", " ", "-", ".", "/", "\u00a0", "\u2011", "\u2013", "\u200b", "   ", "\n", "\t", " - ", ", ", "\u3000", "_")
ASCII, FULL_WIDTH, ARABIC = 0x30, 0xFF10, 0x660
WRITINGS = ((ASCII, True), (ASCII, False), (FULL_WIDTH, True), (FULL_WIDTH, False), (ARABIC, True))
"""Where the digits begin, and whether JSON escapes what is no ASCII."""


def grouped(card: str, apart: str, zero: int) -> str:
    groups = (card[at : at + 4] for at in range(0, len(card), 4))
    return apart.join(groups).translate({ASCII + digit: zero + digit for digit in range(10)})


def escaped(text: str) -> str:
    """Return the text with every character escaped as JSON allows."""
    return "".join(f"\\u{ord(one):04x}" for one in text)


class Cards:
    """Generates Visa numbers with a valid check digit, no number twice."""

    def __init__(self, seed: int) -> None:
        self.drawn: list[str] = []
        self._random = Random(seed)

    def one(self) -> str:
        begun = f"4{self._random.randrange(10**14):014}"
        doubled = sum(sum(divmod(int(digit) * (2 - place % 2), 10)) for place, digit in enumerate(begun))
        self.drawn.append(f"{begun}{-doubled % 10}")
        return self.drawn[-1]

    def are_not_in(self, kept: str) -> None:
        """Assert that no number is found, also without separators and escapes, and in digits of other scripts."""
        plain = normalize("NFKC", re.sub(r"\\+u([0-9a-fA-F]{4})", lambda one: chr(int(one[1], 16)), kept))
        digits = re.sub(r"\\+[nt]|[\W_]", "", plain.translate({0x660 + digit: str(digit) for digit in range(10)}))
        assert [card for card in self.drawn if card in digits] == []


def orders_with(cards: Cards, name: str) -> Iterator[str]:
    """Return orders as JSON, each with a card number in the place of one of its texts."""
    puts: tuple[Callable[[dict[str, Any], str], Any], ...] = (
        lambda of, card: of.update(payment_token=card),
        lambda of, card: of.update(notes=f"call me, {card}!"),
        lambda of, card: of.update(metadata={"paid with": card}),
        lambda of, card: of.update(nowhere={"deep": [f"card {card}"]}),
        lambda of, card: of.update(currency=card),
        lambda of, card: of.update(placed_at=f"then {card}"),
    )
    for number, apart in enumerate(APART):
        for zero, ascii_only in WRITINGS:
            for at, put in enumerate(puts):
                placed = order(f"{name}-{number}-{zero}-{int(ascii_only)}-{at}")
                put(placed, grouped(cards.one(), apart, zero))
                yield json.dumps(placed, ensure_ascii=ascii_only)
    for at, put in enumerate(puts):
        placed = order(f"{name}-{at}")
        put(placed, "@")
        yield json.dumps(placed).replace("@", escaped(cards.one()))


def everything_in(database_url: str) -> str:
    """Return each row of each table, with bytes decoded to text."""
    rows: list[str] = []
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        tables = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for table in tables:
            name = Identifier(table["schemaname"], table["tablename"])
            for row in connection.execute(SQL("SELECT * FROM {}").format(name)):
                rows += [_text(value) for value in row.values()]
    return "|x|".join(rows)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else f"{value}"


def test_of_a_file_of_orders_no_card_is_kept(oms: Any, tmp_path: Path, database_url: str) -> None:
    cards = Cards(1)
    lines = list(orders_with(cards, "of-file"))
    (tmp_path / "cards.jsonl").write_text("\n".join(lines), "utf-8")
    code, out, err = oms("orders", "import", str(tmp_path / "cards.jsonl"), "--no-run", "--anyway")
    assert code == Code.BURIED
    kept = everything_in(database_url)
    assert "of-file" in kept
    cards.are_not_in(kept)
    cards.are_not_in(out + err)


def test_over_http_no_card_is_kept_or_repeated(served: Served) -> None:
    cards = Cards(3)
    with served.client() as client:
        assert client.post("/v1/orders", json=order("of-cards")).status_code == 201
        for body in orders_with(cards, "of-http"):
            answer = client.post("/v1/orders", content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code in (400, 422), (body, answer.text)
            cards.are_not_in(answer.text)
        for apart in APART:
            note = {"note_id": "n", "text": f"card {grouped(cards.one(), apart, FULL_WIDTH)}"}
            assert client.post("/v1/orders/web~of-cards:add-note", json=note).status_code == 422
    cards.are_not_in(everything_in(served.database_url))
