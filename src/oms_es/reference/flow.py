"""The flow of events: which consumer reacts to which event, where its commands go, and which read models fold what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from oms_es.app import CONSUMERS, DECIDERS, GATEWAYS, PROJECTIONS
from oms_es.kernel import Command, Consumer, Decider, Event
from oms_es.reference.pages import page, table

DECIDED_BY: Mapping[type[Command], str] = {command: d.category for d in DECIDERS for command in d.accepts}
READERS: Mapping[str, frozenset[type[Event]]] = {
    **{consumer.name: frozenset(consumer.reactions) for consumer in CONSUMERS},
    **{gateway.name: frozenset(gateway.intents) for gateway in GATEWAYS},
}
"""The roles that events wake: consumers, and gateways to external systems."""


def flow() -> str:
    said = (
        "Made of what the engine declares. An event wakes the consumers and gateways beside it; a consumer gives "
        "commands to aggregates, whose events come next. Read models fold events and wake no one. Commands also come "
        "from people, channels, callbacks of the world, and the ticker, which gives what is due by `deadlines`."
    )
    consumers = table("consumer, its commands go to", [(f"`{one.name}`", _targets(one)) for one in CONSUMERS])
    parts = [f"## Consumers\n\n{consumers}", *(_of_entity(decider) for decider in DECIDERS)]
    return page("Flow", said, "\n".join(parts))


def _of_entity(decider: Decider[Any]) -> str:
    rows = [
        (f"`{event.__name__}`", _names(_woken(event)), _names(_given(event)), _names(_folding(event)))
        for event in decider.emits
    ]
    events = table("event, wakes, which may give, read models", rows)
    return "\n".join(part for part in (f"## {decider.category}\n", _diagram(decider), events) if part)


def _diagram(decider: Decider[Any]) -> str:
    """Return the diagram of one aggregate's events, or an empty string if no event wakes a role."""
    wakes = [f"    {event.__name__} --> {name}" for event in decider.emits for name in _woken(event)]
    woken = dict.fromkeys(name for event in decider.emits for name in _woken(event))
    goes = [
        f"    {consumer.name} --> {category}[({category})]"
        for consumer in CONSUMERS
        if consumer.name in woken
        for category in sorted({DECIDED_BY[command] for command in consumer.emits})
    ]
    return "\n".join(("```mermaid", "flowchart LR", *wakes, *goes, "```\n")) if wakes else ""


def _woken(event: type[Event]) -> Iterator[str]:
    return (name for name, events in READERS.items() if event in events)


def _given(event: type[Event]) -> Iterator[str]:
    given = (command.__name__ for consumer in CONSUMERS if event in consumer.reactions for command in consumer.emits)
    return iter(dict.fromkeys(given))


def _folding(event: type[Event]) -> Iterator[str]:
    return (projection.name for projection in PROJECTIONS if event in projection.folds)


def _targets(consumer: Consumer) -> str:
    by_category: dict[str, list[str]] = {}
    for command in consumer.emits:
        by_category.setdefault(DECIDED_BY[command], []).append(f"`{command.__name__}`")
    return "<br>".join(f"{category}: {', '.join(commands)}" for category, commands in by_category.items())


def _names(names: Iterator[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
