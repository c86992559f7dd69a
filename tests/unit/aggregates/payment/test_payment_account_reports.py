"""Provider reports about payments from an account, or refunds to one."""

from __future__ import annotations

from typing import Any

import pytest

from dsl import Given
from oms_es.aggregates.payment.decider import decider
from oms_es.kernel import Refused
from oms_es.schemas import payment as p

PAY: Any = {"payment_id": "o.1"}
EUR: Any = {**PAY, "order_id": "o", "currency": "EUR"}
REQUESTED = p.PaymentRequested(**EUR, amount_minor=100, payment_token="ADA-1", method="account")
HOLD = "account:ADA-1:7"
HELD = p.PaymentAuthorized(**EUR, amount_minor=100, reference=HOLD)


def report(operation: Any, outcome: Any = "succeeded", **said: Any) -> p.RecordReport:
    return p.RecordReport(**PAY, operation=operation, outcome=outcome, **said)


REPORTS = (
    report("expire", authorization=HOLD, reference="x"),
    report("expire"),
    report("void", authorization=HOLD, reference="x"),
    report("authorize", "declined", reason="no funds"),
    report("capture", reference="ch", amount_minor=100, currency="EUR"),
)


@pytest.mark.parametrize("before", [(), (HELD,)], ids=["asked", "held"])
@pytest.mark.parametrize("said", REPORTS, ids=lambda said: f"{said.operation} {said.outcome}")
def test_a_payment_from_an_account_follows_no_provider_and_its_hold_can_still_be_freed(
    said: p.RecordReport, before: tuple[p.PaymentEvent, ...]
) -> None:
    (event,) = decider.decide(Given(decider, REQUESTED, *before).state, said)
    assert isinstance(event, p.PaymentReportKept)
    assert "account" in event.why
    Given(decider, REQUESTED, *before, event).when(said).then()
    since = before or (HELD,)
    Given(decider, REQUESTED, event).when(p.RecordAuthorization(**PAY, reference=HOLD)).then(HELD)
    released = p.PaymentVoidRequested(**EUR, amount_minor=100, authorization=HOLD)
    Given(decider, REQUESTED, event, *since).when(p.CancelPayment(**PAY)).then(released)
    done = p.PaymentVoided(**EUR, amount_minor=100, reference="account:ADA-1:8")
    freed = p.RecordVoid(**PAY, reference="account:ADA-1:8")
    Given(decider, REQUESTED, event, *since, released).when(freed).then(done)


def test_what_an_account_holds_does_not_expire_at_a_provider() -> None:
    with pytest.raises(Refused, match="not_authorized"):
        list(decider.decide(Given(decider, REQUESTED, HELD).state, p.RecordExpiry(**PAY)))


def test_a_payment_by_card_that_is_released_at_its_provider_is_released() -> None:
    card = REQUESTED.model_copy(update={"method": "card"})
    (event,) = decider.decide(Given(decider, card, HELD).state, report("expire"))
    assert isinstance(event, p.PaymentExpired)


def test_what_went_onto_an_account_hides_no_refund_at_the_provider() -> None:
    card = REQUESTED.model_copy(update={"method": "card", "payment_token": "tok"})
    held = p.PaymentAuthorized(**EUR, amount_minor=100, reference="auth")
    asked = p.PaymentCaptureRequested(**EUR, capture_id="s1", amount_minor=100, authorization="auth", final=True)
    taken = p.PaymentCaptured(**EUR, capture_id="s1", amount_minor=100, reference="ch/s1")
    onto_it: Any = {**EUR, "refund_id": "r1", "amount_minor": 40}
    credit = p.PaymentRefundRequested(**onto_it, authorization="auth", to_account="ADA-1")
    credited = p.PaymentRefunded(**onto_it, reference="account:ADA-1:9")
    at_provider: Any = {**EUR, "refund_id": "r2", "amount_minor": 30}
    back = p.PaymentRefundRequested(**at_provider, authorization="auth")
    given_back = p.PaymentRefunded(**at_provider, reference="re")
    both = Given(decider, card, held, asked, taken, credit, credited, back, given_back)
    in_all: Any = {"part": "ch/refunded", "currency": "EUR", "cumulative": True}
    both.when(report("refund", reference="ch/refunded/30", amount_minor=30, **in_all)).then()
    (event,) = decider.decide(both.state, report("refund", reference="ch/refunded/70", amount_minor=70, **in_all))
    assert isinstance(event, p.PaymentReportKept)
    assert "0.70" in event.why
    assert "0.30" in event.why
