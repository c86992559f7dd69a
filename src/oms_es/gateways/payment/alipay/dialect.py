"""Alipay's dialect: its reports (trade_status_sync) as reports about payments. Fields that are not read are ignored.

Reads    TRADE_SUCCESS, TRADE_FINISHED, TRADE_CLOSED, and the total that was refunded
Decides  nothing. An order that was made here is named after its request, and has the payment's id in `body`; an order
         that was made elsewhere belongs to the payment that has one of its names. A report of a refund has only the
         total of all refunds: it is compared with the known ones, and recorded as no refund.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints, ValidationError

from oms_es.gateways.payment.alipay.signing import to_fen
from oms_es.gateways.payment.prepaid import CLOSED, payment_attached
from oms_es.gateways.payment.stripe_shapes import Open
from oms_es.kernel import BadInput, Command, Skipped
from oms_es.schemas.inputs import Input
from oms_es.schemas.payment import RecordReport, Report
from oms_es.schemas.payment.provider import RecordProviderReport
from oms_es.schemas.problems import problems, quoted

PROVIDER = "alipay"
CNY = "CNY"
READ = "trade_status_sync"
PAID = ("TRADE_SUCCESS", "TRADE_FINISHED")

Name = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[!-~]+$")]


class Notice(Open):
    notify_type: str = READ
    out_trade_no: Name
    trade_no: Name
    trade_status: str
    total_amount: str
    refund_fee: str = ""
    gmt_payment: str = ""
    gmt_refund: str = ""
    body: str = ""


def order_reference(out_trade_no: str) -> str:
    """Return the reference of a payment: the provider and our name of the order at Alipay."""
    return f"{PROVIDER}:{out_trade_no}"


def order_name(reference: str) -> str:
    return reference.removeprefix(f"{PROVIDER}:")


def refund_reference(trade_no: str, name: str) -> str:
    """Return the reference of a refund, which Alipay gives no name of its own."""
    return f"{trade_no}/{name}"


def parse_notice(payload: bytes) -> Command:
    """Return the command for a report, given as JSON of the form's fields. Raise Skipped, or BadInput, which names the
    field."""
    try:
        notice = Notice.model_validate_json(payload)
    except ValidationError as error:
        raise _unusable(problems(error, whole="payload")) from error
    if notice.notify_type != READ:
        raise BadInput(Input.UNREAD_EVENT, f"{quoted(notice.notify_type)} is not read here; look it up at Alipay")
    return _of_whom(_report_of(notice), notice)


def _report_of(notice: Notice) -> Report:
    given_back = _fen(notice.refund_fee, "refund_fee") if notice.gmt_refund and notice.refund_fee else 0
    reference = order_reference(notice.out_trade_no)
    if given_back:
        return Report(
            operation="refund",
            outcome="succeeded",
            part=f"{notice.trade_no}/refunded",
            reference=f"{notice.trade_no}/refunded/{given_back}",
            amount_minor=given_back,
            cumulative=True,
            currency=CNY,
        )
    if notice.trade_status in PAID:
        return Report(
            operation="capture",
            outcome="succeeded",
            reference=notice.trade_no,
            authorization=reference,
            amount_minor=_fen(notice.total_amount, "total_amount"),
            cumulative=True,
            currency=CNY,
        )
    if notice.trade_status == "TRADE_CLOSED" and not notice.gmt_payment:
        closed = f"{reference}/closed"
        return Report(operation="void", outcome="succeeded", reference=closed, authorization=reference, reason=CLOSED)
    raise Skipped(f"{notice.out_trade_no} is {notice.trade_status}: nothing is paid or given back")


def _fen(text: str, name: str) -> int:
    try:
        return to_fen(text)
    except ValueError as error:
        raise _unusable(f"{name}: {error}") from error


def _unusable(what: str) -> BadInput:
    return BadInput(Input.BAD_CALLBACK, f"{what}; look the order up at Alipay")


def _of_whom(report: Report, notice: Notice) -> Command:
    if payment_id := payment_attached(notice.body):
        return RecordReport(payment_id=payment_id, **{name: getattr(report, name) for name in Report.model_fields})
    references = (order_reference(notice.out_trade_no), notice.trade_no)
    return RecordProviderReport(provider=PROVIDER, references=references, report=report)
