"""Which commands may have caused an event, and how a command is recovered from the fields of events.

Invariant: every type of event is either in GIVEN_BY, or decided by the engine alone. A command shares its fields with
the event that answers it, and `asked` has its content; READINGS are for commands whose fields have other names in
events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, get_args

from oms_es.aggregates.repeats import FREE, OWN_IDS
from oms_es.app.registry import CONSUMERS, DECIDERS
from oms_es.consumers.order import deadline_keeper
from oms_es.kernel import Command, Decider, Event, Recorded, SystemCommand, stream_fields
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas import shipment as sh
from oms_es.schemas import stock as s
from oms_es.schemas.finance import invoicing as v
from oms_es.schemas.finance import reconciliation as rec
from oms_es.schemas.finance.gift_card import PresentGiftCard
from oms_es.schemas.order.returns import OrderReturnRequested, RequestReturn
from oms_es.schemas.shipment.base import MilestoneStatus

Fields = dict[str, Any]
Reading = Callable[[Fields, Sequence[Recorded]], Iterator[Fields]]

ALSO_REPORTED: frozenset[type[Command]] = frozenset(
    {
        p.RecordAuthorization,
        p.RecordDecline,
        p.RecordReauthorization,
        p.RecordReauthorizationDecline,
        p.RecordCapture,
        p.RecordCaptureFailure,
        p.RecordVoid,
        p.RecordVoidFailure,
        p.RecordRefund,
        p.RecordRefundFailure,
        p.RecordReport,
        sh.RecordMilestone,
    }
)
"""Commands that consumers give, and that carriers and providers give, too."""

OF_THE_ENGINE: frozenset[type[Command]] = (
    frozenset(command for consumer in CONSUMERS for command in consumer.emits if issubclass(command, SystemCommand))
    - ALSO_REPORTED
    | deadline_keeper.GIVES
)
"""Commands that only consumers and the ticker give."""


RESTATED_ALWAYS: frozenset[type[Command]] = frozenset(
    {
        PresentGiftCard,
        rec.MatchReconciliation,
        rec.ReopenReconciliation,
        rec.ResolveReconciliation,
        rec.UndoReconciliation,
    }
)
"""Commands that no event has the content of, such as the code of a gift card: their events are facts from outside, and
are restated."""


def contents_of(kind: type[Command]) -> frozenset[str]:
    """Return the fields whose values `asked` contains."""
    return frozenset(kind.model_fields) - FREE - {OWN_IDS.get(kind, ""), *stream_fields(kind)}


def as_said(said: Fields, _run: Sequence[Recorded]) -> Iterator[Fields]:
    yield said


def _placed(said: Fields, run: Sequence[Recorded]) -> Iterator[Fields]:
    """Yield readings of a placed order: shipped by others, or cancelled, before it was received; or sent again with
    other content.
    """
    first = run[0].event
    if isinstance(first, o.DuplicateConflictFound):
        yield {name: getattr(first.content, name) for name in type(first.content).model_fields}
        return
    yield said | {"fulfilled": ()}
    elsewhere = next((r.event.told for r in run if isinstance(r.event, o.OrderFulfilledElsewhere)), ())
    cancelled = next((r.event.reason for r in run if isinstance(r.event, o.OrderCancelled)), None)
    yield said | {"fulfilled": elsewhere}
    yield said | {"fulfilled": elsewhere, "cancelled": cancelled}


def _merged(said: Fields, run: Sequence[Recorded]) -> Iterator[Fields]:
    first = run[0].event
    if isinstance(first, o.OrderMergeRequested):
        yield said | {"order_ids": (first.source_id, *first.to_be_asked)}


def _returned(said: Fields, run: Sequence[Recorded]) -> Iterator[Fields]:
    first = run[0].event
    if isinstance(first, OrderReturnRequested):
        lines = [line.model_dump(include={"line_id", "quantity", "reason"}) for line in first.lines]
        yield said | {"lines": lines, "now": first.requested_at}


def _refunded_by_the_channel(said: Fields, run: Sequence[Recorded]) -> Iterator[Fields]:
    first = run[0].event
    if isinstance(first, o.OrderReportKept):
        yield dict(first.refund or {})
        return
    name = said.get("report") or said.get("cancellation_id") or ""
    of_refund = said | {"refund_id": str(name).partition("/")[2]}
    yield of_refund
    if said.get("reason"):
        yield of_refund | {"reason": str(said["reason"]).partition(": ")[2]}


def _fulfilled(said: Fields, run: Sequence[Recorded]) -> Iterator[Fields]:
    event = run[0].event
    if isinstance(event, o.OrderReportKept):
        yield dict(event.fulfilment or {})
    elif isinstance(event, o.OrderFulfilledElsewhere):
        yield said | {"lines": event.told}
    elif isinstance(event, o.OrderReportDisputed):
        yield said | {"fulfilment_id": event.report.partition("/")[2]}


def _kept_amendment(said: Fields, run: Sequence[Recorded]) -> Iterator[Fields]:
    first = run[0].event
    yield dict(first.amendment) if isinstance(first, o.OrderAmendmentKept) else said


def _kept_cancellation(said: Fields, run: Sequence[Recorded]) -> Iterator[Fields]:
    yield said | {"keep": isinstance(run[0].event, o.OrderCancellationKept)}


def _share(said: Fields, _run: Sequence[Recorded]) -> Iterator[Fields]:
    yield said | {"buffer_units": said.get("quantity", 0)}


def _released(said: Fields, _run: Sequence[Recorded]) -> Iterator[Fields]:
    yield said
    yield said | {"quantity": None}


def _collected(said: Fields, _run: Sequence[Recorded]) -> Iterator[Fields]:
    yield said | {"collected_at": said.get("dispatched_at")}


def _seen(said: Fields, run: Sequence[Recorded]) -> Iterator[Fields]:
    """Yield readings of a tracking event; of a disputed one only the name of its report is left."""
    if not isinstance(run[0].event, sh.ShipmentReportDisputed):
        yield said
        return
    for status in get_args(MilestoneStatus):
        yield said | {"milestone_id": said["report"], "status": status, "detail": ""}


def _answered(_said: Fields, run: Sequence[Recorded]) -> Iterator[Fields]:
    first = run[0].event
    kinds = sh.ShipmentPacked | sh.ShipmentPickedShort | sh.ShipmentPickRejected | sh.ShipmentPickDisputed
    if isinstance(first, kinds | sh.ShipmentPickAnsweredLate) and first.answer:
        yield {"shipment_id": first.shipment_id, **dict(first.answer)}


def _assigned(said: Fields, run: Sequence[Recorded]) -> Iterator[Fields]:
    sourced = next((r.event for r in run if isinstance(r.event, o.OrderSourced)), None)
    yield said | {"assignments": sourced.assignments if sourced else ()}


def _issued(said: Fields, run: Sequence[Recorded]) -> Iterator[Fields]:
    first = run[0].event
    if isinstance(first, v.InvoiceIssued):
        before, _, number = first.name.rpartition("-")
        how = {"prefix": before.removesuffix(str(first.year)), "digits": len(number)}
        yield said | how | {"content": first.content}


READINGS: Mapping[type[Command], Reading] = {
    v.IssueInvoice: _issued,
    o.PlaceOrder: _placed,
    o.MergeOrders: _merged,
    o.AmendOrder: _kept_amendment,
    o.CancelOrder: _kept_cancellation,
    o.AssignOrder: _assigned,
    o.RecordFulfilment: _fulfilled,
    o.RecordChannelRefund: _refunded_by_the_channel,
    RequestReturn: _returned,
    s.SetChannelShare: _share,
    s.ReleaseStock: _released,
    sh.AnswerPick: _answered,
    sh.RecordCollection: _collected,
    sh.RecordMilestone: _seen,
}
"""Readings of commands whose fields have other names in events, the likeliest first."""


def _may_come_from(decider: Decider[Any], event: type[Event]) -> Iterator[type[Command]]:
    """Yield the commands whose fields the event has, the most similar first, and those with a reading of their own."""
    known = {*event.model_fields, "now"}
    kept = {command for command in decider.accepts if command not in OF_THE_ENGINE}
    likely = [command for command in kept if _required(command) <= known or command in READINGS]
    yield from sorted(likely, key=lambda command: (-len(known & {*command.model_fields}), command.__name__))


def _required(command: type[Command]) -> set[str]:
    return {name for name, field in command.model_fields.items() if field.is_required()}


GIVEN_BY: Mapping[type[Event], tuple[type[Command], ...]] = {
    event: tuple(_may_come_from(decider, event)) for decider in DECIDERS for event in decider.emits
}
"""By event, the commands from outside that it may answer, the likeliest first; none for an event that only the engine
decides."""


BY_NAME: Mapping[str, type[Command]] = {
    command.__name__: command for decider in DECIDERS for command in decider.accepts if command not in OF_THE_ENGINE
}
"""The commands by the name in `asked`."""
