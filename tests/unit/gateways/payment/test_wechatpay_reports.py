"""WeChat Pay's reports of a refund: which failure is final, and which may still become a refund."""

from __future__ import annotations

import json

import pytest

from oms_es.gateways.payment.wechatpay import dialect
from oms_es.schemas.payment.provider import RecordProviderReport


@pytest.mark.parametrize(
    ("status", "outcome", "final"),
    [("SUCCESS", "succeeded", True), ("ABNORMAL", "declined", False), ("CLOSED", "declined", True)],
)
def test_a_refund_that_is_abnormal_may_yet_succeed_under_its_reference(status: str, outcome: str, final: bool) -> None:
    said = {"out_trade_no": "n", "transaction_id": "t", "out_refund_no": "by-hand", "refund_id": "5"}
    resource = {**said, "refund_status": status, "amount": {"total": 5, "refund": 3}}
    command = dialect.parse_notice(json.dumps({"event_type": f"REFUND.{status}", "resource": resource}).encode())
    assert isinstance(command, RecordProviderReport)
    report = command.report
    assert (report.reference, report.outcome, report.final) == ("5", outcome, final)
