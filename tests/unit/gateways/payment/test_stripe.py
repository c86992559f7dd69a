"""Stripe's webhook events: what each reports, of which payment and amount, and a reason for each that is refused."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from functools import reduce
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from oms_es.aggregates.payment.decider import decider
from oms_es.app import PARSERS
from oms_es.gateways.payment.stripe import READERS, SKIPPED, SKIPPED_FAMILIES, parse_event
from oms_es.gateways.payment.stripe_amounts import STRIPE_EXPONENTS, minor_of
from oms_es.kernel import BadInput, Command, Skipped
from oms_es.schemas import payment as p
from oms_es.schemas.payment.provider import RecordProviderReport
from oms_es.schemas.values.currency import COUNTED_OTHERWISE, exponent_of
from repository import ROOT

REAL = Path(os.environ.get("OMS_REAL_PAYLOADS") or ROOT.parent / "shared" / "real-payloads") / "stripe"
OURS = {"payment_id": "o.1", "capture_id": "s1", "refund_id": "r1"}
MONEY = {"amount": 100, "currency": "eur"}
INTENT = {
    **MONEY,
    "id": "pi_1",
    "latest_charge": "ch_1",
    "metadata": OURS,
    "amount_capturable": 100,
    "amount_received": 0,
    "ignored": True,
}
TAKEN = {**INTENT, "amount_capturable": 0, "amount_received": 100}
CHARGE = {
    **MONEY,
    "id": "ch_1",
    "payment_intent": "pi_1",
    "captured": False,
    "amount_captured": 0,
    "amount_refunded": 0,
    "metadata": OURS,
}
CAPTURED = {**CHARGE, "captured": True, "amount_captured": 100}
REFUND = {"id": "re_1", "amount": 40, "currency": "eur", "status": "succeeded", "metadata": OURS}
DISPUTE = {
    "id": "dp_1",
    "amount": 40,
    "currency": "eur",
    "reason": "general",
    "status": "needs_response",
    "charge": CHARGE,
}
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
EUR: Any = {"currency": "EUR"}


def event(kind: str, content: dict[str, Any], **changes: Any) -> bytes:
    return json.dumps({"object": "event", "type": kind, "data": {"object": content | changes}}).encode()


def read(kind: str, content: dict[str, Any], **changes: Any) -> Command:
    return parse_event(event(kind, content, **changes))


def reported(operation: Any, outcome: Any = "succeeded", **said: Any) -> p.RecordReport:
    return p.RecordReport(payment_id="o.1", operation=operation, outcome=outcome, **said)


def refusal(payload: bytes) -> BadInput:
    with pytest.raises(BadInput) as refused:
        parse_event(payload)
    return refused.value


HELD = reported("authorize", reference="pi_1", authorization="pi_1", amount_minor=100, currency="EUR")


def test_both_events_that_report_held_money_report_the_same() -> None:
    assert read("payment_intent.amount_capturable_updated", INTENT) == HELD
    assert read("charge.succeeded", CHARGE) == HELD
    until = {"card": {"capture_before": int(NOON.timestamp()), "amount_authorized": 70}}
    partly = read("charge.succeeded", CHARGE, payment_method_details=until)
    assert partly == HELD.model_copy(update={"expires_at": NOON, "amount_minor": 70})


def test_what_is_left_to_capture_beside_what_was_taken_is_what_was_held() -> None:
    later = read("payment_intent.amount_capturable_updated", INTENT, amount_capturable=40, amount_received=60)
    assert later == HELD
    with pytest.raises(Skipped):
        read("payment_intent.amount_capturable_updated", INTENT, amount_capturable=0, amount_received=60)


def test_all_three_events_that_report_taken_money_report_the_same() -> None:
    taken = reported(
        "capture",
        part="s1",
        reference="ch_1/s1",
        authorization="pi_1",
        amount_minor=100,
        cumulative=True,
        currency="EUR",
    )
    assert read("payment_intent.succeeded", TAKEN) == taken
    assert read("charge.captured", CAPTURED) == taken
    assert read("charge.succeeded", CAPTURED) == taken
    assert PARSERS["stripe"](event("payment_intent.succeeded", TAKEN)) == taken
    older = {name: value for name, value in TAKEN.items() if name != "latest_charge"}
    assert read("payment_intent.succeeded", older, charges={"data": [{"id": "ch_1"}]}) == taken
    partly = read("charge.captured", CAPTURED, amount_captured=60)
    assert partly == taken.model_copy(update={"amount_minor": 60})


def test_what_takes_all_at_once_names_no_part() -> None:
    taken = read("payment_intent.succeeded", TAKEN, metadata={"payment_id": "o.1"}, latest_charge={"id": "ch_1"})
    assert isinstance(taken, p.RecordReport)
    assert (taken.part, taken.reference, taken.authorization) == ("", "ch_1", "pi_1")


@pytest.mark.parametrize(
    ("code", "retriable"), [("insufficient_funds", True), ("try_again_later", True), ("stolen_card", False)]
)
def test_an_intent_that_fails_may_yet_succeed_with_another_card(code: str, *, retriable: bool) -> None:
    error = {"code": "card_declined", "decline_code": code, "message": "Your card was declined."}
    said: Any = {"reason": "Your card was declined.", "authorization": "pi_1", "retriable": retriable}
    declined = reported("authorize", "declined", final=False, **said)
    assert read("payment_intent.payment_failed", INTENT, last_payment_error=error) == declined


def test_a_charge_of_no_intent_that_failed_is_a_decline_for_good() -> None:
    declined = read("charge.failed", CHARGE, failure_code="expired_card", failure_message="expired")
    assert declined == reported("authorize", "declined", final=False, reason="expired", authorization="pi_1")
    alone = read("charge.failed", CHARGE, payment_intent=None, failure_code="expired_card", failure_message="expired")
    assert alone == reported("authorize", "declined", final=True, reason="expired", authorization="ch_1")


def test_what_stripe_lets_go_by_itself_has_expired_and_what_a_person_lets_go_is_voided() -> None:
    of: Any = {"reference": "pi_1/canceled", "authorization": "pi_1"}
    expired = read("payment_intent.canceled", INTENT, cancellation_reason="automatic")
    assert expired == reported("expire", **of, reason="automatic")
    assert read("charge.expired", CHARGE) == reported("expire", reference="ch_1")
    voided = read("payment_intent.canceled", INTENT, cancellation_reason="requested_by_customer")
    assert voided == reported("void", **of, reason="requested_by_customer")


def test_a_refund_is_done_or_has_failed_or_is_reported_of_later() -> None:
    of: Any = {"part": "r1", "reference": "re_1", "amount_minor": 40, "currency": "EUR"}
    done = reported("refund", **of)
    assert read("refund.updated", REFUND) == read("charge.refund.updated", REFUND) == done
    assert read("charge.refunded", CAPTURED, refunds={"data": [REFUND]}) == done
    failed = read("refund.failed", REFUND, status="failed", failure_reason="expired_or_canceled_card")
    assert failed == reported("refund", "declined", **of, reason="expired_or_canceled_card")
    for status in ("pending", "requires_action"):
        with pytest.raises(Skipped):
            read("refund.created", REFUND, status=status)
    assert "data.object.status" in refusal(event("refund.updated", REFUND, status="beamed_up")).detail


def test_a_charge_that_does_not_name_its_refunds_says_how_much_is_given_back_in_all() -> None:
    answer = read("charge.refunded", CAPTURED, amount_captured=60, amount_refunded=50)  # 40 were never taken
    assert isinstance(answer, p.RecordReport)
    assert (answer.operation, answer.amount_minor, answer.cumulative) == ("refund", 10, True)
    with pytest.raises(Skipped):
        read("charge.refunded", CAPTURED, amount_captured=60, amount_refunded=40)


@pytest.mark.parametrize(
    ("kind", "status", "outcome"),
    [
        ("charge.dispute.created", "needs_response", "opened"),
        ("charge.dispute.funds_withdrawn", "needs_response", "opened"),
        ("charge.dispute.closed", "won", "won"),
        ("charge.dispute.closed", "prevented", "won"),
        ("charge.dispute.funds_reinstated", "won", "won"),
        ("charge.dispute.closed", "lost", "lost"),
    ],
)
def test_a_dispute_is_opened_won_or_lost(kind: str, status: str, outcome: str) -> None:
    said: Any = {"part": "dp_1", "amount_minor": 40, "reason": "general", "currency": "EUR"}
    assert read(kind, DISPUTE, status=status) == reported("dispute", outcome, **said)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("warning_needs_response", "opened"), ("warning_under_review", "opened"), ("warning_closed", "won")],
)
def test_an_inquiry_is_no_dispute_until_money_is_withdrawn(status: str, outcome: str) -> None:
    said: Any = {"part": "dp_1", "amount_minor": 40, "reason": "general", "currency": "EUR"}
    for kind in ("charge.dispute.created", "charge.dispute.updated", "charge.dispute.closed"):
        assert read(kind, DISPUTE, status=status) == reported("dispute", outcome, **said, final=False)
    withdrawn = read("charge.dispute.funds_withdrawn", DISPUTE, status="warning_under_review")
    assert withdrawn == reported("dispute", "opened", **said)


def test_what_does_not_say_whose_it_is_is_about_whatever_its_names_lead_to() -> None:
    as_sent = read("charge.dispute.created", DISPUTE, charge="ch_1", payment_intent="pi_1", metadata={})
    assert isinstance(as_sent, RecordProviderReport)
    assert as_sent.references == ("dp_1", "ch_1", "pi_1")
    assert (as_sent.report.part, as_sent.report.amount_minor) == ("dp_1", 40)
    refund = read("refund.created", REFUND, charge="ch_1", payment_intent=None, metadata=None)
    assert isinstance(refund, RecordProviderReport)
    assert (refund.references, refund.report.part) == (("re_1", "ch_1"), "re_1")
    for kind, content in (("charge.captured", CAPTURED), ("payment_intent.canceled", INTENT)):
        unnamed = read(kind, content, metadata={})
        assert isinstance(unnamed, RecordProviderReport)
        assert set(unnamed.references) == {"pi_1", "ch_1"}
    again = read("charge.dispute.created", DISPUTE, charge="ch_1", payment_intent="pi_1", metadata={})
    assert again.stream == as_sent.stream
    other = read("charge.dispute.created", DISPUTE, charge="ch_1", payment_intent="pi_1", metadata={}, amount=41)
    assert other.stream != as_sent.stream


@pytest.mark.parametrize(
    ("currency", "sent", "minor"),
    [
        ("eur", 1234, 1234),
        ("jpy", 500, 500),
        ("ugx", 500_000, 5_000),
        ("isk", 500, 5),
        ("mga", 5, 500),
        ("kwd", 5120, 5120),
        ("huf", 1045, 1045),
        ("twd", 800, 800),
        ("bif", 7, 7),
    ],
)
def test_an_amount_is_in_minor_units_of_iso_4217(currency: str, sent: int, minor: int) -> None:
    answer = read("charge.dispute.created", DISPUTE, amount=sent, currency=currency)
    assert isinstance(answer, p.RecordReport)
    assert (answer.amount_minor, answer.currency) == (minor, currency.upper())


def test_the_table_of_currencies_says_where_stripe_and_iso_4217_differ() -> None:
    assert {code for code, n in STRIPE_EXPONENTS.items() if n != exponent_of(code)} == COUNTED_OTHERWISE
    with pytest.raises(ValueError, match="no whole amount of UGX"):
        minor_of(150, "UGX")
    assert (
        "data.object.amount: 150 is no whole amount"
        in refusal(event("charge.dispute.created", DISPUTE, amount=150, currency="ugx")).detail
    )


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("payment_intent.amount_capturable_updated", INTENT),
        ("payment_intent.succeeded", INTENT),
        ("charge.succeeded", CHARGE),
        ("charge.captured", CAPTURED),
        ("charge.refunded", CAPTURED | {"amount_refunded": 40}),
        ("charge.dispute.created", DISPUTE),
    ],
)
@pytest.mark.parametrize("named", [{}, {"currency": None}])
def test_an_amount_without_its_currency_is_refused_by_the_name_of_the_field(
    kind: str, content: dict[str, Any], named: dict[str, None]
) -> None:
    without = {name: value for name, value in content.items() if name != "currency"}
    assert refusal(event(kind, without | named)).detail.startswith("data.object.currency: it is missing")


@pytest.mark.parametrize("kind", [*sorted(SKIPPED), *(f"{family}anything" for family in SKIPPED_FAMILIES)])
def test_what_says_nothing_of_a_payment_is_skipped(kind: str) -> None:
    with pytest.raises(Skipped, match=kind):
        parse_event(event(kind, {"id": "x"}))
    assert kind not in READERS


@pytest.mark.parametrize(
    ("kind", "content", "field"),
    [
        ("payment_intent.amount_capturable_updated", INTENT, "amount_capturable"),
        ("charge.succeeded", CHARGE, "amount"),
        ("refund.updated", REFUND, "amount"),
        ("charge.dispute.created", DISPUTE, "amount"),
        ("charge.dispute.created", DISPUTE, "status"),
        ("charge.captured", CHARGE, "id"),
    ],
)
def test_a_reason_names_the_field_and_an_amount_is_never_made_up(
    kind: str, content: dict[str, Any], field: str
) -> None:
    without = {name: value for name, value in content.items() if name != field}
    assert refusal(event(kind, without)).detail.startswith(f"data.object.{field}: ")
    assert refusal(event(kind, content, **{field: -1})).detail.startswith(f"data.object.{field}: ")


def test_what_is_not_known_or_makes_no_sense_says_what_to_do() -> None:
    assert "take it off" in refusal(event("charge.unheard_of", {"id": "ch_1"})).detail
    for nonsense in (b"", b"[]", b"{}", event("charge.captured", {})):
        assert refusal(nonsense).reason == "bad_callback"


def test_an_event_of_a_connected_account_pays_for_nothing_whatever_its_metadata_name() -> None:
    ours = event("payment_intent.succeeded", TAKEN)
    assert isinstance(parse_event(ours), p.RecordReport)
    theirs = json.dumps(json.loads(ours) | {"account": "acct_1"}).encode()
    assert refusal(theirs).reason == "other_account"
    skipped = json.loads(event("payout.paid", {"id": "po_1"})) | {"account": "acct_1"}
    with pytest.raises(Skipped):
        parse_event(json.dumps(skipped).encode())


def test_a_card_number_in_the_place_of_a_reference_is_refused_and_not_repeated() -> None:
    for metadata in (OURS, {}):
        refused = refusal(
            event("payment_intent.amount_capturable_updated", INTENT, id="4242424242424242", metadata=metadata)
        )
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
        event("payment_intent.succeeded", TAKEN),
        event("charge.captured", CAPTURED),
        event("charge.succeeded", CAPTURED),
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
def test_every_real_object_is_read_with_what_is_ours_and_without(kind: str) -> None:
    name = "dispute" if "dispute" in kind else "refund" if "refund." in kind else kind.partition(".")[0]
    envelope, content = real("event"), real(name)
    if kind == "charge.refunded":
        content["refunds"] = {**content["refunds"], "data": [real("refund")]}
    if kind == "payment_intent.amount_capturable_updated":
        content["amount_capturable"] = content["amount"]
    for metadata, shape in ((OURS, p.RecordReport), ({}, RecordProviderReport)):
        named = content | {"metadata": metadata}
        command = parse_event(json.dumps(envelope | {"type": kind, "data": {"object": named}}).encode())
        assert type(command) is shape


def test_every_other_real_object_is_skipped() -> None:
    envelope = real("event")
    for kind, name in (
        ("plan.created", "event"),
        ("payout.paid", "payout"),
        ("payment_method.attached", "payment_method"),
    ):
        with pytest.raises(Skipped):
            parse_event(json.dumps(envelope | {"type": kind, "data": {"object": real(name)}}).encode())
