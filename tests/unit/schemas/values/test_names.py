"""Derived names: different parts give different names, and no channel can send one."""

from __future__ import annotations

from uuid import uuid5

from hypothesis import given
from hypothesis import strategies as st

from oms_es.schemas.order import ORDER_ID_NAMESPACE, order_id_of
from oms_es.schemas.values import names
from oms_es.schemas.values.types import IDENTIFIER_LENGTH_MAX

parts = st.lists(st.text("ab/=", max_size=5), min_size=2, max_size=3)


@given(parts, parts)
def test_names_of_different_parts_are_different(one: list[str], two: list[str]) -> None:
    assert (names.made_of(*one) == names.made_of(*two)) == (one == two)


@given(st.lists(st.text(min_size=1, max_size=IDENTIFIER_LENGTH_MAX), min_size=2, max_size=3))
def test_a_name_of_any_names_is_no_longer_than_one(several: list[str]) -> None:
    assert len(max(names.MADE, key=len) + names.made_of(*several)) <= IDENTIFIER_LENGTH_MAX


def test_names_of_plain_parts_can_be_read() -> None:
    assert names.made_of("r1", "inspected", "i1") == "r1/inspected/i1"
    assert names.made_of("r1", "x" * 87) == f"r1/{'x' * 87}"
    assert names.made_of("r1", "x" * 88).startswith("=")


@given(st.text(min_size=1, max_size=9))
def test_what_is_split_off_is_where_no_order_of_a_channel_ever_was(name: str) -> None:
    """This includes orders from before external ids were restricted."""
    assert order_id_of("web", f"split/{name}") != str(uuid5(ORDER_ID_NAMESPACE, f"web/split/{name}"))
    assert order_id_of("web", f"merge/{name}") == str(uuid5(ORDER_ID_NAMESPACE, f"web/merge/{name}"))
