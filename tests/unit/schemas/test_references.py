"""References of providers and carriers may look like a card number: none of their answers is refused for it."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from pydantic import ValidationError

from oms_es.app import CONSUMERS, DECIDERS
from oms_es.door import brought_in
from oms_es.kernel import Command, SystemCommand
from oms_es.schemas import payment as p
from oms_es.schemas.order import PlaceOrder, RetryPayment
from oms_es.schemas.values.cards import has_card_number
from oms_es.simulation.requests.inputs import Inputs

LIKE_A_CARD = "4111111111111111"
UNLIKE_A_CARD = "4111111111111112"  # another check digit
DRAWS = 12
VOCABULARY_OF_ANSWERS = ("oms_es.schemas.payment", "oms_es.schemas.shipment")
Path = tuple[Any, ...]


def given_by_the_engine() -> list[type[Command]]:
    by_consumers = {shape for consumer in CONSUMERS for shape in consumer.emits}
    system = {shape for decider in DECIDERS for shape in decider.accepts if issubclass(shape, SystemCommand)}
    return sorted(by_consumers | system, key=lambda shape: shape.__name__)


def is_an_answer(shape: type[Command]) -> bool:
    """Return whether a gateway or a callback gives the command, so that it is checked as outside input."""
    return shape.__module__.startswith(VOCABULARY_OF_ANSWERS) and shape.__name__.startswith(("Record", "Attach"))


def texts(value: Any, at: Path = ()) -> Iterator[Path]:
    if isinstance(value, str):
        yield at
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from texts(one, (*at, key))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from texts(one, (*at, index))


def with_text(value: Any, at: Path, text: str) -> Any:
    if not at:
        return text
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[at[0]] = with_text(value[at[0]], at[1:], text)
    return copy


def taken(shape: type[Command], reported: Any) -> Command | None:
    try:
        command = shape.model_validate(reported)
        return brought_in(command) if is_an_answer(shape) else command
    except ValidationError:
        return None


@pytest.mark.parametrize("shape", given_by_the_engine())
def test_what_is_taken_with_one_number_is_taken_with_one_that_reads_like_a_cards(shape: type[Command]) -> None:
    """Countries, times and the like accept neither number."""
    inputs = Inputs(Random(shape.__name__), [shape], {})
    for _ in range(DRAWS):
        drawn = inputs.command(shape)
        assert drawn is not None
        reported = drawn.model_dump(mode="json")
        for at in texts(reported):
            if taken(shape, with_text(reported, at, UNLIKE_A_CARD)) is not None:
                kept = taken(shape, with_text(reported, at, LIKE_A_CARD))
                assert kept is not None, f"{shape.__name__}: {at}"


ANSWERS: tuple[tuple[type[Command], dict[str, Any], str], ...] = (
    (p.RecordAuthorization, {}, "reference"),
    (p.RecordCapture, {"capture_id": "s1"}, "reference"),
    (p.RecordReauthorization, {"capture_id": "s1"}, "reference"),
    (p.RecordVoid, {}, "reference"),
    (p.RecordRefund, {"refund_id": "r1"}, "reference"),
    (p.RecordReport, {"operation": "capture", "outcome": "succeeded"}, "reference"),
    (p.RecordReport, {"operation": "capture", "outcome": "succeeded", "reference": "c"}, "authorization"),
)


@pytest.mark.parametrize(("shape", "fields", "name"), ANSWERS)
def test_a_reference_is_kept_as_the_provider_says_it(shape: type[Command], fields: dict[str, Any], name: str) -> None:
    """Numbers of 16 digits are what some providers call every payment: one in ten has a right check digit."""
    reported = brought_in(shape.model_validate({"payment_id": "o.1", **fields, name: LIKE_A_CARD}))
    assert getattr(reported, name) == LIKE_A_CARD


def test_a_card_number_in_a_providers_reason_is_masked_and_the_answer_is_taken() -> None:
    reported = brought_in(p.RecordDecline(payment_id="o.1", reason=f"card {LIKE_A_CARD} is stolen"))
    assert reported.reason == "card ************1111 is stolen"
    assert not has_card_number(reported.reason)
    assert brought_in(reported) == reported


@pytest.mark.parametrize("number", [LIKE_A_CARD, "4242 4242 4242 4242", "3782-822463-10005", "6304000000000000"])
def test_what_people_and_channels_name_as_a_means_of_payment_is_no_card_number(number: str) -> None:
    order = {
        "channel": "web",
        "external_id": "1",
        "placed_at": "2026-01-05T10:00:00Z",
        "currency": "EUR",
        "lines": [{"line_id": "1", "sku": "mug", "quantity": 1, "unit_price_minor": 1}],
        "ship_to": {"country": "DE"},
    }
    with pytest.raises(ValidationError, match="card number"):
        PlaceOrder.model_validate({**order, "payment_token": number})
    with pytest.raises(ValidationError, match="card number"):
        RetryPayment(order_id="o", payment_token=number)
