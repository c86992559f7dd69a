"""Processes and servers are killed, frozen and replaced while orders come in: nothing is lost, nothing happens twice,
and every row equals history.

OMS_TEST_FAULTS names the kinds (all of them by default), OMS_TEST_FAULT_TIMES how often each (once by default).
"""

from __future__ import annotations

import os
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

import pytest

from conftest import empty
from oms_es import rendering as display
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.kafka.client import connection
from oms_es.kafka.dev_broker import Broker
from oms_es.kafka.relay.store import RELAY
from system.faults.cluster import SESSION_SECONDS, WORKERS, Cluster, cluster, servers

TIMES = int(os.environ.get("OMS_TEST_FAULT_TIMES", "1"))
SEED = int(os.environ.get("OMS_TEST_FAULT_SEED", "1"))
FLOW_SECONDS = (0.3, 2.0)
"""Orders have come for so long when the fault strikes."""
DOWN_SECONDS = (0.0, 1.0)
UNSAVED_SHARE = 0.6
STORM_STEP_SECONDS = 2.0
COLUMNS = ("fault", "times", "events meanwhile", "repeats on topics", "recovered p50 s", "recovered max s", "verify")


def relay_killed(there: Cluster, chance: Random) -> None:
    """Kill the relay now, or between publishing and saving its position, so that it publishes again."""
    relay = there.members["relay"]
    if chance.random() < UNSAVED_SHARE:
        relay.child.send_signal(signal.SIGUSR1)
        assert relay.wait() == -signal.SIGKILL, relay.log()
        _, previous, position = relay.reported.split()
        (saved,) = there.rows(f"SELECT position FROM {RELAY} WHERE name = 'events'")
        assert saved["position"] == int(previous) < int(position)
    else:
        relay.end(signal.SIGKILL)
    time.sleep(chance.uniform(*DOWN_SECONDS))
    relay.start()


def consumer_killed_between_its_commits(there: Cluster, chance: Random) -> None:
    """At that point effects and position are in the database, and the offset is not in Kafka."""
    member = there.members[chance.choice(("consumers", "understudy"))]
    member.child.send_signal(signal.SIGUSR1)
    assert member.wait() == -signal.SIGKILL, member.log()
    _, role, topic, partition, offset = member.reported.split()
    assert there.offset_committed(role, topic, int(partition)) < int(offset)
    assert there.rows("SELECT 1 FROM oms_tracking WHERE application_name = %s", f"{role}@{topic}/{partition}")
    time.sleep(chance.uniform(*DOWN_SECONDS))
    member.start()


def projection_killed(there: Cluster, chance: Random) -> None:
    member = there.members["projections"]
    member.end(signal.SIGKILL)
    time.sleep(chance.uniform(*DOWN_SECONDS))
    member.start()


def broker_killed(there: Cluster, chance: Random) -> None:
    there.broker.kill()
    time.sleep(chance.uniform(*DOWN_SECONDS))
    there.broker.start()


def database_stopped_at_once(there: Cluster, chance: Random) -> None:
    there.stop_database_at_once()
    time.sleep(chance.uniform(*DOWN_SECONDS))
    there.start_database()


def two_relays(there: Cluster, chance: Random) -> None:
    """Start two relays at once, of which one publishes; then kill either of them."""
    there.members["relay"].end(signal.SIGTERM)
    there.members["relay"].start()
    there.start("rival", like="relay")
    there.until("one relay publishes", lambda: there.relays_active() == 1)
    time.sleep(chance.uniform(*DOWN_SECONDS))
    killed, left = chance.sample(("relay", "rival"), 2)
    there.members[killed].end(signal.SIGKILL)
    there.members["relay"] = there.members[left]
    there.dismiss("rival")
    there.until("the other one publishes", lambda: there.relays_active() == 1)


def members_join_and_leave(there: Cluster, chance: Random) -> None:
    """Change every group every two seconds: two members join, and two leave."""
    for name in ("guest", "other guest"):
        guest = there.start(name, like="understudy")
        there.until("it is there", lambda: "partition assigned" in guest.log())  # noqa: B023 - asked before the next
        time.sleep(STORM_STEP_SECONDS)
    for name in chance.sample(("guest", "other guest"), 2):
        there.members[name].end(chance.choice((signal.SIGTERM, signal.SIGKILL)))
        there.dismiss(name)
        time.sleep(STORM_STEP_SECONDS)


def worker_frozen_past_its_session(there: Cluster, chance: Random) -> None:
    """Other members have its partitions when it continues."""
    member = there.members[chance.choice(WORKERS)]
    taken = member.log().count("partition revoked")
    member.child.send_signal(signal.SIGSTOP)
    time.sleep(SESSION_SECONDS * 1.5 + chance.uniform(*DOWN_SECONDS))
    member.child.send_signal(signal.SIGCONT)
    there.until("it sees what it lost", lambda: member.log().count("partition revoked") > taken)


Fault = Callable[[Cluster, Random], None]
FAULTS: dict[str, Fault] = {
    "relay": relay_killed,
    "consumer": consumer_killed_between_its_commits,
    "projection": projection_killed,
    "broker": broker_killed,
    "postgres": database_stopped_at_once,
    "relays": two_relays,
    "storm": members_join_and_leave,
    "zombie": worker_frozen_past_its_session,
}
ENGINE = "engine"  # test_kill.py


def chosen(named: str) -> list[str]:
    """Return the chosen kinds. Raise ValueError for an unknown one."""
    names = named.replace(",", " ").split() or list(FAULTS)
    if unknown := set(names) - {ENGINE, *FAULTS}:
        raise ValueError(f"no fault is called {', '.join(sorted(unknown))}; there are {', '.join((ENGINE, *FAULTS))}")
    return [name for name in names if name != ENGINE]


CHOSEN = chosen(os.environ.get("OMS_TEST_FAULTS", ""))


@dataclass
class Tally:
    """The results of one kind of fault."""

    times: int = 0
    events: int = 0
    repeats: int = 0
    checked: int = 0
    seconds: list[float] = field(default_factory=list)

    def row(self, name: str) -> tuple[object, ...]:
        p50, slowest = statistics.median(self.seconds), max(self.seconds)
        passed = f"passed, {self.checked:,} checks"
        return name, self.times, f"{self.events:,}", f"{self.repeats:,}", f"{p50:.1f}", f"{slowest:.1f}", passed


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[EmbeddedPostgres, Broker]]:
    with servers() as found:
        yield found


@pytest.fixture(scope="module")
def out(request: pytest.FixtureRequest) -> Callable[[object], None]:
    """Return a function that prints to standard output, also where pytest captures it."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    console = display.console_on(sys.__stdout__ or sys.stdout)

    def say(what: object) -> None:
        with capture.global_and_fixture_disabled():
            console.print(what)

    return say


@pytest.fixture(scope="module")
def tallies(out: Callable[[object], None]) -> Iterator[dict[str, Tally]]:
    found: dict[str, Tally] = {}
    yield found
    if found:
        rows = [tally.row(name) for name, tally in found.items() if tally.times]
        out(display.grid(f"Faults, seed {SEED}", rows, *COLUMNS, numbers=COLUMNS[1:-1]))


@contextmanager
def fresh(both: tuple[EmbeddedPostgres, Broker], seed: int) -> Iterator[Cluster]:
    database, kafka = both
    empty(connection(kafka.address))
    with cluster(database, kafka, seed) as there:
        yield there


def strike(there: Cluster, fault: Fault, chance: Random, tally: Tally) -> None:
    before = there.observer.last_position()
    repeats = there.chain.repeats
    there.channel.flow()
    time.sleep(chance.uniform(*FLOW_SECONDS))
    position, newest, struck = there.observer.last_position(), there.channel.newest, time.monotonic()
    fault(there, chance)
    there.until("all is done that was reported before", lambda: there.recovered(position, newest))
    tally.seconds.append(time.monotonic() - struck)
    there.settle()
    found = there.check()
    tally.times += 1
    tally.events += found.events - before
    tally.repeats += found.repeats - repeats
    tally.checked += found.rows_checked


@pytest.mark.timeout(1_800)
@pytest.mark.skipif(TIMES > 1, reason="the long form is asked for")
def test_one_of_each_loses_nothing_and_does_nothing_twice(
    both: tuple[EmbeddedPostgres, Broker], tallies: dict[str, Tally]
) -> None:
    with fresh(both, SEED) as there:
        for name in CHOSEN:
            strike(there, FAULTS[name], Random(f"{SEED}/{name}"), tallies.setdefault(name, Tally()))


@pytest.mark.timeout(7_200)
@pytest.mark.skipif(TIMES == 1, reason="the short form does one of each")
@pytest.mark.parametrize("name", CHOSEN)
def test_many_of_a_kind_lose_nothing_and_do_nothing_twice(
    both: tuple[EmbeddedPostgres, Broker], tallies: dict[str, Tally], out: Callable[[object], None], name: str
) -> None:
    tally = tallies.setdefault(name, Tally())
    with fresh(both, SEED) as there:
        for number in range(TIMES):
            strike(there, FAULTS[name], Random(f"{SEED}/{name}/{number}"), tally)
            out(f"{name} {number + 1} of {TIMES}, seed {SEED}: recovered in {tally.seconds[-1]:.1f} s")
