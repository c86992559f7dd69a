"""An order is held for a person, and released. Part of the order's decider."""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.aggregates.order import amendments as changes
from oms_es.aggregates.order import transitions as steps
from oms_es.aggregates.order.payments import ask_again
from oms_es.aggregates.order.state import Order
from oms_es.schemas import order as o


def hold(order: Order, command: o.HoldOrder) -> Iterator[o.OrderEvent]:
    """Repeated with another time, that one holds."""
    if order.is_held(command.kind) and command.until in (None, order.held_until.get(command.kind)):
        return
    changes.require_before_release(order, "held")
    yield o.OrderHeld(order_id=command.order_id, kind=command.kind, note=command.note, until=command.until)


def chase_hold(order: Order, command: o.ChaseHold) -> Iterator[o.OrderEvent]:
    until = order.held_until.get(command.kind)
    if until and until <= command.now and command.kind in order.holds and order.phase not in o.FINAL_PHASES:
        yield o.OrderHoldOverdue(order_id=command.order_id, kind=command.kind, until=until)


def release_hold(order: Order, command: o.ReleaseHold) -> Iterator[o.OrderEvent]:
    """Money that was given up on is asked for again once nothing else says that it should not be; money that is gone
    is done without."""
    if command.kind in order.holds and order.phase not in o.FINAL_PHASES:
        if command.kind == "payment":
            yield from steps.unheld(order, command.kind, command.note, lambda after: ask_again(after, None, 1))
        else:
            yield from steps.unheld(order, command.kind, command.note)
