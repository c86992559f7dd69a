"""Worlds of the simulator with one engine that reacts at once, and without faults: histories to be replayed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from oms_es.kernel import Recorded
from oms_es.processing.chain import NEW_MAX
from oms_es.simulation.components import WHOLE
from oms_es.simulation.expansion import expand
from oms_es.simulation.nodes import log_node
from oms_es.simulation.nodes.interruptible import AwakeChain
from oms_es.simulation.run import Play
from oms_es.simulation.scenario import PROFILES


class WholeChain(AwakeChain):
    """A chain without small limits."""

    def __init__(self, consumers: Any, projections: Any, store: Any, feed: Any, *_: Any) -> None:
        super().__init__(consumers, projections, store, feed)


def history_of(seed: int, monkeypatch: pytest.MonkeyPatch, profile: str = "life") -> Sequence[Recorded]:
    """Return the history of ten simulated minutes with people, channels, providers and carriers."""
    monkeypatch.setattr(log_node, "CHAINS_NEW_MAX", (NEW_MAX,))
    drawn = expand(seed, PROFILES[profile])
    calm = replace(
        drawn,
        topology="engine",
        nodes=1,
        skews=(0.0,),
        faults=(),
        switching=0.0,
        notice_seconds=0.0,
        written=False,
        batch_max=500,
    )
    play = Play(calm, replace(WHOLE, chain=WholeChain))
    assert play.outcome().violation is None
    return list(play.watch.recorded)
