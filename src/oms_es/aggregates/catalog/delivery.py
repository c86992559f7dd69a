"""A delivery option. Invariant: the last writer wins."""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.kernel import Decider
from oms_es.schemas.catalog.rates import DefineDeliveryOption, DeliveryOptionDefined

Option = DeliveryOptionDefined | None


def evolve(_: Option, event: DeliveryOptionDefined) -> Option:
    return event


def decide(option: Option, command: DefineDeliveryOption) -> Iterator[DeliveryOptionDefined]:
    defined = DeliveryOptionDefined(**command.model_dump())
    if defined != option:
        yield defined


decider: Decider[Option] = Decider(
    "delivery", None, evolve, decide, accepts=(DefineDeliveryOption,), emits=(DeliveryOptionDefined,)
)
