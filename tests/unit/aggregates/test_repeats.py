"""A repeat is recognised by what it says, and a contradiction is named field by field."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from oms_es.aggregates.repeats import LITERAL_CHARACTERS_MAX, asked_of, done_before
from oms_es.kernel import Command, Refused
from oms_es.schemas import order as o
from oms_es.schemas import stock as s

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
IN_CHINA = NOON.astimezone(timezone(timedelta(hours=8)))
OF: Any = {"order_id": "o"}
LOT: Any = {"sku": "A", "location": "berlin", "receipt_id": "r", "quantity": 1}


def lines(**by_line: int) -> tuple[o.LineUnits, ...]:
    return tuple(o.LineUnits(line_id=line_id, quantity=n) for line_id, n in by_line.items())


def cancelled(reason: str = "", /, **by_line: int) -> o.CancelOrderLines:
    return o.CancelOrderLines(**OF, cancellation_id="c", lines=lines(**by_line), reason=reason or "too many")


def contradiction(before: Command, after: Command) -> str:
    with pytest.raises(Refused) as refused:
        done_before(asked_of(before), after)
    assert refused.value.reason == "id_reused"
    return refused.value.detail


def test_the_same_again_is_done_and_what_is_not_known_is_not() -> None:
    assert done_before(asked_of(cancelled(a=1)), cancelled(a=1))
    assert not done_before(None, cancelled(a=1))
    assert done_before("", cancelled(a=1)), "an older event kept nothing of what was asked"


def test_one_instant_is_the_same_whichever_offset_it_was_sent_with() -> None:
    first, again = (s.ReceiveStock(**LOT, lot="L", lot_expires_at=at) for at in (NOON, IN_CHINA))
    assert done_before(asked_of(first), again)
    later = first.model_copy(update={"lot_expires_at": NOON + timedelta(seconds=1)})
    assert "lot_expires_at was " in contradiction(first, later)


def test_what_differs_is_named_with_both_values() -> None:
    said = contradiction(cancelled(a=1), cancelled("no longer wanted", a=1))
    assert 'reason was "too many" and is "no longer wanted" now; a repeat must be the same' in said
    said = contradiction(cancelled(a=1), cancelled(a=2))
    assert 'lines was [{"line_id":"a","quantity":1}] and is [{"line_id":"a","quantity":2}] now' in said
    many = {f"line{n}": 1 for n in range(9)}
    assert "lines is not as it was, in its parts or in their order;" in contradiction(
        cancelled(**many), cancelled(**{**many, "line8": 2})
    )
    said = contradiction(cancelled(a=1), cancelled(**many))
    assert 'lines was [{"line_id":"a","quantity":1}] and is something longer now' in said
    assert "lines was something longer and is [" in contradiction(cancelled(**many), cancelled(a=1))


def test_a_field_that_is_given_only_once_is_named_as_left_out() -> None:
    with_lot, without = s.ReceiveStock(**LOT, lot="L-1"), s.ReceiveStock(**LOT)
    assert 'lot was "L-1" and is left out now;' in contradiction(with_lot, without)
    assert 'lot was left out and is "L-1" now;' in contradiction(without, with_lot)


def test_what_an_act_of_another_kind_did_is_named_by_its_command() -> None:
    receipt = s.ReceiveStock(**LOT)
    expected = s.AdjustStock(sku="A", location="berlin", adjustment_id="r", quantity=1, reason="counted twice")
    assert "it names what ReceiveStock did;" in contradiction(receipt, expected)


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_values_up_to_a_length_are_kept_as_they_are(extra: int) -> None:
    text = "x" * (LITERAL_CHARACTERS_MAX - len('""') + extra)
    assert (text in asked_of(cancelled(text, a=1))) == (extra <= 0)
    assert ("sha256:" in asked_of(cancelled(text, a=1))) == (extra > 0)
