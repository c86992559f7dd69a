"""The messages that are sent and accepted conform to the published schemas, now and of every release."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from sqlalchemy import Column, Integer, LargeBinary, MetaData, Table, Text

from conftest import fresh_database
from golden.write import path_of
from oms_es.app import Engine, engine_on
from oms_es.app.workers import DEAD_LETTERS, STATES, topics
from oms_es.channels import canonical
from oms_es.cli import main as cli
from oms_es.demo.workload import Workload
from oms_es.exit_codes import Code
from oms_es.gateways.simulated.modes import Chaos
from oms_es.kafka.client import Outgoing, Producer, TopicPartition
from oms_es.kafka.cloudevents import CloudEventsCodec
from oms_es.kafka.relay.event_publisher import EventPublisher
from oms_es.kafka.relay.publishers import State, StatePublisher
from oms_es.kafka.relay.store import LogRow
from oms_es.kernel import BadInput
from oms_es.reference import files, json_schemas, releases
from oms_es.reference.asyncapi import EVENT_HEADERS, STATE_HEADERS, headers
from oms_es.reference.json_schemas import Described, messages, opened
from oms_es.reference.narrowings import NARROWINGS, Narrowing
from oms_es.schemas.order import PlaceOrder
from oms_es.schemas.topics import EVENT_TOPICS, LOG_CHECKPOINTS
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.outbox import key_text
from oms_es.store.recorder import EVENTS as LOG
from repository import ROOT

MESSAGES = {message.name: message for message in messages()}
REFERENCE = ROOT / files.DIRECTORY
PARTITIONS = {topic.name: 3 for topic in topics()}
formats = FormatChecker(())


@formats.checks("date-time", ValueError)
def is_moment(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


def validator(schema: Any) -> Draft202012Validator:
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=formats)


EXACT = {name: validator(message.exact) for name, message in MESSAGES.items()}
PUBLISHED = {name: validator(message.published) for name, message in MESSAGES.items()}


def test_every_event_state_and_order_is_published_on_a_topic_of_ours() -> None:
    assert MESSAGES.keys() == {*EVENTS, *(state.type for state in STATES), *canonical.TYPES}
    others = {DEAD_LETTERS, LOG_CHECKPOINTS}
    assert {message.topic for message in MESSAGES.values()} == {topic.name for topic in topics()} - others


@pytest.mark.parametrize("name", EVENTS)
def test_every_golden_event_is_what_is_published(name: str) -> None:
    event = EVENTS[name]
    for body in json.loads(path_of(event, event.schema_version).read_text()).values():
        EXACT[name].validate(body)
        PUBLISHED[name].validate({**body, "a_field_of_tomorrow": 1})
        with pytest.raises(Exception, match="a_field_of_tomorrow"):
            EXACT[name].validate({**body, "a_field_of_tomorrow": 1})


@pytest.fixture(scope="module")
def engine(embedded_server: Any) -> Iterator[Engine]:
    """Run a small week in which everything that can go wrong does."""
    with fresh_database(embedded_server) as url, engine_on(url, chaos=Chaos(seed=3, decline=0.05, timeout=0.1)) as one:
        for batch in Workload(7, 60).steps(50):
            one.submit("test", batch)
        one.settle()
        yield one


def sent(engine: Engine) -> Iterator[Outgoing]:
    """Return what the relay would publish of the log."""
    publisher = EventPublisher(Producer({}), CloudEventsCodec(EVENTS), list(EVENT_TOPICS.values()))
    publisher._partitions = PARTITIONS
    last: dict[TopicPartition, int] = {}
    with psycopg.connect(engine.database_url) as connection:
        columns = ", ".join(LogRow._fields)
        for row in connection.execute(f"SELECT {columns} FROM {LOG} ORDER BY notification_id".encode()):
            yield publisher._outgoing(LogRow(*row), last)


def reported(engine: Engine, state: State) -> Iterator[Outgoing]:
    """Return what the relay would publish of a read model: every row, and one deleted row."""
    publisher = StatePublisher(Producer({}), STATES)
    publisher._partitions = PARTITIONS
    keys = ", ".join(column.name for column in state.table.primary_key)
    with psycopg.connect(engine.database_url) as connection:
        rows = connection.execute(f"SELECT {keys} FROM {state.table.name}".encode()).fetchall()
        gone = tuple("gone" for _ in state.table.primary_key)
        yield from publisher._messages(connection, state, {key_text(row): 7 for row in (*rows, gone)})


def test_what_the_engine_records_is_what_is_published_headers_and_all(engine: Engine) -> None:
    of_events = validator({**headers(EVENT_HEADERS), "additionalProperties": False})
    seen = set()
    for message in sent(engine):
        given = {name: value.decode() for name, value in message.headers if value is not None}
        of_events.validate(given)
        name = given["ce_type"]
        seen.add(name)
        assert message.topic_partition.topic == MESSAGES[name].topic
        assert message.value is not None
        EXACT[name].validate(json.loads(message.value))
        PUBLISHED[name].validate(json.loads(message.value))
    assert len(seen) > 20


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.type)
def test_the_rows_that_are_published_are_what_is_published(engine: Engine, state: State) -> None:
    of_states = validator({**headers(STATE_HEADERS, ce_type=state.type), "additionalProperties": False})
    messages = list(reported(engine, state))
    for message in messages:
        of_states.validate({name: value.decode() for name, value in message.headers if value is not None})
    values = [json.loads(message.value) for message in messages if message.value is not None]
    assert len(values) == len(messages) - 1 > 1
    for value in values:
        EXACT[state.type].validate(value)
        PUBLISHED[state.type].validate(value)


def test_orders_that_are_taken_are_what_is_published_and_others_are_refused_by_both() -> None:
    orders = [command for command in Workload(7, 60).commands() if isinstance(command, PlaceOrder)]
    for order in orders:
        body = json.loads(order.model_dump_json())
        PUBLISHED["PlaceOrder"].validate(body)
        canonical.parse(json.dumps(body))
        for bad in ({**body, "colour": "red"}, {**body, "currency": "euro"}, {**body, "lines": []}):
            assert not PUBLISHED["PlaceOrder"].is_valid(bad)
            with pytest.raises(BadInput):
                canonical.parse(json.dumps(bad))


def test_a_column_whose_type_no_one_has_published_is_refused() -> None:
    table = Table("t", MetaData(), Column("id", Text, primary_key=True), Column("n", Integer), Column("x", LargeBinary))
    with pytest.raises(TypeError, match=r"t\.x: say in"):
        json_schemas._of_row(State(table, "topic", "T", "d"))
    schema = json_schemas._of_column(table, table.c.n)
    assert [Draft202012Validator(schema).is_valid(value) for value in (1, None, "a")] == [True, True, False]


def test_the_reference_in_the_repository_is_that_of_this_program_and_breaks_no_release() -> None:
    assert files.stale(REFERENCE, files.contents(cli.app)) == [], "run `make reference`, and commit what it writes"
    broken = releases.broken_promises(releases.released(REFERENCE), messages(), NARROWINGS)
    assert broken == [], releases.ADVICE


def test_stale_and_left_over_files_are_found_and_written_again(tmp_path: Path) -> None:
    wanted = {"schemas/A.json": "{}", "pages.md": "words"}
    assert files.write(tmp_path, wanted) == sorted(wanted)
    assert files.stale(tmp_path, wanted) == []
    (tmp_path / "pages.md").write_text("other words")
    (tmp_path / "schemas" / "Gone.json").write_text("{}")
    assert files.write(tmp_path, wanted) == ["pages.md", "schemas/Gone.json"]
    assert files.stale(tmp_path, wanted) == []


OPEN = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
EXACTLY = {**OPEN, "additionalProperties": False}


def described(name: str = "Placed", kind: Any = "event", topic: str = "t", **changes: Any) -> Described:
    return Described(name, kind, topic, {**EXACTLY, **changes})


def test_a_release_is_never_changed_and_releases_come_in_the_order_of_their_versions(tmp_path: Path) -> None:
    assert releases.release(tmp_path, "0.9.0", [described()])
    assert releases.release(tmp_path, "0.10.0", [described()])
    assert releases.release(tmp_path, "0.10.0", [described()]) is None
    with pytest.raises(releases.AlreadyReleased, match="raise the version"):
        releases.release(tmp_path, "0.10.0", [described(required=[])])
    before, after = releases.released(tmp_path)
    assert (before.version, after.version) == ("0.9.0", "0.10.0")
    assert after.messages == {"Placed": {"kind": "event", "topic": "t", "schema": OPEN}}


NEW_FIELD = {"a": {"type": "string"}, "b": {"type": "string"}}


@pytest.mark.parametrize(
    ("today", "problem"),
    [
        ([described()], None),
        ([described(), described("Added")], None),
        ([described(properties=NEW_FIELD)], None),
        ([described("Renamed")], "Placed, since 1.0: it is gone"),
        ([described(topic="other")], "Placed, since 1.0: it was on t, and is on other"),
        ([described(required=[])], "Placed, since 1.0: $.a: may be missing"),
        ([described(properties={"a": {"type": "integer"}})], "Placed, since 1.0: $.a: integer, where string"),
    ],
)
def test_a_release_holds_for_anyone_who_reads(tmp_path: Path, today: list[Described], problem: str | None) -> None:
    releases.release(tmp_path, "1.0", [described()])
    found = releases.broken_promises(releases.released(tmp_path), today)
    assert [one[: len(problem or "")] for one in found] == ([problem] if problem else [])


@pytest.mark.parametrize(
    ("today", "problem"),
    [
        (described(kind="inbound", required=[], properties=NEW_FIELD), None),
        (described(kind="inbound", properties=NEW_FIELD, required=["a", "b"]), "$.b: may be missing"),
        (described(kind="inbound", properties={"a": {"type": "string", "maxLength": 9}}), "$.a: maxLength unbounded"),
        (described(kind="inbound", properties={}), "$.a: string, where nothing is allowed"),
        (described(kind="event"), "it is gone"),
    ],
)
def test_a_release_holds_for_anyone_who_sends(tmp_path: Path, today: Described, problem: str | None) -> None:
    releases.release(tmp_path, "1.0", [described(kind="inbound")])
    found = releases.broken_promises(releases.released(tmp_path), [today])
    assert bool(found) == bool(problem)
    assert all(f"Placed, since 1.0: {problem}" in one for one in found)


def test_what_is_taken_may_narrow_by_what_is_listed_with_a_reason_and_by_nothing_else(tmp_path: Path) -> None:
    releases.release(tmp_path, "1.0", [described(kind="inbound")])
    shorter = {"a": {"type": "string", "maxLength": 9}}
    shortest = {"a": {"type": "string", "maxLength": 8}}
    known = Narrowing("Placed", "1.0", "$.a: maxLength unbounded, where 9 was promised", "longer was always lost")

    def found(properties: Any, *narrowings: Narrowing) -> list[str]:
        today = [described(kind="inbound", properties=properties)]
        return releases.broken_promises(releases.released(tmp_path), today, narrowings)

    assert found(shorter)
    assert found(shorter, known) == []
    assert any("where 8 was promised" in one for one in found(shortest, known))


def test_every_narrowing_is_one_that_there_is_and_says_why() -> None:
    there_are = releases.broken_promises(releases.released(REFERENCE), messages())
    assert sorted(narrowing.found for narrowing in NARROWINGS) == sorted(there_are)
    assert all(len(narrowing.reason) > 40 for narrowing in NARROWINGS)


def test_every_release_counts_not_only_the_newest(tmp_path: Path) -> None:
    releases.release(tmp_path, "1.0", [described()])
    releases.release(tmp_path, "2.0", [described(properties={"a": True})])
    (broken,) = releases.broken_promises(releases.released(tmp_path), [described(properties={"a": True})])
    assert "since 1.0" in broken


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = str(tmp_path)
    assert cli.main(["reference", "check", directory]) == Code.DIFFERENT
    assert "schemas/OrderPlaced.json is stale: run `make reference`" in capsys.readouterr().out
    for command in ("write", "release", "check", "write", "release"):
        assert cli.main(["reference", command, directory]) == Code.OK
    kept = tmp_path / releases.RELEASES / f"{files.current_version()}.json"
    kept.write_text(kept.read_text().replace('"OrderPlaced"', '"OrderMade"'))
    capsys.readouterr()
    assert cli.main(["reference", "check", directory]) == Code.DIFFERENT
    reported = capsys.readouterr()
    assert "OrderMade" in reported.out
    assert releases.ADVICE in reported.err
    assert cli.main(["reference", "release", directory]) == Code.USAGE
    assert "raise the version" in capsys.readouterr().err


def test_opening_a_schema_leaves_maps_as_they_are() -> None:
    mapped = {"type": "object", "additionalProperties": {"type": "integer"}}
    assert opened({"a": [EXACTLY], "b": mapped}) == {"a": [OPEN], "b": mapped}
