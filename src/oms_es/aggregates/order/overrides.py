"""What a person may do to an order beyond its rules. Part of the order's decider."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from oms_es.aggregates.order import amendments as changes
from oms_es.aggregates.order import money
from oms_es.aggregates.order import transitions as steps
from oms_es.aggregates.order.evolve import evolve
from oms_es.aggregates.order.state import Order
from oms_es.aggregates.repeats import asked_of, done_before
from oms_es.kernel import Refused
from oms_es.schemas import order as o
from oms_es.schemas.order.refusals import OrderRefusal


def override(order: Order, command: o.OverrideOrder) -> Iterator[o.OrderEvent]:
    if not done_before(order.applied.get(command.override_id), command):
        yield from OVERRIDES[command.to](order, command)


def _source_again(order: Order, command: o.OverrideOrder) -> Iterator[o.OrderEvent]:
    changes.require_before_release(order, "sourced again")
    assert order.content
    held = [*order.requested.items(), *order.allocated.items()]
    overridden = _overridden(
        command, released=tuple(changes.cut_of(key, quantity, 0) for key, quantity in sorted(held))
    )
    yield overridden
    lacking = [*order.backordered.items(), *((sku, quantity) for (_, sku, _), quantity in sorted(held))]
    yield steps.request_sourcing(evolve(order, overridden), lacking, (), None)


def _release_anyway(order: Order, command: o.OverrideOrder) -> Iterator[o.OrderEvent]:
    changes.require_before_release(order, "released")
    assert order.content
    if not order.is_locked or order.presale_pending:
        raise Refused(
            OrderRefusal.NOT_LOCKED,
            f"not every unit of order {command.order_id} is reserved; cancel the lines that lack",
        )
    unpaid = {key: p for key, p in order.live_payments.items() if p.status != "secured"}
    secured = sum(p.due.amount_minor for p in order.live_payments.values()) - sum(
        p.due.amount_minor for p in unpaid.values()
    )
    overridden = _overridden(
        command,
        payments_cancelled=tuple(unpaid),
        written_off_minor=max(money.payable(order.content) - secured, 0),
    )
    yield overridden
    yield from steps.proceed(evolve(order, overridden))


def _complete_anyway(order: Order, command: o.OverrideOrder) -> Iterator[o.OrderEvent]:
    if order.phase in o.FINAL_PHASES:
        return
    if order.phase != "shipped":
        raise Refused(
            OrderRefusal.NOT_SHIPPED,
            f"order {command.order_id} is {order.phase}; it can be completed only after it was shipped",
        )
    yield _overridden(command)
    yield steps.completed(order)


def _overridden(command: o.OverrideOrder, **more: Any) -> o.OrderOverridden:
    return o.OrderOverridden(
        order_id=command.order_id,
        override_id=command.override_id,
        to=command.to,
        reason=command.reason,
        asked=asked_of(command),
        **more,
    )


OVERRIDES: dict[o.OverrideTarget, Any] = {
    "sourcing": _source_again,
    "released": _release_anyway,
    "completed": _complete_anyway,
}
