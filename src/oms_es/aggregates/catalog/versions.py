"""Rules in versions. Invariant: the content of a version never changes, so a decision can name it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from rpds import HashTrieMap

from oms_es.kernel import Command, Decider, Event, Message, Refused
from oms_es.schemas.catalog.refusals import CatalogRefusal

VERSIONS_MAX = 10_000


class Versions(NamedTuple):
    """`current`: the version in force."""

    current: str
    versions: HashTrieMap[str, Message]


def versioned(
    category: str, built_in: tuple[str, Message], publish: type[Command], published: type[Event]
) -> Decider[Versions]:
    """Return the decider of rules that `publish` puts in force by `published`.

    `built_in`: the version that is in force as long as none is published, and its content. Both messages have the
    fields of the content and `version`; the event also names the version that it `supersedes`.
    """
    version, kind = built_in[0], type(built_in[1])

    def content(message: Any) -> Message:
        return kind.model_construct(**{name: getattr(message, name) for name in kind.model_fields})

    def evolve(rules: Versions, event: Any) -> Versions:
        return Versions(event.version, rules.versions.insert(event.version, content(event)))

    def decide(rules: Versions, command: Any) -> Iterator[Event]:
        said = content(command)
        if rules.versions.get(command.version, said) != said:
            raise Refused(
                CatalogRefusal.VERSION_TAKEN,
                f"version {command.version} has other content; publish this under a new version",
            )
        if command.version not in rules.versions and len(rules.versions) >= VERSIONS_MAX:
            raise Refused(
                CatalogRefusal.TOO_MANY_VERSIONS,
                f"there are {VERSIONS_MAX} versions already; publish the content of an earlier version under its name",
            )
        if command.version != rules.current:
            named: Any = {**command.__dict__, "supersedes": rules.current}
            yield published.model_construct(**named)

    initial = Versions(version, HashTrieMap({version: built_in[1]}))
    return Decider(category, initial, evolve, decide, accepts=(publish,), emits=(published,))
