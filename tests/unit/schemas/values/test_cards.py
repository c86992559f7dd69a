"""A card number is found wherever it stands, and other numbers are left as they are."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import combinations
from typing import Annotated, Any, get_args
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError, create_model

from oms_es.app import DECIDERS
from oms_es.door import brought_in
from oms_es.kernel import Command, Message, SystemCommand
from oms_es.schemas.operations.exception import AssignException, ResolveException
from oms_es.schemas.order import HoldOrder, RetryPayment
from oms_es.schemas.shipment import RecordMilestone
from oms_es.schemas.values.cards import (
    MASK,
    _check_sums,
    _is_checked,
    has_card_number,
    has_check_digit,
    looks_like_a_card_number,
    masked,
    masked_bytes,
)
from oms_es.schemas.values.types import NAMED_OR_NOT, PlainText
from oms_es.store.dead_letters import MASKED, DeadLetter, without_card_numbers

NUMBER = "4111111111111111"
CARDS = (NUMBER, "5555555555554444", "2223003122003222", "378282246310005", "6011111111111117", "30569309025904")
"""Published test numbers."""
OTHERS = (
    "4111111111111112",  # another check digit
    "00012345678905",  # GTIN-14
    "1Z999AA10123456784",  # a tracking number
    "9400111899223100001234",  # 22 digits
    "1234567890123456",
    "2026-01-01T12:00:00.000000Z",
    "+49 30 1234567",
)


@pytest.mark.parametrize("number", CARDS)
@pytest.mark.parametrize("apart", ["", " ", "-", "\u00a0", "\u2013"])
def test_a_number_is_masked_however_it_is_grouped_and_whatever_stands_around_it(number: str, apart: str) -> None:
    grouped = apart.join(number[i : i + 4] for i in range(0, len(number), 4))
    text = masked(f"card:{grouped}, expires 12/29")
    assert number[:-4] not in "".join(c for c in text if c.isdigit())
    assert text.startswith("card:*")
    assert text.endswith(", expires 12/29")
    assert number[-2:] in text
    assert number[:8] not in "".join(c for c in masked(f"{grouped} 1229 123") if c.isdigit())


REPEATED = (
    *("4 1 ", "4-", "4", "4,\n", "4111 ", "\u0664 ", "4....", "1 "),
    *("%34", "&#52;", "4 1\\u0020", "\\\\", "\\u", "%", "&#"),
)
"""Of which each place, or each other one, could be where a number begins."""
REPEATED_LENGTH = 300_000
HANGS_SECONDS = 60
"""All take one together. A pattern that looks from each place to the end of the text takes minutes for one of them."""


def looked_at(text: str) -> int:
    """Return the number of Python and C function calls that the search makes."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        masked(text)
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("repeated", REPEATED)
def test_twice_as_long_a_text_is_twice_as_much_to_look_at(repeated: str) -> None:
    times = 4_000 // len(repeated)
    masked(repeated)  # what is computed once
    assert looked_at(repeated * times * 2) <= 2.1 * looked_at(repeated * times) + 50


@pytest.mark.timeout(HANGS_SECONDS)
def test_a_long_text_of_nothing_but_digits_and_what_is_between_them_ends() -> None:
    for repeated in ("1-", "%33", "1\\"):
        text = repeated * (REPEATED_LENGTH // len(repeated))
        assert masked(text) is text


@pytest.mark.parametrize("digits", ["0", "7", "18", "4111111111111111", "123456789012345678901"])
def test_the_check_digit_of_every_part_is_found_from_sums(digits: str) -> None:
    sums = _check_sums(digits)
    for start, end in combinations(range(len(digits) + 1), 2):
        assert _is_checked(sums, start, end) == has_check_digit(digits[start:end])


@pytest.mark.parametrize("other", OTHERS)
def test_what_is_no_card_number_stays_as_it_is(other: str) -> None:
    assert masked(other) == other


SEPARATORS = "".join(map(chr, [*range(0x20, 0x30), 0x3A, 0x5B, 0x5D, 0x5F, 0x7C, 9, 10, 13, 0xA0, 0xAD, 0x200B])) + (
    "\u2007\u2010\u2011\u2012\u2013\u2014\u202f\u2060\u3000\ufe0f\ufeff\uff0d\uff0e\u00b7\u2022"
)
ZEROS = "0\u0660\u06f0\u0966\u0e50\uff10\U0001d7ce"
ESCAPES: tuple[Callable[[str], str], ...] = (
    lambda text: text,
    json.dumps,
    lambda text: json.dumps(json.dumps({"in": text})),
    lambda text: "".join(f"\\u{unit:04X}" for unit in memoryview(text.encode("utf-16-le")).cast("H")),
    lambda text: quote(text, safe=""),
    lambda text: "".join(f"&#{ord(one)};" for one in text),
    lambda text: "".join(f"&#x{ord(one):x};" for one in text),
)


@given(
    st.sampled_from(CARDS),
    st.lists(st.text(SEPARATORS, max_size=8), min_size=3, max_size=3),
    st.sampled_from(ZEROS),
    st.sampled_from(ESCAPES),
)
@example(NUMBER, ["\n"] * 3, "0", ESCAPES[1])
@example(NUMBER, ["\r%"] * 3, "0", ESCAPES[1])
def test_a_number_is_found_whatever_is_between_its_groups_in_any_script_and_escaped(
    number: str, apart: list[str], zero: str, escape: Callable[[str], str]
) -> None:
    groups = [number[at : at + 4] for at in range(0, len(number), 4)]
    if not all(apart):
        apart = [apart[0]] * 3  # groups of other sizes are found where they are alike apart
    text = groups[0] + "".join(map("".join, zip(apart, groups[1:], strict=True)))
    written = escape(text.translate({0x30 + digit: ord(zero) + digit for digit in range(10)}))
    letter = without_card_numbers(DeadLetter("s", "1", "canonical", f"a {written} b".encode(), "bad", written))
    assert letter.payload.count(MASK.encode()) >= len(number) - 4
    assert letter.detail.endswith(MASKED)
    assert letter.detail.count(MASK) >= len(number) - 4
    assert looks_like_a_card_number(text)
    assert written not in letter.payload.decode()


@pytest.mark.parametrize(
    "plain",
    [
        "8f14e45f-4716-4465-8123-446655440000",
        "30.09.2026 12:00:02",
        "2026-01-05 12:00:00.411111 2026-01-05 12:00:00.111111",
        "52.520008, 13.404954",
        "[41, 11, 11, 11, 11, 11, 11, 11]",
        "gid://shopify/Order/820982911946154508",
    ],
)
def test_dates_places_lists_and_names_are_no_card_number(plain: str) -> None:
    assert masked(plain) is plain


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_without_one_stay_as_they_came(content: bytes) -> None:
    assert b"*" in masked_bytes(content) or masked_bytes(content) is content


@pytest.mark.parametrize(
    "written", ["4111\u00a01111\u00a01111\u00a01111", "4111.1111/1111_1111", "pan 4111111111111111"]
)
def test_a_token_is_no_card_number_however_it_is_written(written: str) -> None:
    with pytest.raises(ValidationError, match="looks like a card number"):
        RetryPayment(order_id="o", payment_token=written)


@pytest.mark.parametrize(
    "payload",
    [
        json.dumps({"payment": {"notes": [f"paid with {NUMBER}"]}}).encode(),
        b'{"token": %s}' % NUMBER.encode(),
        b"\xff\xfe\x80" + NUMBER.encode(),
        NUMBER.encode("utf-16-le"),
        gzip.compress(NUMBER.encode()),
    ],
    ids=["nested", "a number", "no text", "utf-16", "gzip"],
)
def test_nothing_of_it_is_in_a_dead_letter_which_says_so(payload: bytes) -> None:
    headers = [("key", NUMBER.encode()), (NUMBER, None)]
    letter = without_card_numbers(DeadLetter("s", "1", "canonical", payload, "bad", f"not {NUMBER}", headers))
    kept = repr(letter).replace("\\x00", "")
    assert NUMBER not in kept
    assert MASKED in letter.detail
    if payload.startswith(b"\x1f\x8b"):
        assert b"1111" in letter.payload


def test_a_dead_letter_without_any_is_left_as_it_is() -> None:
    letter = DeadLetter("s", "1", "canonical", gzip.compress(b"{}"), "bad", "no JSON", [("a", b"\xff")])
    assert without_card_numbers(letter) == letter
    assert masked_bytes(bytes(range(256))) == bytes(range(256))


def test_what_a_person_writes_has_none() -> None:
    with pytest.raises(ValidationError, match="never kept here") as refused:
        HoldOrder(order_id="o", kind="manual", note=f"card {NUMBER}")
    assert refused.value.error_count() == 1


def free_texts(command: type[Command]) -> Iterator[tuple[str, Any]]:
    """Return the fields that people fill with free text."""
    for name, field in command.model_fields.items():
        if WORDS in field.metadata and NAMED_OR_NOT not in field.metadata:
            yield f"{command.__name__}.{name}", Annotated[(field.annotation, *field.metadata)]


WORDS = get_args(PlainText)[1]
TEXTS = dict(
    text
    for decider in DECIDERS
    for command in decider.accepts
    if not issubclass(command, SystemCommand)
    for text in free_texts(command)
)


@pytest.mark.parametrize("field", TEXTS)
def test_no_words_of_any_command_keep_one(field: str) -> None:
    fields: Any = {"text": (TEXTS[field], ...)}
    shape = create_model("Free", __base__=Message, **fields)
    with suppress(ValidationError):
        assert NUMBER not in brought_in(shape.model_validate({"text": f"card {NUMBER}"})).model_dump_json()


def test_what_an_exception_said_is_kept_without_one_and_can_be_resolved() -> None:
    """The sentence may quote a tracking number that looks like a card number."""
    resolved = ResolveException(
        exception_id="booking_failed/s",
        raised_at=datetime(2026, 1, 1, tzinfo=UTC),
        detail=f"ask dhl about {NUMBER}",
        note="they called back",
        now=datetime(2026, 1, 1, tzinfo=UTC),
    )
    assert resolved.detail == f"ask dhl about {masked(NUMBER)}"


def test_the_person_who_sees_to_an_exception_is_not_called_by_one() -> None:
    command = AssignException(
        exception_id="booking_failed/s", raised_at=datetime(2026, 1, 1, tzinfo=UTC), assignee="Ada Lovelace"
    )
    assert brought_in(command) == command
    with pytest.raises(ValidationError, match="card number"):
        brought_in(command.model_copy(update={"assignee": f"Ada {NUMBER}"}))


def test_a_tracking_number_that_reads_like_a_card_number_is_a_tracking_number() -> None:
    number = "SIM501800000009"
    assert has_card_number(number)
    reported = RecordMilestone(
        shipment_id="s",
        milestone_id="m",
        status="delivered",
        occurred_at=datetime(2026, 1, 1, tzinfo=UTC),
        tracking_number=number,
        detail=f"parcel {number}",
    )
    assert reported.tracking_number == number
