"""Answers that a provider gives by callback, and that are asked for if no callback comes.

Invariant: an answer is either awaited or asked for, never both. The question carries the key of the intent, so that
nothing is done twice. After CHASES_MAX questions without an answer a person finds out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from oms_es.aggregates.payment.state import Capture, Payment, VoidOrRefund, money, of
from oms_es.schemas import payment as p
from oms_es.schemas.payment.answers import CHASES_MAX

NO_ANSWER = "the provider gave no answer"


def record_pending(
    payment: Payment, requested: p.PaymentRequested, command: p.RecordAnswerPending
) -> Iterator[p.PaymentEvent]:
    """Record that a callback will bring the answer.

    The callback itself may arrive before this record; that is no contradiction.
    """
    question = (command.operation, command.part)
    known = payment.pending_answers.get(question)
    if isinstance(known, p.PaymentAnswerAwaited) or question in payment.unanswered or not _is_open(payment, *question):
        return
    attempt = known.attempt + 1 if known else 1
    if attempt <= CHASES_MAX:
        asked = {name: getattr(command, name) for name in p.Question.model_fields}
        yield p.PaymentAnswerAwaited(**of(requested), **asked, gateway=requested.gateway, attempt=attempt)
        return
    yield p.PaymentAnswerSettled(**of(requested), operation=command.operation, part=command.part)
    yield given_up(payment, requested, command.operation, command.part)


def chase(payment: Payment, requested: p.PaymentRequested, command: p.ChaseAnswer) -> Iterator[p.PaymentEvent]:
    awaited = payment.pending_answers.get((command.operation, command.part))
    if not isinstance(awaited, p.PaymentAnswerAwaited):
        return
    if _is_open(payment, command.operation, command.part):
        yield p.PaymentAnswerChased(**dict(awaited))
    else:
        yield p.PaymentAnswerSettled(**of(requested), operation=command.operation, part=command.part)


def given_up(payment: Payment, requested: p.PaymentRequested, operation: str, part: str) -> p.PaymentEvent:
    """Return the event by which an open operation is given up; its outcome is unknown."""
    if operation == "authorize":
        return p.PaymentFailed(**of(requested), reason=NO_ANSWER)
    amount_minor = _asked(payment, operation)[part].amount_minor
    if operation == "reauthorize":
        return p.PaymentReauthorizationDeclined(
            **money(requested, amount_minor), capture_id=part, reason=NO_ANSWER, retriable=True
        )
    return p.PaymentUnanswered(**money(requested, amount_minor), operation=operation, part=part)


def _asked(payment: Payment, operation: str) -> Mapping[str, Capture | VoidOrRefund]:
    parts: dict[str, Any] = {"void": payment.voids, "refund": payment.refunds}
    found: Mapping[str, Capture | VoidOrRefund] = parts.get(operation, payment.captures)
    return found


def _is_open(payment: Payment, operation: str, part: str) -> bool:
    if operation == "authorize":
        return payment.status == "pending"
    asked = _asked(payment, operation).get(part)
    return asked is not None and asked.status == ("waiting" if operation == "reauthorize" else "in_flight")


def record_silence(
    payment: Payment, requested: p.PaymentRequested, command: p.RecordSilence
) -> Iterator[p.PaymentEvent]:
    question = (command.operation, command.part)
    if question not in payment.unanswered and _is_open(payment, *question):
        yield given_up(payment, requested, *question)
