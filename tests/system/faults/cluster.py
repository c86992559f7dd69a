"""A Kafka, a PostgreSQL and the engine's own programs as processes, with orders coming in all the time.

Nobody but the test ends a member: one that ends of itself is a finding.
"""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import psycopg
from confluent_kafka import Consumer, Producer, TopicPartition
from psycopg.rows import dict_row

from conftest import PARTITIONS, broker, fresh_database, reachable_directory, server
from oms_es.app import DECIDERS, PROJECTIONS, migrate
from oms_es.app.workers import INTERESTS, Workers, topics
from oms_es.database.directories import STOP_SECONDS_MAX
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.demo.catalogue import CATALOGUE
from oms_es.demo.workload import Workload
from oms_es.kafka.client import Config, connection, create_topics
from oms_es.kafka.dev_broker import Broker
from oms_es.kafka.relay.leadership import RELAY_LOCK
from oms_es.kernel import Command
from oms_es.schemas.order import CancelOrder, PlaceOrder
from oms_es.schemas.stock import ReceiveStock, SetSafetyStock
from oms_es.schemas.topics import CHANNEL_ORDERS, EVENT_TOPICS, ORDER_STATUS, STOCK_LEVELS
from oms_es.store.dead_letters import DEAD_LETTERS
from oms_es.store.outbox import CHANGES
from oms_es.store.recorder import EVENTS
from oms_es.store.store import OUTAGES
from oms_es.verification.verify import verify
from subscriber import Chain, Subscriber, Table, rows_as_json
from system.faults.nursery import Nursery

SESSION_SECONDS = 6.0
ORDERS_PER_SECOND = 6.0
ORDERS_PER_FAULT_MAX = 12
"""However long the fault lasts: what has come must be settled after it."""
ORDERS_MAX = 4_000
SKUS = {product.sku for product in CATALOGUE[:60]}
"""Orders for anything else are not reported: a small world is soon verified."""
SECONDS_MAX = 400.0
"""For anything that is waited for."""
REFRESH_SECONDS = 0.05
LATE = "late"  # the receipts that come among the orders

TWICE = ("order_progress", "stock_allocator", "payment_provider", "order_status", "stock_levels", "channel_orders")
TEAM = {
    "relay": ("member", "relay"),
    "projections": ("oms-es", "worker", "projections"),
    "consumers": ("member", "worker", "consumers", "channel_orders", "ticker"),
    "gateways": ("member", "worker", "gateways"),
    "understudy": ("member", "worker", *TWICE),
}
"""Every role once, and some twice: enough to have somebody who takes over, and few enough for a small machine."""
WORKERS = ("projections", "consumers", "gateways", "understudy")

ONCE = "SELECT operation, subject, part FROM simulated_effects GROUP BY 1, 2, 3 HAVING count(*) > 1"
STOPPED = re.compile(r"^.*(?:partition stopped|stopped: repair|event cannot be processed|Traceback).*$", re.MULTILINE)


ENDS = ("completed", "cancelled", "backordered")
"""The phases in which the orders of the channel rest."""
RUNNING = "SELECT order_id FROM order_status WHERE phase <> ALL (%s) LIMIT 1"


class Found(NamedTuple):
    """The state after a fault, once all has settled."""

    events: int
    repeats: int
    rows_checked: int


def comes_first(world: Workload) -> list[Command]:
    """Return the commands that open the locations, receive the first stock and set its safety stock."""
    stocked: list[ReceiveStock | SetSafetyStock] = [*world.receipts(), *world.safety_stocks()]
    return [*world.locations(), *(command for command in stocked if command.sku in SKUS)]


def comes_later(command: Command) -> bool:
    match command:
        case PlaceOrder():
            return all(line.sku in SKUS for line in command.lines)
        case ReceiveStock():
            return command.sku in SKUS and command.receipt_id == LATE
    return isinstance(command, CancelOrder)


class Member:
    """A process of the engine; restarted under the same name, it appends to the same log file."""

    def __init__(self, nursery: Nursery, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.nursery = nursery
        self.name = name
        self.command = command
        self.log_path = nursery.directory / f"{name}.log"
        self.said_path = nursery.directory / f"{name}.said"
        self.environment = environment
        self.start()

    def start(self) -> None:
        for path in (self.said_path, self.log_path):  # a reader may come before the child has begun
            path.touch()
        self.log_from = self.log_path.stat().st_size
        program, *arguments = self.command
        self.child = self.nursery.start(program, arguments, self.said_path, self.log_path, self.environment)

    def end(self, how: signal.Signals) -> None:
        self.child.send_signal(how)
        self.wait()

    def wait(self) -> int:
        return self.child.wait(SECONDS_MAX)

    @property
    def reported(self) -> str:
        """Return what the member printed on standard output."""
        return self.said_path.read_text()

    def log(self) -> str:
        """Return its log since it was last started."""
        return self.log_path.read_bytes()[self.log_from :].decode(errors="replace")

    def log_of_all_its_lives(self) -> str:
        return self.log_path.read_text(errors="replace")


class Channel(threading.Thread):
    """Sends orders over Kafka, and lets external events happen, until it is paused."""

    def __init__(self, kafka: Config, seed: int, submit: Callable[[Sequence[Command]], Any]) -> None:
        super().__init__(daemon=True)
        self.submit = submit
        self.producer = Producer(
            {
                "bootstrap.servers": ",".join(kafka["bootstrap_servers"]),
                "partitioner": "murmur2",
                "enable.idempotence": True,
                "log_level": 0,
            }
        )
        world = Workload(seed, ORDERS_MAX)
        self.reported: dict[str, PlaceOrder] = {}
        self.newest = ""
        self.problems: list[BaseException] = []
        self._quota = 0
        self._commands = (command for command in world.commands() if comes_later(command))
        self._flowing, self._idle, self._ending = threading.Event(), threading.Event(), False
        self._idle.set()

    def run(self) -> None:
        try:
            while not self._ending:
                self._idle.set()
                self._flowing.wait()
                self._idle.clear()
                if self._quota:
                    self._send_next()
                time.sleep(1 / ORDERS_PER_SECOND)
        except BaseException as error:  # noqa: BLE001 - the test's own thread reports it
            self.problems.append(error)
        finally:
            self._idle.set()

    def flow(self) -> None:
        self._quota = ORDERS_PER_FAULT_MAX
        self._flowing.set()

    def pause(self) -> None:
        """Stop sending; return once all messages have arrived."""
        self._flowing.clear()
        assert self._idle.wait(SECONDS_MAX)
        assert not self.problems, self.problems
        assert self.producer.flush(SECONDS_MAX) == 0

    def end(self) -> None:
        self._ending = True
        self._flowing.set()
        self.join()

    def _send_next(self) -> None:
        command = next(self._commands)
        if not isinstance(command, PlaceOrder):
            self.submit([command])
            return
        self.producer.produce(CHANNEL_ORDERS, command.model_dump_json().encode(), key=command.order_id)
        self.producer.poll(0)
        self.reported.setdefault(command.order_id, command)
        self.newest = command.order_id
        self._quota -= 1


class Cluster:
    """The processes of the test; use it by way of `cluster`, which starts and ends them."""

    def __init__(self, database: EmbeddedPostgres, kafka: Broker, url: str, nursery: Nursery, seed: int) -> None:
        self.database = database
        self.broker = kafka
        self.url = url
        self.nursery = nursery
        self.kafka = connection(kafka.address)
        self.observer = Workers(url, self.kafka, [])
        self.channel = Channel(self.kafka, seed, self.insist)
        self.events = Subscriber(self.kafka, list(EVENT_TOPICS.values()))
        self.states = {topic: Subscriber(self.kafka, [topic]) for topic in (ORDER_STATUS, STOCK_LEVELS)}
        self.chain, self.tables = Chain(), {topic: Table() for topic in self.states}
        self.members: dict[str, Member] = {}

    def open(self, seed: int) -> None:
        create_topics(self.kafka, topics(PARTITIONS), replicas=1)
        self.insist(comes_first(Workload(seed, ORDERS_MAX)))
        for name in TEAM:
            self.start(name)
        self.channel.start()
        self.until("the members have done what was there at first", self.observer.settled)

    def close(self) -> None:
        self.channel.end()
        for member in self.members.values():
            if member.child.poll() is None:
                member.child.send_signal(signal.SIGCONT)
                member.end(signal.SIGKILL)
        for subscriber in (self.events, *self.states.values()):
            subscriber.client.close()
        self.observer.close()

    def start(self, name: str, like: str | None = None) -> Member:
        """Start a member. `like`: an existing member with the same work."""
        if name in self.members:
            self.members[name].start()
        else:
            environment = {
                "OMS_DATABASE_URL": self.url,
                "OMS_GATEWAYS": "simulated",
                "OMS_KAFKA": self.broker.address,
                "OMS_KAFKA_SESSION_SECONDS": str(SESSION_SECONDS),
                "OMS_LOG_LEVEL": "info",
            }
            self.members[name] = Member(self.nursery, name, TEAM[like or name], environment)
        return self.members[name]

    def dismiss(self, name: str) -> None:
        """Forget a member that has ended and is not restarted."""
        del self.members[name]

    def insist(self, commands: Sequence[Command]) -> None:
        """Submit to the engine, again while the database does not answer: repeats decide nothing."""
        deadline = time.monotonic() + SECONDS_MAX
        while True:
            try:
                self.observer.submit("channel", commands)  # a cancellation that comes too late is refused
            except OUTAGES:
                assert time.monotonic() < deadline
                time.sleep(REFRESH_SECONDS)
            else:
                return

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        with psycopg.connect(self.url, row_factory=dict_row) as session:
            return session.execute(query.encode(), values).fetchall()

    def until(self, what: str, holds: Callable[[], bool]) -> float:
        """Wait until the condition holds; return how many seconds it took."""
        began = time.monotonic()
        while True:
            self.all_alive()
            try:
                if holds():
                    return time.monotonic() - began
            except OUTAGES:
                pass
            if time.monotonic() > began + SECONDS_MAX:
                raise AssertionError(f"not within {SECONDS_MAX} s: {what}\n{self.story()}")
            time.sleep(REFRESH_SECONDS)

    def all_alive(self) -> None:
        for member in self.members.values():
            assert member.child.poll() is None, f"{member.name} ended of itself:\n{member.log()[-4_000:]}"

    def story(self) -> str:
        return "\n".join(f"{m.name}: {m.log()[-2_000:]}" for m in self.members.values())

    def recovered(self, position: int, order_id: str) -> bool:
        """Return whether the log is processed up to the position, and the order is placed: both were the last then."""
        covered = self.observer.watermark.position(INTERESTS) >= position
        return covered and bool(self.rows("SELECT 1 FROM order_status WHERE order_id = %s", order_id))

    def relays_active(self) -> int:
        (found,) = self.rows(
            "SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND granted "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            RELAY_LOCK,
        )
        return int(found["n"])

    def offset_committed(self, group: str, topic: str, partition: int) -> int:
        """Return the committed offset; 0 if there is none yet."""
        other = Consumer({"bootstrap.servers": self.broker.address, "group.id": group})
        try:
            (found,) = other.committed([TopicPartition(topic, partition)], timeout=SECONDS_MAX)
        finally:
            other.close()
        return max(0, int(found.offset))

    def settle(self) -> None:
        """Send no more orders; wait until everything has followed from those sent, and is published."""
        self.channel.pause()
        reported = set(self.channel.reported)
        self.until("all orders are taken in", lambda: self._taken_in() >= len(reported))
        # before the rest, since what a deadline gives again after a fault, such as a payment, follows from no event
        self.until("every order has come to its end", lambda: not self.rows(RUNNING, [*ENDS]))
        self.until("all is done", self.observer.settled)
        self.until("all is told", lambda: not self.rows(f"SELECT 1 FROM {CHANGES} LIMIT 1"))

    def _taken_in(self) -> int:
        (found,) = self.rows("SELECT count(*) AS n FROM order_status")
        return int(found["n"])

    def check(self) -> Found:
        """Assert that nothing is lost and nothing happened twice; call it once all has settled."""
        report = verify(self.url, DECIDERS, PROJECTIONS, self.observer.store.codec)
        assert report.passed, [check for check in report.checks if check.failed]
        orders = self.rows("SELECT order_id, phase FROM order_status")
        assert {row["order_id"] for row in orders} == set(self.channel.reported)
        assert [row for row in orders if row["phase"] not in ENDS] == []
        assert self.rows(ONCE) == []
        assert self.rows(f"SELECT * FROM {DEAD_LETTERS}") == []
        self._check_topics(report.position)
        for member in self.members.values():
            assert not STOPPED.findall(member.log_of_all_its_lives()), f"{member.name}:\n{member.log()[-4_000:]}"
        return Found(report.position, self.chain.repeats, sum(check.checked for check in report.checks))

    def _check_topics(self, position: int) -> None:
        self.chain.follow(self.events.read())
        assert self.chain.positions == {
            row["id"] for row in self.rows(f"SELECT notification_id AS id FROM {EVENTS}")
        }, f"the topics and the log up to {position}"
        for topic, subscriber in self.states.items():
            self.tables[topic].follow(subscriber.read())
        assert self.tables[ORDER_STATUS].rows == rows_as_json(self.url, "order_status", "order_id")
        assert self.tables[STOCK_LEVELS].rows == rows_as_json(self.url, "stock_levels", "sku || '@' || location")

    def stop_database_at_once(self) -> None:
        """Stop it as a power failure would: without a checkpoint or a message."""
        stopped, said = self.database._pg_ctl("stop", STOP_SECONDS_MAX, "--mode", "immediate")
        assert stopped, said

    def start_database(self) -> None:
        with self.database._start.held():
            self.database._wait_until_it_answers()


@contextmanager
def servers() -> Iterator[tuple[EmbeddedPostgres, Broker]]:
    """Start servers for this test alone, as they are killed."""
    with server() as database, broker() as kafka:
        yield database, kafka


@contextmanager
def cluster(database: EmbeddedPostgres, kafka: Broker, seed: int) -> Iterator[Cluster]:
    """Start the members on new topics."""
    with ExitStack() as stack:
        url = stack.enter_context(fresh_database(database))
        migrate(url)
        nursery = stack.enter_context(Nursery(stack.enter_context(reachable_directory())))
        found = Cluster(database, kafka, url, nursery, seed)
        stack.callback(found.close)
        found.open(seed)
        yield found
