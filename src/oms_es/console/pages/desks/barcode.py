"""Code 128 barcodes as shapes, for scanners to read from a printed list.

Pure: a text to bars. ISO/IEC 15417, code set B, which has all printable ASCII characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

PATTERNS = (  # noqa: SIM905 - a table of 106 is read more easily so
    "212222 222122 222221 121223 121322 131222 122213 122312 132212 221213 221312 231212 112232 122132 122231 113222 "
    "123122 123221 223211 221132 221231 213212 223112 312131 311222 321122 321221 312212 322112 322211 212123 212321 "
    "232121 111323 131123 131321 112313 132113 132311 211313 231113 231311 112133 112331 132131 113123 113321 133121 "
    "313121 211331 231131 213113 213311 213131 311123 311321 331121 312113 312311 332111 314111 221411 431111 111224 "
    "111422 121124 121421 141122 141221 112214 112412 122114 122411 142112 142211 241211 221114 413111 241112 134111 "
    "111242 121142 121241 114212 124112 124211 411212 421112 421211 212141 214121 412121 111143 111341 131141 114113 "
    "114311 411113 411311 113141 114131 311141 411131 211412 211214 211232"
).split()
START_B, STOP = 104, "2331112"
FIRST, LAST = 32, 126
QUIET = 10
"""Modules of white space on either side."""
CHARACTERS_MAX = 64


class Bars(NamedTuple):
    """A barcode in modules: the start and width of each bar, and the total width."""

    width: int
    bars: Sequence[tuple[int, int]]


def code_128(text: str) -> Bars | None:
    """Return the bars of the text, or None if it has other characters or is too long for a list."""
    if not text or len(text) > CHARACTERS_MAX or not all(FIRST <= ord(one) <= LAST for one in text):
        return None
    values = [ord(one) - FIRST for one in text]
    check = (START_B + sum(place * value for place, value in enumerate(values, 1))) % 103
    widths = "".join(PATTERNS[value] for value in (START_B, *values, check)) + STOP
    at, bars = QUIET, []
    for number, width in enumerate(map(int, widths)):
        if number % 2 == 0:
            bars.append((at, width))
        at += width
    return Bars(at + QUIET, bars)
