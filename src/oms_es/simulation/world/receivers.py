"""Receivers of webhooks in the simulated world, which sometimes fail, or accept a delivery and do not answer.

Invariant: each delivery fails at most FAILURES_MAX times by their doing; therefore every one arrives in the end.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping

from pydantic_core import from_json

from oms_es.channels.signatures import verify_standard
from oms_es.simulation.nodes.node import Node
from oms_es.simulation.world.deliveries import SECRET

FAILURES_MAX = 2
FAILS_SHARE = 0.2
Heard = Callable[[str, str, int], None]
"""Called with subscription, order and position."""


class Receivers:
    """The receivers. `on_receipt` gets everything that arrives, also repeats."""

    def __init__(self, on_receipt: Heard) -> None:
        self.on_receipt = on_receipt
        self.failures: Counter[tuple[str, str]] = Counter()
        self.got: dict[str, dict[int, str]] = defaultdict(dict)

    def post(self, node: Node, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """Receive a webhook and return the status. Raise OSError."""
        node.touch(OSError)
        chance = node.simulation.chance
        message = (url, headers["webhook-id"])
        if self.failures[message] < FAILURES_MAX and chance.random() < FAILS_SHARE:
            self.failures[message] += 1
            fate = chance.choice(("refused", "silent", "taken"))
            if fate == "refused":
                return 500
            if fate == "taken":
                self._take(url, headers, body)
            raise TimeoutError("no answer")
        self._take(url, headers, body)
        node.touched(OSError)
        return 204

    def _take(self, url: str, headers: Mapping[str, str], body: bytes) -> None:
        verify_standard(list(headers.items()), body, [SECRET], float(headers["webhook-timestamp"]))
        data = from_json(body)["data"]
        self.on_receipt(url, data["order_id"], data["position"])
        self.got[url][data["position"]] = data["order_id"]

    def out_of_turn(self, url: str, order_id: str, position: int) -> Iterator[int]:
        """Yield later events of the order that the receiver got before this one; repeats are ignored."""
        if position not in self.got[url]:
            yield from (at for at, order in self.got[url].items() if order == order_id and at > position)
