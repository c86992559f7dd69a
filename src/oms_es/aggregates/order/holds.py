"""Holding an order for a person, and releasing it. Part of the order's decider."""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.aggregates.order import amendments as changes
from oms_es.aggregates.order import transitions as steps
from oms_es.aggregates.order.payments import ask_again
from oms_es.aggregates.order.state import Order
from oms_es.schemas import order as o


def hold(order: Order, command: o.HoldOrder) -> Iterator[o.OrderEvent]:
    """Hold the order. If it is held already, another time replaces the earlier one.

    A channel sends an order again after every change of it: what it was held for once is left to the person who
    released it, until the channel has sent other content.
    """
    if command.revision is not None and _is_old(order, command, command.revision):
        return
    if (
        order.is_held(command.kind)
        and command.revision is None
        and command.until in (None, order.held_until.get(command.kind))
    ):
        return
    changes.require_before_release(order, "held")
    yield o.OrderHeld(
        order_id=command.order_id, kind=command.kind, note=command.note, until=command.until, revision=command.revision
    )


def _is_old(order: Order, command: o.HoldOrder, revision: int) -> bool:
    """Return whether the channel has said this before, or has sent an amendment since."""
    amended, held = order.revisions.get("lines", 0), order.held_at.get((command.kind, command.note), 0)
    return revision < amended or revision <= held or held > amended


def chase_hold(order: Order, command: o.ChaseHold) -> Iterator[o.OrderEvent]:
    until = order.held_until.get(command.kind)
    if until and until <= command.now and command.kind in order.holds and order.phase not in o.FINAL_PHASES:
        yield o.OrderHoldOverdue(order_id=command.order_id, kind=command.kind, until=until)


def release_hold(order: Order, command: o.ReleaseHold) -> Iterator[o.OrderEvent]:
    """Release a hold.

    Payments that were given up are asked for again once no other hold is left; for money that is gone the order goes on
    without it.
    """
    if command.kind in order.holds and order.phase not in o.FINAL_PHASES:
        if command.kind == "payment":
            yield from steps.unheld(order, command.kind, command.note, lambda after: ask_again(after, None, 1))
        else:
            yield from steps.unheld(order, command.kind, command.note)
