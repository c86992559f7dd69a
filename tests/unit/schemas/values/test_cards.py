"""A card's number is found wherever it stands, and what is none is left as it is."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any, get_args

import pytest
from pydantic import ValidationError, create_model

from oms_es.app import DECIDERS
from oms_es.door import brought_in
from oms_es.kernel import Command, Message, SystemCommand
from oms_es.schemas.operations.exception import AssignException, ResolveException
from oms_es.schemas.order import HoldOrder
from oms_es.schemas.shipment import RecordMilestone
from oms_es.schemas.values.cards import has_card_number, masked, masked_bytes
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


@pytest.mark.parametrize("other", OTHERS)
def test_what_is_no_card_number_stays_as_it_is(other: str) -> None:
    assert masked(other) == other


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
    """Its fields that a person fills with words."""
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
    """It may quote a parcel's number that reads like a card's."""
    resolved = ResolveException(
        exception_id="booking_failed/s",
        raised_at=datetime(2026, 1, 1, tzinfo=UTC),
        detail=f"ask dhl about {NUMBER}",
        note="they called back",
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
