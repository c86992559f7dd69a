"""Who sells, and on which channels. Invariant: a channel is one seller's, and one seller at most has all others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rpds import HashTrieMap

from oms_es.kernel import Decider, Refused
from oms_es.schemas.finance import invoicing as v
from oms_es.schemas.finance.refusals import FinanceRefusal


class Sellers(NamedTuple):
    by_id: HashTrieMap[str, v.SellerSet] = HashTrieMap()


def evolve(sellers: Sellers, event: v.SellerSet) -> Sellers:
    """Never refuse an event: an old stream must load under new rules."""
    return Sellers(sellers.by_id.insert(event.seller, event))


def decide(sellers: Sellers, command: v.SetSeller) -> Iterator[v.SellerSet]:
    wanted = v.SellerSet(**command.model_dump())
    if sellers.by_id.get(command.seller) == wanted:
        return
    others = [other for key, other in sorted(sellers.by_id.items()) if key != command.seller]
    if len(others) >= v.SELLERS_MAX:
        raise Refused(FinanceRefusal.TOO_MANY_SELLERS, f"there are {v.SELLERS_MAX} sellers, which is the most")
    for other in others:
        _require_apart(command, other)
    yield wanted


def _require_apart(command: v.SetSeller, other: v.SellerSet) -> None:
    shared = sorted({*command.channels} & {*other.channels})
    if shared or not (command.channels or other.channels):
        which = ", ".join(shared) if shared else "every channel that no seller names"
        raise Refused(
            FinanceRefusal.CHANNEL_OF_ANOTHER_SELLER,
            f"{which} is of {other.seller}; name other channels, or take it from {other.seller} first",
        )


decider: Decider[Sellers] = Decider(
    "seller",
    Sellers(),
    evolve,
    decide,
    accepts=(v.SetSeller,),
    emits=(v.SellerSet,),
)
