"""The versions of the sourcing rules. Invariant: the content of a version never changes, so a decision can name it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rpds import HashTrieMap

from oms_es.kernel import Decider, Refused
from oms_es.schemas.catalog.refusals import CatalogRefusal
from oms_es.schemas.catalog.rules import BUILT_IN_VERSION, PublishSourcingRules, SourcingRules, SourcingRulesPublished

VERSIONS_MAX = 10_000


class Rules(NamedTuple):
    current: str = BUILT_IN_VERSION
    versions: HashTrieMap[str, SourcingRules] = HashTrieMap({BUILT_IN_VERSION: SourcingRules()})


def evolve(rules: Rules, event: SourcingRulesPublished) -> Rules:
    return Rules(event.version, rules.versions.insert(event.version, _content(event)))


def decide(rules: Rules, command: PublishSourcingRules) -> Iterator[SourcingRulesPublished]:
    content, version = _content(command), command.version
    if rules.versions.get(version, content) != content:
        raise Refused(
            CatalogRefusal.VERSION_TAKEN, f"version {version} has other content; publish this under a new version"
        )
    if version not in rules.versions and len(rules.versions) >= VERSIONS_MAX:
        raise Refused(
            CatalogRefusal.TOO_MANY_VERSIONS,
            f"there are {VERSIONS_MAX} versions already; publish the content of an earlier version under its name",
        )
    if version != rules.current:
        yield SourcingRulesPublished.model_construct(**command.__dict__, supersedes=rules.current)


def _content(message: SourcingRules) -> SourcingRules:
    return SourcingRules.model_construct(**{name: getattr(message, name) for name in SourcingRules.model_fields})


decider = Decider("rules", Rules(), evolve, decide, accepts=(PublishSourcingRules,), emits=(SourcingRulesPublished,))
