"""A parcel's address has a telephone number for the carrier: its own, or that of the customer."""

from __future__ import annotations

import pytest

from oms_es.aggregates.order.transitions import recipient
from oms_es.schemas.order import Address, OrderContent
from oms_es.schemas.values.customer import Customer
from shop import an_order


def content(own: str | None, customers: str | None) -> OrderContent:
    order = an_order("1", ("A", 1))
    whose = Customer(phone=customers, email="a@b.example")
    fields = order.model_dump(include=set(OrderContent.model_fields)) | {"customer": whose}
    return OrderContent(**fields | {"ship_to": Address(country="CN", phone=own)})


@pytest.mark.parametrize(
    ("own", "customers", "expected"),
    [(None, "13800000002", "13800000002"), ("111", "222", "111"), ("111", None, "111"), (None, None, None)],
)
def test_the_address_s_own_number_goes_before_the_customer_s(
    own: str | None, customers: str | None, expected: str | None
) -> None:
    of = content(own, customers)
    assert recipient(of) == Address(country="CN", phone=expected)
    assert of.ship_to.phone == own, "the order is as it was placed"


def test_a_guest_has_the_address_s_number_alone() -> None:
    of = content("111", None).model_copy(update={"customer": None})
    assert recipient(of).phone == "111"
