"""Requests beyond buying and selling: returns, exchanges, disputes, splits, lots, serial numbers, bundles, rates, and
everything else that a person may request. A seed draws a few of them.

A request that is impossible at its moment is refused, and that is a valid answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from oms_es.simulation.requests.life_goods import (
    bundles,
    inbounds,
    lots,
    parcels,
    places,
    prices_of_carriage,
    serials,
    strange_journeys,
)
from oms_es.simulation.requests.life_money import gone_before_it_leaves, money_that_lapses, strange_payments
from oms_es.simulation.requests.life_orders import (
    in_the_dashboard,
    merges,
    numbers_of_orders,
    orders_in_parts,
    other_addresses,
    overrides,
    presales_that_lapse,
    tasks,
    what_is_late,
)
from oms_es.simulation.requests.life_returns import feedback, policies, returns
from oms_es.simulation.requests.workload import Draw
from oms_es.simulation.scenario import Action

LIFE: tuple[Callable[[Draw], Iterator[Action]], ...] = (
    strange_payments,
    money_that_lapses,
    in_the_dashboard,
    returns,
    policies,
    orders_in_parts,
    merges,
    overrides,
    other_addresses,
    parcels,
    strange_journeys,
    feedback,
    inbounds,
    tasks,
    lots,
    serials,
    bundles,
    places,
    prices_of_carriage,
    numbers_of_orders,
    presales_that_lapse,
    what_is_late,
    gone_before_it_leaves,
)
