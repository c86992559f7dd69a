"""Forgetting the person of an order. Part of the order's decider.

Invariant: once forgotten, an order's state and events contain nothing about a person, as if its events had always had
placeholders. History folds to the same state with the order's key and without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pydantic import BaseModel
from rpds import HashTrieMap

from oms_es.aggregates.order.state import Order
from oms_es.kernel import Refused
from oms_es.schemas import order as o
from oms_es.schemas.order import returns as x
from oms_es.schemas.refusals import SharedRefusal
from oms_es.schemas.values.parts import without_personal

BRING_BACK: tuple[type[o.OrderCommand], ...] = (
    o.AddNote,
    o.AmendOrder,
    o.SplitOrder,
    o.PlaceLegalHold,
    x.RequestReturn,
)
"""Commands that contain something about a person, or that need to know who the person is."""


def forget(order: Order, command: o.ForgetOrder) -> Iterator[o.OrderEvent]:
    """Forget the order's person.

    Raise Refused while a parcel is on its way to or from the customer, or a legal hold applies.
    """
    if waits := "; ".join(_reasons_to_wait(order)):
        raise Refused(
            SharedRefusal.STILL_RUNNING, f"order {command.order_id} cannot be forgotten yet: {waits}; end that first"
        )
    if cases := ", ".join(sorted(case_id for case_id, holds in order.legal_holds.items() if holds)):
        raise Refused(
            SharedRefusal.LEGAL_HOLD, f"order {command.order_id} cannot be forgotten: {cases} holds it; lift that first"
        )
    yield o.OrderForgotten(**command.model_dump())


def place_hold(order: Order, command: o.PlaceLegalHold) -> Iterator[o.OrderEvent]:
    if not order.legal_holds.get(command.case_id, True):
        raise Refused(
            SharedRefusal.LEGAL_HOLD_LIFTED,
            f"{command.case_id} held order {command.order_id} and was lifted: hold it by another case id",
        )
    if command.case_id not in order.legal_holds:
        yield o.OrderLegalHoldPlaced(**command.model_dump())


def lift_hold(order: Order, command: o.LiftLegalHold) -> Iterator[o.OrderEvent]:
    if command.case_id not in order.legal_holds:
        raise Refused(
            SharedRefusal.NO_LEGAL_HOLD,
            f"{command.case_id} does not hold order {command.order_id}; name the case that does",
        )
    if order.legal_holds[command.case_id]:
        yield o.OrderLegalHoldLifted(**command.model_dump())


def _reasons_to_wait(order: Order) -> Iterator[str]:
    if order.phase not in o.FINAL_PHASES:
        yield f"it is {order.phase}"
    elif parcels := order.in_status("dispatched"):
        yield f"parcels {', '.join(parcels)} are under way"
    if rmas := sorted(rma_id for rma_id, asked in order.returns.items() if any(asked.open.values())):
        yield f"returns {', '.join(rmas)} are open"


def decide_afterwards(
    order: Order, command: Any, decide: Callable[[Order, Any], Iterable[o.OrderEvent]]
) -> Iterator[o.OrderEvent]:
    """Decide a command for a forgotten order: money and parcels as usual, nothing about a person.

    A late amendment of the channel changes nothing in an order that has ended, so it is ignored and not kept for a
    person.
    """
    if isinstance(command, o.ForgetOrder) or (isinstance(command, o.AmendOrder) and command.keep):
        return
    if isinstance(command, BRING_BACK):
        raise Refused(
            SharedRefusal.FORGOTTEN,
            f"order {command.order_id} was forgotten: nothing of a person is taken for it again; refund what is owed, "
            "or place a new order",
        )
    yield from map(without_personal, decide(order, command))


def fold_forgotten(order: Order, _: o.OrderForgotten) -> Order:
    return Order(*map(_without, order))._replace(forgotten=True)


def _without(value: Any) -> Any:
    match value:
        case BaseModel():
            return without_personal(value)
        case HashTrieMap():
            return HashTrieMap((key, _without(part)) for key, part in value.items())
        case tuple() if not hasattr(value, "_fields"):
            return tuple(map(_without, value))
    return value


def fold_held(order: Order, event: o.OrderLegalHoldPlaced) -> Order:
    return order._replace(legal_holds=order.legal_holds.insert(event.case_id, True))


def fold_lifted(order: Order, event: o.OrderLegalHoldLifted) -> Order:
    return order._replace(legal_holds=order.legal_holds.insert(event.case_id, False))
