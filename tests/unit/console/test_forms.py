"""Forms of every command: the filled-in values are the values sent."""

from __future__ import annotations

from typing import Any

import pytest

from oms_es.console import forms
from oms_es.console.pages.commands import Command, catalogue, fields_of
from oms_es.kernel import BadInput

COMMANDS = list(catalogue().values())


def of_the_body(command: Command) -> list[forms.Field]:
    return [field for field in fields_of(command) if field.name not in command.names]


def test_json_that_says_a_name_twice_is_not_sent_on() -> None:
    with pytest.raises(BadInput, match="A: it stands twice"):
        forms.body_of(fields(), {"by_sku": '{"A": 1, "A": 2}'})


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command.group}-{command.verb}")
def test_the_example_of_a_command_goes_into_its_form_and_comes_out_the_same(command: Command) -> None:
    assert command.route.body
    example = command.route.body.example()
    fields = of_the_body(command)
    assert forms.body_of(fields, forms.filled(fields, example)) == example


SCHEMA: dict[str, Any] = {
    "properties": {
        "reason": {"type": "string", "description": "Why."},
        "quantity": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
        "keep": {"type": "boolean", "default": False},
        "kind": {"$ref": "#/components/schemas/Kind"},
        "until": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
        "serials": {"type": "array", "items": {"type": "string"}},
        "lines": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}},
        "ship_to": {"$ref": "#/components/schemas/Address"},
        "by_sku": {"type": "object", "additionalProperties": {"type": "integer"}},
        "either": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
    },
    "required": ["kind"],
    "$defs": {
        "Kind": {"type": "string", "enum": ["fraud", "manual"]},
        "Line": {
            "type": "object",
            "properties": {"line_id": {"type": "string"}, "quantity": {"type": "integer"}},
            "required": ["line_id"],
        },
        "Address": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def fields() -> list[forms.Field]:
    return forms.fields_of(SCHEMA, {})


def test_a_field_is_what_its_schema_says_and_what_must_be_there_comes_first() -> None:
    kinds = {field.name: field.kind for field in fields()}
    assert kinds == {
        "kind": "choice",
        "reason": "text",
        "quantity": "number",
        "keep": "flag",
        "until": "moment",
        "serials": "lines",
        "lines": "rows",
        "ship_to": "group",
        "by_sku": "json",
        "either": "json",
    }
    assert fields()[0].name == "kind"
    assert [field.help for field in fields() if field.name == "reason"] == ["Why."]


def test_what_is_filled_in_is_sent_in_its_own_type_and_what_is_empty_is_not() -> None:
    given = {
        "kind": "fraud",
        "quantity": " 3 ",
        "keep": "false",
        "until": "2026-01-05T12:00",
        "serials": "a\n\n b ",
        "lines.0.line_id": "1",
        "lines.2.line_id": "2",
        "lines.2.quantity": "4",
        "ship_to.city": "Berlin",
        "by_sku": '{"TEA": 1}',
        "either": "7",
        "unknown": "x",
    }
    assert forms.body_of(fields(), given) == {
        "kind": "fraud",
        "quantity": 3,
        "keep": False,
        "until": "2026-01-05T12:00Z",
        "serials": ["a", "b"],
        "lines": [{"line_id": "2", "quantity": 4}],
        "ship_to": {"city": "Berlin"},
        "by_sku": {"TEA": 1},
        "either": 7,
    }
    assert forms.body_of(fields(), {}) == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("quantity", "3.5"),
        ("quantity", "9" * 30),
        ("quantity", "٣"),
        ("keep", "perhaps"),
        ("by_sku", "{"),
        ("kind", "x"),
    ],
)
def test_what_does_not_fit_is_sent_as_it_stands_for_the_api_to_refuse(name: str, text: str) -> None:
    assert forms.body_of(fields(), {name: text}) == {name: text}


def test_a_moment_keeps_the_offset_that_it_has() -> None:
    for text in ("2026-01-05T12:00:00+02:00", "2026-01-05T12:00:00Z", "2026-01-05T12:00:00z"):
        assert forms.body_of(fields(), {"until": text}) == {"until": text}


def test_rows_are_as_many_as_are_filled_and_some_more_up_to_a_bound() -> None:
    (lines,) = [field for field in fields() if field.name == "lines"]
    assert len(forms.rows_of(lines, {})) == forms.ROWS
    assert len(forms.rows_of(lines, {"lines.1.line_id": "a"})) == 3
    assert len(forms.rows_of(lines, {"lines.99999.line_id": "a", "lines.x.line_id": "b"})) == forms.ROWS_MAX


def test_a_number_with_a_fraction_is_a_number_and_what_is_none_is_sent_as_it_stands() -> None:
    (field,) = forms.fields_of({"properties": {"latitude": {"anyOf": [{"type": "number"}, {"type": "null"}]}}}, {})
    assert field.kind == "decimal"
    assert [
        forms.body_of([field], {"latitude": text}).get("latitude") for text in ("52.5", "-7", "north", "", "1e9")
    ] == [*(52.5, -7.0, "north", None, "1e9")]
    assert forms.filled([field], {"latitude": 52.5}) == {"latitude": "52.5"}
