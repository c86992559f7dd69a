"""WeChat Pay's dialect: its notifications as reports about payments. Fields that are not read are ignored.

Reads    TRANSACTION.SUCCESS; REFUND.SUCCESS, .ABNORMAL, .CLOSED; each with its resource decrypted
Decides  nothing. An order that was made here is named after its request, and has the payment's id in `attach`; a refund
         that was made here has its part in its own name. What was made elsewhere belongs to the payment that has one
         of its names. An answer and its notification have one reference, so that they are recorded once.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints, ValidationError

from oms_es.gateways.payment.prepaid import has_no_part, payment_attached, refunded_part
from oms_es.gateways.payment.stripe_shapes import Open
from oms_es.kernel import BadInput, Command, Skipped
from oms_es.schemas.inputs import Input
from oms_es.schemas.payment import RecordReport, Report
from oms_es.schemas.payment.provider import RecordProviderReport
from oms_es.schemas.problems import problems, quoted
from oms_es.schemas.values.types import AMOUNT_MINOR_MAX

PROVIDER = "wechatpay"
CNY = "CNY"

Name = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[!-~]+$")]
Fen = Annotated[int, Field(ge=0, le=AMOUNT_MINOR_MAX)]


class Amount(Open):
    total: Fen
    refund: Fen | None = None
    currency: str | None = None
    """The currency; a refund's notification does not have it, since WeChat Pay refunds in the currency of
    the payment."""


class Transaction(Open):
    out_trade_no: Name
    transaction_id: Name
    trade_state: str
    attach: str = ""
    amount: Amount


class Refund(Open):
    out_trade_no: Name
    transaction_id: Name
    out_refund_no: Name
    refund_id: Name
    refund_status: str
    amount: Amount


class Notice(Open):
    event_type: Name
    resource: dict[str, Any]


def order_reference(out_trade_no: str) -> str:
    """Return the reference of a payment: the provider and our name of the order at WeChat Pay."""
    return f"{PROVIDER}:{out_trade_no}"


def order_name(reference: str) -> str:
    return reference.removeprefix(f"{PROVIDER}:")


def parse_notice(payload: bytes) -> Command:
    """Return the command for a decrypted notification. Raise Skipped, or BadInput, which names the field."""
    try:
        notice = Notice.model_validate_json(payload)
        family, _, what = notice.event_type.partition(".")
        if family == "TRANSACTION" and what == "SUCCESS":
            return _paid(Transaction.model_validate(notice.resource))
        if family == "REFUND":
            return _refunded(Refund.model_validate(notice.resource))
    except ValidationError as error:
        raise _unusable(problems(error, whole="payload")) from error
    kind = quoted(notice.event_type)
    raise BadInput(Input.UNREAD_EVENT, f"{kind} is not read here; look it up in the merchant platform")


def _unusable(what: str) -> BadInput:
    return BadInput(Input.BAD_CALLBACK, f"{what}; look the order up in the merchant platform")


def _paid(transaction: Transaction) -> Command:
    if transaction.trade_state != "SUCCESS":
        raise Skipped(f"{transaction.out_trade_no} is {transaction.trade_state}: nothing is paid")
    if transaction.amount.currency is None:
        raise _unusable("resource.amount.currency: it is missing, and total is an amount of it")
    report = Report(
        operation="capture",
        outcome="succeeded",
        reference=transaction.transaction_id,
        authorization=order_reference(transaction.out_trade_no),
        amount_minor=transaction.amount.total,
        cumulative=True,
        currency=_currency(transaction.amount),
    )
    if payment_id := payment_attached(transaction.attach):
        said = {name: getattr(report, name) for name in Report.model_fields}
        return RecordReport(payment_id=payment_id, **said)
    return _of_whom(report, transaction.out_trade_no, transaction.transaction_id)


def _refunded(refund: Refund) -> Command:
    if refund.refund_status not in ("SUCCESS", "ABNORMAL", "CLOSED"):
        raise Skipped(f"refund {refund.out_refund_no} is {refund.refund_status}: its outcome will be reported")
    if refund.amount.refund is None:
        raise _unusable("resource.amount.refund: it is missing")
    if has_no_part(refund.out_refund_no):
        raise Skipped(f"refund {refund.out_refund_no} is asked after by its name")
    failed = refund.refund_status != "SUCCESS"
    report = Report(
        operation="refund",
        outcome="declined" if failed else "succeeded",
        part=refunded_part(refund.out_refund_no),
        reference=refund.refund_id,
        reason=REFUND_FAILURES[refund.refund_status] if failed else "",
        final=refund.refund_status not in FAILED_FOR_NOW,
        amount_minor=refund.amount.refund,
        currency=_currency(refund.amount),
    )
    return _of_whom(report, refund.out_trade_no, refund.transaction_id)


REFUND_FAILURES = {
    "ABNORMAL": "the customer's account cannot take it: give it back in the merchant platform, another way",
    "CLOSED": "closed at WeChat Pay",
}
FAILED_FOR_NOW = ("ABNORMAL",)
"""Outcomes of a refund that may still be paid under the same reference."""


def _currency(amount: Amount) -> str:
    if amount.currency not in (None, CNY):
        raise _unusable(f"resource.amount.currency: {amount.currency} where orders are in {CNY}")
    return CNY


def _of_whom(report: Report, out_trade_no: str, transaction_id: str) -> Command:
    references = (order_reference(out_trade_no), transaction_id)
    return RecordProviderReport(provider=PROVIDER, references=references, report=report)
