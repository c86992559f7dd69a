"""Cartons contain exactly the units of the parcel, none is overfilled, and few units are packed optimally."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from oms_es.consumers.shipment.cartonisation import (
    BOXES,
    EXACT_UNITS_MAX,
    FILL_PERCENT,
    OWN_PACKAGING,
    UNITS_MAX,
    Size,
    cartonise,
    pack_exactly,
    pack_first_fit,
)
from oms_es.schemas.order import Reservation

FITTING = st.builds(Size, st.integers(1, 12_000), st.integers(1, 60_000))
ANY = st.builds(Size, st.integers(1, 60_000), st.integers(1, 200_000))
BY_NAME = {box.name: box for box in BOXES}


def item(sku: str, quantity: int) -> Reservation:
    return Reservation(reservation_id="o/1", sku=sku, location="berlin", quantity=quantity)


@settings(deadline=None)
@given(st.lists(st.tuples(ANY, st.integers(1, 6)), min_size=1, max_size=6))
def test_p20_every_unit_is_in_exactly_one_carton_and_no_box_holds_more_than_it_takes(
    wanted: list[tuple[Size, int]],
) -> None:
    sizes = {str(i): size for i, (size, _) in enumerate(wanted)}
    items = [item(str(i), quantity) for i, (_, quantity) in enumerate(wanted)]
    packing = cartonise(items, sizes)
    assert packing
    packed: Counter[str] = Counter()
    for carton in packing.cartons:
        units = [sizes[i.sku] for i in carton.items for _ in range(i.quantity)]
        packed.update({i.sku: i.quantity for i in carton.items})
        whole = sum(units, Size(0, 0))
        if carton.box == OWN_PACKAGING:
            assert len(units) == 1
            assert not BOXES[-1].takes(whole)
        else:
            box = BY_NAME[carton.box]
            assert whole.weight_grams <= box.load_grams_max
            assert whole.volume_ml * 100 <= box.volume_ml * FILL_PERCENT
            assert carton.weight_grams == whole.weight_grams + box.empty_grams
    assert packed == {i.sku: i.quantity for i in items}


@settings(deadline=None, max_examples=60)
@given(st.lists(FITTING, min_size=1, max_size=7))
def test_the_exact_packing_is_never_worse_than_the_quick_one_and_the_quick_one_at_most_twice_as_bad(
    sizes: list[Size],
) -> None:
    exact, quick = pack_exactly(sizes), pack_first_fit(sizes)
    assert sorted(i for group in exact for i in group) == sorted(i for group in quick for i in group)
    assert len(exact) <= len(quick) <= 2 * len(exact)


def test_the_exact_packing_finds_what_first_fit_misses() -> None:
    """Of boxes that take 7 shares of volume each, two hold 3+2+2 each; first fit begins with 3+3 and needs three."""
    share = BOXES[-1].volume_ml * FILL_PERCENT // 100 // 7
    sizes = [Size(1, n * share) for n in (3, 3, 2, 2, 2, 2)]
    quick, exact = pack_first_fit(sizes), pack_exactly(sizes)
    assert [sorted(sizes[i].volume_ml // share for i in group) for group in quick] == [[3, 3], [2, 2, 2], [2]]
    assert [sorted(sizes[i].volume_ml // share for i in group) for group in exact] == [[2, 2, 3], [2, 2, 3]]


def test_one_small_thing_goes_into_the_smallest_box() -> None:
    packing = cartonise([item("A", 1)], {"A": Size(100, 100)})
    assert packing
    assert [carton.box for carton in packing.cartons] == ["small"]


def test_many_units_are_packed_first_fit_and_too_many_not_at_all() -> None:
    sizes = {"A": Size(100, 1_000)}
    many = cartonise([item("A", EXACT_UNITS_MAX + 1)], sizes)
    assert many
    assert many.rule == "1/first-fit"
    assert cartonise([item("A", UNITS_MAX + 1)], sizes) is None


def test_what_was_never_measured_is_not_planned() -> None:
    assert cartonise([item("A", 1), item("B", 1)], {"A": Size(1, 1)}) is None
