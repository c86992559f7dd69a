"""camt.053, the statement message of ISO 20022, in any of its versions.

Invariant: the direction of an entry is its own CdtDbtInd, never that of its charges; a reversal is marked, and does not
change the sign again. A batch without amounts of its parts stays one movement; if the parts have amounts, they sum to
the entry.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from oms_es.schemas.finance.statement import PARTS_MAX, StatementLine, StatementPart
from oms_es.schemas.values.currency import to_text
from oms_es.schemas.values.types import SHORT_NAME_LENGTH_MAX
from oms_es.statements.reading import (
    BYTES_MAX,
    Options,
    Statement,
    clean,
    currency_of,
    iso_day,
    line_of,
    references_of,
    refuse,
    require_few,
    unsigned_of,
)
from oms_es.statements.xml_tree import Element, parsed

SIGNS = {"CRDT": 1, "DBIT": -1}
OPENING, CLOSING = ("OPBD", "PRCD", "ITBD"), ("CLBD", "ITBD")
"""Codes of balances; the first that is there counts: in a statement of several pages, those in between are interim."""
PENDING = {"BOOK": False, "PDNG": True, "INFO": True, "FUTR": True}
REFERENCES = (
    "EndToEndId",
    "AcctSvcrRef",
    "InstrId",
    "TxId",
    "UETR",
    "PmtInfId",
    "MndtId",
    "ChqNb",
    "ClrSysRef",
    "MsgId",
)


class Balance(NamedTuple):
    day: str
    currency: str
    amount_minor: int


def read(content: bytes, _: Options) -> Sequence[Statement]:
    if not 0 < len(content) <= BYTES_MAX:
        refuse(None, f"a file has between 1 and {BYTES_MAX} bytes, this one has {len(content)}", "split the period")
    root = parsed(content)
    statements = list(root.all("BkToCstmrStmt/Stmt"))
    if not statements:
        refuse(root.line, "there is no BkToCstmrStmt/Stmt in it", "give a file in camt.053")
    return [_statement(one) for one in statements]


def _statement(stmt: Element) -> Statement:
    opening, closing = _balance(stmt, OPENING, last=False), _balance(stmt, CLOSING, last=True)
    currency = opening.currency
    if {closing.currency, stmt.says("Acct/Ccy") or currency} != {currency}:
        refuse(stmt.line, f"its balances and its account are not all in {currency}")
    lines = [_entry(entry, currency) for entry in stmt.all("Ntry")]
    require_few(lines)
    _require_count(stmt, lines)
    booked = sum(line.amount_minor for line in lines if not line.pending)
    if missing := closing.amount_minor - opening.amount_minor - booked:
        words = to_text(missing, currency)
        refuse(stmt.line, f"the opening balance and the entries do not sum to the closing one: {words} is missing")
    number = clean(stmt.says("Acct/Id/IBAN", "Acct/Id/Othr/Id"))
    began = stmt.says("FrToDt/FrDtTm", "FrToDt/FrDt")
    return Statement(
        format="camt.053",
        account_number=number,
        statement_id=clean(stmt.says("Id"))[:SHORT_NAME_LENGTH_MAX],
        currency=currency,
        opened_on=iso_day(began, stmt.line) if began else opening.day,
        closed_on=closing.day,
        opening_minor=opening.amount_minor,
        closing_minor=closing.amount_minor,
        lines=tuple(lines),
    )


def _balance(stmt: Element, codes: Sequence[str], *, last: bool) -> Balance:
    found = [(bal.says("Tp/CdOrPrtry/Cd"), bal) for bal in stmt.all("Bal")]
    for code in codes:
        of_code = [bal for its, bal in found if its == code]
        if of_code:
            bal = of_code[-1 if last else 0]
            day = bal.says("Dt/Dt", "Dt/DtTm")
            currency = _currency(bal)
            return Balance(iso_day(day, bal.line), currency, _sign(bal) * _amount(bal, currency))
    return refuse(stmt.line, f"there is no balance {' or '.join(codes)}, so it is not known to be whole")


def _currency(of: Element) -> str:
    amount = of.one("Amt")
    if amount is None:
        return refuse(of.line, f"{of.name} has no amount")
    return currency_of(amount.attributes.get("Ccy", ""), amount.line)


def _amount(of: Element, currency: str, path: str = "Amt") -> int:
    amount = of.one(path)
    if amount is None:
        return refuse(of.line, f"{of.name} has no amount")
    if amount.attributes.get("Ccy") != currency:
        refuse(amount.line, f"an amount is in {amount.attributes.get('Ccy')}, the account in {currency}")
    return unsigned_of(amount.text, currency, amount.line)


def _sign(of: Element) -> int:
    mark = of.says("CdtDbtInd")
    return SIGNS[mark] if mark in SIGNS else refuse(of.line, f"{of.name} says {mark!r}, not CRDT or DBIT")


def _require_count(stmt: Element, lines: Sequence[StatementLine]) -> None:
    count = stmt.says("TxsSummry/TtlNtries/NbOfNtries")
    if count and count != str(len(lines)):
        refuse(stmt.line, f"its summary counts {count} entries, and {len(lines)} are there")


def _entry(entry: Element, currency: str) -> StatementLine:
    status = entry.says("Sts/Cd") or entry.says("Sts")
    if status not in PENDING:
        refuse(entry.line, f"the entry has the status {status!r}, not BOOK or PDNG")
    sign = _sign(entry)
    minor = sign * _amount(entry, currency)
    details = list(entry.all("NtryDtls/TxDtls"))
    booked = entry.says("BookgDt/Dt", "BookgDt/DtTm") or entry.says("ValDt/Dt", "ValDt/DtTm")
    value = entry.says("ValDt/Dt", "ValDt/DtTm")
    own = [entry.says("AcctSvcrRef"), entry.says("NtryRef"), entry.says("NtryDtls/Btch/PmtInfId")]
    return line_of(
        entry.line,
        kind="transfer",
        line_id=clean(own[0] or own[1]),
        booked_on=iso_day(booked, entry.line),
        value_on=iso_day(value, entry.line) if value else None,
        amount_minor=minor,
        fee_minor=_charges(entry, currency),
        pending=PENDING[status],
        reversal=_is_reversal(entry),
        references=references_of(*own, *(one for part in details for one in _references(part))),
        parts=_parts(entry, details, sign, minor, currency),
        text=entry.says("AddtlNtryInf") or " ".join(_texts(details)),
        **_foreign(details, sign, currency),
    )


def _is_reversal(entry: Element) -> bool:
    said = entry.says("RvslInd") or "false"
    if said not in ("true", "1", "false", "0"):
        refuse(entry.line, f"the entry says {said!r} of its reversal, not true or false")
    return said in ("true", "1")


def _references(part: Element) -> Iterator[str]:
    yield from (part.says(f"Refs/{name}") for name in REFERENCES)
    yield from (one.text for one in part.all("RmtInf/Strd/CdtrRefInf/Ref"))


def _texts(details: Sequence[Element]) -> Iterator[str]:
    return (one.text for part in details for one in part.all("RmtInf/Ustrd"))


def _parts(
    entry: Element, details: Sequence[Element], sign: int, minor: int, currency: str
) -> tuple[StatementPart, ...]:
    """Return the parts of a batch if all have an amount in the account's currency; otherwise none, so that it stays
    one movement.
    """
    if not details[1:]:
        return ()
    if len(details) > PARTS_MAX:
        refuse(entry.line, f"an entry has at most {PARTS_MAX} parts, this one has {len(details)}", "ask for a list")
    parts = [(part, _part_amount(part, sign, currency)) for part in details]
    if any(amount is None for _, amount in parts):
        return ()
    total = sum(amount or 0 for _, amount in parts)
    if total != minor:
        words = to_text(minor - total, currency)
        refuse(entry.line, f"the parts of the entry do not sum to it: {words} is missing")
    return tuple(
        StatementPart(amount_minor=amount or 0, references=references_of(*_references(part))) for part, amount in parts
    )


def _part_amount(part: Element, sign: int, currency: str) -> int | None:
    """Return the amount of a part; None if it has none, or only one that was instructed in another currency."""
    own = _sign(part) if part.one("CdtDbtInd") else sign
    for path in ("Amt", "AmtDtls/TxAmt/Amt"):
        amount = part.one(path)
        if amount and amount.attributes.get("Ccy") == currency:
            return own * unsigned_of(amount.text, currency, amount.line)
    return None


def _charges(entry: Element, currency: str) -> int:
    """Return the charges that the bank withheld, if the entry is stated without them."""
    total = 0
    for record in entry.all("Chrgs/Rcrd"):
        amount = record.one("Amt")
        if amount and record.says("ChrgInclInd") in ("true", "1") and amount.attributes.get("Ccy") == currency:
            sign = -1 if record.says("CdtDbtInd") == "CRDT" else 1
            total += sign * unsigned_of(amount.text, currency, amount.line)
    return total


def _foreign(details: Sequence[Element], sign: int, currency: str) -> dict[str, Any]:
    """Return the amount that was instructed in another currency; it is information only."""
    amount = details[0].one("AmtDtls/InstdAmt/Amt") if len(details) == 1 else None
    code = amount.attributes.get("Ccy", "") if amount else ""
    if amount is None or code in ("", currency):
        return {}
    foreign = currency_of(code, amount.line)
    return {"foreign_minor": sign * unsigned_of(amount.text, foreign, amount.line), "foreign_currency": foreign}
