"""Any CSV, by a mapping in TOML that names the columns.

Invariant: nothing is guessed about a file; if a column has the balance after each line, the lines must agree with it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from oms_es.schemas.finance.statement import LineKind, StatementLine
from oms_es.schemas.problems import problems
from oms_es.statements.reading import (
    Options,
    Statement,
    chained,
    clean,
    currency_of,
    day_of,
    line_of,
    minor_of,
    period_of,
    references_of,
    refuse,
    require_few,
    table_of,
    text_of,
    unsigned_of,
)

Column = Annotated[str, Field(min_length=1, max_length=200)]


class Columns(BaseModel):
    """The mapping of columns, by their names in the header.

    Either `amount` has a sign, or `credit` and `debit` have none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    skip_lines: Annotated[int, Field(ge=0, le=1_000)] = 0
    decimal: Literal[".", ","] = "."
    date_format: Annotated[str, Field(max_length=40)] = "%Y-%m-%d"
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    date: Column
    value_date: Column | None = None
    amount: Column | None = None
    credit: Column | None = None
    debit: Column | None = None
    fee: Column | None = None
    currency_column: Column | None = None
    balance: Column | None = None
    id: Column | None = None
    references: tuple[Column, ...] = ()
    text: Column | None = None
    kind: Column | None = None
    kinds: dict[str, LineKind] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _says_enough(self) -> Columns:
        if (self.amount is None) == (self.credit is None or self.debit is None):
            raise ValueError("name `amount`, or both `credit` and `debit`")
        if (self.currency is None) == (self.currency_column is None):
            raise ValueError("name `currency`, or `currency_column`")
        return self

    @property
    def columns(self) -> list[str]:
        own = (self.date, self.value_date, self.amount, self.credit, self.debit, self.fee, self.currency_column)
        others = (self.balance, self.id, *self.references, self.text, self.kind)
        return [name for name in (*own, *others) if name]


def mapping_of(text: str | None) -> Columns:
    if text is None:
        refuse(None, "nothing says which column is what", "give --mapping FILE with it, in TOML")
    try:
        return Columns.model_validate(tomllib.loads(text))
    except ValidationError as error:
        return refuse(None, f"in the mapping, {problems(error, whole='all of it')}", "correct the file of --mapping")
    except tomllib.TOMLDecodeError as error:
        return refuse(None, f"the mapping is no TOML: {error}", "correct the file of --mapping")


def read(content: bytes, options: Options) -> Sequence[Statement]:
    mapping = mapping_of(options.mapping)
    lines = text_of(content, options).splitlines(keepends=True)
    table = table_of("".join(lines[mapping.skip_lines :]), mapping.delimiter)
    table.require(*mapping.columns)
    found = [_line(number + mapping.skip_lines, row, mapping) for number, row in table.records()]
    currencies = {currency for _, _, currency, _ in found} or {mapping.currency or ""}
    if len(currencies) > 1:
        refuse(None, f"the lines are in {', '.join(sorted(currencies))}", "export one file per currency")
    (currency,) = currencies
    opening = closing = None
    ordered: list[StatementLine] = [line for _, line, _, _ in found]
    if mapping.balance and found:
        balances = [(number, line, balance or 0) for number, line, _, balance in found]
        opening, closing, ordered = chained(balances, currency)
    require_few(ordered)
    first, last = period_of(ordered)
    return [Statement("csv", "", f"{first}..{last}", currency, first, last, opening, closing, tuple(ordered))]


def _line(number: int, row: Mapping[str, str], mapping: Columns) -> tuple[int, StatementLine, str, int | None]:
    said = {name: value.strip() for name, value in row.items()}
    currency = mapping.currency or currency_of(said[mapping.currency_column or ""], number)
    amounts: Any = {"currency": currency, "line": number}
    fee = minor_of(_plain(said[mapping.fee], mapping) or "0", **amounts) if mapping.fee else 0
    balance = minor_of(_plain(said[mapping.balance], mapping), **amounts) if mapping.balance else None
    line = line_of(
        number,
        kind=_kind(said, mapping, number),
        line_id=clean(said[mapping.id]) if mapping.id else "",
        booked_on=day_of(said[mapping.date], mapping.date_format, number),
        value_on=day_of(said[mapping.value_date], mapping.date_format, number) if mapping.value_date else None,
        amount_minor=_amount(said, mapping, number, currency),
        fee_minor=fee,
        references=references_of(*(said[name] for name in mapping.references)),
        text=said[mapping.text] if mapping.text else "",
    )
    return number, line, currency, balance


def _amount(said: Mapping[str, str], mapping: Columns, number: int, currency: str) -> int:
    if mapping.amount:
        return minor_of(_plain(said[mapping.amount], mapping), currency, number)
    credit, debit = (_plain(said[name or ""], mapping) for name in (mapping.credit, mapping.debit))
    if not credit and not debit:
        refuse(number, "neither credit nor debit has an amount")
    return unsigned_of(credit or "0", currency, number) - unsigned_of(debit or "0", currency, number)


def _plain(text: str, mapping: Columns) -> str:
    """Return an amount with a point for the decimals, and commas, if any, between thousands."""
    return text.translate(str.maketrans(",.", ".,")) if mapping.decimal == "," else text


def _kind(said: Mapping[str, str], mapping: Columns, number: int) -> str:
    if not mapping.kind:
        return "transfer"
    kind = mapping.kinds.get(said[mapping.kind])
    return kind or refuse(number, f"the kind {said[mapping.kind]!r} is not in the mapping", "add it under [kinds]")
