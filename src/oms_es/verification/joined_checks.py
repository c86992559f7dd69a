"""A second account of units that go from order to order: what is split off or merged is in the order it went to.

That order begins a moment later, when `order_joiner` has read what became of the other. So units that are owed to no
order yet are only wrong once the joiner has read the last event about them, and nothing followed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from oms_es.consumers.order import order_joiner
from oms_es.kernel import Recorded
from oms_es.processing.bulk.overflow import Overflow, Overflowing
from oms_es.schemas import order as o
from oms_es.verification.check import Check, at

JOINER = order_joiner.consumer.name
"""Who begins the order."""
HasTaken = Callable[[str, str, int], bool]
"""Whether a reader has done the event of a stream at a position."""


class JoinedBook:
    def __init__(self, overflow: Overflow) -> None:
        self.owed: Overflowing[str, Counter[str]] = overflow.mapping()  # units by SKU, by the order that they go to
        self.last: Overflowing[str, Recorded] = overflow.mapping()  # said about that order
        self.placed: Overflowing[str, bool] = overflow.mapping()
        self.joined = Check("units conserved: what is split off or merged is in the order that it went to")

    def note(self, recorded: Recorded) -> None:
        match recorded.event:
            case o.OrderSplit(to_order_id=to, content=content) | o.OrderMergedInto(to_order_id=to, content=content):
                self._leaves(recorded, to, content)
            case o.OrderMergeRequested(order_id=to) | o.OrderMergeDeclined(to_order_id=to):
                self.last[to] = recorded
            case o.OrderPlaced(order_id=order_id) as placed:
                self._arrives(recorded, order_id, placed)

    def _leaves(self, recorded: Recorded, to: str, content: o.OrderContent) -> None:
        self.last[to] = recorded
        if to in self.placed:  # the holder of the name has other units
            self._expect(recorded, False, f"{dict(content.demand)} go to {to}, which was placed before")
        else:
            self.owed[to] = self.owed.get(to, Counter()) + Counter(content.demand)

    def _arrives(self, recorded: Recorded, order_id: str, placed: o.OrderPlaced) -> None:
        self.placed[order_id] = True
        if (owed := self.owed.pop(order_id, None)) is not None:
            has = Counter(placed.demand)
            self._expect(recorded, has == owed, f"has {dict(has)} of the {dict(owed)} that went to it")

    def close(self, has_taken: HasTaken) -> None:
        """At the end of history: what is on its way is no fault."""
        for to, owed in self.owed.entries():
            said = self.last[to]
            read = has_taken(JOINER, said.stream, said.position)
            self._expect(said, not read, f"{dict(owed)} go to order {to}, which was never placed")

    def _expect(self, recorded: Recorded, holds: bool, found: str) -> None:  # noqa: FBT001 - as in Check
        self.joined.expect(holds, lambda: f"{at(recorded)}: {found}")
