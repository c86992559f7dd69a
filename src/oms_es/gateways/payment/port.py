"""Payment providers: requests are made from intents; their answers, immediate or by callback, are recorded.

Reads    PaymentRequested, PaymentReauthorizationRequested, PaymentCaptureRequested, PaymentVoidRequested,
         PaymentRefundRequested, PaymentCloseRequested, PaymentAnswerChased
Emits    RecordAuthorization, RecordDecline, RecordFailure, RecordReauthorization, RecordReauthorizationDecline,
         RecordPaymentAction, RecordCapture, RecordCaptureFailure, RecordVoid, RecordVoidFailure, RecordRefund,
         RecordRefundFailure, RecordAnswerPending, RecordSilence, RecordReport
Decides  nothing about money; only how often to repeat a request. The intent is durable before the request is sent, and
         its event id is the idempotency key, so that no crash and no lost answer pays twice: the outcome of a
         request without an answer is looked up under the same key before it is repeated.

Either a provider holds the money and captures it on request; or the customer pays what it has prepared, by a code or on
a page, and the money is taken at once: then the answer is `pending` with an action, and a report gives the outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol
from uuid import UUID

from pydantic import Field, TypeAdapter, ValidationError

from oms_es.gateways.breaker import Breaker
from oms_es.kernel import INTENTS_MAX, BadInput, Command, Event, GatewayUnavailable, Message, Recorded
from oms_es.schemas import payment as p
from oms_es.schemas.finance.account import METHOD, account_in
from oms_es.schemas.inputs import Input
from oms_es.schemas.payment.action import ActionKind
from oms_es.schemas.payment.answers import CHASES_MAX
from oms_es.schemas.problems import problems
from oms_es.schemas.values.types import AmountMinor, Currency, Moment

KEY_SECONDS_MAX = 12 * 3_600
"""How long a provider surely knows an idempotency key; Stripe forgets one after a day at the earliest."""
ATTEMPTS_MAX = 3
"""How often one intent is sent to a provider that answers others, before the attempt counts as failed."""

Operation = Literal["authorize", "reauthorize", "capture", "void", "refund"]


class Ask(NamedTuple):
    """One request to the provider. `part` names the capture, void or refund; `authorization` is the reference that it
    is based on; `gateway` is the one that the payment's first request names, or empty."""

    key: UUID
    operation: Operation | Literal["close"]
    payment_id: str
    part: str
    amount_minor: int
    currency: str
    payment_token: str
    authorization: str
    method: str = ""
    chased: bool = False
    """The request was sent before, and its callback has not come."""
    final: bool = True
    """Whether a capture is the last: nothing stays held after it."""
    last: bool = False
    """The request is not asked after again: what still waits for the customer is closed."""
    asked_at: datetime | None = None
    """When the payment was requested here; the same for every repetition of the request."""
    gateway: str = ""


class Action(NamedTuple):
    """How the customer pays what the provider has prepared; the provider knows it by `reference`."""

    kind: ActionKind
    content: str
    reference: str
    expires_at: datetime | None = None


class Answer(NamedTuple):
    """The provider's answer. `pending`: a callback will report the outcome. `unknown`: no answer came, and the effect
    may or may not have happened. `unavailable`: this provider answers no request now. `absent`, of a look-up: nothing
    has happened under that key; with a reason if nothing is taken in now. `retriable`, of a decline: it may succeed
    later. `expired`, of a declined capture: the money is no longer held. `final`, of a declined refund with a
    reference: it will not be paid later under it. `charge`, of an authorisation: the provider took the money at once,
    under this name, and the amount is `taken_minor`. `action`, of a pending answer: what the provider waits for."""

    outcome: Literal["succeeded", "declined", "pending", "unknown", "absent", "unavailable"]
    reference: str = ""
    reason: str = ""
    retriable: bool = False
    expired: bool = False
    expires_at: datetime | None = None
    final: bool = True
    charge: str = ""
    taken_minor: int | None = None
    action: Action | None = None


class PaymentProvider(Protocol):
    """The port that real providers implement. A repeated request with the same key gets the same answer."""

    def submit(self, asks: Sequence[Ask]) -> Sequence[Answer]: ...

    def find(self, asks: Sequence[Ask]) -> Sequence[Answer]:
        """Look up what became of each request by its key; nothing is done. Raise GatewayUnavailable."""


class Callback(Message):
    """A report that a provider sends of its own accord: often twice, sometimes late, in any order."""

    operation: Operation | Literal["expire", "dispute"]
    outcome: Literal["succeeded", "declined", "opened", "won", "lost"]
    payment_id: str = Field(min_length=1)
    part: str = ""
    reference: str = ""
    reason: str = ""
    retriable: bool = False
    expired: bool = False
    expires_at: Moment | None = None
    amount_minor: AmountMinor | None = None
    currency: Currency | None = None


class PaymentGateway:
    name = "payment_provider"
    batch_max = INTENTS_MAX
    intents: frozenset[type[Event]] = frozenset(
        {
            p.PaymentRequested,
            p.PaymentReauthorizationRequested,
            p.PaymentCaptureRequested,
            p.PaymentVoidRequested,
            p.PaymentRefundRequested,
            p.PaymentCloseRequested,
            p.PaymentAnswerChased,
        }
    )

    def __init__(
        self,
        provider: PaymentProvider,
        attempts_max: int = ATTEMPTS_MAX,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        """`now` is needed for a provider that forgets keys: a request that was sent long ago is looked up first."""
        self.provider = provider
        self.attempts_max = attempts_max
        self.now = now

    @property
    def breakers(self) -> Sequence[Breaker]:
        return tuple(getattr(self.provider, "breakers", {}).values())

    def perform(self, intents: Sequence[Recorded]) -> Sequence[Sequence[Command]]:
        """Return the commands that record the answers; payments from our own accounts need none. Raise
        GatewayUnavailable."""
        asks = [ask_of(intent) for intent in intents if not is_of_an_account(intent.event)]
        answers = self._answered(asks) if asks else []
        said = iter(zip(asks, answers, strict=True))
        each = [() if is_of_an_account(intent.event) else _said(*next(said)) for intent in intents]
        if None in each:
            whys = (answer.reason for answer in answers if answer.outcome in ("unavailable", "absent"))
            raise GatewayUnavailable(next(filter(None, whys)), each)
        return [commands for commands in each if commands is not None]

    def _answered(self, asks: Sequence[Ask]) -> Sequence[Answer]:
        answers = self._first(asks)
        for attempts_left in reversed(range(self.attempts_max)):
            if not self._look_up(asks, answers):
                break
            if attempts_left:
                self._ask_again(asks, answers)
        fresh = [answer for ask, answer in zip(asks, answers, strict=True) if not ask.chased]
        if fresh and all(answer.outcome == "unknown" for answer in answers):
            raise GatewayUnavailable(f"{len(asks)} requests stay unanswered")
        return answers

    def _first(self, asks: Sequence[Ask]) -> list[Answer]:
        """Send new requests. One that was sent before, or so long ago that its key may be forgotten, is looked up
        instead."""
        known = [ask.chased or self._is_old(ask) for ask in asks]
        fresh = [ask for ask, is_known in zip(asks, known, strict=True) if not is_known]
        in_turn = iter(self.provider.submit(fresh) if fresh else ())
        return [Answer("unknown") if is_known else next(in_turn) for is_known in known]

    def _is_old(self, ask: Ask) -> bool:
        if self.now is None or ask.asked_at is None or ask.operation == "close":
            return False
        return (self.now() - ask.asked_at).total_seconds() > KEY_SECONDS_MAX

    def _look_up(self, asks: Sequence[Ask], answers: list[Answer]) -> bool:
        """Look up the requests whose answers were lost; return False if there were none."""
        lost = [i for i, answer in enumerate(answers) if answer.outcome == "unknown"]
        for i, found in zip(lost, self.provider.find([asks[i] for i in lost]) if lost else (), strict=True):
            answers[i] = found
        return bool(lost)

    def _ask_again(self, asks: Sequence[Ask], answers: list[Answer]) -> None:
        absent = [i for i, answer in enumerate(answers) if answer.outcome == "absent"]
        for i, answer in zip(absent, self.provider.submit([asks[i] for i in absent]) if absent else (), strict=True):
            answers[i] = answer


def is_of_an_account(event: Any) -> bool:
    """Return whether the payment comes from an account of ours, or is refunded to one, and so needs no provider."""
    by_account = getattr(event, "method", "") == METHOD or account_in(getattr(event, "authorization", ""))
    return bool(by_account or getattr(event, "to_account", ""))


def ask_of(intent: Recorded) -> Ask:
    ask = _ask_of(intent)._replace(gateway=getattr(intent.event, "gateway", ""))
    return ask if ask.chased else ask._replace(asked_at=intent.recorded_at)


def _ask_of(intent: Recorded) -> Ask:
    key, event = intent.event_id, intent.event
    match event:
        case p.PaymentRequested(payment_id=payment, amount_minor=amount, currency=currency, payment_token=token):
            return Ask(key, "authorize", payment, "", amount, currency, token, "", event.method)
        case p.PaymentReauthorizationRequested(payment_id=payment, amount_minor=amount, currency=currency):
            token = event.payment_token
            return Ask(key, "reauthorize", payment, event.capture_id, amount, currency, token, "", event.method)
        case p.PaymentCaptureRequested(payment_id=payment, amount_minor=amount, currency=currency):
            held = event.authorization
            return Ask(key, "capture", payment, event.capture_id, amount, currency, "", held, final=event.final)
        case p.PaymentVoidRequested(payment_id=payment, amount_minor=amount, currency=currency):
            return Ask(key, "void", payment, event.void_id, amount, currency, "", event.authorization)
        case p.PaymentRefundRequested(payment_id=payment, amount_minor=amount, currency=currency):
            return Ask(key, "refund", payment, event.refund_id, amount, currency, "", event.authorization)
        case p.PaymentCloseRequested(payment_id=payment, amount_minor=amount, currency=currency, reference=prepared):
            return Ask(key, "close", payment, "", amount, currency, "", prepared)
        case p.PaymentAnswerChased(operation=operation, payment_id=payment, part=part):
            asked = (event.amount_minor, event.currency, event.payment_token, event.authorization, event.method)
            last = event.attempt >= CHASES_MAX
            return Ask(UUID(event.key), operation, payment, part, *asked, chased=True, last=last)
    raise AssertionError(f"{type(event).__name__} is no payment intent")


def _said(ask: Ask, answer: Answer) -> Sequence[Command] | None:
    is_shut = answer.outcome == "absent" and answer.reason and not ask.chased
    return None if is_shut or answer.outcome == "unavailable" else tuple(_outcome(ask, answer))


def _outcome(ask: Ask, answer: Answer) -> list[Command]:
    if ask.operation == "close":
        return _closed(ask, answer)
    match answer.outcome:
        case "pending" if answer.action:
            return [p.RecordPaymentAction(payment_id=ask.payment_id, **answer.action._asdict()), _pending(ask)]
        case "pending":
            return [_pending(ask)]
        case "unknown" | "absent":
            return [_pending(ask) if ask.chased else _silence(ask)]
        case "succeeded" if answer.charge:
            return [_taken_at_once(ask, answer)]
        case "succeeded":
            return [_succeeded(ask.operation, ask.payment_id, ask.part, answer)]
        case "declined" if ask.operation == "refund" and answer.reference:
            return [_refund_declined(ask, answer)]
    return [_declined(ask.operation, ask.payment_id, ask.part, answer)]


def _closed(ask: Ask, answer: Answer) -> list[Command]:
    """Return the commands after a close; none if it failed: the order expires, and its own answer is asked for."""
    if answer.outcome != "succeeded":
        return []
    if answer.charge:
        return [_taken_at_once(ask, answer)]
    closed = f"{ask.authorization}/closed"
    what: Any = {"operation": "void", "outcome": "succeeded", "authorization": ask.authorization}
    return [p.RecordReport(payment_id=ask.payment_id, reference=closed, reason=answer.reason, **what)]


def _pending(ask: Ask) -> Command:
    return p.RecordAnswerPending(
        payment_id=ask.payment_id,
        operation=ask.operation,
        part=ask.part,
        key=str(ask.key),
        amount_minor=ask.amount_minor,
        currency=ask.currency,
        payment_token=ask.payment_token,
        authorization=ask.authorization,
        method=ask.method,
    )


def _taken_at_once(ask: Ask, answer: Answer) -> Command:
    """Return the report of a capture in the form of a callback, so that both are recorded once."""
    return p.RecordReport(
        payment_id=ask.payment_id,
        operation="capture",
        outcome="succeeded",
        reference=answer.charge,
        authorization=answer.reference,
        amount_minor=ask.amount_minor if answer.taken_minor is None else answer.taken_minor,
        cumulative=True,
        currency=ask.currency,
    )


def _refund_declined(ask: Ask, answer: Answer) -> Command:
    """Return the report of a declined refund in the form of a callback, so that both are recorded once."""
    return p.RecordReport(
        payment_id=ask.payment_id,
        operation="refund",
        outcome="declined",
        part=ask.part,
        reference=answer.reference,
        reason=answer.reason,
        final=answer.final,
        amount_minor=ask.amount_minor,
        currency=ask.currency,
    )


def _silence(ask: Ask) -> Command:
    """Return the command that records that no answer came; it contradicts no callback that has come meanwhile."""
    if ask.operation == "authorize":
        return p.RecordFailure(payment_id=ask.payment_id, reason="the provider gave no answer")
    return p.RecordSilence(payment_id=ask.payment_id, operation=ask.operation, part=ask.part)


def parse_callback(payload: bytes) -> Command:
    """Return the command for a provider's callback. Raise BadInput."""
    try:
        callback = CALLBACK.validate_json(payload)
        if callback.amount_minor is not None and callback.currency is None:
            missing = "currency: it is missing, and amount_minor is an amount of it; ask the provider to send both"
            raise BadInput(Input.BAD_CALLBACK, missing)
        _command_of(callback)
        said = {name: value for name, value in callback if name in p.Report.model_fields}
        return p.RecordReport(payment_id=callback.payment_id, **said)
    except ValidationError as error:
        wrong = problems(error, whole="payload")
        raise BadInput(Input.BAD_CALLBACK, f"{wrong}; ask the provider to send it again") from error


def _command_of(callback: Callback) -> Command:
    """Return the command for the callback as if it were an answer, as a check. Raise BadInput or ValidationError."""
    payment, part = callback.payment_id, callback.part
    match callback.operation, callback.outcome:
        case "dispute", ("opened" | "won" | "lost") as outcome:
            return DISPUTES[outcome](
                payment_id=payment, dispute_id=part, amount_minor=callback.amount_minor, reason=callback.reason
            )
        case "expire", "succeeded":
            return p.RecordExpiry(payment_id=payment)
        case ("authorize" | "reauthorize" | "capture" | "void" | "refund") as operation, "succeeded":
            return _succeeded(operation, payment, part, _answer(callback))
        case ("authorize" | "reauthorize" | "capture" | "void" | "refund") as operation, "declined":
            return _declined(operation, payment, part, _answer(callback))
    raise BadInput(
        Input.BAD_CALLBACK,
        f"a {callback.operation} cannot be {callback.outcome}; ask the provider what happened to {payment}",
    )


def _answer(callback: Callback) -> Answer:
    return Answer(
        "succeeded" if callback.outcome == "succeeded" else "declined",
        callback.reference,
        callback.reason,
        callback.retriable,
        callback.expired,
        callback.expires_at,
    )


def _succeeded(operation: Operation, payment_id: str, part: str, answer: Answer) -> Command:
    of: Any = {"payment_id": payment_id, "reference": answer.reference}
    match operation:
        case "authorize":
            return p.RecordAuthorization(**of, expires_at=answer.expires_at)
        case "reauthorize":
            return p.RecordReauthorization(**of, capture_id=part)
        case "capture":
            return p.RecordCapture(**of, capture_id=part)
        case "void":
            return p.RecordVoid(**of, void_id=part)
    return p.RecordRefund(**of, refund_id=part)


def _declined(operation: Operation, payment_id: str, part: str, answer: Answer) -> Command:
    of: Any = {"payment_id": payment_id, "reason": answer.reason}
    match operation:
        case "authorize":
            return p.RecordDecline(**of, retriable=answer.retriable)
        case "reauthorize":
            return p.RecordReauthorizationDecline(**of, capture_id=part, retriable=answer.retriable)
        case "capture":
            return p.RecordCaptureFailure(**of, capture_id=part, expired=answer.expired)
        case "void":
            return p.RecordVoidFailure(**of, void_id=part)
    return p.RecordRefundFailure(**of, refund_id=part)


DISPUTES: dict[str, Callable[..., Command]] = {
    "opened": p.RecordDisputeOpened,
    "won": p.RecordDisputeWon,
    "lost": p.RecordDisputeLost,
}
CALLBACK: TypeAdapter[Callback] = TypeAdapter(Callback)
