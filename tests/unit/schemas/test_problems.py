"""Validation problems are worded in one place, for people, channels, gateways and dead letters."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import BaseModel, Field, ValidationError, model_validator

import oms_es
from oms_es.schemas.problems import NAMED_MAX, problems


class Told(BaseModel):
    a: int = 0
    b: list[int] = []

    @model_validator(mode="after")
    def _never_13(self) -> Told:
        if self.a == 13:
            raise ValueError("13 is not taken: count on")
        return self


def wrong(**reported: object) -> ValidationError:
    with pytest.raises(ValidationError) as refused:
        Told.model_validate(reported)
    return refused.value


def test_every_field_is_named_and_what_stood_there_is_not_repeated() -> None:
    said = problems(wrong(a="a secret", b=[1, "another"]))
    assert [part.partition(": ")[0] for part in said.split("; ")] == ["a", "b.1"]
    assert not re.search("secret|another", said)


def test_what_is_wrong_with_the_whole_has_its_name_or_none() -> None:
    assert problems(wrong(a=13)) == "13 is not taken: count on"
    assert problems(wrong(a=13), whole="order") == "order: 13 is not taken: count on"


def test_a_field_is_called_what_its_sender_calls_it() -> None:
    assert problems(wrong(a="x"), whole="payload", field=str.upper).startswith("A: ")


def test_more_than_a_line_holds_are_counted() -> None:
    many = wrong(b=["x"] * (NAMED_MAX + 2))
    assert problems(many).endswith("(and 2 more)")
    assert problems(many, named_max=None).count(";") == NAMED_MAX + 1


class Counted(BaseModel):
    lines: Annotated[tuple[int, ...], Field(min_length=1, max_length=2)]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["x"], "lines.0: Input should be a valid integer, unable to parse string as an integer"),
        ([], "lines: at least 1 are needed, and 0 are given"),
        ([1, 2, 3], "lines: at most 2 are taken, and 3 are given"),
    ],
)
def test_a_list_is_counted_in_our_words_and_only_where_its_parts_are_right(lines: list[object], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Counted.model_validate({"lines": lines})
    assert problems(refused.value) == said


def test_no_one_else_words_them() -> None:
    root = Path(oms_es.__file__).parent
    asking = {path.name for path in root.rglob("*.py") if ".errors(" in path.read_text()}
    assert asking == {"problems.py"}
