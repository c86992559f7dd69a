"""Statements and their lines, as people list them."""

from __future__ import annotations

from folding import fold
from oms_es.projections.finance import statement_lines, statements
from oms_es.schemas.finance import statement as f

LINE = f.StatementLine(
    kind="payment",
    booked_on="2026-01-05",
    amount_minor=970,
    fee_minor=30,
    references=("ch_1",),
    parts=(f.StatementPart(amount_minor=970),),
)


def test_a_statement_is_a_row_and_so_is_each_of_its_lines() -> None:
    recorded = f.StatementRecorded(
        account="stripe",
        statement_id="1",
        currency="EUR",
        format="stripe",
        opened_on="2026-01-01",
        closed_on="2026-01-31",
        booked_minor=970,
        line_count=2,
        document_sha256="0" * 64,
        fingerprint="f",
    )
    page = f.StatementLinesRecorded(account="stripe", statement_id="1", currency="EUR", first=3, lines=(LINE, LINE))
    (row,) = fold(statements.projection, recorded).values()
    assert row is not None
    assert (row["booked_minor"], row["opening_minor"], row["document_sha256"]) == (970, None, "0" * 64)
    rows = fold(statement_lines.projection, page)
    assert set(rows) == {("stripe", "1", 3), ("stripe", "1", 4)}
    line = rows["stripe", "1", 4]
    assert line is not None
    assert (line["amount_minor"], line["fee_minor"], line["references"], line["currency"]) == (970, 30, ["ch_1"], "EUR")
    assert line["parts"] == [{"amount_minor": 970, "references": [], "text": ""}]
