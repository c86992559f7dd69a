"""The composition root lists everything that exists, and what it lists fits together."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_type_hints

import pytest

import oms_es
import oms_es.aggregates
import oms_es.consumers
import oms_es.projections
from oms_es.app import CONSUMERS, DECIDERS, PARSERS, PROJECTIONS, engine_on
from oms_es.channels import DIALECTS
from oms_es.kernel import Command, Consumer, Decider, Event, Projection, SystemCommand
from oms_es.projections.order import timeline_sentences
from oms_es.schemas.vocabulary import EVENTS, MODULES
from repository import ROOT

SOURCE = Path(oms_es.__file__).parent
EMITTED = {event for decider in DECIDERS for event in decider.emits}
ACCEPTED = [command for decider in DECIDERS for command in decider.accepts]
COMMANDS = {
    found
    for module in MODULES
    for found in vars(module).values()
    if isinstance(found, type) and issubclass(found, Command) and found.__module__ == module.__name__
}


def modules(package: ModuleType) -> list[ModuleType]:
    """Return the package itself and all modules in it, at any depth."""
    inside = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    return [package, *(importlib.import_module(module.name) for module in inside)]


def declared(package: ModuleType, name: str, kind: type) -> list[object]:
    return [vars(m)[name] for m in modules(package) if isinstance(vars(m).get(name), kind)]


def test_every_decider_consumer_and_projection_that_exists_is_listed_once() -> None:
    for package, name, kind, listed in (
        (oms_es.aggregates, "decider", Decider, DECIDERS),
        (oms_es.consumers, "consumer", Consumer, CONSUMERS),
        (oms_es.projections, "projection", Projection, PROJECTIONS),
    ):
        found = declared(package, name, kind)
        assert found
        assert Counter(map(id, found)) == Counter(map(id, listed)), package.__name__


def test_every_command_is_decided_by_exactly_one_decider() -> None:
    shapes = {base for command in COMMANDS for base in command.__mro__[1:]}
    assert Counter(ACCEPTED) == Counter(COMMANDS - shapes)


def test_every_event_is_emitted_by_exactly_one_decider() -> None:
    assert Counter(event for decider in DECIDERS for event in decider.emits) == Counter(EVENTS.values())


@pytest.mark.parametrize("consumer", CONSUMERS, ids=lambda consumer: consumer.name)
def test_what_a_consumer_reads_is_emitted_and_what_it_emits_is_decided(consumer: Consumer) -> None:
    assert EMITTED.issuperset(consumer.reactions)
    assert set(ACCEPTED).issuperset(consumer.emits)


@pytest.mark.parametrize("consumer", CONSUMERS, ids=lambda consumer: consumer.name)
def test_the_lookups_of_a_consumer_are_columns_of_a_read_model_with_an_index(consumer: Consumer) -> None:
    tables = {projection.name: projection.table for projection in PROJECTIONS}
    for reaction in consumer.reactions.values():
        for want in reaction.lookups:
            table = tables[want.projection]
            leading = {next(iter(table.primary_key)).name, *(next(iter(i.columns)).name for i in table.indexes)}
            assert want.by in leading or want.projection == "locations", f"{consumer.name} would read all of {table}"
            assert want.order_by is None or want.order_by in table.c


@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda projection: projection.name)
def test_what_a_projection_reads_is_emitted(projection: Projection) -> None:
    assert projection.folds
    assert EMITTED.issuperset(projection.folds)


def _called_after(event: type[Event]) -> str:
    return "on_" + re.sub(r"(?<!^)(?=[A-Z])", "_", event.__name__).lower()


@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda projection: projection.name)
def test_a_fold_takes_the_events_that_it_is_registered_for_and_is_called_after_them(projection: Projection) -> None:
    folded: dict[Any, set[type[Event]]] = {}
    for event, fold in projection.folds.items():
        folded.setdefault(inspect.unwrap(fold.project), set()).add(event)
        for function in (inspect.unwrap(fold.project), inspect.unwrap(fold.keys)):
            hint = get_type_hints(function).get("event") or get_type_hints(function).get("_event", Any)
            assert hint is Any or issubclass(event, get_args(hint) or hint), f"{function.__name__} takes {hint}"
        assert inspect.unwrap(fold.keys).__qualname__.lstrip("_").startswith(("key_of_", "each_of"))
    for function, events in folded.items():
        assert function.__name__.startswith("on_")
        assert len(events) > 1 or function.__name__ == _called_after(*events)


@pytest.mark.parametrize("consumer", CONSUMERS, ids=lambda consumer: consumer.name)
def test_a_reaction_takes_the_events_that_it_is_registered_for_and_says_on_which(consumer: Consumer) -> None:
    reacts: dict[Any, set[type[Event]]] = {}
    for event, reaction in consumer.reactions.items():
        reacts.setdefault(reaction.handler, set()).add(event)
    for handler, events in reacts.items():
        hint = next(iter(get_type_hints(handler).values()))
        assert all(hint is Any or issubclass(event, get_args(hint) or hint) for event in events), handler.__name__
        verb, _, on = handler.__name__.partition("_on_")
        assert "_" in verb
        assert on
        assert len(events) > 1 or f"on_{on}" == _called_after(*events)


ALSO_BY_HAND = {
    "RetrySourcing": "a person who knows of stock need not wait for it to be seen",
    "ReserveStock": "shops hold units for a basket",
    "ReleaseStock": "shops let go of a basket's units",
    "PackShipment": "whoever packs says so, where no warehouse is connected",
    "AnswerPick": "a warehouse system gives it over HTTP as well as in files",
    "BookShipment": "a person books what no published rates serve",
    "DisableSubscription": "a person ends it, and so does the sender whose receiver is gone",
    "AttachDocument": "people attach what they were sent, and what is issued here is attached as well",
    "RecordCollection": "whoever stands at the counter says so",
}
"""What the engine gives, and people or channels as well."""


def test_what_only_the_engine_gives_is_a_system_command_and_nothing_else_is() -> None:
    """By who emits it: consumers, the ticker, what gateways and readers of callbacks name in their source, and what is
    decided beside a report."""
    emitted = {command for consumer in CONSUMERS for command in consumer.emits}
    beside = SOURCE / "schemas" / "payment" / "references.py"
    readers = [SOURCE / "processing" / "aside.py", beside, *(SOURCE / "app").rglob("*.py")]
    answers = "".join(path.read_text() for path in (*(SOURCE / "gateways").rglob("*.py"), *readers))
    deadlines = (SOURCE / "consumers" / "order" / "deadline_keeper.py").read_text()
    named = set(re.findall(r"\b[A-Z]\w+", answers + deadlines))
    by_engine = emitted | {command for command in ACCEPTED if command.__name__ in named}
    assert ALSO_BY_HAND.keys() <= {command.__name__ for command in by_engine}
    only = {command for command in by_engine if command.__name__ not in ALSO_BY_HAND}
    assert {command for command in ACCEPTED if issubclass(command, SystemCommand)} == only


def test_no_dialect_of_a_channel_reads_a_command_that_only_the_engine_gives() -> None:
    read = {shape for parse in DIALECTS.values() for shape in _shapes(get_type_hints(parse)["return"])}
    assert read
    assert not any(issubclass(shape, SystemCommand) for shape in read)


def _shapes(annotation: Any) -> tuple[type[Command], ...]:
    return get_args(annotation) or (annotation,)


def test_positions_are_kept_under_names_that_no_one_shares(database_url: str) -> None:
    with engine_on(database_url) as engine:
        names = Counter(worker.name for worker in engine.loop.workers)
    assert set(names.values()) == {1}
    assert names.keys() >= {consumer.name for consumer in CONSUMERS} | {projection.name for projection in PROJECTIONS}


def test_every_event_with_an_order_is_on_its_timeline() -> None:
    of_an_order = {event for event in EVENTS.values() if "order_id" in event.model_fields}
    assert set(timeline_sentences.TEMPLATES) == of_an_order


def test_every_channel_dialect_can_be_replayed() -> None:
    assert PARSERS.items() >= DIALECTS.items()


def _is_event(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, Event) and not found.__subclasses__()


def test_every_module_of_the_vocabulary_is_listed() -> None:
    assert Counter(m.__name__ for m in MODULES) == Counter(
        module.__name__
        for module in modules(importlib.import_module("oms_es.schemas"))
        if any(_is_event(found) and found.__module__ == module.__name__ for found in vars(module).values())
    )


WRITES_EVENTS = re.compile(r"(INSERT INTO|UPDATE|DELETE FROM|COPY|TRUNCATE) (\{EVENTS\}|oms_events)")
RECORDS = re.compile(r"\brecorder\.append\(|\.insert_events\(")


def test_p04_nothing_writes_an_event_but_the_store_that_asked_a_decider() -> None:
    """Only the recorder names the table to write to it, only the store calls the recorder, and no edge holds either."""
    sources = {path.relative_to(SOURCE).as_posix(): path.read_text() for path in SOURCE.rglob("*.py")}
    assert {path for path, text in sources.items() if WRITES_EVENTS.search(text)} == {"store/recorder.py"}
    assert {path for path, text in sources.items() if RECORDS.search(text)} == {"store/store.py"}


def test_every_test_that_the_guarantees_name_is_in_the_file_that_they_name() -> None:
    page = (ROOT / "docs/explanation/guarantees.md").read_text()
    tests = {path.name: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
    everything = "".join(tests.values())
    assert [name for name in re.findall(r"`(test_\w+)`", page) if f"def {name}(" not in everything] == []
    named = re.findall(r"`(test_\w+)` in \[(test_\w+\.py)\]", page)
    assert named
    assert [(name, file) for name, file in named if f"def {name}(" not in tests[file]] == []
