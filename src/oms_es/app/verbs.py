"""Every command of the vocabulary by name: ENTITY VERB, in the terminal and over HTTP.

Invariant: every command that a decider accepts has one name, made from its class, but for those that only a migration
gives; nothing here knows what a command means.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from pydantic import BaseModel
from rpds import HashTrieMap, HashTrieSet, Queue

from oms_es.kernel import Command, Decider, MigrationCommand, Refused, SystemCommand
from oms_es.schemas.order import order_id_of

GROUP_OF = {
    "rma": "return",
    "exception": "exceptions",
    "connection": "connections",
    "subscription": "subscriptions",
    "reconciliation": "reconcile",
    "document": "documents",
    "report": "report-files",
}
"""Names of entities for people that differ from the streams'."""
WORD = re.compile(r"[A-Z][a-z0-9]*")
GIVEN_HERE = frozenset({"now"})
"""Fields that the command line or the server sets, unless the caller does."""


class Verb(NamedTuple):
    """A command with its entity and verb."""

    group: str
    name: str
    command: type[Command]


def verbs(deciders: Iterable[Decider[Any]]) -> Iterator[Verb]:
    for decider in deciders:
        group = GROUP_OF.get(decider.category, decider.category)
        for command in decider.accepts:
            if issubclass(command, MigrationCommand):
                continue
            yield Verb(group, verb_of(command, (group, decider.category)), command)


def verb_of(command: type[Command], nouns: Sequence[str]) -> str:
    """Return the words of the command's class name without the noun of its entity, such as `cancel`."""
    verb, *rest = (word.lower() for word in WORD.findall(command.__name__))
    return "-".join([verb, *(rest[1:] if rest and rest[0] in nouns else rest)])


def id_of(name: str) -> str:
    """Return an order's id, also for CHANNEL/EXTERNAL_ID."""
    channel, slash, external_id = name.partition("/")
    return order_id_of(channel, external_id) if slash else name


def is_for_the_engine(command: type[Command]) -> bool:
    return issubclass(command, SystemCommand)


@contextmanager
def named_as_typed(orders: Mapping[str, str]) -> Iterator[None]:
    """Within the context, a refusal names orders as people typed them, in place of ids and streams. `orders`: typed
    names by id."""
    try:
        yield
    except Refused as refused:
        detail = refused.detail
        for order_id, name in orders.items():
            alone = rf"(?<![\w-])(?:order-)?{re.escape(order_id)}(?![-.\w/]?\w)"
            detail = re.sub(alone, name.replace("\\", r"\\"), detail)
        if detail == refused.detail:
            raise
        raise type(refused)(refused.reason, detail) from refused


def changed(before: Any, after: Any) -> dict[str, tuple[Any, Any]]:
    """Return the fields of a state that differ, as plain values that a person or a program can read."""
    old, new = _fields_of(before), _fields_of(after)
    pairs = {name: (plain(old.get(name)), plain(new.get(name))) for name in dict.fromkeys((*old, *new))}
    return {name: (was, now) for name, (was, now) in pairs.items() if was != now}


def _fields_of(state: Any) -> dict[str, Any]:
    """Return the fields of a state of any kind: None, one event, or several parts."""
    if isinstance(state, BaseModel):
        return dict(state)
    return {} if state is None else dict(state._asdict())


def plain(value: Any) -> Any:
    match value:
        case HashTrieMap():
            return {_key(key): plain(item) for key, item in sorted(value.items(), key=lambda pair: str(pair[0]))}
        case HashTrieSet():
            return sorted((_key(item) for item in value), key=str)
        case Queue():
            return [plain(item) for item in value]
        case BaseModel():
            return {name: plain(part) for name, part in value}
        case Mapping():
            return {_key(key): plain(part) for key, part in value.items()}
        case list() | tuple() if not hasattr(value, "_fields"):
            return [plain(part) for part in value]
        case _ if hasattr(value, "_fields"):
            return {name: plain(getattr(value, name)) for name in value._fields}
        case _:
            return value


def _key(key: Any) -> str:
    return "/".join(map(str, key)) if isinstance(key, tuple) else str(key)
