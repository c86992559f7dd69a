"""Costs of Kafka: of the relay, of a projection worker, and of the whole way of an order.

Everything runs here: a real broker (one node, from its jars), PostgreSQL, and for the latency the relay and the workers
as processes of their own. The relay's reference is a bare kafka-python producer with the same settings that sends the
same bytes without reading or saving anything; a projection's is a bare kafka-python consumer that reads the same topic
without decoding.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time

if __name__ == "__main__":
    sys.path.pop(0)  # remove this folder, in which `kafka` is a benchmark and not the library

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice, pairwise
from pathlib import Path
from statistics import quantiles
from typing import Any, NamedTuple, Self

from bench.measure import Measure, fresh_database, peak_memory, run
from confluent_kafka import Consumer, KafkaException
from confluent_kafka import Producer as OtherProducer
from confluent_kafka import TopicPartition as OtherTopicPartition
from kafka import KafkaConsumer  # type: ignore[import-untyped] # the library has no types
from kafka import TopicPartition as Partition

from oms_es.app import migrate
from oms_es.app.workers import Workers, topics
from oms_es.consumers.order import order_progress
from oms_es.consumers.sourcing import sourcing
from oms_es.consumers.stock import stock_allocator
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.kafka import records as kafka_records
from oms_es.kafka.client import Config, Outgoing, Producer, TopicPartition, connection, create_topics
from oms_es.kafka.cloudevents import partition_for_stream
from oms_es.kafka.dev_broker import Broker
from oms_es.kafka.relay.event_publisher import RELAYED_MAX, EventPublisher
from oms_es.kafka.relay.store import RELAY
from oms_es.schemas import stock as s
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.topics import CHANNEL_ORDERS, EVENT_TOPICS
from oms_es.store.encoding.codec import Cause
from oms_es.store.log import READ_MAX

EVENTS = 60_000
PER_TURN = 10_000
BATCH = 500
SKUS = 200
PARTITIONS = 3
ORDERS_PER_SECOND = 50
LATENCY_SECONDS = 20
SETTLE_SECONDS_MAX = 60.0
LEADER_SECONDS_MAX = 10.0
PRODUCER = "bare kafka-python producer, the same bytes"
CONSUMER = "bare kafka-python consumer, nothing decoded"
STAGES = ("OrderPlaced", "OrderSourced", "StockReserved", "OrderLineAllocated", "OrderAllocated")
CONSUMERS = (sourcing.consumer, stock_allocator.consumer, order_progress.consumer)
FACTS = sorted(frozenset[str]().union(*[consumer.lookup_projections for consumer in CONSUMERS]))
ROLES = (("channel_orders", *[consumer.name for consumer in CONSUMERS]), FACTS)
"""Roles that allocate an order, in one process each."""
US = Cause("bench")


def measures(scale: int) -> Iterator[Measure]:
    with tempfile.TemporaryDirectory(prefix="oms-es-bench-") as directory:
        Path(directory).chmod(0o711)
        with (
            EmbeddedPostgres(Path(directory) / "home").open(exclusive=True) as server,
            Broker(Path(directory) / "kafka") as broker,
        ):
            kafka = connection(broker.address)
            with fresh_database(server.url) as url:
                fill(url, EVENTS * scale)
                yield from relayed(url, kafka)
                yield from projected(url, kafka)
            with fresh_database(server.url) as url, Broker(Path(directory) / "second") as other:
                yield from trips(url, other.address)
    yield peak_memory()


def fill(url: str, events: int) -> None:
    migrate(url)
    with Workers(url, {}, ()) as workers:
        workers.submit("bench", [received(sku) for sku in range(SKUS)])
        for first in range(0, events, BATCH):
            workers.append([(US, [reserve(first + i)]) for i in range(BATCH)])


def received(sku: int) -> s.ReceiveStock:
    return s.ReceiveStock(sku=f"S{sku}", location="l", receipt_id="r", quantity=10**7)


def reserve(number: int) -> s.ReserveStock:
    order = f"o{number}"
    return s.ReserveStock(
        sku=f"S{number % SKUS}", location="l", reservation_id=f"{order}/1", order_id=order, quantity=1
    )


class Spent(NamedTuple):
    """Wall-clock and CPU seconds of this process."""

    seconds: float
    cpu: float

    @classmethod
    def on(cls, work: Callable[[], object]) -> Self:
        began, cpu = time.perf_counter(), time.process_time()
        work()
        return cls(time.perf_counter() - began, time.process_time() - cpu)


def relayed(url: str, kafka: Config) -> Iterator[Measure]:
    """Yield the relay's speed and the reference, by turns on shares of the log, so that other load affects both."""
    create_topics(kafka, topics(PARTITIONS), replicas=1)
    create_topics(kafka, [t._replace(name=f"bare.{t.name}") for t in topics(PARTITIONS)], replicas=1)
    with Workers(url, kafka, (), relaying=True) as workers:
        assert workers.relay
        publisher = Producer(kafka)
        publisher.partitions([f"bare.{topic}" for topic in EVENT_TOPICS.values()])
        workers.relay.step()  # reads its position, which is not measured
        done, ours, bare = position(workers), [], []
        while messages := list(islice(as_relayed(workers, done), PER_TURN)):
            ours.append(Spent.on(lambda: relay(workers, done + len(messages))))  # noqa: B023 - called at once
            with kafka_records.librarys_own():
                bare.append(Spent.on(lambda: send(publisher, messages)))
            done = position(workers)
        events = workers.last_position() - RELAYED_MAX
        publisher.close()
    seconds, cpu = sum(turn.seconds for turn in ours), sum(turn.cpu for turn in ours)
    bare_seconds, bare_cpu = sum(turn.seconds for turn in bare), sum(turn.cpu for turn in bare)
    yield Measure("relay: the log to the topics", events / seconds, "events/s", PRODUCER, events / bare_seconds)
    yield Measure("relay: CPU per event", cpu / events * 1e6, "µs", PRODUCER, bare_cpu / events * 1e6)


def position(workers: Workers) -> int:
    with workers.recorder.datastore.cursor() as curs:
        row = curs.execute(f"SELECT position FROM {RELAY} WHERE name = 'events'").fetchone()
    return int(row["position"]) if row else 0


def relay(workers: Workers, to: int) -> None:
    assert workers.relay
    publisher = workers.relay.publishers[0]
    assert isinstance(publisher, EventPublisher)
    while publisher.position < to:
        workers.relay.step()


def send(publisher: Producer, messages: Sequence[Outgoing]) -> None:
    """Send the relay's messages with a producer of the same settings."""
    producer = publisher._opened()  # noqa: SLF001 - without what we do besides
    for topic_partition, key, value, headers in messages:
        producer.send(topic_partition.topic, value=value, key=key, headers=headers, partition=topic_partition.partition)
    producer.flush()


def as_relayed(workers: Workers, after: int) -> Iterator[Outgoing]:
    partitions = dict.fromkeys(EVENT_TOPICS.values(), PARTITIONS)
    while rows := workers.recorder.select_notifications(after, READ_MAX, inclusive_of_start=False):
        for row in rows:
            topic_partition = partition_for_stream(str(row.originator_id), partitions)
            yield workers.cloudevents.outgoing(
                row, row.id, TopicPartition(f"bare.{topic_partition.topic}", topic_partition.partition), row.id - 1
            )
        after = rows[-1].id


def projected(url: str, kafka: Config) -> Iterator[Measure]:
    with Workers(url, kafka, ("stock_levels",)) as workers:
        last = workers.last_position()
        while not workers.loop.iterate():  # joining the group is not measured
            workers.waiter.wait(0.01)
        began, done = time.perf_counter(), workers.watermark.position(["stock_levels"])
        while workers.watermark.position(["stock_levels"]) < last:
            if not workers.loop.iterate():
                workers.waiter.wait(0.01)
        rate = (last - done) / (time.perf_counter() - began)
    yield Measure("projection worker: topic to rows", rate, "events/s", CONSUMER, bare_consumer(kafka, last))


def bare_consumer(kafka: Config, events: int) -> float:
    consumer = KafkaConsumer(**kafka, enable_auto_commit=False, max_poll_records=READ_MAX)
    consumer.assign([Partition(EVENT_TOPICS["stock"], number) for number in range(PARTITIONS)])
    consumer.seek_to_beginning()
    seen, began = 0, 0.0
    with kafka_records.librarys_own():
        while seen < events:
            found = sum(map(len, consumer.poll(timeout_ms=200).values()))
            if found and not began:
                began, found, events = time.perf_counter(), 0, events - found
            seen += found
    consumer.close(autocommit=False)
    return events / (time.perf_counter() - began)


def trips(url: str, address: str) -> Iterator[Measure]:
    """Yield the seconds from a channel's message to OrderAllocated on the event topic, by stage."""
    migrate(url)
    create_topics(connection(address), topics(PARTITIONS), replicas=1)
    with Workers(url, {}, ()) as workers:
        workers.submit("bench", [OpenLocation(location="l", country="DE"), *(received(sku) for sku in range(SKUS))])
    with processes(url, address):
        warm = travel(address, 0, ORDERS_PER_SECOND)
        assert warm
        times = travel(address, ORDERS_PER_SECOND, ORDERS_PER_SECOND * LATENCY_SECONDS)
    totals = [trip[-1] - trip[0] for trip in times]
    cuts = quantiles(totals, n=100)
    at = f"at {ORDERS_PER_SECOND} orders/s"
    yield Measure(f"order on the channel topic to OrderAllocated on its topic, {at}, p50", cuts[49] * 1e3, "ms")
    yield Measure(f"the same, p99 of {len(totals):,}", cuts[98] * 1e3, "ms")
    names = ("sent", *STAGES, "read from its topic")
    for i, (before, after) in enumerate(pairwise(names)):
        middle = quantiles([trip[i + 1] - trip[i] for trip in times], n=2)[0]
        yield Measure(f"  of that, {before} to {after}, p50", middle * 1e3, "ms")


@contextmanager
def processes(url: str, address: str) -> Iterator[None]:
    program = str(Path(sys.executable).with_name("oms-es"))
    environment = {**os.environ, "OMS_DATABASE_URL": url, "OMS_KAFKA": address, "OMS_LOG_LEVEL": "error"}
    commands = [["relay"], *(["worker", *roles] for roles in ROLES)]
    running = [
        subprocess.Popen([program, *command], env=environment, stderr=subprocess.DEVNULL) for command in commands
    ]
    try:
        yield
    finally:
        for one in running:
            one.terminate()
        for one in running:
            one.wait()


def travel(address: str, first: int, count: int) -> list[list[float]]:
    """Send `count` orders at their pace; return, for each, when it was sent, when each stage was recorded, and when it
    was read."""
    reader = Consumer({"bootstrap.servers": address, "group.id": f"bench-{first}", "fetch.wait.max.ms": 5})
    topic_partitions = [OtherTopicPartition(EVENT_TOPICS[t], p) for t in ("order", "stock") for p in range(PARTITIONS)]
    for topic_partition in topic_partitions:
        topic_partition.offset = end_of(reader, topic_partition)
    reader.assign(topic_partitions)
    producer = OtherProducer({"bootstrap.servers": address, "linger.ms": 0})
    seen: dict[str, dict[str, float]] = defaultdict(dict)
    sent: dict[str, float] = {}
    began, number = time.time(), 0
    while sum(len(stages) == len(STAGES) + len(("number", "read")) for stages in seen.values()) < count:
        while number < count and time.time() >= began + number / ORDERS_PER_SECOND:
            sent[str(first + number)] = time.time()
            producer.produce(CHANNEL_ORDERS, order(first + number), key=str(first + number))
            number += 1
        producer.poll(0)
        for message in reader.consume(100, timeout=0.002):
            note(message, seen)
        if time.time() > began + count / ORDERS_PER_SECOND + SETTLE_SECONDS_MAX:
            raise TimeoutError("the orders did not arrive: is the machine busy?")
    reader.close()
    return [
        [sent[stages["number"]], *(stages[name] for name in STAGES), stages["read"]]  # type: ignore[index] # the number is a text
        for stages in seen.values()
    ]


def end_of(reader: Consumer, topic_partition: OtherTopicPartition) -> int:
    """Return the end of a partition; one that was just created may have no leader yet."""
    deadline = time.monotonic() + LEADER_SECONDS_MAX
    while True:
        try:
            return int(reader.get_watermark_offsets(topic_partition, timeout=LEADER_SECONDS_MAX)[1])
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def note(message: Any, seen: dict[str, dict[str, Any]]) -> None:
    headers = dict(message.headers())
    kind, order_id = headers["ce_type"].decode(), headers["ce_correlationid"].decode()
    if kind in STAGES:
        seen[order_id][kind] = datetime.fromisoformat(headers["ce_time"].decode()).timestamp()
    if kind == "OrderPlaced":
        seen[order_id]["number"] = json.loads(message.value())["external_id"]
    if kind == "OrderAllocated":
        seen[order_id]["read"] = time.time()


def order(number: int) -> bytes:
    line = {"line_id": "1", "sku": f"S{number % SKUS}", "quantity": 1, "unit_price_minor": 995}
    content: dict[str, Any] = {
        "channel": "web",
        "external_id": str(number),
        "placed_at": datetime.now(UTC).isoformat(),
        "currency": "EUR",
        "lines": [line],
        "ship_to": {"country": "DE"},
    }
    return json.dumps(content).encode()


if __name__ == "__main__":
    run("By way of Kafka", measures)
