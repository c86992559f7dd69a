"""The reaction of one reader to one event that was put aside.

Invariant: it is put aside once and settled once; after that it may be put aside again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from oms_es.kernel import Decider
from oms_es.schemas.operations import aside as a


class Aside(NamedTuple):
    open: bool = False


def evolve(_: Aside, event: a.AsideEvent) -> Aside:
    return Aside(isinstance(event, a.ReactionPutAside))


def decide(aside: Aside, command: a.AsideCommand) -> Iterator[a.AsideEvent]:
    match command:
        case a.PutReactionAside() if not aside.open:
            yield a.ReactionPutAside(**command.model_dump())
        case a.SettleReaction() if aside.open:
            yield a.ReactionSettled(**command.model_dump())


decider = Decider(
    "aside",
    Aside(),
    evolve,
    decide,
    accepts=(a.PutReactionAside, a.SettleReaction),
    emits=(a.ReactionPutAside, a.ReactionSettled),
)
