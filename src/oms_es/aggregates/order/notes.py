"""What people note about an order. Part of the order's decider."""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.aggregates.order.state import Order
from oms_es.aggregates.repeats import asked_of, done_before
from oms_es.kernel import Refused
from oms_es.schemas import order as o
from oms_es.schemas.order.refusals import OrderRefusal


def add(order: Order, command: o.AddNote) -> Iterator[o.OrderEvent]:
    """Add a note, in every phase and also after the order has ended. Raise Refused if there are too many."""
    if done_before(order.notes.get(command.note_id), command):
        return
    if len(order.notes) >= o.NOTES_MAX:
        raise Refused(
            OrderRefusal.TOO_MANY_NOTES, f"order {command.order_id} has {o.NOTES_MAX:,} notes, and takes no more"
        )
    yield o.OrderNoteAdded(**command.model_dump(), asked=asked_of(command))


def fold_added(order: Order, event: o.OrderNoteAdded) -> Order:
    return order._replace(notes=order.notes.insert(event.note_id, event.asked))
