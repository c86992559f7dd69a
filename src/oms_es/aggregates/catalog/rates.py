"""What a carrier charges.

Invariant: the content of a version never changes, and the newest published version is in force.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rpds import HashTrieMap

from oms_es.kernel import Decider, Refused
from oms_es.schemas.catalog import rates as ra
from oms_es.schemas.catalog.refusals import CatalogRefusal


class Rates(NamedTuple):
    current: ra.RatesPublished | None = None
    versions: HashTrieMap[str, ra.RatesPublished] = HashTrieMap()


def evolve(rates: Rates, event: ra.RatesEvent) -> Rates:
    """Never refuse an event: an old stream must load under new rules."""
    match event:
        case ra.RatesPublished(version=version):
            return Rates(event, rates.versions.insert(version, event))
        case ra.RatesWithdrawn():
            return rates._replace(current=None)
    return rates


def decide(rates: Rates, command: ra.RatesCommand) -> Iterator[ra.RatesEvent]:
    """Yield nothing if the command is already satisfied, so that retries are free."""
    match command:
        case ra.PublishRates():
            published = ra.RatesPublished(
                carrier=command.carrier, version=command.version, currency=command.currency, services=command.services
            )
            before = rates.versions.get(command.version)
            if before is None or (rates.current is None and before == published):
                yield published
            elif before != published:
                raise Refused(
                    CatalogRefusal.VERSION_REUSED,
                    f"version {command.version} of {command.carrier}'s rates has other content; publish under another",
                )
        case ra.WithdrawRates():
            if rates.current:
                yield ra.RatesWithdrawn(carrier=command.carrier)


decider = Decider(
    "rates",
    Rates(),
    evolve,
    decide,
    accepts=(ra.PublishRates, ra.WithdrawRates),
    emits=(ra.RatesPublished, ra.RatesWithdrawn),
)
