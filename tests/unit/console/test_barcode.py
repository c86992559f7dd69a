"""Code 128 is decoded as a scanner reads it: from the widths of bars and spaces back to the text."""

from __future__ import annotations

import pytest

from oms_es.console.pages.desks.barcode import CHARACTERS_MAX, PATTERNS, QUIET, START_B, STOP, Bars, code_128


def scanned(drawn: Bars) -> tuple[str, int]:
    """Return the text and the check symbol."""
    widths: list[int] = []
    at = QUIET
    for x, wide in drawn.bars:
        widths += [x - at, wide] if widths else [wide]
        at = x + wide
    assert at + QUIET == drawn.width
    symbols = "".join(map(str, widths))
    assert symbols.endswith(STOP)
    values = [PATTERNS.index(symbols[n : n + 6]) for n in range(0, len(symbols) - len(STOP), 6)]
    assert values[0] == START_B
    assert values[-1] == (START_B + sum(n * value for n, value in enumerate(values[1:-1], 1))) % 103
    return "".join(chr(value + 32) for value in values[1:-1]), values[-1]


def test_the_table_of_symbols_is_that_of_the_standard() -> None:
    assert len(set(PATTERNS)) == len(PATTERNS) == 106
    for pattern in PATTERNS:
        widths = [int(one) for one in pattern]
        assert (len(widths), sum(widths)) == (6, 11)
        assert sum(widths[::2]) % 2 == 0, "the bars of a symbol are an even number of modules"


@pytest.mark.parametrize(
    "text", ["Wikipedia", "a", "05a29a92-bfc4-57a4-8fa7-13d34e9e8c3e.1", " ~!", "x" * CHARACTERS_MAX]
)
def test_what_is_drawn_reads_as_the_text(text: str) -> None:
    drawn = code_128(text)
    assert drawn is not None
    assert scanned(drawn)[0] == text


def test_the_check_symbol_is_that_of_a_known_barcode() -> None:
    drawn = code_128("Wikipedia")
    assert drawn is not None
    assert scanned(drawn)[1] == 88


@pytest.mark.parametrize("text", ["", "é", "a\n", "x" * (CHARACTERS_MAX + 1), "\x7f"])
def test_what_no_scanner_would_read_is_not_drawn(text: str) -> None:
    assert code_128(text) is None
