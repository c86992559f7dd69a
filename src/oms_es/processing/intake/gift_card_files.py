"""Gift cards of another system from a CSV file: each row is a card with its code and what is left on it.

Invariant: a row gives the same commands however often it is read, so a file may be imported again. No message has a
code in it. A row with fewer or other cells than the header is refused, and nothing of it is guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from oms_es.door import brought_in
from oms_es.kernel import Command
from oms_es.processing.intake.input_files import Input, csv_rows, text_lines
from oms_es.processing.intake.jsonl import BadFile
from oms_es.schemas.finance.account import CreditAccount
from oms_es.schemas.finance.gift_card import IssueGiftCard, SetGiftCardCode
from oms_es.schemas.problems import problems
from oms_es.store.privacy import gift_codes

REQUIRED = ("account_id", "code", "channel", "currency", "amount_minor")
OPTIONAL = ("expires_at", "on_expiry")
METHOD = ENTRY_ID = "import"
"""The method and the id of the entry by which what is left on a card comes onto it."""


class Card(NamedTuple):
    """A row that can be used: its line, the hashes that its code may be stored as, the one for new codes first, and its
    commands but for the one that sets the code."""

    line: int
    account_id: str
    hashes: Sequence[str]
    commands: Sequence[Command]

    @property
    def with_code(self) -> Sequence[Command]:
        return [*self.commands, SetGiftCardCode(account_id=self.account_id, code_hash=self.hashes[0])]


class BadRow(NamedTuple):
    line: int
    why: str


def cards_in(source: Input, hashes_of: Callable[[str], Sequence[str]]) -> Iterator[Card | BadRow]:
    """Yield a card for each row, or why it cannot be used. Raise BadFile."""
    lines = text_lines(source.name, source.stream)
    rows = csv_rows(source.name, next(lines, ""), lines)
    _, header = next(rows, (0, ()))
    columns = [column.strip() for column in header]
    if sorted(set(columns)) != sorted(columns) or not set(REQUIRED) <= set(columns) <= {*REQUIRED, *OPTIONAL}:
        raise BadFile(
            f"{source.name}: the header names each of {', '.join(REQUIRED)} once, and may name {', '.join(OPTIONAL)}; "
            "mend it, and import the file again"
        )
    for line, row in rows:
        if any(cell.strip() for cell in row):
            yield _card(line, columns, row, hashes_of)


def _card(
    line: int, columns: Sequence[str], row: Sequence[str], hashes_of: Callable[[str], Sequence[str]]
) -> Card | BadRow:
    if len(row) != len(columns):
        return BadRow(line, f"it has {len(row)} cells, and the header {len(columns)}")
    given: dict[str, Any] = {name: cell.strip() for name, cell in zip(columns, row, strict=True) if cell.strip()}
    code = gift_codes.plain(given.pop("code", ""))
    if code is None:
        return BadRow(line, f"a code has {gift_codes.LENGTH_MIN} to {gift_codes.LENGTH_MAX} letters and digits")
    amount = given.pop("amount_minor", "")
    try:
        commands: list[Command] = [IssueGiftCard.model_validate(given)]
        of = {"account_id": given["account_id"]}
        if not amount.isascii() or not amount.isdecimal():
            return BadRow(line, "amount_minor is a whole number of the currency's smallest unit")
        if int(amount):
            paid_in = {**of, "entry_id": ENTRY_ID, "amount_minor": int(amount), "method": METHOD}
            commands.append(CreditAccount.model_validate(paid_in))
        commands = [brought_in(command) for command in commands]
    except ValidationError as error:
        return BadRow(line, problems(error))
    return Card(line, given["account_id"], hashes_of(code), commands)
