"""An independent check of forgetting: no order is forgotten while a case holds it, and nothing personal is stored of
one that was forgotten.

It shares no code with the order's decisions: holds are counted from the events alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from oms_es.kernel import Recorded
from oms_es.schemas import order as o
from oms_es.schemas.values.parts import without_personal


class ForgottenPeople:
    def __init__(self) -> None:
        self.held: dict[str, set[str]] = defaultdict(set)
        self.forgotten: set[str] = set()

    def record(self, recorded: Recorded) -> Iterator[str]:
        """Yield what is wrong after this event."""
        event = recorded.event
        if not isinstance(event, o.OrderEvent):
            return
        if event.order_id in self.forgotten and without_personal(event) != event:
            yield f"{type(event).__name__} of {event.order_id}, which was forgotten"
        match event:
            case o.OrderLegalHoldPlaced(order_id=order_id, case_id=case_id):
                self.held[order_id].add(case_id)
            case o.OrderLegalHoldLifted(order_id=order_id, case_id=case_id):
                self.held[order_id].discard(case_id)
            case o.OrderForgotten(order_id=order_id):
                self.forgotten.add(order_id)
                if self.held[order_id]:
                    yield f"{order_id} was forgotten while {', '.join(sorted(self.held[order_id]))} held it"
