"""Which changes of a schema are safe, and that whatever cannot be proved is not let through."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ConfigDict, Field

from oms_es.reference.compatibility import problems
from oms_es.reference.json_schemas import messages, opened


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Item(Closed):
    sku: Annotated[str, Field(pattern="^[a-z]+$", max_length=8)]
    units: Annotated[int, Field(gt=0, le=100)]


class Before(Closed):
    order_id: str
    status: Literal["placed", "paid"]
    items: tuple[Item, ...]
    demand: dict[str, int] = {}
    place: tuple[float, float] | None = None
    note: str | None = None


class WithNewField(Before):
    colour: str = ""


class WithoutField(Closed):
    status: Literal["placed", "paid"]
    items: tuple[Item, ...]
    demand: dict[str, int] = {}
    place: tuple[float, float] | None = None
    note: str | None = None


class Renamed(WithoutField):
    order_number: str


class Optional(WithoutField):
    order_id: str = ""


class OtherType(Before):
    order_id: int  # type: ignore[assignment] # the change that is tried


class Wider(Before):
    status: Literal["placed", "paid", "lost"]  # type: ignore[assignment] # likewise


class Narrower(Before):
    status: Literal["paid"]


class NowNull(Before):
    order_id: str | None  # type: ignore[assignment] # likewise


class NeverNull(Before):
    note: str = ""


class LooserItem(Closed):
    sku: Annotated[str, Field(pattern="^[a-z]+$", max_length=9)]
    units: Annotated[int, Field(gt=0, le=100)]


class LooserItems(Before):
    items: tuple[LooserItem, ...]  # type: ignore[assignment] # likewise


class FractionalDemand(Before):
    demand: dict[str, float] = {}  # type: ignore[assignment] # likewise


class ThreeNumbers(Before):
    place: tuple[float, float, float] | None = None  # type: ignore[assignment] # likewise


class WholeNumbers(Before):
    place: tuple[int, int] | None = None


SAFE = [Before, WithNewField, Narrower, NeverNull, WholeNumbers]
BREAKING = {
    WithoutField: "$.order_id: may be missing",
    Renamed: "$.order_id: may be missing",
    Optional: "$.order_id: may be missing",
    OtherType: "$.order_id: integer, where string is expected",
    Wider: "$.status: the value 'lost'",
    NowNull: "$.order_id: null, where string is expected",
    LooserItems: "$.items[].sku: maxLength 9, where 8 was promised",
    FractionalDemand: "$.demand.*: number, where integer is expected",
    ThreeNumbers: "$.place: array is none of what is allowed",
}


def schema(shape: type[BaseModel]) -> dict[str, Any]:
    return shape.model_json_schema(mode="serialization")


@pytest.mark.parametrize("shape", SAFE)
def test_a_new_optional_field_and_a_narrower_one_break_no_one_who_reads(shape: type[BaseModel]) -> None:
    assert problems(schema(shape), opened(schema(Before))) == []


@pytest.mark.parametrize("shape", BREAKING)
def test_a_field_that_goes_changes_its_type_or_allows_more_breaks_who_reads(shape: type[BaseModel]) -> None:
    found = problems(schema(shape), opened(schema(Before)))
    assert any(problem.startswith(BREAKING[shape]) for problem in found), found


@pytest.mark.parametrize("shape", [Wider, NowNull, LooserItems, WithNewField, Optional])
def test_what_is_taken_may_become_wider(shape: type[BaseModel]) -> None:
    assert problems(schema(Before), schema(shape)) == []


@pytest.mark.parametrize(
    ("shape", "problem"),
    [
        (Narrower, "$.status: the value 'placed'"),
        (Renamed, "$.order_number: may be missing"),
        (WithoutField, "$.order_id: string, where nothing is allowed"),
        (NeverNull, "$.note: null, where string is expected"),
    ],
)
def test_what_is_taken_may_not_become_narrower(shape: type[BaseModel], problem: str) -> None:
    found = problems(schema(Before), schema(shape))
    assert any(one.startswith(problem) for one in found), found


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        ({"type": "integer", "minimum": 1}, {"type": "integer", "exclusiveMinimum": 0}),
        ({"type": "number", "exclusiveMaximum": 10}, {"type": "number", "maximum": 10}),
        ({"type": "integer"}, {"type": ["number", "null"]}),
        ({"const": 5}, {"type": "integer", "minimum": 1}),
        ({"enum": ["a", None]}, {"anyOf": [{"type": "string", "pattern": "^a$"}, {"type": "null"}]}),
        (
            {"type": "array", "items": {"type": "integer"}, "maxItems": 2},
            {"prefixItems": [True, True], "items": False, "type": "array"},
        ),
        (
            {"type": "object", "additionalProperties": False, "properties": {"ab": True}},
            {"type": "object", "propertyNames": {"maxLength": 2, "type": "string"}},
        ),
        ({"type": "string", "format": "date-time"}, {"type": "string"}),
        (False, {"type": "string"}),
        ({"type": "string"}, True),
    ],
)
def test_what_is_allowed_in_other_words_is_allowed(narrow: Any, wide: Any) -> None:
    assert problems(narrow, wide) == []


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        ({"type": "number", "maximum": 10}, {"type": "number", "exclusiveMaximum": 10}),
        ({"const": True}, {"enum": [1]}),
        ({"type": "string"}, {"type": "string", "format": "date-time"}),
        ({"type": "string", "pattern": "a"}, {"type": "string", "pattern": "b"}),
        ({"type": "array"}, {"type": "array", "uniqueItems": True}),
        ({"type": "array"}, {"type": "array", "items": False}),
        ({"type": "integer"}, {"type": "integer", "multipleOf": 5}),
        ({}, {"type": "string"}),
        ({"type": "string"}, False),
        ({"type": "string"}, {"enum": []}),
        ({"type": "object"}, {"type": "object", "properties": {"a": {"type": "string"}}}),
        (
            {"type": "object", "patternProperties": {"^a": {"type": "string"}}, "additionalProperties": False},
            {
                "type": "object",
                "patternProperties": {"^a": {"type": "string"}},
                "properties": {"ab": {"type": "integer"}},
            },
        ),
        ({"type": "string"}, {"minLength": 3}),
    ],
)
def test_what_may_be_refused_is_a_problem(narrow: Any, wide: Any) -> None:
    assert problems(narrow, wide)


@pytest.mark.parametrize(
    "strange",
    [
        {"not": {"type": "string"}},
        {"type": "string", "if": {}, "then": {}},
        {"type": "object", "unevaluatedProperties": False},
        {"type": "object", "minProperties": 1},
        {"enum": ["a"], "minLength": 2},
        {"const": "a", "pattern": "b"},
        {"anyOf": [{"type": "string"}], "type": "string"},
        {"oneOf": [{"type": "string"}, {"type": "integer"}]},
        {"$ref": "#/$defs/X", "type": "string", "$defs": {"X": {}}},
        {"$ref": "elsewhere.json"},
    ],
)
def test_what_is_not_understood_is_a_problem_even_if_it_did_not_change(strange: dict[str, Any]) -> None:
    shape = {"type": "object", "properties": {"a": strange}, "$defs": {"X": {}}}
    assert problems(shape, shape)


class Cat(Closed):
    kind: Literal["cat"]


class Dog(Closed):
    kind: Literal["dog"]


class Tree(Closed):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    children: tuple[Tree, ...] = ()


def test_alternatives_that_a_discriminator_distinguishes_and_shapes_within_themselves_are_understood() -> None:
    assert problems(schema(Tree), opened(schema(Tree))) == []
    other = json.loads(json.dumps(schema(Tree)).replace('"dog"', '"wolf"'))
    assert problems(other, opened(schema(Tree)))


def test_every_message_of_ours_is_understood() -> None:
    for message in messages():
        assert problems(message.exact, message.published) == []
        assert problems(message.exact, message.exact) == []


bounds = st.one_of(st.none(), st.integers(-3, 3))
leaves = st.one_of(
    st.fixed_dictionaries({"type": st.sampled_from(["string", "null", "boolean"])}),
    st.fixed_dictionaries({"type": st.just("string"), "minLength": st.integers(0, 2)}),
    st.builds(
        lambda kind, **limits: {"type": kind, **{name: n for name, n in limits.items() if n is not None}},
        st.sampled_from(["integer", "number"]),
        minimum=bounds,
        exclusiveMaximum=bounds,
    ),
    st.fixed_dictionaries({"enum": st.lists(st.sampled_from([1, 1.5, True, None, "a", "b", 0]), max_size=3)}),
    st.booleans(),
)


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    fields = st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
    return st.one_of(
        st.builds(lambda options: {"anyOf": options}, st.lists(inner, min_size=1, max_size=2)),
        st.builds(lambda item, most: {"type": "array", "items": item, "maxItems": most}, inner, st.integers(0, 2)),
        st.builds(
            lambda first, rest: {"type": "array", "prefixItems": first, "items": rest},
            st.lists(inner, max_size=2),
            inner,
        ),
        st.builds(
            lambda p, r, rest: {"type": "object", "properties": p, "required": r, "additionalProperties": rest},
            fields,
            st.lists(st.sampled_from("ab"), unique=True),
            st.one_of(st.booleans(), inner),
        ),
    )


values = st.recursive(
    st.sampled_from([None, True, False, 0, 1, -2, 1.5, 3, "", "a", "b", "abc"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=5,
)
shapes = st.recursive(leaves, nested, max_leaves=4)


@given(narrow=shapes, wide=shapes, instances=st.lists(values, max_size=20))
def test_where_no_problem_is_found_nothing_that_one_allows_is_refused_by_the_other(
    narrow: Any, wide: Any, instances: list[Any]
) -> None:
    """An independent implementation of JSON Schema is the judge."""
    if problems(narrow, wide):
        return
    produced, expected = Draft202012Validator(narrow), Draft202012Validator(wide)
    for instance in instances:
        assert not produced.is_valid(instance) or expected.is_valid(instance)


@given(shape=shapes)
def test_what_does_not_change_breaks_no_one(shape: Any) -> None:
    assert problems(shape, shape) == []


def test_how_many_fields_an_object_has_is_a_bound_like_any_other() -> None:
    few, many = ({"type": "object", "maxProperties": most} for most in (3, 5))
    assert not list(problems(few, many))
    assert list(problems(many, few))
    named = {"type": "object", "propertyNames": {"maxLength": 3}, "additionalProperties": {"type": "integer"}}
    longer = {**named, "propertyNames": {"maxLength": 4}}
    assert not list(problems(named, longer))
    assert list(problems(longer, named))
