"""Finding numbers of payment cards inside other text, by issuer, length and check digit, so that none is stored.

Invariant: text that is no card's number stays as it is. Digits of any script count as a card's number if the first are
an issuer's, the length is one that this issuer uses, the check digit is right (ISO/IEC 7812-1, annex B), and the
characters between the digits are usual separators: no letter and no other digit, escaped or not. GTINs, tracking and
order numbers rarely meet all of that. One that does is masked in input that was rejected, is refused in texts that
people write, and is left alone everywhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from html import unescape
from itertools import accumulate, pairwise
from unicodedata import category, digit
from urllib.parse import unquote

ISSUERS: tuple[tuple[str, frozenset[int]], ...] = (
    (r"4", frozenset({13, 16, 19})),
    (r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", frozenset({16})),
    (r"3[47]", frozenset({15})),
    (r"30[0-5]|309|36|3[89]", frozenset({14, 16, 19})),
    (r"35(?:2[89]|[3-8])", frozenset({16, 17, 18, 19})),
    (r"6011|64[4-9]|65|62|60|81|220[0-4]|9792", frozenset({16, 17, 18, 19})),
    (r"82|508", frozenset({16})),
    (r"50(?:18|20|38)|5[678]|6304|67", frozenset({12, 13, 14, 15, 16, 17, 18, 19})),
)
"""First digits and lengths, as the schemes publish them: Visa, Mastercard, American Express, Diners Club, JCB, Discover
with UnionPay, RuPay, Mir and Troy, Maestro."""
FIRST_DIGITS_MAX = 4
"""How many digits identify an issuer at most."""
CARD_NUMBER_DIGITS = range(12, 20)
"""How many digits the number of a payment card has (ISO/IEC 7812)."""
SEPARATOR_MAX = 12
"""How many characters may be between two groups of digits."""
CHAIN = re.compile(rf"[0-9]+(?:[\W_]{{1,{SEPARATOR_MAX}}}[0-9]+)*")
GROUP = re.compile(r"[0-9]+")
QUIET_MAX = 2
QUIET = {"Zs", "Pd", "Cf", "Mn", "Me"}
"""Categories of Unicode for spaces, dashes, and characters without width of their own: they do not affect the
digits."""
QUIET_BYTES = "\t\x00\udca0\udcad\udc96\udc97"
"""Further characters of that kind: the NUL that UTF-16 has between digits, and spaces and dashes of other encodings."""
LISTING = re.compile(r"[,;\r\n\"']")
"""Characters between numbers that may form a list."""
GROUPINGS = {(4, 6, 5), (4, 6, 4), (4, 4, 5), (4, 3, 3, 3), (6, 13)}
"""The groups of digits as they are printed on cards whose groups differ in size."""
GROUP_MIN = 3
"""How many digits each group but the last must have: dates and times have groups with fewer."""
LISTED_GROUP_MIN = 4
GROUPS_APART_ALIKE_MIN = 3
"""How many groups there must be: two with a point between them are a decimal."""
UUID = re.compile(r"(?i)(?<![0-9a-z])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-z])")
OF_ADDRESSES = "(?:%[0-9a-fA-F]{2})+ |"
ESCAPED = r"""
    \\+u[dD][89abAB][0-9a-fA-F]{2}\\+u[dD][c-fC-F][0-9a-fA-F]{2}  # two of UTF-16, of JSON
    | \\+u[0-9a-fA-F]{4} | \\+U[0-9a-fA-F]{8} | \\+x[0-9a-fA-F]{2} | \\+[bfnrtv"'/] | \\+
    | &(?:\#[0-9]{1,7}|\#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,8});
"""
"""Escapes of JSON, also in a text within JSON, and of Python; of XML and HTML."""
READINGS = (re.compile(OF_ADDRESSES + ESCAPED, re.VERBOSE), re.compile(ESCAPED, re.VERBOSE))
"""Texts are read with the escapes of addresses and forms, and without: digits after a percent sign may belong to a
number."""
SEGMENT = re.compile(rf"(?:{OF_ADDRESSES} {ESCAPED} | [\d\W_])++", re.VERBOSE)
"""A text without letters, once its escapes are decoded."""
CONTROLS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
DOUBLED = str.maketrans("0123456789", "0246813579")
"""The digit sum of twice each digit."""
SHOWN_DIGITS = 4
MASK = "*"


def is_card_number(digits: str) -> bool:
    return len(digits) in _lengths(digits[:FIRST_DIGITS_MAX]) and has_check_digit(digits)


@cache
def _lengths(first_digits: str) -> frozenset[int]:
    """Return the lengths of the numbers that begin so; cached, as many numbers share an issuer."""
    return frozenset().union(*(lengths for first, lengths in ISSUERS if re.match(first, first_digits)))


def has_check_digit(digits: str) -> bool:
    """Return whether the last digit is the check digit of the others (ISO/IEC 7812-1, annex B)."""
    doubled = digits[-2::-2].translate(DOUBLED)
    return sum(map(int, digits[-1::-2] + doubled)) % 10 == 0


def digits_of(text: str) -> str:
    """Return the digits of a text, of any script, as ASCII digits."""
    return "".join(GROUP.findall(_with_plain_digits(text)))


def looks_like_a_card_number(text: str) -> bool:
    """Return whether the text is nothing but digits with a right check digit, in whatever groups, of any issuer."""
    read = ("".join(character for character, _ in _read(text, reading)) for reading in READINGS)
    return _is_one_number(text) or any(map(_is_one_number, read))


def _is_one_number(text: str) -> bool:
    digits = digits_of(text)
    if len(digits) not in CARD_NUMBER_DIGITS or any(one.isalnum() and not one.isdigit() for one in text):
        return False
    return has_check_digit(digits)


def has_card_number(text: str) -> bool:
    return masked(text) is not text


def masked(text: str) -> str:
    """Return the text with all but the last four digits of each card's number masked; without such a number, the text
    itself.
    """
    plain = _with_plain_digits(text)
    spans = {(place, place + 1) for place in _hidden(plain)}
    for segment in SEGMENT.finditer(plain):
        if len(segment.group()) >= CARD_NUMBER_DIGITS[0]:
            for reading in READINGS:
                spans.update(_hidden_in_escapes(segment.group(), segment.start(), reading))
    return _without(text, sorted(spans)) if spans else text


def _hidden_in_escapes(text: str, offset: int, reading: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    if not reading.search(text):
        return
    read = list(_read(text, reading))
    for place in _hidden(_with_plain_digits("".join(character for character, _ in read))):
        start, end = read[place][1]
        yield offset + start, offset + end


def masked_bytes(content: bytes) -> bytes:
    """Return bytes of any kind, UTF-8 or not, with masked card numbers; without such a number, the bytes themselves."""
    text = content.decode("utf-8", "surrogateescape")
    without = masked(text)
    return content if without is text else without.encode("utf-8", "surrogateescape")


def _without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    parts, done = [], 0
    for start, end in spans:
        if start >= done:
            parts += [text[done:start], MASK]
            done = end
    return "".join((*parts, text[done:]))


def _read(text: str, reading: re.Pattern[str]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield each character of the decoded text, and its place in the text as it is written."""
    done = 0
    for escape in reading.finditer(text):
        yield from ((text[place], (place, place + 1)) for place in range(done, escape.start()))
        start, done = escape.span()
        for character, length in _escaped(escape.group()):
            yield character, (start, start + length) if length else (start, done)
            start += length
    yield from ((text[place], (place, place + 1)) for place in range(done, len(text)))


def _escaped(escape: str) -> Iterator[tuple[str, int]]:
    """Yield the characters that an escape stands for, each with the length of its part; 0 for all of the escape."""
    if escape.startswith("%"):
        for one in unquote(escape, errors="surrogateescape"):
            yield one, 3 * len(one.encode("utf-8", "surrogateescape"))
    elif escape.startswith("&"):
        yield from ((one, 0) for one in unescape(escape))
    elif codes := re.findall(r"[uUx]([0-9a-fA-F]{2,8})", escape):
        units = b"".join(_utf16(int(code, 16)) for code in codes)
        yield units.decode("utf-16-be", "surrogatepass")[:1], 0
    else:
        named = escape.lstrip("\\")
        yield CONTROLS.get(named, named or "\\"), 0


def _utf16(code: int) -> bytes:
    return chr(min(code, 0x10FFFF)).encode("utf-16-be", "surrogatepass")


def _hidden(plain: str) -> set[int]:
    """Return the places of the digits that must not be stored."""
    hidden: set[int] = set()
    plain = UUID.sub(_uuid_masked, plain)
    for chain in CHAIN.finditer(plain):
        if chain.end() - chain.start() >= CARD_NUMBER_DIGITS[0]:
            groups = [one.span() for one in GROUP.finditer(plain, *chain.span())]
            hidden.update(_in_chain(plain, groups))
    return hidden


def _uuid_masked(uuid: re.Match[str]) -> str:
    """Replace a UUID by a word, unless it consists of digits alone: then it may be a number in groups."""
    written = uuid.group()
    return written if written.replace("-", "").isdigit() else "x" * len(written)


def _with_plain_digits(text: str) -> str:
    """Return the text with digits of all scripts as ASCII digits, character for character."""
    if text.isascii():
        return text
    return text.translate({ord(one): str(digit(one)) for one in set(text) if not one.isascii() and one.isdigit()})


def _in_chain(plain: str, groups: Sequence[tuple[int, int]]) -> Iterator[int]:
    """Yield the places to hide in a chain of groups.

    Other groups, such as a date or a code, may be beside a card's number, so every part of the chain is checked.
    """
    digits = "".join(plain[start:end] for start, end in groups)
    if len(digits) < CARD_NUMBER_DIGITS[0]:
        return
    ends = list(accumulate(end - start for start, end in groups))
    last_of, sums = {end: place for place, end in enumerate(ends)}, _check_sums(digits)
    for first, offset in enumerate((0, *ends[:-1])):
        for length in _lengths(digits[offset : offset + FIRST_DIGITS_MAX]):
            last = last_of.get(offset + length)
            if last is None or not _is_checked(sums, offset, offset + length):
                continue
            part = groups[first : last + 1]
            if _is_grouped_as_one(plain, part):
                yield from [place for one in part for place in range(*one)][:-SHOWN_DIGITS]


def _check_sums(digits: str) -> tuple[list[int], list[int]]:
    """Return the running sums of the digits with every second one doubled: those at even places, and those at odd
    places.

    The sum of any part is the difference of two running sums, so the time grows with the length of the text only.
    """
    as_is, doubled = list(map(int, digits)), list(map(int, digits.translate(DOUBLED)))
    even, odd = as_is.copy(), as_is.copy()
    even[::2], odd[1::2] = doubled[::2], doubled[1::2]
    return list(accumulate(even, initial=0)), list(accumulate(odd, initial=0))


def _is_checked(sums: tuple[list[int], list[int]], start: int, end: int) -> bool:
    """Return the check of `has_check_digit` for a part: the last digit is not doubled, the one before it is."""
    of = sums[end % 2]
    return (of[end] - of[start]) % 10 == 0


def _is_grouped_as_one(plain: str, groups: Sequence[tuple[int, int]]) -> bool:
    """Return whether groups of equal size, equal separators, or spaces and dashes suggest one number; dates, times,
    decimals and lists do not.
    """
    sizes = tuple(end - start for start, end in groups)
    between = [plain[end:start] for (_, end), (start, _) in pairwise(groups)]
    if sizes in GROUPINGS or all(map(_is_quiet, set(between))):
        return True
    is_list = any(LISTING.search(one) for one in between)
    if len(set(sizes[:-1])) == 1 and sizes[-1] <= sizes[0]:
        return sizes[0] >= (LISTED_GROUP_MIN if is_list else GROUP_MIN) or (sizes[0] == 1 and not is_list)
    return len(groups) >= GROUPS_APART_ALIKE_MIN and len(set(between)) == 1 and not is_list


def _is_quiet(between: str) -> bool:
    said = between.replace("\x00", "")
    return len(said) <= QUIET_MAX and all(one in QUIET_BYTES or category(one) in QUIET for one in said)
