"""Carriers: parcels are booked and bookings cancelled by intents; answers and later reports are recorded.

Reads    ShipmentBookingRequested, ShipmentBookingCancellationRequested
Emits    RecordBooking, RecordBookingFailure, AttachLabel, RecordBookingCancelled, RecordBookingCancellationRefused;
         from callbacks also RecordDispatch, RecordMilestone
Decides  nothing. The intent's event id is the carrier's idempotency key: a repeated request books no second
         parcel. A label is stored under its hash before an event names it.
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
from oms_es.schemas import shipment as sh
from oms_es.schemas.inputs import Input
from oms_es.schemas.order import Address
from oms_es.schemas.problems import problems
from oms_es.schemas.values.types import TEXT_LENGTH_MAX, Moment

ATTEMPTS_MAX = 3
UNCERTAIN_MAX = 1_000
"""Requests with an uncertain answer that are remembered; beyond that, all are forgotten and counted again."""
SILENT = "the carrier leaves us without an answer"


class Parcel(NamedTuple):
    key: UUID
    shipment_id: str
    location: str
    weight_grams: int
    ship_to: Address
    carrier: str = ""
    """The carrier that the engine chose; empty if there is no choice."""
    service: str = ""
    cartons: tuple[sh.CartonWeight, ...] = ()
    asked_at: datetime | None = None


class Label(NamedTuple):
    """A document to print, for one carton, or without a carton's id for the whole parcel."""

    content: bytes
    media_type: str
    carton_id: str = ""


class Booking(NamedTuple):
    """The answer to a booking. `unknown`: no answer came, and the parcel may or may not be booked. `unknown` with a
    reason: an answer came that leaves this open, and a repeated request would give the same one."""

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
    """The answer to a cancellation. `unknown`: no answer came, and the booking may or may not be cancelled; with a
    reason: as for a booking."""

    outcome: Literal["cancelled", "refused", "pending", "unknown"]
    reason: str = ""


class TrackedNumber(NamedTuple):
    carrier: str
    tracking_number: str


StillAlone = Callable[[], None]
"""Raises GatewayUnavailable if another process may send the same request by now."""


def alone() -> None:
    """Do nothing: the check for carriers that need no lock."""


class Carrier(Protocol):
    """The port that real carriers implement. A repeated request with the same key gets the same answer."""

    def book(self, parcels: Sequence[Parcel], still_alone: StillAlone = alone) -> Sequence[Booking]:
        """Book parcels. A carrier without idempotency keys calls `still_alone` before it buys. Raise GatewayUnavailable
        if nothing was answered."""

    def cancel(self, cancellations: Sequence[Cancellation]) -> Sequence[Consent]:
        """Cancel bookings. Raise GatewayUnavailable if nothing was answered."""


class Tracking(Protocol):
    """A system that can be asked for the tracking history of parcels."""

    dialect: str
    """The dialect of its answers, which its webhooks have, too."""

    def track(self, numbers: Sequence[TrackedNumber]) -> Sequence[bytes | None]:
        """Return the history of each number: None if no answer came, empty bytes if the number is not known.

        Raise GatewayUnavailable.
        """


class Following(NamedTuple):
    """The answer to a subscription. `unknown`: no answer came, and it may exist or not."""

    outcome: Literal["followed", "refused", "unknown"]
    reason: str = ""


class Subscriber(Protocol):
    """A system that pushes each change of a parcel after a subscription. A repeated subscription changes nothing."""

    def subscribe(self, numbers: Sequence[TrackedNumber]) -> Sequence[Following]:
        """Subscribe to each number. Raise GatewayUnavailable."""


Keep = Callable[[bytes, str], sh.LabelDocument]
"""Stores a document of this media type under its hash."""
Alone = Callable[[Sequence[UUID]], AbstractContextManager[StillAlone]]
"""A lock on these requests: within the context no other process sends any of them. Raises GatewayUnavailable if one
does."""
Ask = TypeVar("Ask", Parcel, Cancellation)
Answer = TypeVar("Answer", Booking, Consent)


class Callback(Message):
    shipment_id: str = Field(min_length=1)
    status: Literal["booked", "booking_refused", "booking_cancelled", "booking_kept"] | sh.MilestoneStatus
    milestone_id: str = ""
    carrier: str = ""
    tracking_number: str = ""
    carton_numbers: dict[str, str] = {}
    carton_id: str = ""
    detail: str = ""
    occurred_at: Moment


class CarrierGateway:
    name = "carrier"
    intents: frozenset[type[Event]] = frozenset({sh.ShipmentBookingRequested, sh.ShipmentBookingCancellationRequested})

    def __init__(
        self,
        carrier: Carrier,
        keep: Keep | None = None,
        attempts_max: int = ATTEMPTS_MAX,
        batch_max: int = INTENTS_MAX,
        breaker: Breaker | None = None,
        known_as: str | None = None,
    ) -> None:
        """`keep` is needed for a carrier that sends labels; the attribute `alone` is a lock, for one without
        idempotency keys. `known_as`: its name among the gateways to carriers, kept with each booking."""
        self.carrier = carrier
        self.keep = keep
        self.alone: Alone = lambda _keys: nullcontext(alone)
        self.attempts_max = attempts_max
        self.batch_max = batch_max
        self.known_as = known_as
        self.breakers = (breaker,) if breaker else ()
        self._others = self._others_before = 0
        """How many answers came, and how many had come before this batch."""
        self._uncertain: dict[UUID, int] = {}
        """Requests with an uncertain answer, each with the number of answers that had come by then."""

    def perform(self, intents: Sequence[Recorded]) -> Sequence[Sequence[Command]]:
        """Send the intents to the carrier and return the commands that record the answers.

        Raise GatewayUnavailable, with the answers that came; without a breaker and without any answer, it has none.
        """
        with self.alone([intent.event_id for intent in intents]) as still_alone:
            if self.breakers and intents:
                return self._guarded(self.breakers[0], intents, still_alone)
            return self._performed(intents, still_alone)

    def _guarded(
        self, breaker: Breaker, intents: Sequence[Recorded], still_alone: StillAlone
    ) -> Sequence[Sequence[Command]]:
        """Send as many intents as the breaker allows: one if it is half open. Those without an answer are held, so that
        later ones get their turn to be that one. Raise GatewayUnavailable."""
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
        parcels = [parcel_of(intent) for intent in intents if isinstance(intent.event, sh.ShipmentBookingRequested)]
        refusals = [cancellation_of(i) for i in intents if isinstance(i.event, sh.ShipmentBookingCancellationRequested)]
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
        """Return a refusal, for a person to look at, in place of an answer that stays uncertain, so that others need
        not wait; unless the carrier has given no other answer to anyone meanwhile, which is an outage."""
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
        """Ask up to `attempts_max` times until all is answered; return the answers, and the gateway's error if it
        raised one."""
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
            return [
                sh.RecordBookingFailure(
                    shipment_id=parcel.shipment_id, reason=answer.reason, carrier_gateway=self.known_as
                )
            ]
        booked = sh.RecordBooking(
            shipment_id=parcel.shipment_id,
            carrier=answer.carrier,
            tracking_number=answer.tracking_number,
            carton_numbers=dict(answer.carton_numbers),
            booked_at=parcel.asked_at,
            carrier_gateway=self.known_as,
        )
        return [booked, *(self._label(parcel, label) for label in answer.labels)]

    def _label(self, parcel: Parcel, label: Label) -> Command:
        assert self.keep, "a carrier that sends labels needs somewhere to keep them"
        known = {carton.carton_id for carton in parcel.cartons}
        return sh.AttachLabel(
            shipment_id=parcel.shipment_id,
            carton_id=label.carton_id if label.carton_id in known else "",
            document=self.keep(label.content, label.media_type),
        )


def parcel_of(intent: Recorded) -> Parcel:
    event = intent.event
    assert isinstance(event, sh.ShipmentBookingRequested)
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
    assert isinstance(event, sh.ShipmentBookingCancellationRequested)
    return Cancellation(intent.event_id, event.shipment_id, event.carrier, event.tracking_number)


def _consent(cancellation: Cancellation, answer: Consent) -> list[Command]:
    if answer.outcome == "pending":
        return []
    if answer.outcome == "refused":
        return [sh.RecordBookingCancellationRefused(shipment_id=cancellation.shipment_id, reason=answer.reason)]
    return [sh.RecordBookingCancelled(shipment_id=cancellation.shipment_id)]


def parse_callback(payload: bytes) -> Command:
    """Return the command for a carrier's callback. Raise BadInput."""
    try:
        callback = Callback.model_validate_json(payload)
        if callback.status == "booked":
            return sh.RecordBooking(
                shipment_id=callback.shipment_id,
                carrier=callback.carrier,
                tracking_number=callback.tracking_number,
                carton_numbers=callback.carton_numbers,
                booked_at=callback.occurred_at,
            )
        if callback.status == "booking_refused":
            return sh.RecordBookingFailure(shipment_id=callback.shipment_id, reason=callback.detail)
        if callback.status == "booking_cancelled":
            return sh.RecordBookingCancelled(shipment_id=callback.shipment_id)
        if callback.status == "booking_kept":
            return sh.RecordBookingCancellationRefused(shipment_id=callback.shipment_id, reason=callback.detail)
        if callback.status == "picked_up" and not callback.carton_id:
            return sh.RecordDispatch(shipment_id=callback.shipment_id, dispatched_at=callback.occurred_at)
        return sh.RecordMilestone(
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
