"""`oms-es topics`: create topics, and accept that a topic has lost messages or was created again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import psycopg
import structlog
import typer

from oms_es.app.workers import CHANNEL_ORDERS_ROLE, DEAD_LETTERS, PARTITIONS, STATES, topics
from oms_es.cli.terminal import say, set_up, who
from oms_es.database.selection import database
from oms_es.errors import NotFound
from oms_es.kafka import topic_ids
from oms_es.kafka.client import Config, KafkaUnavailable, Producer, TopicPartition, connection, create_topics
from oms_es.kafka.relay.checkpoint_publisher import NAME as CHECKPOINTS_PUBLISHED
from oms_es.kafka.relay.store import RELAY
from oms_es.schemas.topics import LOG_CHECKPOINTS
from oms_es.settings import Settings
from oms_es.store import stops
from oms_es.store.dead_letters import DEAD_LETTERS as DEAD_LETTERS_TABLE
from oms_es.store.recorder import TRACKING

app = typer.Typer(invoke_without_command=True)
TopicName = Annotated[str, typer.Argument(metavar="TOPIC", help="The topic's whole name.")]
log = structlog.get_logger(__name__)


def kafka_of(settings: Settings, bootstrap: str | None = None) -> Config:
    """Return the connection to Kafka. Raise KafkaUnavailable if no broker is configured."""
    address = bootstrap or settings.kafka
    if not address:
        raise KafkaUnavailable("name the brokers with OMS_KAFKA, as host:port; `make kafka` starts one here")
    password, authority = settings.kafka_sasl_password, settings.kafka_ssl_cafile
    return connection(
        address,
        security_protocol=settings.kafka_security_protocol,
        sasl_mechanism=settings.kafka_sasl_mechanism,
        sasl_plain_username=settings.kafka_sasl_username,
        sasl_plain_password=password and password.get_secret_value(),
        ssl_cafile=authority and str(authority),
    )


@app.callback()
def make_topics(
    context: typer.Context,
    *,
    partitions: Annotated[
        int, typer.Option(min=1, help="Partitions of each topic; the number can never be changed.")
    ] = PARTITIONS,
    replicas: Annotated[int, typer.Option(min=1, help="Copies of each partition; 3 in production.")] = 1,
) -> None:
    """Create the topics that are missing on the Kafka of OMS_KAFKA. Existing topics are not changed."""
    if context.invoked_subcommand is None:
        settings = set_up()
        made = create_topics(kafka_of(settings), topics(partitions, settings.own_topics), replicas)
        say(f"made {', '.join(made)}" if made else "every topic is there")


@app.command("accept-replaced")
def accept_replaced(topic: TopicName) -> None:
    """Accept a topic that was deleted and created again. The messages of the old topic are lost there."""
    with asking(topic) as (session, producer):
        seen = producer.topic_ids([topic])[topic]
        if not topic_ids.replaced(session, {topic: seen}):
            say(f"{topic} is the one that it was; there is nothing to accept")
            return
        said = begun_again(session, producer, topic)
        topic_ids.replace(session, topic, seen)
        log.warning("topic accepted as made again", topic=topic, id=str(seen), actor=who())
    say(f"{topic}: {said}; start what stopped again")


@app.command("accept-loss")
def accept_loss(topic: TopicName) -> None:
    """Read on from the oldest message of each partition that no longer holds our position. Repeated messages do
    nothing."""
    with asking(topic) as (session, producer):
        positions = positions_of(session, topic)
        begins, ends = producer.held(topic)
        gone = topic_ids.outside(positions, begins, ends)
        if not gone:
            say(f"{topic} holds every position of ours; there is nothing to accept")
            return
        topic_ids.read_on(session, CHANNEL_ORDERS_ROLE, {place: begins[place] for place in gone})
        for place in gone:
            log.warning("loss accepted", place=str(place), was=positions[place], now=begins[place], actor=who())
    for place in gone:
        say(f"{place}: read on from {begins[place]}, was at {positions[place]}; start what stopped again")


@contextmanager
def asking(topic: str) -> Iterator[tuple[psycopg.Connection[Any], Producer]]:
    """Open a transaction and a client. Raise NotFound for a topic that is not one of this engine's."""
    settings = set_up()
    if topic not in (known := [one.name for one in topics(channels=settings.own_topics)]):
        raise NotFound(f"{topic} is no topic of ours; there are {', '.join(known)}")
    producer = Producer(kafka_of(settings))
    try:
        with database(settings, "reader") as place, psycopg.connect(place.url) as session:
            yield session, producer
    finally:
        producer.close()


def begun_again(session: psycopg.Connection[Any], producer: Producer, topic: str) -> str:
    """Reset what refers to the topic, which is empty again; return what follows, in words."""
    # a role that stopped at its first message has no position to move
    session.execute(stops.CLEAR_OF, [f"{CHANNEL_ORDERS_ROLE}@{topic}/"])
    if positions := positions_of(session, topic):
        begins, _ = producer.held(topic)
        topic_ids.read_on(session, CHANNEL_ORDERS_ROLE, {place: begins.get(place, 0) for place in positions})
        return "it is read from its beginning"
    for state in STATES:
        if state.topic == topic:
            session.execute(f"DELETE FROM {RELAY} WHERE name = %s", [f"state/{state.table.name}"])
            return "the relay publishes every row again"
    if topic == DEAD_LETTERS:
        session.execute(f"UPDATE {DEAD_LETTERS_TABLE} SET told_at = NULL WHERE replayed_at IS NULL")
        return "the relay publishes every open dead letter again"
    if topic == LOG_CHECKPOINTS:
        session.execute(f"UPDATE {RELAY} SET position = 0 WHERE name = %s", [CHECKPOINTS_PUBLISHED])
        return "the relay publishes every checkpoint again"
    return "the relay goes on with the next event; what was in it is in PostgreSQL"


def positions_of(session: psycopg.Connection[Any], topic: str) -> Mapping[TopicPartition, int]:
    """Return the position at which each partition of an input topic is read next."""
    begins = f"{CHANNEL_ORDERS_ROLE}@{topic}/"
    rows = session.execute(
        f"SELECT application_name, notification_id FROM {TRACKING} WHERE starts_with(application_name, %s)", [begins]
    )
    return {TopicPartition(topic, int(name.removeprefix(begins))): position for name, position in rows}
