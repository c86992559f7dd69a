"""A statement opens with the closing balance of the one before it; if it does not, the difference is named."""

from __future__ import annotations

from random import Random

from oms_es.matching.chain import Ends, balance_breaks

JANUARY = Ends("EUR", "2026-01-01", "2026-01-31", "jan", 0, 500)
FEBRUARY = Ends("EUR", "2026-01-31", "2026-02-28", "feb", 500, 900)
MARCH = Ends("EUR", "2026-03-01", "2026-03-31", "mar", 900, 700)


def found(*statements: Ends) -> list[tuple[str, int]]:
    breaks = list(balance_breaks(statements))
    mixed = list(statements)
    Random(1).shuffle(mixed)
    assert list(balance_breaks(mixed)) == breaks
    return [(one.day, one.amount_minor) for one in breaks]


def test_statements_that_follow_each_other_have_no_break() -> None:
    assert found(JANUARY, FEBRUARY, MARCH) == []
    assert found(MARCH) == []
    dollars = FEBRUARY._replace(currency="USD", opening_minor=7)
    assert found(JANUARY, FEBRUARY, dollars) == []


def test_a_statement_that_is_missing_or_was_changed_is_found_with_the_difference() -> None:
    assert found(JANUARY, MARCH) == [("2026-03-01", 400)]
    assert found(JANUARY, FEBRUARY._replace(opening_minor=499), MARCH) == [("2026-01-31", -1)]
    (one,) = balance_breaks([JANUARY, MARCH])
    assert one.detail == "mar opens with 9.00 EUR, jan before it closed with 5.00 EUR"


def test_several_statements_of_a_day_follow_each_other_in_any_order() -> None:
    first = Ends("EUR", "2026-02-01", "2026-02-01", "z", 500, 600)
    second = Ends("EUR", "2026-02-01", "2026-02-01", "a", 600, 650)
    next_day = Ends("EUR", "2026-02-02", "2026-02-02", "b", 650, 660)
    assert found(JANUARY, first, second, next_day) == []
    assert found(JANUARY, first, second._replace(opening_minor=601), next_day) == [("2026-02-01", 101)]


def test_the_same_month_by_days_and_as_a_whole_agrees() -> None:
    days = [Ends("EUR", f"2026-01-{n:02}", f"2026-01-{n:02}", f"d{n}", n, n + 1) for n in range(1, 31)]
    whole = Ends("EUR", "2026-01-01", "2026-01-30", "whole", 1, 31)
    assert found(*days, whole, Ends("EUR", "2026-01-31", "2026-01-31", "last", 31, 40)) == []
