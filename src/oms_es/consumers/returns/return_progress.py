"""Return progress: records the progress of a return on its order, its stock, and the order sent in exchange.

Reads    RmaCreditDue, RmaCreditLeft, RmaRefused, RmaNameTaken, RmaClosed, RmaInspected, OrderShipmentReturned,
         OrderExchangeCredited, OrderCreditLeft, OrderRefundRequested, OrderMoneyGone, OrderMoneyBack
Emits    CreditReturn, RefundCredit, RecordReturnEnded, RestockReturn, PlaceExchange, RecordCreditLeft,
         RecordMoneyGone, RecordMoneyBack
Decides  nothing; the order knows what was paid, the stock where it belongs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from oms_es.kernel import Command, Consumer
from oms_es.schemas import order as o
from oms_es.schemas.order import returns as x
from oms_es.schemas.returns import rma as r
from oms_es.schemas.stock import RestockReturn
from oms_es.schemas.values import names

consumer = Consumer(
    "return_progress",
    emits=(
        x.CreditReturn,
        x.RefundCredit,
        x.RecordReturnEnded,
        RestockReturn,
        o.PlaceExchange,
        r.RecordCreditLeft,
        o.RecordMoneyGone,
        o.RecordMoneyBack,
    ),
)


@consumer.on(r.RmaCreditDue)
def credit_order_on_rma_credit_due(event: r.RmaCreditDue) -> Iterator[Command]:
    yield x.CreditReturn(
        order_id=event.order_id,
        rma_id=event.rma_id,
        credit_id=event.credit_id,
        resolution=event.resolution,
        lines=event.lines,
    )


@consumer.on(r.RmaInspected)
def restock_units_on_rma_inspected(event: r.RmaInspected) -> Iterator[Command]:
    for number, item in enumerate(event.items, start=1):
        if item.disposition != "written_off":
            yield RestockReturn(
                sku=item.sku,
                location=event.location,
                return_id=names.RETURN + names.made_of(event.rma_id, event.inspection_id, str(number)),
                quantity=item.quantity,
                condition=item.disposition,
                bin=item.bin,
                lot=item.lot,
                serials=item.serials,
            )


@consumer.on(o.OrderShipmentReturned)
def restock_units_on_order_shipment_returned(event: o.OrderShipmentReturned) -> Iterator[Command]:
    """Put undelivered units into quarantine: a person must look at them before they are sold again."""
    for number, item in enumerate(event.items, start=1):
        yield RestockReturn(
            sku=item.sku,
            location=event.location,
            return_id=f"{event.return_id}/{number}",
            quantity=item.quantity,
            condition="quarantine",
        )


@consumer.on(r.RmaRefused)
def end_return_on_rma_refused(event: r.RmaRefused) -> Iterator[Command]:
    yield x.RecordReturnEnded(order_id=event.order_id, rma_id=event.rma_id, lines=event.lines)


@consumer.on(r.RmaNameTaken)
def end_return_on_rma_name_taken(event: r.RmaNameTaken) -> Iterator[Command]:
    yield x.RecordReturnEnded(order_id=event.order_id, rma_id=event.rma_id, lines=event.lines, reason=event.reason)


@consumer.on(r.RmaClosed)
def end_return_on_rma_closed(event: r.RmaClosed) -> Iterator[Command]:
    if event.outstanding:
        yield x.RecordReturnEnded(order_id=event.order_id, rma_id=event.rma_id, lines=event.outstanding)


@consumer.on(x.OrderExchangeCredited)
def place_exchange_on_order_exchange_credited(event: x.OrderExchangeCredited) -> Iterator[Command]:
    order_id = o.order_id_of(event.content.channel, event.content.external_id)
    yield o.PlaceExchange.model_construct(order_id=order_id, content=event.content)


@consumer.on(o.OrderCreditLeft)
def record_credit_left_on_order_credit_left(event: o.OrderCreditLeft) -> Iterator[Command]:
    yield _credit_back(event.order_id, event.exchange_of, event.amount_minor, event.credit_id, event.currency)


@consumer.on(o.OrderRefundRequested)
def record_credit_left_on_order_refund_requested(event: o.OrderRefundRequested) -> Iterator[Command]:
    """Give a returned exchange's credit back to where it came from, if the refund includes such a credit."""
    if part := event.credit:
        yield _credit_back(event.order_id, part.exchange_of, part.amount_minor, event.refund_id, event.currency)


def _credit_back(order_id: str, exchange_of: str, amount_minor: int, credit_id: str, currency: str) -> Command:
    """Return the command that gives a credit back: to its return or, for a lost parcel, to the parcel's order."""
    credit: Any = {
        "rma_id": exchange_of,
        "exchange_order_id": order_id,
        "amount_minor": amount_minor,
        "credit_id": credit_id,
    }
    if shipment_id := o.lost_shipment_of(exchange_of):
        return x.RefundCredit(order_id=shipment_id.rpartition(".")[0], **credit)
    return r.RecordCreditLeft(**credit, currency=currency)


@consumer.on(o.OrderMoneyGone)
def record_gone_credit_on_order_money_gone(event: o.OrderMoneyGone) -> Iterator[Command]:
    """Record, on the exchanges that this money paid for, that it is gone."""
    for order_id, amount_minor in event.exchanges.items():
        yield o.RecordMoneyGone(
            order_id=order_id,
            payment_id=event.payment_id,
            effect=event.effect,
            why=event.why,
            amount_minor=amount_minor,
            of_credit=True,
        )


@consumer.on(o.OrderMoneyBack)
def record_regained_credit_on_order_money_back(event: o.OrderMoneyBack) -> Iterator[Command]:
    for order_id in event.exchanges:
        yield o.RecordMoneyBack(order_id=order_id, payment_id=event.payment_id, effect=event.effect)


@consumer.on(r.RmaCreditLeft)
def refund_rest_on_rma_credit_left(event: r.RmaCreditLeft) -> Iterator[Command]:
    yield x.RefundCredit(
        order_id=event.order_id,
        rma_id=event.rma_id,
        exchange_order_id=event.exchange_order_id,
        amount_minor=event.amount_minor,
        credit_id=event.credit_id,
    )
