"""JSON that all programs read the same is accepted; an object with a repeated name is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_es.kernel import BadInput
from oms_es.schemas.inputs import Input
from oms_es.schemas.sent import check_sent

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5).filter(lambda text: "\\" not in text)
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


def objects(document: Any) -> Iterator[dict[str, Any]]:
    inner = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    yield from (found for one in inner for found in objects(one))
    if isinstance(document, dict) and document:
        yield document


@given(documents, st.booleans())
def test_what_says_each_name_once_passes(document: Any, is_ascii: bool) -> None:
    text = json.dumps(document, ensure_ascii=is_ascii)
    check_sent(text)
    check_sent(text.encode())


@given(documents.filter(lambda document: any(objects(document))), st.data())
def test_a_name_that_stands_twice_is_refused_wherever_it_does_and_however_it_is_written(
    document: Any, data: st.DataObject
) -> None:
    inner = data.draw(st.sampled_from(list(objects(document))))
    name = data.draw(st.sampled_from(list(inner)))
    inner["\0"] = data.draw(st.none() | st.just(inner[name]))
    text = json.dumps(document).replace(json.dumps("\0"), json.dumps(name, ensure_ascii=data.draw(st.booleans())))
    assert refusal(text) == refusal(text.encode()) == Input.NAME_TWICE


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"a":' * 100_000, b"\xff", '{"a":1,"a":2', '"a" "a"'])
def test_what_is_no_json_is_left_to_its_reader(text: str | bytes) -> None:
    check_sent(text)


def test_the_name_is_said_if_it_is_one_and_no_value_is() -> None:
    with pytest.raises(BadInput, match=r"quantity: it stands twice") as refused:
        check_sent(f'{{"lines": [{{"quantity": 1, "sku": "A", "quantity": {"9" * 5_000}}}]}}')
    assert "999" not in refused.value.detail
    with pytest.raises(BadInput, match="what stands there: it stands twice"):
        check_sent('{"Erika Mustermann": 1, "Erika Mustermann": 2}')


def refusal(text: str | bytes) -> Input | None:
    try:
        check_sent(text)
    except BadInput as refused:
        assert isinstance(refused.reason, Input)
        return refused.reason
    return None
