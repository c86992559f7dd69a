"""A channel belongs to one seller, and one seller may have all channels that no other names."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from dsl import Given
from oms_es.aggregates.finance.seller import decider
from oms_es.schemas.finance import invoicing as v

ACME: dict[str, Any] = {"seller": "ACME", "name": "Acme Ltd", "country": "DE", "vat_id": "DE123456789"}


def was_set(command: v.SetSeller) -> v.SellerSet:
    return v.SellerSet(**command.model_dump())


def test_a_seller_is_set_and_set_otherwise() -> None:
    first, then = v.SetSeller(**ACME), v.SetSeller(**{**ACME, "name": "Acme & Co"}, channels=("web",))
    Given(decider).when(first).then(was_set(first))
    Given(decider, was_set(first)).when(then).then(was_set(then))


def test_set_again_as_it_is_nothing_happens() -> None:
    command = v.SetSeller(**ACME)
    Given(decider, was_set(command)).when(command).then()


def test_a_channel_is_one_sellers() -> None:
    mine = v.SetSeller(**ACME, channels=("web", "shop"))
    other = v.SetSeller(**{**ACME, "seller": "B"}, channels=("shop",))
    Given(decider, was_set(mine)).when(other).then_refused("channel_of_another_seller", "shop is of ACME;")
    both = v.SetSeller(**{**ACME, "seller": "B"}, channels=("shop", "web"))
    Given(decider, was_set(mine)).when(both).then_refused("channel_of_another_seller", "shop, web is of ACME;")
    apart = v.SetSeller(**{**ACME, "seller": "B"}, channels=("market",))
    Given(decider, was_set(mine)).when(apart).then(was_set(apart))


def test_one_seller_has_all_channels_that_no_other_names() -> None:
    rest, some = v.SetSeller(**ACME), v.SetSeller(**{**ACME, "seller": "B"}, channels=("web",))
    Given(decider, was_set(rest)).when(some).then(was_set(some))
    Given(decider, was_set(rest)).when(v.SetSeller(**{**ACME, "seller": "C"})).then_refused(
        "channel_of_another_seller", "every channel that no seller names is of ACME;"
    )


def test_there_are_so_many_sellers_at_most() -> None:
    known = [was_set(v.SetSeller(**{**ACME, "seller": f"S{n}"}, channels=(f"c{n}",))) for n in range(v.SELLERS_MAX)]
    Given(decider, *known).when(v.SetSeller(**ACME)).then_refused("too_many_sellers")
    Given(decider, *known).when(v.SetSeller(**{**ACME, "seller": "S1"}, channels=("c1", "x"))).then(
        was_set(v.SetSeller(**{**ACME, "seller": "S1"}, channels=("c1", "x")))
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"vat_id": ""},
        {"vat_id": "123456789"},
        {"included_tax": "119"},
        {"included_tax": "-1"},
        {"included_tax": "1.23456"},
        {"tax_rates": ("19 %",)},
        {"keep_years": 0},
        {"country": "Germany"},
        {"name": ""},
    ],
)
def test_what_no_invoice_can_say_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        v.SetSeller(**{**ACME, **wrong})
