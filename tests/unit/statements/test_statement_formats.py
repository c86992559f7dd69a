"""Every format says of generated movements what they are, or is refused: never something else.

The files are written by code that shares nothing with the readers; where a healthy second reader exists, it agrees.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any

import mt940
import pytest
from pycamt.parser import Camt053Parser  # type: ignore[import-untyped] # it has none

from oms_es.kernel import BadInput
from oms_es.schemas.finance.statement import StatementLine
from oms_es.statements import FORMATS
from oms_es.statements.reading import Options, Statement
from oms_es.statements.xml_tree import ELEMENTS_MAX, parsed
from statement_files import WRITTEN, Movement, Written, movements
from statement_files import camt053 as written_camt
from statement_files import mt940 as written_mt940

SEEDS = range(12)
MUTANTS = 150
"""Of each format."""


def read(written: Written, content: bytes) -> Sequence[Statement]:
    return FORMATS[written.format](content, Options(mapping=written.mapping))


def only(written: Written, content: bytes) -> Statement:
    (statement,) = read(written, content)
    return statement


def money(lines: Sequence[StatementLine]) -> list[tuple[int, int, bool]]:
    return [(line.amount_minor, line.fee_minor, line.pending) for line in lines]


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_read_is_what_was_written(name: str) -> None:
    written = WRITTEN[name]
    for seed in SEEDS:
        found = movements(seed)
        statement = only(written, written.write(found))
        expected = [(one.net if written.nets else one.gross, one.fee if written.nets else 0, False) for one in found]
        assert money(statement.lines) == expected
        assert [line.booked_on for line in statement.lines] == [one.day.isoformat() for one in found]
        for line, one in zip(statement.lines, found, strict=True):
            assert any(one.reference in reference for reference in line.references)
        assert all(line.gross_minor == one.gross for line, one in zip(statement.lines, found, strict=True))
        if written.balances:
            assert statement.opening_minor == 100_000
            assert statement.closing_minor == 100_000 + sum(one.gross for one in found)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_changed_file_is_refused_or_says_the_same_money(name: str) -> None:
    """Bytes replaced, dropped and doubled, lines dropped, doubled and cut off."""
    written = WRITTEN[name]
    chance = Random(name)
    content = written.write(movements(3))
    before = only(written, content).lines
    refused = 0
    for _ in range(MUTANTS):
        mutant = mutated(content, chance)
        try:
            statements = read(written, mutant)
        except BadInput as error:
            assert str(error).startswith("bad_statement: ")
            refused += 1
            continue
        lines = [line for statement in statements for line in statement.lines]
        match written.proves:
            case "everything":
                assert money(lines) == money(before), mutant
            case "gross":  # nothing sums the fees of such a file up
                assert [line.gross_minor for line in lines] == [line.gross_minor for line in before], mutant
            case "lines":  # each line proves itself, and nothing says how many there are
                left = iter(money(before))
                assert all(one in left for one in money(lines)), mutant
    assert refused > MUTANTS // 4


def mutated(content: bytes, chance: Random) -> bytes:
    place = chance.randrange(len(content))
    lines = content.splitlines(keepends=True)
    number = chance.randrange(len(lines))
    match chance.randrange(6):
        case 0:
            return content[:place] + bytes([chance.randrange(256)]) + content[place + 1 :]
        case 1:
            return content[:place] + content[place + 1 :]
        case 2:
            return content[:place] + str(chance.randrange(10)).encode() + content[place + 1 :]
        case 3:
            return content[:place]
        case 4 if len(lines) > 3:
            return b"".join(lines[:number] + lines[number + 1 :])
        case _:
            return b"".join(lines[: number + 1] + lines[number:])


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
@pytest.mark.parametrize("content", [b"", b"\x00", b"\xff\xfea", b"\n", b"a", b"\x1f\x8b", b"<a/>", b",,,\n", b"`\n`"])
def test_what_is_no_statement_is_refused(written: Written, content: bytes) -> None:
    with pytest.raises(BadInput):
        read(written, content)


def test_mt940_agrees_with_a_second_reader() -> None:
    """The sign of RD is left out, as that reader leaves it to its user."""
    for seed in SEEDS:
        content = written_mt940(movements(seed))
        lines = only(WRITTEN["mt940"], content).lines
        second = mt940.parse(io.StringIO(content.decode()))
        theirs: list[Any] = [one.data for one in second]
        assert [abs(line.amount_minor) for line in lines] == [abs(int(one["amount"].amount * 100)) for one in theirs]
        assert [line.booked_on for line in lines] == [str(one["entry_date"]) for one in theirs]
        assert [line.reversal for line in lines] == [one["status"].startswith("R") for one in theirs]


def test_camt_agrees_with_a_second_reader() -> None:
    for seed in SEEDS:
        content = written_camt(movements(seed))
        lines = only(WRITTEN["camt.053"], content).lines
        theirs = Camt053Parser(content).get_transactions()
        assert [abs(line.amount_minor) for line in lines] == [int(abs(Decimal(str(t["Amount"]))) * 100) for t in theirs]
        assert [line.amount_minor > 0 for line in lines] == [t["CreditDebitIndicator"] == "CRDT" for t in theirs]
        assert [line.references[0] for line in lines] == [t["EndToEndId"] for t in theirs]


def mt940_of(*entries: str, opening: str = "C251230EUR10,00", closing: str) -> bytes:
    return "\n".join([":20:X", ":25:ACC", ":28C:7", f":60F:{opening}", *entries, f":62F:{closing}", "-"]).encode()


@pytest.mark.parametrize(
    ("mark", "closing", "amount", "reversal"),
    [
        ("C", "C260102EUR15,00", 500, False),
        ("D", "C260102EUR5,00", -500, False),
        ("RC", "C260102EUR5,00", -500, True),
        ("RD", "C260102EUR15,00", 500, True),
        ("CR", "C260102EUR15,00", 500, False),
        ("RDR", "C260102EUR15,00", 500, True),
    ],
)
def test_the_sign_of_an_entry_is_that_of_its_mark(mark: str, closing: str, amount: int, *, reversal: bool) -> None:
    content = mt940_of(f":61:2512310102{mark}5,NTRFNONREF", closing=closing)
    (line,) = only(WRITTEN["mt940"], content).lines
    assert (line.amount_minor, line.reversal, line.references) == (amount, reversal, ())
    assert (line.value_on, line.booked_on) == ("2025-12-31", "2026-01-02")


def test_each_account_of_a_file_is_a_statement_of_its_own() -> None:
    other = mt940_of(":61:260101D1,NTRFA", opening="D260101USD1,00", closing="D260131USD2,00").replace(
        b"ACC", b"SECOND"
    )
    statements = read(WRITTEN["mt940"], mt940_of(closing="C251230EUR10,00") + b"\n" + other)
    assert [(one.account_number, one.currency, one.closing_minor) for one in statements] == [
        ("ACC", "EUR", 1000),
        ("SECOND", "USD", -200),
    ]


def test_a_statement_that_does_not_add_up_is_refused_with_the_difference() -> None:
    with pytest.raises(BadInput, match=r"line 6: .* 1.00 EUR is missing"):
        read(WRITTEN["mt940"], mt940_of(":61:260101C5,NTRFA", closing="C260101EUR16,00"))


def camt_of(entries: str, closing: str = "110.00") -> bytes:
    found = [Movement(date(2026, 1, 5), 1_000, 0, "e2e", "x")]
    whole = written_camt(found, 10_000).decode()
    begin, _, rest = whole.partition("<Ntry>")
    _, _, end = rest.rpartition("</Ntry>")
    return (begin + entries + end).replace("110.00", closing).encode()


ENTRY = (
    "<Ntry><Amt Ccy='EUR'>{amount}</Amt><CdtDbtInd>CRDT</CdtDbtInd>{more}<Sts>{status}</Sts>"
    "<BookgDt><DtTm>2026-01-05T23:30:00+01:00</DtTm></BookgDt><NtryDtls>{details}</NtryDtls></Ntry>"
)
PART = "<TxDtls><Refs><EndToEndId>{ref}</EndToEndId></Refs>{amount}</TxDtls>"


def entry(amount: str = "10.00", status: str = "BOOK", more: str = "", details: str = "") -> str:
    return ENTRY.format(amount=amount, status=status, more=more, details=details)


def test_a_pending_entry_waits_and_a_reversal_turns_no_sign_again() -> None:
    more = "<RvslInd>true</RvslInd>"
    lines = only(WRITTEN["camt.053"], camt_of(entry(more=more) + entry("5.00", "PDNG"))).lines
    assert [(line.amount_minor, line.reversal, line.pending) for line in lines] == [
        (1_000, True, False),
        (500, False, True),
    ]
    assert lines[0].booked_on == "2026-01-05"


def test_a_batch_is_its_parts_or_one_movement_with_several_references() -> None:
    amounts = ["<Amt Ccy='EUR'>4.00</Amt>", "<AmtDtls><TxAmt><Amt Ccy='EUR'>6.00</Amt></TxAmt></AmtDtls>"]
    with_amounts = "".join(PART.format(ref=ref, amount=amount) for ref, amount in zip("ab", amounts, strict=True))
    (line,) = only(WRITTEN["camt.053"], camt_of(entry(details=with_amounts))).lines
    assert [(part.amount_minor, part.references) for part in line.parts] == [(400, ("a",)), (600, ("b",))]
    foreign = "<AmtDtls><InstdAmt><Amt Ccy='USD'>12.00</Amt></InstdAmt></AmtDtls>"
    without = "".join(PART.format(ref=ref, amount=foreign) for ref in "ab")
    (line,) = only(WRITTEN["camt.053"], camt_of(entry(details=without))).lines
    assert (line.parts, line.references, line.amount_minor) == ((), ("a", "b"), 1_000)
    (line,) = only(WRITTEN["camt.053"], camt_of(entry(details=PART.format(ref="a", amount=foreign)))).lines
    assert (line.foreign_minor, line.foreign_currency, line.amount_minor) == (1_200, "USD", 1_000)
    with pytest.raises(BadInput, match=r"parts of the entry do not sum to it: 1.00 EUR is missing"):
        read(WRITTEN["camt.053"], camt_of(entry(details=with_amounts.replace("4.00", "3.00"))))


@pytest.mark.parametrize(
    "bad",
    [
        entry("10.001"),
        entry("1e1"),
        entry("-10.00"),
        entry(status="XXXX"),
        entry(more="<RvslInd>maybe</RvslInd>"),
        entry().replace("CRDT", "CRDX"),
        entry().replace("EUR", "USD"),
        entry().replace("2026-01-05T", "2026-13-05T"),
    ],
)
def test_an_entry_that_is_not_certain_is_refused(bad: str) -> None:
    with pytest.raises(BadInput):
        read(WRITTEN["camt.053"], camt_of(bad))


def test_xml_with_a_document_type_or_without_an_end_is_refused() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>'
    for content in (bomb, b"<a>" * 10_000, b"<a><b></a>"):
        with pytest.raises(BadInput):
            read(WRITTEN["camt.053"], content)


def test_xml_of_more_elements_than_memory_is_set_aside_for_is_refused() -> None:
    content = b"<a>" + b"<b/>" * ELEMENTS_MAX + b"</a>"
    with pytest.raises(BadInput, match="400,000 elements; split the period"):
        parsed(content)
    with pytest.raises(BadInput, match="within each other"):
        parsed(b"<a>" * 61 + b"</a>" * 61)


def test_a_fee_with_a_fraction_of_a_fen_is_kept_as_it_was_sent() -> None:
    content = WRITTEN["wechat-trade"].write([Movement(date(2026, 1, 5), 1_000, 6, "o-1", "tea")])
    fraction = content.replace(b"`0.06000", b"`0.05600")
    (line,) = only(WRITTEN["wechat-trade"], fraction).lines
    assert (line.fee_minor, line.fee_exact, line.amount_minor) == (6, "0.05600", 994)
    assert line.happened_at is not None
    assert line.happened_at.isoformat() == "2026-01-05T10:30:00+08:00"


def test_a_refund_that_is_not_done_is_pending() -> None:
    content = WRITTEN["wechat-trade"].write([Movement(date(2026, 1, 5), -1_000, 0, "o-1", "tea")])
    (line,) = only(WRITTEN["wechat-trade"], content.replace(b"`SUCCESS,", b"`PROCESSING,")).lines
    assert (line.kind, line.pending, line.amount_minor) == ("refund", True, -1_000)


def test_currencies_are_never_added() -> None:
    content = WRITTEN["stripe"].write(movements(1, 4)).replace(b",eur,", b",usd,", 1)
    assert [one.currency for one in read(WRITTEN["stripe"], content)] == ["EUR", "USD"]
    mixed = WRITTEN["csv"].mapping or ""
    mixed = mixed.replace('currency = "EUR"', 'currency_column = "Text"').replace('balance = "Saldo"', "")
    lines = [
        "Buchung;Wert;Betrag;Saldo;Referenz;Text",
        *(f"05.01.2026;05.01.2026;1,00;;r;{code}" for code in ("EUR", "USD")),
    ]
    with pytest.raises(BadInput, match="one file per currency"):
        FORMATS["csv"]("\n".join(lines).encode(), Options(mapping=mixed))


def test_a_text_is_read_in_its_encoding_or_refused() -> None:
    for name, encoding in (("mt940", "gb18030"), ("csv", "gb18030"), ("csv", "latin-1")):
        written = WRITTEN[name]
        found = [Movement(date(2026, 1, 5), 1_000, 0, "r", "Müller" if encoding == "latin-1" else "茶杯")]
        content = written.write(found).decode().encode(encoding)
        (statement,) = FORMATS[written.format](content, Options(encoding, written.mapping))
        assert found[0].text in statement.lines[0].text
        with pytest.raises(BadInput, match="--encoding"):
            read(written, content)


@pytest.mark.parametrize("mapping", [None, "", "a = ", 'date = "x"', 'date = "d"\namount = "a"\ncredit = "c"'])
def test_a_mapping_that_does_not_say_enough_is_refused(mapping: str | None) -> None:
    with pytest.raises(BadInput, match="mapping"):
        FORMATS["csv"](b"d,a\n", Options(mapping=mapping))


def test_no_card_number_is_kept_of_a_text() -> None:
    found = [Movement(date(2026, 1, 5), 1_000, 0, "r", "card 4242424242424242")]
    for name in ("mt940", "camt.053", "csv", "stripe", "wechat-trade", "wechat-fund", "alipay-trade", "paypal"):
        with suppress(BadInput):
            (line,) = only(WRITTEN[name], WRITTEN[name].write(found)).lines
            assert "424242424242" not in line.text
