"""What a carrier charges.

Invariant: the content of a version never changes, and the newest published version is in force.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rpds import HashTrieMap

from oms_es.kernel import Decider, Refused
from oms_es.schemas.catalog import rates as r
from oms_es.schemas.catalog.refusals import CatalogRefusal


class Rates(NamedTuple):
    current: r.RatesPublished | None = None
    versions: HashTrieMap[str, r.RatesPublished] = HashTrieMap()


def evolve(rates: Rates, event: r.RatesEvent) -> Rates:
    """Never refuse an event: an old stream must load under new rules."""
    match event:
        case r.RatesPublished(version=version):
            return Rates(event, rates.versions.insert(version, event))
        case r.RatesWithdrawn():
            return rates._replace(current=None)
    return rates


def decide(rates: Rates, command: r.RatesCommand) -> Iterator[r.RatesEvent]:
    """Yield nothing if the command is already satisfied, so that retries are free."""
    match command:
        case r.PublishRates():
            published = r.RatesPublished(
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
        case r.WithdrawRates():
            if rates.current:
                yield r.RatesWithdrawn(carrier=command.carrier)


decider = Decider(
    "rates",
    Rates(),
    evolve,
    decide,
    accepts=(r.PublishRates, r.WithdrawRates),
    emits=(r.RatesPublished, r.RatesWithdrawn),
)
