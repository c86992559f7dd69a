"""What a SKU is. Invariant: a bundle is not a component of itself; the last writer wins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rpds import HashTrieMap

from oms_es.kernel import Decider, Refused
from oms_es.schemas.catalog import item as i
from oms_es.schemas.catalog.refusals import CatalogRefusal


class Item(NamedTuple):
    described: i.ItemDescribed | None = None
    components: HashTrieMap[str, int] = HashTrieMap()


def evolve(item: Item, event: i.ItemEvent) -> Item:
    """Never refuse an event: an old stream must load under new rules."""
    match event:
        case i.ItemDescribed():
            return item._replace(described=event)
        case i.BundleDefined(components=components):
            return item._replace(components=HashTrieMap(components))
    return item


def decide(item: Item, command: i.ItemCommand) -> Iterator[i.ItemEvent]:
    """Yield nothing if the command is already satisfied, so that retries are free."""
    match command:
        case i.DescribeItem():
            described = i.ItemDescribed(**command.model_dump())
            if described != item.described:
                yield described
        case i.DefineBundle(sku=sku, components=components):
            if sku in components:
                raise Refused(
                    CatalogRefusal.MADE_OF_ITSELF, f"the bundle {sku} cannot be one of its own components; leave it out"
                )
            if components != dict(item.components.items()):
                yield i.BundleDefined(sku=sku, components=components)


decider = Decider(
    "item",
    Item(),
    evolve,
    decide,
    accepts=(i.DescribeItem, i.DefineBundle),
    emits=(i.ItemDescribed, i.BundleDefined),
)
