"""The simulation can fail: without any one guard of the design, it finds a violated invariant."""

from __future__ import annotations

import os

import pytest

from oms_es.simulation.campaign import campaign, failure
from oms_es.simulation.components import WHOLE
from oms_es.simulation.guards.table import GUARDS, Guard
from oms_es.simulation.logging_off import quiet
from oms_es.simulation.scenario import PROFILES

SEEDS_MAX = 1_000
EVERY = os.environ.get("OMS_TEST_GUARDS") == "every"
SLOW = {
    "chain of predecessors",
    "lock on rows that several streams feed",
    "generation of the rows",
    "failures that were reported before they were asked for",
    "partition taken up to the end before a chain goes on from there",
    "rows forgotten at every seek",
    "rows of several workers asked for again before a chain is committed",
}
"""Missed only after half a minute of play or more: `make guards` asks for them too."""


@pytest.fixture(autouse=True)
def _quiet(_quiet: None) -> None:
    quiet()


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_a_guard_that_is_taken_out_is_missed(guard: Guard) -> None:
    if guard.name in SLOW and not EVERY:
        pytest.skip("`make guards` asks for it")
    summary = campaign(range(SEEDS_MAX), PROFILES[guard.profile], components=guard.without(WHOLE))
    assert summary.failed, f"nothing broke in {summary.seeds} seeds: is {guard.name} no guard?"


def test_the_slow_guards_are_guards() -> None:
    assert {guard.name for guard in GUARDS} >= SLOW


def test_a_failure_says_what_broke_where_and_how_to_see_it_again_made_smaller() -> None:
    components = GUARDS[0].without(WHOLE)
    summary = campaign(range(SEEDS_MAX), PROFILES["stormy"], components=components)
    (failed,) = summary.failed
    answer = list(failure(failed, components))
    assert answer[0].startswith("BROKEN at step")
    assert f"seed {failed.scenario.seed}, stormy" in answer[1]
    faults = [line for line in answer if "node" in line and "calls later" in line]
    assert len(faults) < len(failed.scenario.faults)
