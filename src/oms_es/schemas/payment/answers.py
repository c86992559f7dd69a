"""A provider's answers, late answers, and unasked reports."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import Literal, Self

from pydantic import model_validator
from pydantic_core import to_json

from oms_es.kernel import Command, Message, SystemCommand
from oms_es.schemas.payment.base import C, GatewayIntent, PaymentCommand, PaymentEvent
from oms_es.schemas.payment.references import claims
from oms_es.schemas.values.types import AmountMinor, Currency, Identifier, Moment, PartName, QuotedText

CHASES_MAX = 3
"""How often a provider that has not called back is asked about the outcome."""


class RecordSilence(PaymentCommand, SystemCommand):
    """Record that the provider answers, but not about this operation, however often it is asked."""

    operation: Literal["reauthorize", "capture", "void", "refund"]
    part: PartName = ""


class Question(Message):
    """What the provider was asked, and the key under which it knows the question: the id of the intent."""

    operation: Literal["authorize", "reauthorize", "capture", "void", "refund"]
    part: PartName = ""
    key: Identifier
    amount_minor: AmountMinor
    currency: Currency
    payment_token: PartName = ""
    authorization: PartName = ""
    method: PartName = ""


class RecordAnswerPending(PaymentCommand, SystemCommand, Question):
    """Record that the provider will report by callback, or still does not say."""


class ChaseAnswer(PaymentCommand, SystemCommand):
    """Ask the provider about the outcome: a callback should have come by now."""

    operation: Literal["authorize", "reauthorize", "capture", "void", "refund"]
    part: PartName = ""


DIGEST_LENGTH = 30
BY_DIGEST = "sha256:"


def digest_of(part: str) -> str:
    """Return the first characters of the SHA-256 in URL-safe base64, which fit a provider's name for a part."""
    return urlsafe_b64encode(sha256(part.encode()).digest()).decode()[:DIGEST_LENGTH]


def called_by_digest(digest: str) -> str:
    """Return the part's name for a report in which only its digest is known."""
    return BY_DIGEST + digest


class Report(Message):
    """A report that a provider sends unasked. Fields that the provider does not state are left out, never invented.

    `part` names the capture, refund or dispute if the provider states it, or is `called_by_digest` of its name;
    `authorization` is the authorisation that it rests on. `final`, of a decline: nothing more is expected; otherwise
    another means of payment may be tried, or a refund may still succeed under the same reference; a dispute that is not
    final is an inquiry, by which no money is withdrawn, opened or closed (`won`). `cumulative`: the
    amount is the total captured under the same charge by then.
    """

    operation: Literal["authorize", "reauthorize", "capture", "void", "refund", "expire", "dispute"]
    outcome: Literal["succeeded", "declined", "opened", "won", "lost"]
    part: PartName = ""
    reference: PartName = ""
    authorization: PartName = ""
    reason: QuotedText = ""
    retriable: bool = False
    expired: bool = False
    final: bool = True
    expires_at: Moment | None = None
    amount_minor: AmountMinor | None = None
    cumulative: bool = False
    currency: Currency | None = None

    @property
    def report_id(self) -> str:
        """A hash of the report's content: a repeated report has the same id."""
        said = {name: getattr(self, name) for name in Report.model_fields}
        return sha256(to_json(said)).hexdigest()[:32]


class RecordReport(PaymentCommand, SystemCommand, Report):
    """Record a report of a provider.

    One that does not fit is kept, for a person and for later events that may explain it.
    """

    @model_validator(mode="after")
    def _says_enough(self) -> Self:
        return require_enough(self, self)

    @property
    def beside(self) -> Sequence[Command]:
        """The claims of the references that a success rests on: no other payment may have them."""
        done = self.outcome == "succeeded"
        return claims(self.payment_id, (self.authorization, self.reference)) if done else ()


def require_enough(report: Report, command: C) -> C:
    """Return the command. Raise ValueError if the report does not say what it is about."""
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


class PaymentReportKept(PaymentEvent, Report):
    """A report of the provider does not fit what is known: a person looks at it, unless a later event explains it.

    `early`: the operation had not been requested from here.
    """

    kept_id: str
    why: str
    early: bool = False


class PaymentReportSettled(PaymentEvent):
    """A kept report fits now."""

    kept_id: str


class PaymentUnanswered(PaymentEvent):
    """It is not known whether the provider did what it was asked; a person finds out."""

    operation: str
    part: str
    amount_minor: int
    currency: str = ""


class PaymentAnswerAwaited(GatewayIntent, Question):
    """The provider answers by callback. `attempt` counts how often an answer was awaited."""

    attempt: int


class PaymentAnswerChased(GatewayIntent, Question):
    """The intent to ask the provider about the outcome, under the key that it knows."""

    attempt: int


class PaymentAnswerSettled(PaymentEvent):
    """The answer is not awaited any more: it came, or a person finds out."""

    operation: str
    part: str
