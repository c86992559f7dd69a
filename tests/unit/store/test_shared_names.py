"""Messages that were given the same fields share the names of these, and say of themselves what they said before."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from pydantic import BaseModel

from golden.write import path_of
from oms_es.kernel import Event
from oms_es.schemas.stock import StockReceived
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.caching import weight_of
from oms_es.store.encoding import shared_names
from oms_es.store.encoding.shared_names import SHARED_MAX, Names, share_names

REQUIRED = {"sku": "A", "location": "x", "receipt_id": "1", "quantity": 1}


def golden(event: type[Event], variant: str) -> Event:
    read = json.loads(path_of(event, event.schema_version).read_text())[variant]
    return event.model_validate_json(json.dumps(read))


def messages(of: BaseModel) -> Iterator[BaseModel]:
    yield of
    for value in of.__dict__.values():
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, BaseModel):
                yield from messages(one)


@pytest.mark.parametrize("variant", ["whole", "required"])
@pytest.mark.parametrize("event", EVENTS.values(), ids=str)
def test_a_message_and_those_in_it_say_what_they_said(event: type[Event], variant: str) -> None:
    one, other = golden(event, variant), golden(event, variant)
    before = [(repr(each), set(each.model_fields_set)) for each in messages(one)]
    share_names(one)
    share_names(other)
    assert before == [(repr(each), each.model_fields_set) for each in messages(one)]
    assert one == other
    assert one.model_dump_json(exclude_unset=True) == other.model_dump_json(exclude_unset=True)
    for mine, its in zip(messages(one), messages(other), strict=True):
        assert mine.model_fields_set is its.model_fields_set
        assert isinstance(mine.model_fields_set, Names)


def test_a_copy_that_is_given_more_changes_no_other() -> None:
    one, other = StockReceived(**REQUIRED), StockReceived(**REQUIRED)
    share_names(one)
    share_names(other)
    optional = next(name for name, field in StockReceived.model_fields.items() if not field.is_required())
    copied = one.model_copy(update={optional: getattr(one, optional)})
    assert copied.model_fields_set == {*REQUIRED, optional}
    assert one.model_fields_set == other.model_fields_set == set(REQUIRED)


def test_shared_names_are_not_weighed_and_there_is_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    one = StockReceived(**REQUIRED)
    alone = weight_of(one)
    share_names(one)
    assert weight_of(one) < alone
    assert len(shared_names._shape_of(StockReceived).shared) <= SHARED_MAX
    monkeypatch.setattr(shared_names._shape_of(StockReceived), "shared", [Names({str(n)}) for n in range(SHARED_MAX)])
    another = StockReceived(**REQUIRED)
    share_names(another)
    assert another.model_fields_set == set(REQUIRED)
    assert not isinstance(another.model_fields_set, Names)
