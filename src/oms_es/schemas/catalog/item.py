"""What a SKU is: its weight and size, whether its units carry serial numbers, and the components of a bundle.

These classes are the storage format. An event's name and meaning never change; a new meaning is a new event.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from oms_es.kernel import Command, Event
from oms_es.schemas.values.types import Sku, Text, Units

COMPONENTS_MAX = 100
"""How many different components one bundle may have."""
WEIGHT_GRAMS_MAX = 10**8
VOLUME_ML_MAX = 10**8


class ItemCommand(Command):
    sku: Sku

    @property
    def stream(self) -> str:
        return f"item-{self.sku}"


class DescribeItem(ItemCommand):
    """Describe a SKU: the weight and volume of one unit, whether its units carry serial numbers, and its name and
    category in reports.
    """

    name: Text = ""
    category: Text = ""
    weight_grams: Annotated[int, Field(ge=0, le=WEIGHT_GRAMS_MAX)] = 0
    volume_ml: Annotated[int, Field(ge=0, le=VOLUME_ML_MAX)] = 0
    serial_tracked: bool = False


class DefineBundle(ItemCommand):
    """Sell a SKU as a set of others, which are picked instead of it. Without components it is a plain item again."""

    components: Annotated[dict[Sku, Units], Field(max_length=COMPONENTS_MAX)]


class ItemEvent(Event):
    sku: str


class ItemDescribed(ItemEvent):
    name: str = ""
    weight_grams: int
    volume_ml: int
    serial_tracked: bool
    category: str = ""


class BundleDefined(ItemEvent):
    components: dict[str, int]
