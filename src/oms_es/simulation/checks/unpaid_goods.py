"""An independent check that no goods are shipped for which money is missing, computed from amounts alone.

It shares no code with the engine, and is applied to current decisions only: an older log may differ.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from oms_es.kernel import Event, Recorded
from oms_es.schemas import order as o
from oms_es.verification.order_checks import OrderChecks

Gone = dict[tuple[str, str], int]
"""Missing amounts by payment and effect, without those for which a person has said that the goods are shipped all the
same."""


class UnpaidGoods:
    def __init__(self, checks: OrderChecks) -> None:
        self.order_checks = checks
        self.missing: dict[str, Gone] = defaultdict(dict)

    def record(self, rows: Sequence[Recorded], orders: dict[str, tuple[Any, int]]) -> Iterator[str]:
        """Yield what is wrong after these events, which were decided together. `orders`: the state of each stream by
        now."""
        for recorded in rows:
            yield from self._released(recorded.event)
            self._note(recorded.event)
        for recorded in rows:
            if isinstance(recorded.event, o.OrderMoneyGone):
                yield from self._kept(recorded.event, orders[recorded.stream][0])

    def _note(self, event: Event) -> None:
        match event:
            case o.OrderMoneyGone():
                self.missing[event.order_id][event.payment_id, event.effect] = event.amount_minor
            case o.OrderMoneyBack():
                self.missing[event.order_id].pop((event.payment_id, event.effect), None)
            case o.OrderHoldReleased(kind="payment") | o.OrderOverridden(to="released"):
                self.missing[event.order_id].clear()

    def _released(self, event: Event) -> Iterator[str]:
        if isinstance(event, o.OrderReleased):
            charged = {
                charge.payment_id
                for plan in event.shipments
                for charge in o.borne(plan.charges, event.payment_id, plan.amount_minor)
            }
            for payment_id, effect in self.missing[event.order_id]:
                if payment_id in charged:
                    yield f"{event.order_id} is released without {effect} of {payment_id}"

    def _kept(self, event: o.OrderMoneyGone, order: Any) -> Iterator[str]:
        """Yield goods for which money is missing, and which could be stopped on their way out but are not."""
        charges = self.order_checks.orders[event.order_id].charges
        status = {key: order.shipments[key] for key in charges}
        open_minor = sum(charges[key].get(event.payment_id, 0) for key in charges if status[key] in ("open", "held"))
        may_stop = any(
            status[key] == "held" or (status[key] == "open" and key not in order.kept)
            for key in charges
            if charges[key].get(event.payment_id)
        )
        payment = order.payments.get(event.payment_id)
        known = self.missing[event.order_id]
        gone = sum(amount for (payment_id, _), amount in known.items() if payment_id == event.payment_id)
        if payment is None or payment.status == "void" or order.phase != "fulfilling" or not may_stop:
            return
        if gone + open_minor > payment.due.amount_minor and "payment" not in order.holds:
            yield f"{event.order_id} goes out, and {event.effect} of {event.payment_id} is gone"
