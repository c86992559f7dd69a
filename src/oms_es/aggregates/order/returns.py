"""Returns of an order's units. Part of the order's decider.

Invariant: units returned or on the way back <= units shipped, per line and over all returns; no unit is credited twice,
neither by two returns nor by a return and a refund; what is credited to an exchange is not given back in money as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from pydantic import ValidationError

from oms_es.aggregates.order import refunding
from oms_es.aggregates.order.money import in_words
from oms_es.aggregates.order.state import Order, Return, feedback
from oms_es.aggregates.repeats import asked_of, done_before
from oms_es.kernel import Refused
from oms_es.schemas import order as o
from oms_es.schemas.order import returns as x
from oms_es.schemas.order.refusals import OrderRefusal
from oms_es.schemas.problems import problems
from oms_es.schemas.returns import rma as r
from oms_es.schemas.values import names


def request(order: Order, command: x.RequestReturn) -> Iterator[o.OrderEvent]:
    asked = _total(command.lines)
    if known := order.returns.get(command.rma_id):
        if dict(known.asked.items()) != asked:
            raise Refused(
                OrderRefusal.ALREADY_REQUESTED, f"return {command.rma_id} is of other units; use another rma_id"
            )
        done_before(order.applied.get(f"return/{command.rma_id}"), command)
        return
    require_own_name("rma_id", command.rma_id)
    if (command.resolution == "exchange") != bool(command.replacement):
        raise Refused(OrderRefusal.UNCLEAR_RESOLUTION, "an exchange needs replacement, and nothing else has it")
    for line_id, quantity in asked.items():
        left = returnable(order, line_id)
        if quantity > left:
            raise Refused(
                OrderRefusal.OVER_RETURN,
                f"{quantity} units of line {line_id} of order {command.order_id} would come back, and {left} can: the "
                "others were not shipped, or are back or refunded already",
            )
    assert order.content
    if command.replacement:
        _exchange(order, command.rma_id, command.replacement, command.now, 0)
    yield x.OrderReturnRequested(
        order_id=command.order_id,
        rma_id=command.rma_id,
        channel=order.content.channel,
        resolution=command.resolution,
        lines=tuple(_expected(order, command.lines)),
        replacement=command.replacement,
        requested_at=command.now,
        delivered_at=order.delivered_at,
        customer_id=order.content.customer_id,
        asked=asked_of(command),
        to_account=command.to_account or "",
    )


def require_own_name(field: str, name: str) -> None:
    """Raise Refused if the name has the form of the engine's own names."""
    if names.is_made(name):
        raise Refused(
            OrderRefusal.RESERVED_NAME,
            f"{field} {name} begins with a prefix that is reserved for generated names; use another name",
        )


def _total(lines: Iterable[o.LineUnits] | Iterable[r.ReturnLine]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for line in lines:
        counts[line.line_id] = counts.get(line.line_id, 0) + line.quantity
    return counts


def returnable(order: Order, line_id: str) -> int:
    """Return how many units of a line may still be returned: with the customer, in no return, and not refunded."""
    shipped, out = refunding.shipped_units(order, line_id), refunding.units_out(order, line_id)
    returns = list(order.returns.values())
    returned = sum(known.asked.get(line_id, 0) - known.ended.get(line_id, 0) for known in returns)
    waiting = sum(known.open.get(line_id, 0) for known in returns)
    return max(min(out - returned, shipped - order.refunded_units.get(line_id, 0) - waiting), 0)


def _expected(order: Order, lines: Iterable[r.ReturnLine]) -> Iterator[r.ExpectedLine]:
    assert order.content
    sku_of = {line.line_id: line.sku for line in order.content.lines}
    for line in lines:
        sku = sku_of[line.line_id]
        yield r.ExpectedLine(
            line_id=line.line_id,
            quantity=line.quantity,
            reason=line.reason,
            sku=sku,
            components=dict(order.bundles.get(sku, {})),
        )


def _exchange(
    order: Order, rma_id: str, replacement: tuple[o.OrderLine, ...], placed_at: datetime, credit_minor: int
) -> o.OrderContent:
    """Return the content of the order that is sent instead. Raise Refused if it could not be placed."""
    assert order.content
    fields = {
        name: getattr(order.content, name) for name in ("channel", "currency", "ship_to", "payment_token", "customer")
    }
    try:
        return o.OrderContent(
            **fields,
            external_id=f"{names.EXCHANGE}{rma_id}",
            placed_at=placed_at,
            lines=replacement,
            kind="exchange",
            exchange_of=rma_id,
            credit_minor=credit_minor,
        )
    except ValidationError as error:
        raise Refused(OrderRefusal.INVALID_REPLACEMENT, f"replacement: {problems(error)}; correct it") from error


def credit(order: Order, command: x.CreditReturn) -> Iterator[o.OrderEvent]:
    """Credit a return; never refuse, because no caller waits for an answer.

    An impossible credit becomes an event for a person.
    """
    known = order.returns.get(command.rma_id)
    if known is None or command.credit_id in order.applied:
        return
    refund = o.RefundOrder.model_construct(
        order_id=command.order_id,
        refund_id=command.credit_id,
        lines=tuple(o.RefundLine(line_id=line.line_id, quantity=line.quantity) for line in command.lines),
        reason=f"return {command.rma_id}",
        to_account=known.to_account,
    )
    try:
        if command.resolution == "exchange":
            yield _exchanged(order, known, command, refund)
        else:
            yield refunding.refund(order, refund).model_copy(update={"rma_id": command.rma_id})
    except Refused as refused:
        yield x.OrderCreditRefused(
            order_id=command.order_id, rma_id=command.rma_id, credit_id=command.credit_id, reason=str(refused)
        )


def _exchanged(order: Order, known: Return, command: x.CreditReturn, refund: o.RefundOrder) -> x.OrderExchangeCredited:
    allocations, units = refunding.allocations_of(order, refund)
    worth = sum(allocation.amount_minor for allocation in allocations)
    refunding.require_unspent(order, worth)
    return x.OrderExchangeCredited(
        order_id=command.order_id,
        rma_id=command.rma_id,
        credit_id=command.credit_id,
        allocations=tuple(allocations),
        credited_units=units,
        content=_exchange(order, command.rma_id, known.replacement, known.requested_at, worth),
    )


def refund_credit(order: Order, command: x.RefundCredit) -> Iterator[o.OrderEvent]:
    """Give back what an exchange did not use; never refuse, as in `credit`.

    If a part of it is gone by another way, the rest is given back.
    """
    name = (command.rma_id, "left", command.exchange_order_id, *filter(None, [command.credit_id]))
    refund_id = names.RETURN + names.made_of(*name)
    if refund_id in order.applied:
        return
    of = {"order_id": command.order_id, "rma_id": command.rma_id, "credit_id": refund_id}
    there = refunding.credit_there(order, command.amount_minor) or command.amount_minor
    why = f"left of exchange {command.rma_id}"
    spared = order.credited - command.amount_minor
    try:
        refund = refunding.refund_credit(order, refund_id, there, why, spared=spared)
    except Refused as refused:
        yield x.OrderCreditRefused(**of, reason=str(refused))
        return
    known = order.returns.get(command.rma_id)
    to_account = known.to_account if known else ""
    yield refund.model_copy(update={"exchange_order_id": command.exchange_order_id, "to_account": to_account})
    if there < command.amount_minor:
        given, asked = (in_words(order, n) for n in (there, command.amount_minor))
        yield x.OrderCreditRefused(
            **of, reason=f"{given} of the {asked} {why} is given back; the rest went by another way, see its payments"
        )


def record_ended(order: Order, command: x.RecordReturnEnded) -> Iterator[o.OrderEvent]:
    known = order.returns.get(command.rma_id)
    if known is not None and not known.ended:
        yield x.OrderReturnEnded(**dict(command))


def record_feedback(order: Order, command: x.RecordFeedbackGiven) -> Iterator[o.OrderEvent]:
    """Record feedback for the order's customer; an order without a customer yields nothing."""
    if order.of_customer and feedback(command.feedback_id) not in order.applied:
        yield x.OrderFeedbackGiven(**dict(command), **order.of_customer)
