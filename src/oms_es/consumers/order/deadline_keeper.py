"""Deadline keeper: gives the commands for deadlines that are due.

Reads    rows of `deadlines` whose time has come
Emits    LapseOrder, LapsePresale, RepeatPayment, ChaseHold, ChasePlacement, ExpireReservation, ExpireLot,
         ExpireAuthorization, ChaseAnswer, ChaseDispatch, SuspectLoss, ChaseCancellation, LapseRma, ExpireGiftCard
Decides  nothing; the order knows whether it was paid meanwhile, the stock whether it was shipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

from oms_es.kernel import Command, Row
from oms_es.schemas.finance.gift_card import ExpireGiftCard
from oms_es.schemas.order import ChaseHold, ChasePlacement, LapseOrder, LapsePresale, RepeatPayment
from oms_es.schemas.payment import ChaseAnswer, ExpireAuthorization
from oms_es.schemas.returns.rma import LapseRma
from oms_es.schemas.shipment import ChaseCancellation, ChaseDispatch, SuspectLoss
from oms_es.schemas.stock import ExpireLot, ExpireReservation


def due_commands(rows: Iterable[Row], now: datetime) -> Iterator[Command]:
    for row in rows:
        yield COMMANDS[row["kind"]](row, now)


def lapse_the_order(row: Row, _: datetime) -> Command:
    return LapseOrder(order_id=row["order_id"], payment_id=row["subject"] or None)


def lapse_the_presale(row: Row, _: datetime) -> Command:
    return LapsePresale(order_id=row["order_id"])


def chase_the_hold(row: Row, now: datetime) -> Command:
    return ChaseHold(order_id=row["order_id"], kind=row["subject"], now=now)


def chase_the_placement(row: Row, _: datetime) -> Command:
    return ChasePlacement(order_id=row["order_id"])


def repeat_the_payment(row: Row, _: datetime) -> Command:
    return RepeatPayment(order_id=row["order_id"], payment_id=row["subject"])


def expire_the_reservation(row: Row, now: datetime) -> Command:
    return ExpireReservation(
        sku=row["sku"], location=row["location"], reservation_id=row["subject"], order_id=row["order_id"], now=now
    )


def expire_the_lot(row: Row, now: datetime) -> Command:
    return ExpireLot(sku=row["sku"], location=row["location"], lot=row["subject"], now=now)


def expire_the_authorization(row: Row, now: datetime) -> Command:
    return ExpireAuthorization(payment_id=row["subject"], now=now)


def chase_the_answer(row: Row, _: datetime) -> Command:
    operation, length, names = row["subject"].split("/", 2)
    return ChaseAnswer(payment_id=names[: int(length)], operation=operation, part=names[int(length) :])


def chase_the_dispatch(row: Row, _: datetime) -> Command:
    return ChaseDispatch(shipment_id=row["subject"])


def suspect_the_loss(row: Row, now: datetime) -> Command:
    return SuspectLoss(shipment_id=row["subject"], now=now)


def chase_the_cancellation(row: Row, _: datetime) -> Command:
    return ChaseCancellation(shipment_id=row["subject"])


def lapse_the_return(row: Row, _: datetime) -> Command:
    return LapseRma(rma_id=row["subject"])


def expire_the_gift_card(row: Row, now: datetime) -> Command:
    return ExpireGiftCard(account_id=row["subject"], now=now)


COMMANDS: Mapping[str, Callable[[Row, datetime], Command]] = {
    "payment_overdue": lapse_the_order,
    "payment_retry": repeat_the_payment,
    "presale_overdue": lapse_the_presale,
    "hold_overdue": chase_the_hold,
    "placement_overdue": chase_the_placement,
    "reservation_expiry": expire_the_reservation,
    "lot_expiry": expire_the_lot,
    "authorization_expiry": expire_the_authorization,
    "answer_overdue": chase_the_answer,
    "dispatch_overdue": chase_the_dispatch,
    "parcel_silent": suspect_the_loss,
    "unbooking_overdue": chase_the_cancellation,
    "return_overdue": lapse_the_return,
    "gift_card_expiry": expire_the_gift_card,
}
"""The command for each kind of deadline."""

GIVES: frozenset[type[Command]] = frozenset(
    {
        ChaseAnswer,
        ChaseCancellation,
        ChaseDispatch,
        ChaseHold,
        ChasePlacement,
        ExpireAuthorization,
        ExpireGiftCard,
        ExpireLot,
        ExpireReservation,
        LapseOrder,
        LapsePresale,
        LapseRma,
        RepeatPayment,
        SuspectLoss,
    }
)
"""All commands that deadlines may lead to."""
