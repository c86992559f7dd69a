"""What a provider answers, answers late, or reports by itself."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import Literal, Self

from pydantic import model_validator
from pydantic_core import to_json

from oms_es.kernel import Command, Message, SystemCommand
from oms_es.schemas.payment.base import C, PaymentCommand, PaymentEvent
from oms_es.schemas.payment.references import claims
from oms_es.schemas.values.types import AmountMinor, Currency, Identifier, Moment, PartName, QuotedText

CHASES_MAX = 3
"""How often a provider that has not called back is asked what became of it."""


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
    """The provider will report by callback, or still does not say."""


class ChaseAnswer(PaymentCommand, SystemCommand):
    """A callback should have come by now: ask what became of it."""

    operation: Literal["authorize", "reauthorize", "capture", "void", "refund"]
    part: PartName = ""


DIGEST_LENGTH = 30
BY_DIGEST = "sha256:"


def digest_of(part: str) -> str:
    """Of SHA-256 in URL-safe base64 the beginning: what a provider's name for a part has room for."""
    return urlsafe_b64encode(sha256(part.encode()).digest()).decode()[:DIGEST_LENGTH]


def called_by_digest(digest: str) -> str:
    """The part of a report that knows no more of it than its digest."""
    return BY_DIGEST + digest


class Report(Message):
    """What a provider reports of its own accord. What it does not say is left out, and it is not made up.

    `part` names the capture, refund or dispute, where the provider says which, or is `called_by_digest` of its name;
    `authorization` the hold it rests on.
    `final`, of a decline: nothing comes of it any more; else another means of payment may be tried, or a refund may yet
    be given under the same reference. `cumulative`: the amount is all that was taken under the same charge by then.
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
        """Of what it says: repeated it is the same."""
        said = {name: getattr(self, name) for name in Report.model_fields}
        return sha256(to_json(said)).hexdigest()[:32]


class RecordReport(PaymentCommand, SystemCommand, Report):
    """A provider reports what happened. What does not fit is kept, for a person and for what may come yet."""

    @model_validator(mode="after")
    def _says_enough(self) -> Self:
        return require_enough(self, self)

    @property
    def beside(self) -> Sequence[Command]:
        """What it says has been done rests on these names: no other payment may have them."""
        done = self.outcome == "succeeded"
        return claims(self.payment_id, (self.authorization, self.reference)) if done else ()


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


class PaymentReportKept(PaymentEvent, Report):
    """What the provider reports does not fit what is known: a person finds out, unless what comes next explains it.

    `early`: it was not asked for from here.
    """

    kept_id: str
    why: str
    early: bool = False


class PaymentReportSettled(PaymentEvent):
    """What was kept fits now."""

    kept_id: str


class PaymentUnanswered(PaymentEvent):
    """It is not known whether the provider did what it was asked; a person finds out."""

    operation: str
    part: str
    amount_minor: int
    currency: str = ""


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
