"""The customer of an order: bounded, never a card number, and marked as personal data everywhere."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from oms_es.app import DECIDERS, PROJECTIONS
from oms_es.app.privacy.rows import OF_PEOPLE as WRITTEN_WITHOUT_THE_PERSON
from oms_es.http.reading.tables import OF_PEOPLE
from oms_es.http.services import PERSONAL_FIELDS
from oms_es.kernel import Message
from oms_es.projections.finance import statement_lines
from oms_es.schemas.order import Address, Customer, OrderPlaced, PlaceOrder
from oms_es.schemas.values.customer import METADATA_MAX, NOTES_LENGTH_MAX
from oms_es.schemas.values.personal import (
    KEYWORD,
    PERSONAL_COLUMN,
    Personal,
    personal_fields,
    shapes_in,
    shapes_of,
)
from oms_es.schemas.vocabulary import EVENTS
from order_story import PLACE, placed

CARD = "4111 1111 1111 1111"
WORDS = {
    "customer_id": "C-1",
    "email": "ada@example.com",
    "phone": "+49 (0)30 1234567 ext. 5",
    "language": "zh-Hant-TW",
}
COMMANDS = [command for decider in DECIDERS for command in decider.accepts]
SHAPES = shapes_in([*EVENTS.values(), *COMMANDS])


def test_an_order_names_its_customer_and_what_was_written_about_it() -> None:
    order = placed(customer=WORDS, notes="ring\ntwice", metadata={"campaign": "spring"})
    assert order.customer is not None
    assert order.customer.model_dump() == WORDS
    assert (order.customer_id, order.notes, order.metadata) == ("C-1", "ring\ntwice", {"campaign": "spring"})
    assert (PLACE.customer, PLACE.customer_id, PLACE.notes, PLACE.metadata) == (None, "", "", {})
    assert placed(customer={"email": "guest@example.com"}).customer_id == ""


@pytest.mark.parametrize(
    "more",
    [
        {"customer": {}},
        {"customer": {"customer_id": " "}},
        {"customer": {"email": "no address"}},
        {"customer": {"email": "a@b@c"}},
        {"customer": {"email": "a" * 250 + "@b.de"}},
        {"customer": {"phone": "12"}},
        {"customer": {"phone": "1" * 16}},
        {"customer": {"phone": CARD}},
        {"customer": {"phone": "3782 822463 10005"}},
        {"customer": {"language": "German, please"}},
        {"customer": {"customer_id": "C-1", "age": 7}},
        {"notes": "x" * (NOTES_LENGTH_MAX + 1)},
        {"notes": f"my card is {CARD}"},
        {"notes": "a\0b"},
        {"metadata": {str(n): "x" for n in range(METADATA_MAX + 1)}},
        {"metadata": {"": "x"}},
        {"metadata": {"x": "y" * 501}},
        {"metadata": {"x": CARD}},
        {"metadata": {CARD: "x"}},
        {"metadata": {"x": "1", " x": "2"}},
        {"metadata": {"x": 1}},
    ],
)
def test_what_no_field_can_hold_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        placed(**more)


@pytest.mark.parametrize("phone", ["+57 300 1234567", "+86 138 0013 8000", "56 9 8765 4321 0", "0800-FLOWERS-1"])
def test_a_telephone_number_that_reads_like_an_old_cards_is_taken(phone: str) -> None:
    for last in "0123456789":
        assert placed(customer={"phone": phone[:-1] + last}).customer


def test_a_customer_is_a_part_of_the_order_and_an_order_without_customer_is_as_before() -> None:
    named = placed(customer=WORDS)
    assert named.fingerprint != PLACE.fingerprint
    assert named.without_customer.fingerprint == PLACE.fingerprint
    assert OrderPlaced.model_validate_json(
        OrderPlaced(order_id=PLACE.order_id, fingerprint="f", **named.content).model_dump_json()
    ).customer == Customer(**WORDS)


def marked(shape: type[Message], name: str) -> bool:
    return any(isinstance(one, Personal) for one in shape.model_fields[name].metadata)


def test_a_name_that_is_marked_is_marked_wherever_it_stands() -> None:
    names = personal_fields([*EVENTS.values(), *COMMANDS])
    assert {"ship_to", "customer", "customer_id", "email", "phone", "notes", "metadata", "street"} <= names
    unmarked = {(s.__name__, n) for s in SHAPES for n in names & set(s.model_fields) if not marked(s, n)}  # type: ignore[arg-type] # messages
    assert unmarked == set()
    in_tables = {
        (one.name, column.name)
        for one in PROJECTIONS
        for column in one.table.columns
        if column.name in PERSONAL_FIELDS and column.info != PERSONAL_COLUMN
    }
    assert in_tables == set()


def test_every_address_and_every_customer_is_marked() -> None:
    found = [
        (shape, name)
        for shape in SHAPES
        for name, field in shape.model_fields.items()
        if {Address, Customer} & set(shapes_of(field.annotation))
    ]
    assert len(found) > 5
    assert [(shape.__name__, name) for shape, name in found if not marked(shape, name)] == []  # type: ignore[arg-type] # messages


def test_published_schemas_say_what_is_personal() -> None:
    schema = PlaceOrder.model_json_schema()
    said = {name for name, field in schema["properties"].items() if field.get(KEYWORD)}
    assert said == {"ship_to", "customer", "notes", "metadata"}
    assert schema["$defs"]["Address"]["properties"]["street"][KEYWORD] is True


def test_tables_of_people_are_those_with_a_marked_column() -> None:
    of_orders = {"order_recipients", "order_notes", "customers", "customer_spending"}
    assert {*of_orders, "accounts", "account_orders"} == OF_PEOPLE


def test_texts_of_statement_lines_are_personal_although_the_lines_are_of_accounts() -> None:
    assert "statement_lines" in {projection.name for projection in WRITTEN_WITHOUT_THE_PERSON}
    assert {column.name for column in statement_lines.table.columns if column.info.get("personal")} == {"parts", "text"}
