"""Numbers of payment cards inside other text: found by issuer, length and check digit, so that they are kept nowhere.

Invariant: what is not a card's number stays as it is. A run of digits counts as one where its first digits are an
issuer's, its length is one that this issuer gives, and its check digit is right (ISO/IEC 7812-1, annex B). GTINs,
tracking and order numbers rarely are all three; where one is, it is masked in input that was rejected, and refused in
texts that people write, and nowhere else.
"""

from __future__ import annotations

import re

ISSUERS: tuple[tuple[str, frozenset[int]], ...] = (
    (r"4", frozenset({13, 16, 19})),
    (r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", frozenset({16})),
    (r"3[47]", frozenset({15})),
    (r"30[0-5]|309|36|3[89]", frozenset({14, 16, 19})),
    (r"35(?:2[89]|[3-8])", frozenset({16, 17, 18, 19})),
    (r"6011|64[4-9]|65|62|60|81|82|508|220[0-4]|9792", frozenset({16, 17, 18, 19})),
    (r"50(?:18|20|38)|5[678]|6304|67", frozenset({12, 13, 14, 15, 16, 17, 18, 19})),
)
"""First digits and lengths, as the schemes publish them: Visa, Mastercard, American Express, Diners Club, JCB, Discover
with UnionPay, RuPay, Mir and Troy, Maestro."""
SEPARATOR = r"(?:[ \t\-\x00]|\xc2\xa0|\xe2\x80[\x90-\x95]|\xa0){0,2}"
"""Between two digits; NUL is what UTF-16 has there. Written over bytes, one character each."""
RUN = re.compile(rf"(?<![0-9])[0-9](?:{SEPARATOR}[0-9]){{11,18}}(?![0-9])")
SHOWN_DIGITS = 4
MASK = "*"


def is_card_number(digits: str) -> bool:
    if not any(len(digits) in lengths and re.match(first, digits) for first, lengths in ISSUERS):
        return False
    return has_check_digit(digits)


def has_check_digit(digits: str) -> bool:
    """Whether the last digit is the one that follows from the others (ISO/IEC 7812-1, annex B)."""
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(sum(divmod(n, 10)) for n in doubled) % 10 == 0


def has_card_number(text: str) -> bool:
    return masked(text) != text


def masked(text: str) -> str:
    """All but the last four digits of each card's number are masked; what has none is given back itself."""
    kept = masked_bytes(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")
    return text if kept == text else kept


def masked_bytes(content: bytes) -> bytes:
    """In bytes of any kind, UTF-8 or not."""
    return RUN.sub(_masked_run, content.decode("latin-1")).encode("latin-1")


def _masked_run(run: re.Match[str]) -> str:
    """A card's number may stand beside other digits, as a date or a code does: the longest that is one is masked."""
    text = run.group()
    places = [place for place, character in enumerate(text) if character.isascii() and character.isdigit()]
    digits = "".join(text[place] for place in places)
    for length in range(len(digits), 11, -1):
        for first in range(len(digits) - length + 1):
            if _stands_alone(places, first, length) and is_card_number(digits[first : first + length]):
                hidden = set(places[first : first + length - SHOWN_DIGITS])
                return "".join(MASK if place in hidden else character for place, character in enumerate(text))
    return text


def _stands_alone(places: list[int], first: int, length: int) -> bool:
    """Whether something stands between it and the digits before and after it."""
    last = first + length - 1
    before = first == 0 or places[first] - places[first - 1] > 1
    after = last == len(places) - 1 or places[last + 1] - places[last] > 1
    return before and after
