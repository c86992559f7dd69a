"""Carriers: a parcel is booked, or a booking cancelled, by intent; what the carrier reports afterwards is recorded.

Reads    ShipmentBookingRequested, ShipmentBookingCancellationRequested
Emits    RecordBooking, RecordBookingFailure, AttachLabel, RecordBookingCancelled, RecordBookingCancellationRefused;
         from callbacks also RecordDispatch, RecordMilestone
Decides  nothing. The intent's event id is the carrier's idempotency key: asked again, it books no second parcel. A
         label is kept under its hash before anybody hears of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Literal, NamedTuple, Protocol, TypeVar
from uuid import UUID

from pydantic import Field, ValidationError

from oms_es.gateways.breaker import Breaker
from oms_es.kernel import INTENTS_MAX, BadInput, Command, Event, GatewayUnavailable, Message, Recorded
from oms_es.schemas import shipment as s
from oms_es.schemas.inputs import Input
from oms_es.schemas.order import Address
from oms_es.schemas.problems import problems
from oms_es.schemas.values.types import TEXT_LENGTH_MAX, Moment

ATTEMPTS_MAX = 3
UNCERTAIN_MAX = 1_000
"""Of whom it is remembered; then it is found out again."""
SILENT = "the carrier leaves us without an answer"


class Parcel(NamedTuple):
    key: UUID
    shipment_id: str
    location: str
    weight_grams: int
    ship_to: Address
    carrier: str = ""
    """Whom the engine chose; empty where there is nothing to choose."""
    service: str = ""
    cartons: tuple[s.CartonWeight, ...] = ()
    asked_at: datetime | None = None


class Label(NamedTuple):
    """A document to print, for one carton or, without a carton's id, for the whole."""

    content: bytes
    media_type: str
    carton_id: str = ""


class Booking(NamedTuple):
    """`unknown`: no answer came; the parcel may or may not be booked. With a reason: what came says nothing certain,
    nor will it when it is asked for again."""

    outcome: Literal["booked", "refused", "pending", "unknown"]
    carrier: str = ""
    tracking_number: str = ""
    reason: str = ""
    carton_numbers: tuple[tuple[str, str], ...] = ()
    labels: tuple[Label, ...] = ()


class Cancellation(NamedTuple):
    key: UUID
    shipment_id: str
    carrier: str
    tracking_number: str


class Consent(NamedTuple):
    """`unknown`: no answer came; the booking may or may not be cancelled. With a reason: as of a booking."""

    outcome: Literal["cancelled", "refused", "pending", "unknown"]
    reason: str = ""


class TrackedNumber(NamedTuple):
    carrier: str
    tracking_number: str


StillAlone = Callable[[], None]
"""Raises GatewayUnavailable where another process may ask for the same by now."""


def alone() -> None:
    """Of who needs no lock."""


class Carrier(Protocol):
    """The port that real carriers implement. Asked again with the same key, it gives the same answer."""

    def book(self, parcels: Sequence[Parcel], still_alone: StillAlone = alone) -> Sequence[Booking]:
        """One that knows no idempotency key asks whether it is still alone before it buys. Raises GatewayUnavailable
        where nothing was answered."""

    def cancel(self, cancellations: Sequence[Cancellation]) -> Sequence[Consent]:
        """Raises GatewayUnavailable where nothing was answered."""


class Tracking(Protocol):
    """Who can be asked how far parcels have come."""

    dialect: str
    """In which it answers, as its webhooks do."""

    def track(self, numbers: Sequence[TrackedNumber]) -> Sequence[bytes | None]:
        """What it says of each: None where no answer came, nothing where it does not know the number. Raises
        GatewayUnavailable."""


class Following(NamedTuple):
    """`unknown`: no answer came; it may be followed or not."""

    outcome: Literal["followed", "refused", "unknown"]
    reason: str = ""


class Subscriber(Protocol):
    """Who reports each change of a parcel, once it is asked to. Asked again it is the same."""

    def subscribe(self, numbers: Sequence[TrackedNumber]) -> Sequence[Following]:
        """Raises GatewayUnavailable."""


Keep = Callable[[bytes, str], s.LabelDocument]
"""Keeps a document of this media type under its hash."""
Alone = Callable[[Sequence[UUID]], AbstractContextManager[StillAlone]]
"""Meanwhile no other process asks for any of these. Raises GatewayUnavailable where one does."""
Ask = TypeVar("Ask", Parcel, Cancellation)
Answer = TypeVar("Answer", Booking, Consent)


class Callback(Message):
    shipment_id: str = Field(min_length=1)
    status: Literal["booked", "booking_refused", "booking_cancelled", "booking_kept"] | s.MilestoneStatus
    milestone_id: str = ""
    carrier: str = ""
    tracking_number: str = ""
    carton_numbers: dict[str, str] = {}
    carton_id: str = ""
    detail: str = ""
    occurred_at: Moment


class CarrierGateway:
    name = "carrier"
    intents: frozenset[type[Event]] = frozenset({s.ShipmentBookingRequested, s.ShipmentBookingCancellationRequested})

    def __init__(
        self,
        carrier: Carrier,
        keep: Keep | None = None,
        attempts_max: int = ATTEMPTS_MAX,
        batch_max: int = INTENTS_MAX,
        breaker: Breaker | None = None,
    ) -> None:
        """`keep` is what a carrier that sends labels needs; `alone` what one needs that knows no idempotency key."""
        self.carrier = carrier
        self.keep = keep
        self.alone: Alone = lambda _keys: nullcontext(alone)
        self.attempts_max = attempts_max
        self.batch_max = batch_max
        self.breakers = (breaker,) if breaker else ()
        self._others = self._others_before = 0
        """How many answers came, and how many before this time."""
        self._uncertain: dict[UUID, int] = {}
        """Who was answered nothing certain, and how many answers had come by then."""

    def perform(self, intents: Sequence[Recorded]) -> Sequence[Sequence[Command]]:
        """Raises GatewayUnavailable, with what was answered; with nothing where nothing was, without a breaker."""
        with self.alone([intent.event_id for intent in intents]) as still_alone:
            if self.breakers and intents:
                return self._guarded(self.breakers[0], intents, still_alone)
            return self._performed(intents, still_alone)

    def _guarded(
        self, breaker: Breaker, intents: Sequence[Recorded], still_alone: StillAlone
    ) -> Sequence[Sequence[Command]]:
        """Where it is half open, with one alone. What is not answered is held, also where nothing is: those that come
        later have their turn to be that one. Raises GatewayUnavailable."""
        sent, none_is = intents[breaker.allowed(len(intents))], [None] * len(intents)
        if not sent:
            raise GatewayUnavailable(breaker.circuit.why, none_is)
        try:
            said: Sequence[Sequence[Command] | None] = self._performed(sent, still_alone)
        except GatewayUnavailable as error:
            if not error.answered:
                breaker.failed(str(error), [intent.event_id for intent in sent])
                raise GatewayUnavailable(str(error), none_is) from error
            said = error.answered
        breaker.succeeded()
        answered = dict(zip((intent.event_id for intent in sent), said, strict=True))
        each = [answered.get(intent.event_id) for intent in intents]
        if None in each:
            raise GatewayUnavailable(SILENT, each)
        return [commands for commands in each if commands is not None]

    def _performed(self, intents: Sequence[Recorded], still_alone: StillAlone) -> Sequence[Sequence[Command]]:
        self._others_before = self._others
        parcels = [parcel_of(intent) for intent in intents if isinstance(intent.event, s.ShipmentBookingRequested)]
        refusals = [cancellation_of(i) for i in intents if isinstance(i.event, s.ShipmentBookingCancellationRequested)]
        booked, why_not = self._answered(lambda some: self.carrier.book(some, still_alone), parcels, Booking("unknown"))
        consents, why_no_consent = self._answered(self.carrier.cancel, refusals, Consent("unknown"))
        self._others += sum(a.outcome != "unknown" for a in booked) + sum(a.outcome != "unknown" for a in consents)
        bookings = {p.key: (p, self._settled(a, p.key)) for p, a in zip(parcels, booked, strict=True)}
        cancelled = {c.key: (c, self._settled(a, c.key)) for c, a in zip(refusals, consents, strict=True)}
        answers = bookings | cancelled
        unknown = {key for key, (_, answer) in answers.items() if answer.outcome == "unknown"}
        if len(unknown) == len(intents) > 0:
            raise GatewayUnavailable(why_not or why_no_consent or SILENT)
        performed = [
            self._outcome(*bookings[i.event_id]) if i.event_id in bookings else _consent(*cancelled[i.event_id])
            for i in intents
            if i.event_id not in unknown
        ]
        if unknown:
            said = iter(performed)
            each = [None if intent.event_id in unknown else next(said) for intent in intents]
            raise GatewayUnavailable(why_not or why_no_consent or SILENT, each)
        return performed

    def _settled(self, answer: Answer, key: UUID) -> Answer:
        """What says nothing certain however often it is asked for is for a person, and others do not wait for it;
        unless the carrier says nothing else to anyone meanwhile, which is an outage."""
        if answer.outcome != "unknown" or not answer.reason:
            self._uncertain.pop(key, None)
            return answer
        if len(self._uncertain) >= UNCERTAIN_MAX:
            self._uncertain.clear()
        if self._uncertain.setdefault(key, self._others_before) == self._others:
            return answer
        why = f"it may be done or not, look at the carrier's for {key} before you do it again: {answer.reason}"
        return answer._replace(outcome="refused", reason=why[:TEXT_LENGTH_MAX])

    def _answered(
        self, ask: Callable[[Sequence[Ask]], Sequence[Answer]], asked: Sequence[Ask], unknown: Answer
    ) -> tuple[Sequence[Answer], str]:
        """Asks again for what is not answered; and why nothing more was, where the gateway says so."""
        answers = [unknown for _ in asked]
        for _ in range(self.attempts_max):
            unanswered = [i for i, answer in enumerate(answers) if answer.outcome == "unknown"]
            if not unanswered:
                break
            try:
                again = ask([asked[i] for i in unanswered])
            except GatewayUnavailable as error:
                return answers, str(error)
            for i, answer in zip(unanswered, again, strict=True):
                answers[i] = answer
        return answers, ""

    def _outcome(self, parcel: Parcel, answer: Booking) -> list[Command]:
        if answer.outcome == "pending":
            return []
        if answer.outcome == "refused":
            return [s.RecordBookingFailure(shipment_id=parcel.shipment_id, reason=answer.reason)]
        booked = s.RecordBooking(
            shipment_id=parcel.shipment_id,
            carrier=answer.carrier,
            tracking_number=answer.tracking_number,
            carton_numbers=dict(answer.carton_numbers),
            booked_at=parcel.asked_at,
        )
        return [booked, *(self._label(parcel, label) for label in answer.labels)]

    def _label(self, parcel: Parcel, label: Label) -> Command:
        assert self.keep, "a carrier that sends labels needs somewhere to keep them"
        known = {carton.carton_id for carton in parcel.cartons}
        return s.AttachLabel(
            shipment_id=parcel.shipment_id,
            carton_id=label.carton_id if label.carton_id in known else "",
            document=self.keep(label.content, label.media_type),
        )


def parcel_of(intent: Recorded) -> Parcel:
    event = intent.event
    assert isinstance(event, s.ShipmentBookingRequested)
    return Parcel(
        intent.event_id,
        event.shipment_id,
        event.location,
        event.weight_grams,
        event.ship_to,
        event.carrier,
        event.service,
        event.cartons,
        intent.recorded_at,
    )


def cancellation_of(intent: Recorded) -> Cancellation:
    event = intent.event
    assert isinstance(event, s.ShipmentBookingCancellationRequested)
    return Cancellation(intent.event_id, event.shipment_id, event.carrier, event.tracking_number)


def _consent(cancellation: Cancellation, answer: Consent) -> list[Command]:
    if answer.outcome == "pending":
        return []
    if answer.outcome == "refused":
        return [s.RecordBookingCancellationRefused(shipment_id=cancellation.shipment_id, reason=answer.reason)]
    return [s.RecordBookingCancelled(shipment_id=cancellation.shipment_id)]


def parse_callback(payload: bytes) -> Command:
    """A carrier's callback as a command. Raises BadInput."""
    try:
        callback = Callback.model_validate_json(payload)
        if callback.status == "booked":
            return s.RecordBooking(
                shipment_id=callback.shipment_id,
                carrier=callback.carrier,
                tracking_number=callback.tracking_number,
                carton_numbers=callback.carton_numbers,
                booked_at=callback.occurred_at,
            )
        if callback.status == "booking_refused":
            return s.RecordBookingFailure(shipment_id=callback.shipment_id, reason=callback.detail)
        if callback.status == "booking_cancelled":
            return s.RecordBookingCancelled(shipment_id=callback.shipment_id)
        if callback.status == "booking_kept":
            return s.RecordBookingCancellationRefused(shipment_id=callback.shipment_id, reason=callback.detail)
        if callback.status == "picked_up" and not callback.carton_id:
            return s.RecordDispatch(shipment_id=callback.shipment_id, dispatched_at=callback.occurred_at)
        return s.RecordMilestone(
            shipment_id=callback.shipment_id,
            milestone_id=callback.milestone_id,
            status=callback.status,
            occurred_at=callback.occurred_at,
            detail=callback.detail,
            carton_id=callback.carton_id,
            tracking_number=callback.tracking_number,
        )
    except ValidationError as error:
        wrong = problems(error, whole="payload")
        raise BadInput(Input.BAD_CALLBACK, f"{wrong}; ask the carrier to send it again") from error
