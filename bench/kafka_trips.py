"""Orders through Kafka: how long the allocation of one takes, and how many are completed in a second.

They are compared with the build of another commit, by turns on the same broker and server: each turn has a database and
topics of its own, and processes of its build: the relay and a worker with consumers and the read models that they look
up; for completed orders, also gateways, and a worker with the read models for people.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

if __name__ == "__main__":
    sys.path.pop(0)  # remove this folder, in which `kafka` is a benchmark and not the library

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

import psycopg
from bench.alone import OURS, built
from bench.kafka import CONSUMERS, ORDERS_PER_SECOND, order, travel
from bench.measure import Measure, fresh_database, printed
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from oms_es.database.embedded import EmbeddedPostgres
from oms_es.kafka.dev_broker import Broker
from oms_es.schemas.topics import CHANNEL_ORDERS
from oms_es.store.recorder import EVENTS

SUBJECT = Path(__file__).with_name("kafka_subject.py")
ROUNDS = 5
SECONDS = 10
"""Seconds of a steady load, per round."""
BURST = 300
"""Orders that are sent at once, until all are completed."""
ENDED_SECONDS_MAX = 300.0


class Turn(NamedTuple):
    """Results of one build in one turn."""

    seconds: list[float]
    orders_per_second: float


class Place(NamedTuple):
    """The server and broker that the builds share."""

    server_url: str
    broker: str


def measures(against: str, rounds: int, seconds: int, burst: int) -> Iterator[Measure]:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="oms-es-bench-")))
        directory.chmod(0o711)
        pythons = {OURS: Path(sys.executable)}
        if against:
            pythons[f"build {against}"] = stack.enter_context(built(against, directory / "other"))
        server = stack.enter_context(EmbeddedPostgres(directory / "home").open(exclusive=True))
        place = Place(server.url, stack.enter_context(Broker(directory / "kafka")).address)
        turns: dict[str, list[Turn]] = {name: [] for name in pythons}
        for _ in range(rounds):
            for name, python in pythons.items():
                turns[name].append(turn(python, place, seconds, burst))
        yield from compared(turns, f"build {against}" if against else "")


def compared(turns: Mapping[str, list[Turn]], other: str) -> Iterator[Measure]:
    cuts = {name: quantiles([s for one in of for s in one.seconds], n=100) for name, of in turns.items()}
    rates = {name: median(one.orders_per_second for one in of) for name, of in turns.items()}
    for what, at in (("p50", 49), ("p99", 98)):
        values = {name: 1_000 * of[at] for name, of in cuts.items()}
        name = f"order on the channel topic to OrderAllocated on its topic, {ORDERS_PER_SECOND} orders/s, {what}"
        yield Measure(name, values[OURS], "ms", other, values.get(other))
    yield Measure("orders through Kafka to their end", rates[OURS], "1/s", other, rates.get(other))


def turn(python: Path, place: Place, seconds: int, burst: int) -> Turn:
    with fresh_database(place.server_url) as url, topics_of(place.broker):
        said = subprocess.run(
            [str(python), str(SUBJECT), url, place.broker], stdout=subprocess.PIPE, text=True, cwd="/", check=True
        ).stdout
        facts, people = json.loads(said.splitlines()[-1])
        allocating = ["worker", "channel_orders", *(consumer.name for consumer in CONSUMERS), *facts]
        with processes(python, url, place.broker, [["relay"], allocating]):
            travel(place.broker, 0, ORDERS_PER_SECOND)  # warms up plans and connections
            times = travel(place.broker, ORDERS_PER_SECOND, ORDERS_PER_SECOND * seconds)
        deciding = ["worker", "channel_orders", "consumers", "gateways", "ticker", *facts]
        with processes(python, url, place.broker, [["relay"], deciding, ["worker", *people]]):
            rate = to_their_end(url, place.broker, ORDERS_PER_SECOND * (seconds + 1), burst)
    return Turn([trip[-1] - trip[0] for trip in times], rate)


def to_their_end(url: str, broker: str, begun: int, burst: int) -> float:
    """Return the orders completed per second of a burst, sent after earlier orders are completed."""
    with psycopg.connect(url, autocommit=True) as connection:
        wait_for(connection, begun)
        producer = Producer({"bootstrap.servers": broker})
        began = time.perf_counter()
        for number in range(begun, begun + burst):
            producer.produce(CHANNEL_ORDERS, order(number), key=str(number))
        producer.flush()
        wait_for(connection, begun + burst)
        return burst / (time.perf_counter() - began)


def wait_for(connection: psycopg.Connection, orders: int) -> None:
    """Wait until the log has this many completed orders; read models may be behind."""
    deadline = time.monotonic() + ENDED_SECONDS_MAX
    counted = f"SELECT count(*) FROM {EVENTS} WHERE topic = 'OrderCompleted'".encode()
    while (found := connection.execute(counted).fetchone()) and found[0] < orders:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{found[0]} of {orders} orders were completed: is the machine busy?")
        time.sleep(0.1)


@contextmanager
def processes(python: Path, url: str, broker: str, commands: Sequence[Sequence[str]]) -> Iterator[None]:
    environment = {
        **os.environ,
        "OMS_DATABASE_URL": url,
        "OMS_KAFKA": broker,
        "OMS_GATEWAYS": "simulated",
        "OMS_LOG_LEVEL": "error",
    }
    program = str(python.with_name("oms-es"))
    running = [
        subprocess.Popen([program, *command], env=environment, stderr=subprocess.DEVNULL, cwd="/")
        for command in commands
    ]
    try:
        yield
    finally:
        for one in running:
            one.terminate()
        for one in running:
            one.wait()


@contextmanager
def topics_of(broker: str) -> Iterator[None]:
    """Delete the topics at the end of the context: each log has a set of its own."""
    try:
        yield
    finally:
        admin = AdminClient({"bootstrap.servers": broker})
        ours = [name for name in admin.list_topics(timeout=10).topics if name.startswith("oms.")]
        for deleted in admin.delete_topics(ours, operation_timeout=30).values() if ours else ():
            deleted.result()
        while any(name.startswith("oms.") for name in admin.list_topics(timeout=10).topics):
            time.sleep(0.1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one object per measure on standard output")
    parser.add_argument("--against", default="", metavar="COMMIT", help="measure the build of this commit, too")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="by turns")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of a steady load, per round")
    parser.add_argument("--burst", type=int, default=BURST, help="orders that come at once")
    options = parser.parse_args()
    with printed("Through Kafka", as_json=options.json) as reported:
        reported.extend(measures(options.against, options.rounds, options.seconds, options.burst))
