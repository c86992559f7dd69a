"""The engine in simulated time: every invariant holds whatever goes wrong, and the same seed gives the same run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from oms_es.app import CONSUMERS, PROJECTIONS
from oms_es.app.workers import ROLES, roles_of
from oms_es.processing.chain import Chain
from oms_es.simulation import run
from oms_es.simulation.campaign import campaign, failure
from oms_es.simulation.components import WHOLE
from oms_es.simulation.expansion import expand
from oms_es.simulation.logging_off import quiet
from oms_es.simulation.nodes.log_node import LogNode
from oms_es.simulation.nodes.roles import SHARED_ROLES
from oms_es.simulation.nodes.worker_node import WorkerNode
from oms_es.simulation.run import Play, play
from oms_es.simulation.scenario import MINUTES, ON_CALL, PROFILES, Scenario
from seeds import CORPUS, Found

FRESH = int(os.environ.get("OMS_TEST_SEEDS", "200"))
PRINT_TRACES = """
from oms_es.simulation.campaign import campaign
from oms_es.simulation.logging_off import quiet
from oms_es.simulation.scenario import PROFILES
quiet()
for profile in ("stormy", "hurricane", "life"):
    print(campaign(range(8), PROFILES[profile], 3.0, failures_max=99).trace)
"""


@pytest.fixture(autouse=True)
def _quiet(_quiet: None) -> None:
    quiet()


@pytest.mark.parametrize("found", CORPUS, ids=lambda found: f"{found.profile}-{found.seed}")
def test_a_seed_that_once_failed_holds(found: Found) -> None:
    outcome = play(expand(found.seed, PROFILES[found.profile]))
    assert outcome.violation is None, "\n".join(failure(outcome))


def test_fresh_seeds_hold_and_anyone_who_reads_of_one_that_does_not_can_play_it_again() -> None:
    first = int(time.time())
    summary = campaign(range(first, first + FRESH), PROFILES["stormy"])
    assert not summary.failed, "\n".join(failure(summary.failed[0]))
    assert summary.faults > summary.seeds


def test_what_goes_right_goes_right_without_any_fault() -> None:
    summary = campaign(range(20), PROFILES["calm"])
    assert not summary.failed, "\n".join(failure(summary.failed[0]))
    assert summary.faults == 0


def test_the_same_seed_is_the_same_story_whatever_the_interpreters_hash_seed() -> None:
    reported = []
    for hash_seed in ("0", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        ran = subprocess.run([sys.executable, "-c", PRINT_TRACES], env=environment, capture_output=True, check=True)
        reported.append(ran.stdout)
    assert reported[0] == reported[1]
    assert len(set(reported[0].split())) == 3


def test_a_flash_sale_sells_exactly_what_exists() -> None:
    """The full sale is `oms-es simulate --profile flash-sale`: the same, fifty times as large."""
    small = replace(PROFILES["flash-sale"], units=200, orders=(1_000, 1_000), seconds=60.0)
    scenario = expand(7, small)
    playing = Play(scenario, WHOLE)
    outcome = playing.outcome()
    assert outcome.violation is None, "\n".join(failure(outcome))
    counts = playing.watch.history.stock
    assert len(counts) == 2
    assert sum(one.received for one in counts.values()) == 200
    assert sum(one.shipped + one.open for one in counts.values()) == 200


OUTSIDE_OF_MEMORY = {"forgetting", "warehouse_answers", "reporting"}
"""Forgetting destroys keys in PostgreSQL and empties rows, which a simulated database does not have:
test_forgetting_killed.py kills it at each of its steps. Warehouses answer in files: test_warehouse_files.py kills the
process that takes them in. Reports are SQL over PostgreSQL: test_reporting.py kills the processes that make them."""


def test_every_role_and_gateway_of_the_engine_is_simulated() -> None:
    scenario = next(s for s in map(stormy, range(99)) if s.topology == "workers")
    playing = Play(scenario, WHOLE)
    nodes = [node for node in playing.nodes if isinstance(node, WorkerNode)]
    assert {role for node in nodes for role in node.roles} - OUTSIDE_OF_MEMORY == set(ROLES) - OUTSIDE_OF_MEMORY
    assert roles_of([name for group in SHARED_ROLES for name in group])
    playing.outcome()
    engine = Play(next(s for s in map(stormy, range(99)) if s.topology == "engine"), WHOLE)
    engine.outcome()
    (node,) = engine.nodes
    assert isinstance(node, LogNode)
    assert node.loop
    run = {worker.name for worker in node.loop.workers if not isinstance(worker, Chain)}
    assert run == set(ROLES) - {"channel_orders"} - OUTSIDE_OF_MEMORY
    assert len(CONSUMERS) + len(PROJECTIONS) < len(run)


def test_a_node_that_goes_round_in_a_circle_is_a_failure_and_does_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "CALLS_MAX", 50)
    monkeypatch.setattr(run, "CALLS_PER_ACTION_MAX", 0)
    violation = Play(stormy(1), WHOLE).outcome().violation
    assert violation
    assert violation.check == "everything comes to rest"
    assert "has made 50 calls" in violation.detail


def test_every_kind_of_fault_strikes() -> None:
    struck: set[str] = set()
    for seed in range(12):
        playing = Play(expand(seed, PROFILES["hurricane"], 2.0), WHOLE)
        playing.outcome()
        struck |= set(playing.strikes)
    assert struck >= set(ON_CALL) | {"database_away", "broker_away", "world_away", "stray", "clock_jump", "retention"}


def stormy(seed: int) -> Scenario:
    return expand(seed, PROFILES["stormy"], MINUTES)
