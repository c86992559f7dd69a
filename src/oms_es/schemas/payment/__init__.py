"""One payment of an order: what may be asked of it, and what may happen to it.

`…Requested` events are intents: durable before the provider is called, and their event id is the idempotency key.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, model_validator
from pydantic_core import to_json

from oms_es.kernel import Command, Event, Message, SystemCommand
from oms_es.schemas.values.types import AmountMinor, Currency, Identifier, Moment, PartName, ProviderText

C = TypeVar("C")
ALLOCATIONS_MAX = 1_000
"""Parts of one refund: every line of an order, its shipping and something on top."""

PositiveMinor = Annotated[AmountMinor, Field(gt=0)]


class RefundAllocation(Message):
    """What a part of a refund is for. `line_id` names the line; it is empty for the others.

    `credit`: what an exchange did not use of the worth of the goods that came back.
    """

    kind: Literal["line", "shipping", "goodwill", "credit"]
    line_id: PartName = ""
    amount_minor: AmountMinor


class PaymentCommand(Command):
    payment_id: Identifier

    @property
    def stream(self) -> str:
        return f"payment-{self.payment_id}"


class RequestPayment(PaymentCommand, SystemCommand):
    """Hold money for an order; `capture_now` takes it as soon as it is held, as a deposit."""

    order_id: Identifier
    amount_minor: PositiveMinor
    currency: Currency
    payment_token: Identifier
    method: Identifier = "card"
    capture_now: bool = False


class RecordAuthorization(PaymentCommand, SystemCommand):
    """The provider holds the money, until `expires_at` if it says so. `reference` is its own id of the effect."""

    reference: Identifier
    expires_at: Moment | None = None


class RecordDecline(PaymentCommand, SystemCommand):
    """The provider said no; `retriable` where it may say yes another time, as when funds are short."""

    reason: ProviderText
    retriable: bool = False


class RecordFailure(PaymentCommand, SystemCommand):
    """The provider could not be asked at all, however often: nobody knows of any money."""

    reason: ProviderText


class ExpireAuthorization(PaymentCommand, SystemCommand):
    """The time until which the money is held is over, if it is by `now`."""

    now: Moment


class RecordExpiry(PaymentCommand, SystemCommand):
    """The provider let go of the money by itself."""


class RecordReauthorization(PaymentCommand, SystemCommand):
    """The provider holds the money for a capture anew, after what it held before had expired."""

    capture_id: Identifier
    reference: Identifier


class RecordReauthorizationDecline(PaymentCommand, SystemCommand):
    """The provider does not hold the money for a capture anew."""

    capture_id: Identifier
    reason: ProviderText
    retriable: bool = False


class CapturePayment(PaymentCommand, SystemCommand):
    """Take money for one shipment; `capture_id` names the take, so that it happens once.

    Of a deposit, which is taken already, so much is applied.
    """

    capture_id: Identifier
    amount_minor: PositiveMinor


class RecordCapture(PaymentCommand, SystemCommand):
    """The provider took the money of a capture."""

    capture_id: Identifier
    reference: Identifier


class RecordCaptureFailure(PaymentCommand, SystemCommand):
    """The provider did not take the money; `expired` where it held it no longer."""

    capture_id: Identifier
    reason: ProviderText
    expired: bool = False


class VoidPayment(PaymentCommand, SystemCommand):
    """Let go of what is authorised and will not be captured."""


class CancelPayment(PaymentCommand, SystemCommand):
    """Undo the payment wholly: void what is held, refund what was taken."""


class RefundPayment(PaymentCommand, SystemCommand):
    """Give a part of what was taken back; `refund_id` names the part, so that it happens once.

    `allocations` say what it is for, and sum to it; without any it is for the payment as a whole.
    """

    refund_id: Identifier
    amount_minor: PositiveMinor
    reason: ProviderText = ""
    allocations: Annotated[tuple[RefundAllocation, ...], Field(max_length=ALLOCATIONS_MAX)] = ()


class RecordVoid(PaymentCommand, SystemCommand):
    """The provider let go of the money; `void_id` names a capture whose renewed hold it was."""

    reference: Identifier
    void_id: PartName = ""


class RecordVoidFailure(PaymentCommand, SystemCommand):
    """The provider did not let go of the money."""

    reason: ProviderText
    void_id: PartName = ""


class RecordRefund(PaymentCommand, SystemCommand):
    """The provider gave the money of a refund back."""

    refund_id: Identifier
    reference: Identifier


class RecordRefundFailure(PaymentCommand, SystemCommand):
    """The provider could not give the money back: it is still ours, and owed."""

    refund_id: Identifier
    reason: ProviderText


class RecordSilence(PaymentCommand, SystemCommand):
    """The provider answers, but not about this, however often it is asked."""

    operation: Literal["reauthorize", "capture", "void", "refund"]
    part: PartName = ""


class Question(Message):
    """What the provider was asked, and the key under which it knows it: the id of the intent."""

    operation: Literal["authorize", "reauthorize", "capture", "void", "refund"]
    part: PartName = ""
    key: Identifier
    amount_minor: AmountMinor
    currency: Currency
    payment_token: PartName = ""
    authorization: PartName = ""
    method: PartName = ""


class RecordAnswerPending(PaymentCommand, SystemCommand, Question):
    """The provider will tell by callback, or still does not say."""


class ChaseAnswer(PaymentCommand, SystemCommand):
    """A callback should have come by now: ask what became of it."""

    operation: Literal["authorize", "reauthorize", "capture", "void", "refund"]
    part: PartName = ""


class Report(Message):
    """What a provider tells of its own accord. What it does not say is left out, and nobody makes it up.

    `part` names the capture, refund or dispute, where the provider says which; `authorization` the hold it rests on.
    `final`, of a decline: nothing comes of it any more; else another means of payment may be tried. `cumulative`: the
    amount is all that was taken under the same charge by then.
    """

    operation: Literal["authorize", "reauthorize", "capture", "void", "refund", "expire", "dispute"]
    outcome: Literal["succeeded", "declined", "opened", "won", "lost"]
    part: PartName = ""
    reference: PartName = ""
    authorization: PartName = ""
    reason: ProviderText = ""
    retriable: bool = False
    expired: bool = False
    final: bool = True
    expires_at: Moment | None = None
    amount_minor: AmountMinor | None = None
    cumulative: bool = False
    currency: Currency | None = None

    @property
    def report_id(self) -> str:
        """Of what it says: told again it is the same."""
        said = {name: getattr(self, name) for name in Report.model_fields}
        return sha256(to_json(said)).hexdigest()[:32]


class RecordReport(PaymentCommand, SystemCommand, Report):
    """A provider reports what happened. What does not fit is kept, for a person and for what may come yet."""

    @model_validator(mode="after")
    def _says_enough(self) -> Self:
        return require_enough(self, self)


def require_enough(report: Report, command: C) -> C:
    """Raises ValueError where it does not say what it is about."""
    operation, outcome = report.operation, report.outcome
    if operation in ("refund", "reauthorize", "dispute") and not report.part:
        raise ValueError(f"name the part of a {operation}")
    if operation == "dispute" and (not report.amount_minor or outcome in ("succeeded", "declined")):
        raise ValueError("a dispute is opened, won or lost, and of some amount")
    if operation != "dispute" and outcome not in ("succeeded", "declined"):
        raise ValueError(f"a {operation} has succeeded or was declined")
    if outcome == "succeeded" and operation != "expire" and not report.reference:
        raise ValueError("say the provider's reference of what was done")
    return command


class DisputeCommand(PaymentCommand, SystemCommand):
    dispute_id: Identifier
    amount_minor: PositiveMinor
    reason: ProviderText = ""


class RecordDisputeOpened(DisputeCommand):
    """Somebody takes their money back through their bank; `dispute_id` is the provider's."""


class RecordDisputeWon(DisputeCommand):
    """The disputed money stays with us."""


class RecordDisputeLost(DisputeCommand):
    """The disputed money is gone."""


class PaymentEvent(Event):
    payment_id: str
    order_id: str


class PaymentRequested(PaymentEvent):
    amount_minor: int
    currency: str
    payment_token: str
    method: str = "card"
    capture_now: bool = False


class PaymentRequestRefused(PaymentEvent):
    """The id names another payment already. Nothing was asked of the provider."""

    amount_minor: int
    currency: str
    reason: str
    fingerprint: str


class PaymentAuthorized(PaymentEvent):
    amount_minor: int
    currency: str
    reference: str
    expires_at: Moment | None = None


class PaymentExpirySet(PaymentEvent):
    """Until when the money is held, where the provider told that after it said that it is."""

    expires_at: Moment


class PaymentDeclined(PaymentEvent):
    """`reference`: of what the provider did instead, such as cancelling it."""

    reason: str
    retriable: bool = False
    reference: str = ""


class PaymentAttemptDeclined(PaymentEvent):
    """One means of payment was turned down; the same payment may yet come by another."""

    reason: str
    report_id: str


class PaymentReportKept(PaymentEvent, Report):
    """What the provider reports does not fit what is known: a person finds out, unless what comes next explains it."""

    kept_id: str
    why: str


class PaymentReportSettled(PaymentEvent):
    """What was kept fits now."""

    kept_id: str


class PaymentFailed(PaymentEvent):
    reason: str


class PaymentExpired(PaymentEvent):
    """What was held and not taken is held no longer. A capture that comes now needs a new authorisation."""

    amount_minor: int
    currency: str
    authorization: str


class PaymentReauthorizationRequested(PaymentEvent):
    """Intent: money that expired is to be held anew, for one capture."""

    capture_id: str
    amount_minor: int
    currency: str
    payment_token: str
    method: str


class PaymentReauthorized(PaymentEvent):
    capture_id: str
    amount_minor: int
    currency: str
    reference: str


class PaymentReauthorizationDeclined(PaymentEvent):
    """The capture that needed it will not be."""

    capture_id: str
    amount_minor: int
    reason: str
    retriable: bool


class PaymentCancellationNoted(PaymentEvent):
    """Cancelled while the provider's answer was outstanding: should the money still come, it goes straight back."""


class PaymentCaptureRequested(PaymentEvent):
    capture_id: str
    amount_minor: int
    currency: str
    authorization: str
    final: bool = False
    """Nothing is left held beside it."""


class PaymentCaptureRefused(PaymentEvent):
    """It cannot be taken: not so much is held, or no longer. The provider was not asked; a person is."""

    capture_id: str
    amount_minor: int
    reason: str


class PaymentCaptured(PaymentEvent):
    capture_id: str
    amount_minor: int
    currency: str
    reference: str
    asked: bool = True
    """Else it was taken at the provider, or at once: nobody here had asked for it yet."""


class PaymentCaptureShort(PaymentEvent):
    """So much less is taken than was asked for. A person finds out why."""

    capture_id: str
    amount_minor: int
    currency: str


class PaymentCaptureFailed(PaymentEvent):
    capture_id: str
    amount_minor: int
    reason: str


class PaymentDepositApplied(PaymentEvent):
    """So much of the deposit pays for a shipment now."""

    capture_id: str
    amount_minor: int
    currency: str


class PaymentVoidRequested(PaymentEvent):
    amount_minor: int
    currency: str
    authorization: str
    void_id: str = ""


class PaymentVoided(PaymentEvent):
    amount_minor: int
    currency: str
    reference: str
    void_id: str = ""
    asked: bool = True
    """Else somebody let go of it at the provider."""
    reason: str = ""


class PaymentVoidFailed(PaymentEvent):
    """The provider did not let go; the hold ends by itself at its time."""

    amount_minor: int
    void_id: str
    reason: str


class PaymentRefundRequested(PaymentEvent):
    refund_id: str
    amount_minor: int
    currency: str
    authorization: str
    reason: str = ""
    allocations: tuple[RefundAllocation, ...] = ()


class PaymentRefundRefused(PaymentEvent):
    """It cannot be given back: more than was taken, or not what its parts say. Nothing was asked of the provider."""

    refund_id: str
    amount_minor: int
    reason: str


class PaymentRefunded(PaymentEvent):
    refund_id: str
    amount_minor: int
    currency: str
    reference: str
    asked: bool = True
    """Else somebody gave it back at the provider."""


class PaymentRefundShort(PaymentEvent):
    """So much less is given back than was asked for. A person finds out why."""

    refund_id: str
    amount_minor: int
    currency: str


class PaymentRefundReversed(PaymentEvent):
    """It was given back, and came back to us: it is still ours, and owed."""

    refund_id: str
    amount_minor: int
    currency: str
    reason: str


class PaymentRefundFailed(PaymentEvent):
    """Asked for, and the provider could not: it is still ours, and owed."""

    refund_id: str
    amount_minor: int
    reason: str
    reference: str = ""


class PaymentUnanswered(PaymentEvent):
    """Nobody knows whether the provider did what it was asked; a person finds out."""

    operation: str
    part: str
    amount_minor: int


class PaymentAnswerAwaited(PaymentEvent, Question):
    """By callback. `attempt` counts how often it was awaited."""

    attempt: int


class PaymentAnswerChased(PaymentEvent, Question):
    """The intent to ask the provider what became of it, by the key that it knows."""

    attempt: int


class PaymentAnswerSettled(PaymentEvent):
    """It is not awaited any more: it came, or a person finds out."""

    operation: str
    part: str


class PaymentDisputeOpened(PaymentEvent):
    """So much of what was taken is in dispute, and is not given back meanwhile."""

    dispute_id: str
    amount_minor: int
    currency: str
    reason: str


class PaymentDisputeWon(PaymentEvent):
    dispute_id: str
    amount_minor: int
    currency: str


class PaymentDisputeLost(PaymentEvent):
    """The money is gone."""

    dispute_id: str
    amount_minor: int
    currency: str
