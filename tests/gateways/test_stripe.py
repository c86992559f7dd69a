"""Stripe's webhook events: several tell of one effect, it is recorded once; and a reason for each that is not read."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from functools import reduce
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from oms_es.aggregates.payment import decider
from oms_es.app import PARSERS
from oms_es.gateways.stripe import READERS, parse_event
from oms_es.kernel import BadInput, Command
from oms_es.schemas import payment as p

REAL = Path(os.environ.get("OMS_REAL_PAYLOADS") or Path(__file__).parents[3] / "shared" / "real-payloads") / "stripe"
OURS = {"payment_id": "o.1", "capture_id": "s1", "refund_id": "r1"}
INTENT = {"id": "pi_1", "latest_charge": "ch_1", "metadata": OURS, "amount": 100, "ignored": True}
CHARGE = {"id": "ch_1", "payment_intent": "pi_1", "captured": False, "metadata": OURS}
REFUND = {"id": "re_1", "status": "succeeded", "metadata": OURS}
DISPUTE = {"id": "dp_1", "amount": 40, "reason": "general", "status": "needs_response", "charge": CHARGE}
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def event(kind: str, content: dict[str, Any], **changes: Any) -> bytes:
    return json.dumps({"object": "event", "type": kind, "data": {"object": content | changes}}).encode()


def read(kind: str, content: dict[str, Any], **changes: Any) -> Command:
    return parse_event(event(kind, content, **changes))


def refusal(payload: bytes) -> BadInput:
    with pytest.raises(BadInput) as refused:
        parse_event(payload)
    return refused.value


def test_both_events_that_tell_of_held_money_give_it_one_reference() -> None:
    held = p.RecordAuthorization(payment_id="o.1", reference="pi_1")
    assert read("payment_intent.amount_capturable_updated", INTENT) == held
    assert read("charge.succeeded", CHARGE) == held
    until = {"card": {"capture_before": int(NOON.timestamp())}}
    with_its_end = read("charge.succeeded", CHARGE, payment_method_details=until)
    assert with_its_end == held.model_copy(update={"expires_at": NOON})


def test_all_three_events_that_tell_of_taken_money_give_it_one_reference() -> None:
    taken = p.RecordCapture(payment_id="o.1", capture_id="s1", reference="ch_1/s1")
    assert read("payment_intent.succeeded", INTENT) == taken
    assert read("charge.captured", CHARGE, captured=True) == taken
    assert read("charge.succeeded", CHARGE, captured=True) == taken
    assert PARSERS["stripe"](event("payment_intent.succeeded", INTENT)) == taken


def test_what_takes_all_at_once_is_named_after_its_payment() -> None:
    taken = read("payment_intent.succeeded", INTENT, metadata={"payment_id": "o.1"}, latest_charge={"id": "ch_1"})
    assert taken == p.RecordCapture(payment_id="o.1", capture_id="o.1", reference="ch_1/o.1")


@pytest.mark.parametrize(
    ("code", "retriable"), [("insufficient_funds", True), ("try_again_later", True), ("stolen_card", False)]
)
def test_a_decline_says_whether_to_try_again(code: str, *, retriable: bool) -> None:
    error = {"code": "card_declined", "decline_code": code, "message": "Your card was declined."}
    declined = p.RecordDecline(payment_id="o.1", reason="Your card was declined.", retriable=retriable)
    assert read("payment_intent.payment_failed", INTENT, last_payment_error=error) == declined


def test_a_charge_that_failed_is_a_decline_too() -> None:
    declined = read("charge.failed", CHARGE, failure_code="expired_card", failure_message="expired")
    assert declined == p.RecordDecline(payment_id="o.1", reason="expired", retriable=False)


def test_what_stripe_lets_go_by_itself_has_expired_and_what_it_was_asked_to_is_voided() -> None:
    expired = p.RecordExpiry(payment_id="o.1")
    assert read("payment_intent.canceled", INTENT, cancellation_reason="automatic") == expired
    assert read("charge.expired", CHARGE) == expired
    voided = read("payment_intent.canceled", INTENT, cancellation_reason="requested_by_customer")
    assert voided == p.RecordVoid(payment_id="o.1", reference="pi_1/canceled")


def test_a_refund_is_done_or_has_failed() -> None:
    done = p.RecordRefund(payment_id="o.1", refund_id="r1", reference="re_1")
    assert read("refund.updated", REFUND) == read("charge.refund.updated", REFUND) == done
    assert read("charge.refunded", CHARGE, refunds={"data": [REFUND]}) == done
    failed = read("refund.failed", REFUND, status="failed", failure_reason="expired_or_canceled_card")
    assert failed == p.RecordRefundFailure(payment_id="o.1", refund_id="r1", reason="expired_or_canceled_card")
    assert refusal(event("refund.created", REFUND, status="pending")).reason == "unfinished"
    assert refusal(event("charge.refunded", CHARGE)).reason == "unread_event"


@pytest.mark.parametrize(
    ("kind", "status", "shape"),
    [
        ("charge.dispute.created", "needs_response", p.RecordDisputeOpened),
        ("charge.dispute.funds_withdrawn", "needs_response", p.RecordDisputeOpened),
        ("charge.dispute.closed", "won", p.RecordDisputeWon),
        ("charge.dispute.closed", "warning_closed", p.RecordDisputeWon),
        ("charge.dispute.funds_reinstated", "won", p.RecordDisputeWon),
        ("charge.dispute.closed", "lost", p.RecordDisputeLost),
    ],
)
def test_a_dispute_is_opened_won_or_lost(kind: str, status: str, shape: type[p.DisputeCommand]) -> None:
    told = shape(payment_id="o.1", dispute_id="dp_1", amount_minor=40, reason="general")
    assert read(kind, DISPUTE, status=status) == told


def test_what_is_not_ours_or_not_read_or_makes_no_sense_says_what_to_do() -> None:
    assert refusal(event("charge.captured", CHARGE, metadata={})).reason == "not_ours"
    assert refusal(event("charge.dispute.created", DISPUTE, charge="ch_1")).reason == "not_ours"
    assert "take it off" in refusal(event("payout.paid", {"id": "po_1"})).detail
    for nonsense in (b"", b"[]", b"{}", event("charge.captured", {}), event("charge.dispute.created", CHARGE)):
        assert refusal(nonsense).reason == "bad_callback"
    card = refusal(event("payment_intent.succeeded", INTENT, metadata={**OURS, "payment_id": ""}))
    assert card.reason == "not_ours"


def test_a_card_number_in_the_place_of_a_reference_is_refused_and_not_repeated() -> None:
    refused = refusal(event("payment_intent.amount_capturable_updated", INTENT, id="4242424242424242"))
    assert "card number" in refused.detail
    assert "4242" not in refused.detail


def test_p13_three_webhooks_settle_once_in_every_order() -> None:
    of: Any = {"payment_id": "o.1", "order_id": "o", "amount_minor": 100, "currency": "EUR"}
    asked = (
        p.PaymentRequested(**of, payment_token="pm_1"),
        p.PaymentAuthorized(**of, reference="pi_1"),
        p.PaymentCaptureRequested(**of, capture_id="s1", authorization="pi_1", final=True),
    )
    webhooks = (
        event("payment_intent.succeeded", INTENT),
        event("charge.captured", CHARGE, captured=True),
        event("charge.succeeded", CHARGE, captured=True),
        event("payment_intent.amount_capturable_updated", INTENT),
    )
    for order in permutations((*webhooks, webhooks[0])):
        state, happened = reduce(decider.evolve, asked, decider.initial), []
        for payload in order:
            events = list(decider.decide(state, parse_event(payload)))
            state = reduce(decider.evolve, events, state)
            happened += events
        assert happened == [p.PaymentCaptured(**of, capture_id="s1", reference="ch_1/s1")]


def real(name: str) -> dict[str, Any]:
    path = REAL / f"{name}.json"
    if not path.exists():
        pytest.skip(f"{path} is not there: set OMS_REAL_PAYLOADS to a folder of real payloads")
    content: dict[str, Any] = json.loads(path.read_text())
    return content


@pytest.mark.parametrize("kind", READERS)
def test_every_real_object_is_read_once_it_names_what_is_ours(kind: str) -> None:
    name = "dispute" if "dispute" in kind else "refund" if "refund." in kind else kind.partition(".")[0]
    envelope, content = real("event"), real(name) | {"metadata": OURS}
    if kind == "charge.refunded":
        content["refunds"] = {**content["refunds"], "data": [real("refund") | {"metadata": OURS}]}
    payload = json.dumps(envelope | {"type": kind, "data": {"object": content}}).encode()
    command = parse_event(payload)
    assert command.stream == "payment-o.1"
    assert refusal(payload.replace(b'"payment_id"', b'"another"')).reason == "not_ours"
