"""A model of the outside world's answers to questions that history does not have.

Invariant: a question that was asked in the same way at the same time is answered by history. The same question at
another time gets the same answer, positive or negative, after the same delay. Any other question is answered after the
median delay of such answers in the same history, for the same location or carrier if there were any, and always
positively: payments are authorised and captured, parcels are packed, fetched and delivered.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from heapq import heappop, heappush
from statistics import median
from typing import Any, NamedTuple
from uuid import UUID

from oms_es.gateways.simulated.warehouse import SimulatedWarehouse
from oms_es.kernel import Command, Event, Recorded
from oms_es.schemas import payment as p
from oms_es.schemas import shipment as sh
from oms_es.store.encoding.codec import Cause
from oms_es.whatif.changes import NAME
from oms_es.whatif.equality import outcome_of

DEFAULT = timedelta(hours=1)
"""The delay if history has no answer of that kind."""
CARRIER = "carrier"


class Kind(NamedTuple):
    """A kind of answer: `asked` is answered by `answered`; the delay is that of answers with the same `detail`."""

    asked: type[Event]
    answered: type[Event]
    command: Callable[[Any, str, datetime], Command]
    detail: Callable[[Any], str] = lambda _: ""


def _part(shape: Callable[..., Command], *names: str) -> Callable[[Any, str, datetime], Command]:
    return lambda e, ref, _: shape(payment_id=e.payment_id, reference=ref, **{n: getattr(e, n) for n in names})


def _packed(event: Any, _ref: str, at: datetime) -> Command:
    """Return the command of the simulated warehouse, with its weights."""
    recorded = Recorded(0, "", 0, event, UUID(int=0), at, None, "", NAME)
    return SimulatedWarehouse().perform([recorded])[0][0]


def _booked(event: Any, ref: str, at: datetime) -> Command:
    return sh.RecordBooking(
        shipment_id=event.shipment_id, carrier=event.carrier or CARRIER, tracking_number=ref, booked_at=at
    )


def _left(event: Any, _ref: str, at: datetime) -> Command:
    return sh.RecordDispatch(shipment_id=event.shipment_id, dispatched_at=at)


def _collected(event: Any, _ref: str, at: datetime) -> Command:
    return sh.RecordCollection(shipment_id=event.shipment_id, collected_at=at)


def _arrived(event: Any, ref: str, at: datetime) -> Command:
    return sh.RecordMilestone(shipment_id=event.shipment_id, milestone_id=ref, status="delivered", occurred_at=at)


KINDS: tuple[Kind, ...] = (
    Kind(p.PaymentRequested, p.PaymentAuthorized, _part(p.RecordAuthorization), lambda e: e.method),
    Kind(p.PaymentReauthorizationRequested, p.PaymentReauthorized, _part(p.RecordReauthorization, "capture_id")),
    Kind(p.PaymentCaptureRequested, p.PaymentCaptured, _part(p.RecordCapture, "capture_id")),
    Kind(p.PaymentVoidRequested, p.PaymentVoided, _part(p.RecordVoid, "void_id")),
    Kind(p.PaymentRefundRequested, p.PaymentRefunded, _part(p.RecordRefund, "refund_id")),
    Kind(sh.ShipmentRequested, sh.ShipmentPacked, _packed, lambda e: e.location),
    Kind(sh.ShipmentPacked, sh.ShipmentDispatched, _collected, lambda e: e.location),
    Kind(sh.ShipmentBookingRequested, sh.ShipmentBooked, _booked, lambda e: e.carrier),
    Kind(sh.ShipmentBooked, sh.ShipmentDispatched, _left, lambda e: e.carrier),
    Kind(sh.ShipmentDispatched, sh.ShipmentDelivered, _arrived, lambda e: e.location),
    Kind(
        sh.ShipmentBookingCancellationRequested,
        sh.ShipmentBookingCancelled,
        lambda e, _ref, _at: sh.RecordBookingCancelled(shipment_id=e.shipment_id),
    ),
)


def _negative_answer(shape: Callable[..., Command], *names: str) -> Callable[[Any, datetime], Command]:
    """Return a function that repeats a negative answer with the fields that history has."""
    of = ("payment_id", "shipment_id", "reason", *names)
    return lambda e, _: shape(**{name: getattr(e, name) for name in of if hasattr(e, name)})


def _came_back(event: Any, at: datetime) -> Command:
    return sh.RecordMilestone(
        shipment_id=event.shipment_id, milestone_id=f"{NAME}-returned", status="returned", occurred_at=at
    )


BADLY: Mapping[type[Event], tuple[type[Event], Callable[[Any, datetime], Command]]] = {
    p.PaymentDeclined: (p.PaymentRequested, _negative_answer(p.RecordDecline, "retriable")),
    p.PaymentFailed: (p.PaymentRequested, _negative_answer(p.RecordFailure)),
    p.PaymentReauthorizationDeclined: (
        p.PaymentReauthorizationRequested,
        _negative_answer(p.RecordReauthorizationDecline, "capture_id", "retriable"),
    ),
    p.PaymentCaptureFailed: (p.PaymentCaptureRequested, _negative_answer(p.RecordCaptureFailure, "capture_id")),
    p.PaymentVoidFailed: (p.PaymentVoidRequested, _negative_answer(p.RecordVoidFailure, "void_id")),
    p.PaymentRefundFailed: (p.PaymentRefundRequested, _negative_answer(p.RecordRefundFailure, "refund_id")),
    sh.ShipmentBookingFailed: (
        sh.ShipmentBookingRequested,
        _negative_answer(sh.RecordBookingFailure, "carrier_gateway"),
    ),
    sh.ShipmentBookingCancellationRefused: (
        sh.ShipmentBookingCancellationRequested,
        _negative_answer(sh.RecordBookingCancellationRefused),
    ),
    sh.ShipmentReturnedToSender: (sh.ShipmentDispatched, _came_back),
}
"""By negative answer, the question and a function that repeats the answer."""
BY_ASKED: Mapping[type[Event], Kind] = {kind.asked: kind for kind in KINDS}
BY_ANSWERED: Mapping[type[Event], tuple[Kind, ...]] = {
    answered: tuple(kind for kind in KINDS if kind.answered is answered)
    for answered in {kind.answered for kind in KINDS}
} | {answered: (BY_ASKED[asked],) for answered, (asked, _) in BADLY.items()}


class Due(NamedTuple):
    at: datetime
    number: int
    command: Command
    cause: Cause


class Answer(NamedTuple):
    """An answer of history: its delay, and its event."""

    after: timedelta
    event: Event


class Known:
    """The answers of history.

    `answers` has them by the id of the question. `medians` has the median delays by question and detail; the empty
    detail is for all of them.
    """

    def __init__(self, history: Iterable[Recorded]) -> None:
        self.answers: dict[UUID, Answer] = {}
        asked: dict[tuple[str, type[Event]], Recorded] = {}
        took: dict[tuple[type[Event], str], list[float]] = defaultdict(list)
        for recorded in history:
            for kind in BY_ANSWERED.get(type(recorded.event), ()):
                if question := asked.pop((recorded.stream, kind.asked), None):
                    after = recorded.recorded_at - question.recorded_at
                    self.answers[question.event_id] = Answer(after, recorded.event)
                    for detail in {kind.detail(question.event), ""}:
                        took[kind.asked, detail].append(after.total_seconds())
            if type(recorded.event) in BY_ASKED:
                asked[recorded.stream, type(recorded.event)] = recorded
        self.medians = {name: timedelta(seconds=median(seconds)) for name, seconds in took.items()}

    def median(self, kind: Kind, question: Event) -> timedelta:
        of_all = self.medians.get((kind.asked, ""), DEFAULT)
        return self.medians.get((kind.asked, kind.detail(question)), of_all)


class Answers:
    """The answers that a fork gets from the model.

    `modelled` has the streams for which history's answers are not used at their own times; `orders` has the orders that
    rest on answers that history does not have.
    """

    def __init__(self, history: Iterable[Recorded], real: Mapping[UUID, Recorded], tolerance: timedelta) -> None:
        self.known = Known(history)
        self.real = real
        self.tolerance = tolerance
        self.modelled: set[str] = set()
        self.orders: set[str] = set()
        self.due: list[Due] = []
        self.number = 0

    def note(self, recorded: Recorded) -> None:
        """Record a question of the fork; if history did not ask it then, its answer becomes due after a delay."""
        kind = BY_ASKED.get(type(recorded.event))
        if kind is None or (kind.asked is sh.ShipmentPacked and not getattr(recorded.event, "pickup", False)):
            return
        question = self.real.get(recorded.event_id)
        is_same = question is not None and outcome_of(question.event) == outcome_of(recorded.event)
        if recorded.stream not in self.modelled:
            if question and is_same and abs(question.recorded_at - recorded.recorded_at) <= self.tolerance:
                return
            self.modelled.add(recorded.stream)
        answer = self.known.answers.get(recorded.event_id) if is_same else None
        if answer is None:
            self.orders.add(recorded.correlation_id)
        at = recorded.recorded_at + (answer.after if answer else self.known.median(kind, recorded.event))
        self.number += 1
        heappush(self.due, Due(at, self.number, self._command(kind, recorded, answer, at), Cause.of(recorded, NAME)))

    def next_by(self, at: datetime) -> Due | None:
        """Return the earliest answer that is due by then; None if there is none."""
        return heappop(self.due) if self.due and self.due[0].at <= at else None

    def _command(self, kind: Kind, recorded: Recorded, answer: Answer | None, at: datetime) -> Command:
        if answer and type(answer.event) in BADLY:
            return BADLY[type(answer.event)][1](answer.event, at)
        return kind.command(recorded.event, f"{NAME}-{recorded.event_id.hex[:20]}", at)
