"""Payment providers: money is asked for by intent, and the answer, at once or by callback, is recorded.

Reads    PaymentRequested, PaymentCaptureRequested, PaymentVoidRequested, PaymentRefundRequested
Emits    RecordAuthorization, RecordDecline, RecordFailure, RecordCapture, RecordCaptureFailure, RecordVoid,
         RecordRefund
Decides  nothing about money; only how often to ask again. The intent is durable before the provider hears of it and its
         event id is the idempotency key, so that a crash at any point, or an answer that was lost, never pays twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Protocol
from uuid import UUID

from pydantic import Field, TypeAdapter, ValidationError

from oms_es.kernel import BadInput, Command, Event, GatewayUnavailable, Message, Recorded
from oms_es.schemas import payment as p

ATTEMPTS_MAX = 3
"""How often one intent is put to a provider that answers others, before the attempt counts as failed."""

Operation = Literal["authorize", "capture", "void", "refund"]


class Ask(NamedTuple):
    """One request to the provider. `part` names the capture or refund; `authorization` what it rests on."""

    key: UUID
    operation: Operation
    payment_id: str
    part: str
    amount_minor: int
    currency: str
    payment_token: str
    authorization: str


class Answer(NamedTuple):
    """`pending`: a callback will tell. `unknown`: no answer came; the effect may or may not have happened."""

    outcome: Literal["succeeded", "declined", "pending", "unknown"]
    reference: str = ""
    reason: str = ""


class PaymentProvider(Protocol):
    """The port that real providers implement. Asked again with the same key, it gives the same answer."""

    def submit(self, asks: Sequence[Ask]) -> Sequence[Answer]: ...


class Callback(Message):
    """What a provider tells of its own accord: often twice, sometimes late, in any order."""

    operation: Operation
    outcome: Literal["succeeded", "declined"]
    payment_id: str = Field(min_length=1)
    part: str = ""
    reference: str = ""
    reason: str = ""


class PaymentGateway:
    name = "payment_provider"
    intents: frozenset[type[Event]] = frozenset(
        {p.PaymentRequested, p.PaymentCaptureRequested, p.PaymentVoidRequested, p.PaymentRefundRequested}
    )

    def __init__(self, provider: PaymentProvider, attempts_max: int = ATTEMPTS_MAX) -> None:
        self.provider = provider
        self.attempts_max = attempts_max

    def perform(self, intents: Sequence[Recorded]) -> Sequence[Sequence[Command]]:
        asks = [ask_of(intent) for intent in intents]
        answers = list(self.provider.submit(asks))
        for _ in range(self.attempts_max - 1):
            open_asks = [i for i, answer in enumerate(answers) if answer.outcome == "unknown"]
            if not open_asks:
                break
            for i, answer in zip(open_asks, self.provider.submit([asks[i] for i in open_asks]), strict=True):
                answers[i] = answer
        unknown = [ask for ask, answer in zip(asks, answers, strict=True) if answer.outcome == "unknown"]
        if len(unknown) == len(asks) or any(ask.operation != "authorize" for ask in unknown):
            raise GatewayUnavailable(f"{len(unknown)} of {len(asks)} requests stay unanswered")
        return [tuple(_outcome(ask, answer)) for ask, answer in zip(asks, answers, strict=True)]


def ask_of(intent: Recorded) -> Ask:
    key, event = intent.event_id, intent.event
    match event:
        case p.PaymentRequested(payment_id=payment, amount_minor=amount, currency=currency, payment_token=token):
            return Ask(key, "authorize", payment, "", amount, currency, token, "")
        case p.PaymentCaptureRequested(payment_id=payment, amount_minor=amount, currency=currency):
            return Ask(key, "capture", payment, event.capture_id, amount, currency, "", event.authorization)
        case p.PaymentVoidRequested(payment_id=payment, amount_minor=amount, currency=currency):
            return Ask(key, "void", payment, "", amount, currency, "", event.authorization)
        case p.PaymentRefundRequested(payment_id=payment, amount_minor=amount, currency=currency):
            return Ask(key, "refund", payment, event.refund_id, amount, currency, "", event.authorization)
    raise AssertionError(f"{type(event).__name__} is no payment intent")


def _outcome(ask: Ask, answer: Answer) -> list[Command]:
    if answer.outcome == "pending":
        return []
    if answer.outcome == "unknown":
        return [p.RecordFailure(payment_id=ask.payment_id, reason="the provider gave no answer")]
    return [_record(ask.operation, answer.outcome, ask.payment_id, ask.part, answer.reference, answer.reason)]


def parse_callback(payload: bytes) -> Command:
    """A provider's callback as a command. Raises BadInput."""
    try:
        callback = CALLBACK.validate_json(payload)
        return _record(
            callback.operation,
            callback.outcome,
            callback.payment_id,
            callback.part,
            callback.reference,
            callback.reason,
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "payload"
        raise BadInput("bad_callback", f"{where}: {first['msg']}; ask the provider to send it again") from error


def _record(
    operation: Operation,
    outcome: Literal["succeeded", "declined"],
    payment_id: str,
    part: str,
    reference: str,
    why: str,
) -> Command:
    if outcome == "succeeded":
        return RECORDS[operation](payment_id, part, reference)
    if operation == "authorize":
        return p.RecordDecline(payment_id=payment_id, reason=why)
    if operation == "capture":
        return p.RecordCaptureFailure(payment_id=payment_id, capture_id=part, reason=why)
    raise BadInput("bad_callback", f"a {operation} cannot be declined; ask the provider what happened to {payment_id}")


RECORDS: dict[Operation, Callable[[str, str, str], Command]] = {
    "authorize": lambda payment, _, reference: p.RecordAuthorization(payment_id=payment, reference=reference),
    "capture": lambda payment, part, reference: p.RecordCapture(
        payment_id=payment, capture_id=part, reference=reference
    ),
    "void": lambda payment, _, reference: p.RecordVoid(payment_id=payment, reference=reference),
    "refund": lambda payment, part, reference: p.RecordRefund(payment_id=payment, refund_id=part, reference=reference),
}
CALLBACK: TypeAdapter[Any] = TypeAdapter(Callback)
