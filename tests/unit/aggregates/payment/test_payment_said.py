"""What each kind of report says is followed to the letter, and what is kept says what it contradicts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from dsl import Given
from oms_es.aggregates.payment import reports
from oms_es.aggregates.payment.decider import decider
from oms_es.kernel import Event
from oms_es.schemas import payment as p

OF: Any = {"payment_id": "o.1", "order_id": "o"}
PAY: Any = {"payment_id": "o.1"}
EUR: Any = {**OF, "currency": "EUR"}
REQUESTED = p.PaymentRequested(**EUR, amount_minor=100, payment_token="tok")
AUTHORIZED = p.PaymentAuthorized(**EUR, amount_minor=100, reference="auth")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def pending(*then: Event) -> Given:
    return Given(decider, REQUESTED, *then)


def held(*then: Event) -> Given:
    """100 are authorised."""
    return pending(AUTHORIZED, *then)


def capture_requested(n: int, key: str = "s1") -> p.PaymentCaptureRequested:
    return p.PaymentCaptureRequested(**EUR, capture_id=key, amount_minor=n, authorization="auth", final=n == 100)


def captured(n: int, reference: str = "ch/s1", key: str = "s1", **more: Any) -> p.PaymentCaptured:
    return p.PaymentCaptured(**EUR, capture_id=key, amount_minor=n, reference=reference, **more)


def report(operation: Any, outcome: Any = "succeeded", **said: Any) -> p.RecordReport:
    if said.get("amount_minor") is not None:
        said.setdefault("currency", "EUR")
    return p.RecordReport(**PAY, operation=operation, outcome=outcome, **said)


def report_of_capture(n: int | None, part: str = "s1", reference: str = "ch/s1", **more: Any) -> p.RecordReport:
    return report(
        "capture", **{"part": part, "reference": reference, "amount_minor": n, "authorization": "auth", **more}
    )


def kept(given: Given, command: p.RecordReport) -> p.PaymentReportKept:
    (event,) = decider.decide(given.state, command)
    assert isinstance(event, p.PaymentReportKept)
    return event


TAKEN = (capture_requested(100), captured(100))
EXPIRED = p.PaymentExpired(**EUR, amount_minor=100, authorization="auth")


def asked_again(n: int, key: str = "s1") -> p.PaymentReauthorizationRequested:
    return p.PaymentReauthorizationRequested(**EUR, amount_minor=n, capture_id=key, payment_token="tok", method="card")


AGAIN = (EXPIRED, asked_again(60))
HELD_AGAIN = p.PaymentReauthorized(**EUR, amount_minor=60, capture_id="s1", reference="auth2")
TAKEN_AGAIN = p.PaymentCaptureRequested(**EUR, capture_id="s1", amount_minor=60, authorization="auth2", final=True)


# --- authorised and declined


def test_money_is_held_until_the_provider_says() -> None:
    until = AUTHORIZED.model_copy(update={"expires_at": NOON})
    pending().when(report("authorize", reference="auth", expires_at=NOON)).then(until)
    assert (
        "is held as auth, where 1.00 EUR was asked for"
        in kept(pending(), report("authorize", reference="auth", amount_minor=99)).why
    )


def test_a_final_decline_ends_the_payment_with_its_reason_and_whether_it_may_be_retried() -> None:
    for retriable in (False, True):
        declined = p.PaymentDeclined(**OF, reason="no funds", retriable=retriable)
        said = report("authorize", "declined", reason="no funds", retriable=retriable)
        pending().when(said).then(declined)
        pending(declined).when(said).then()


# --- held again


def test_money_that_is_held_again_is_captured() -> None:
    for amount in (None, 60):
        said = report("reauthorize", part="s1", reference="auth2", amount_minor=amount)
        held(*AGAIN).when(said).then(HELD_AGAIN, TAKEN_AGAIN)
        held(*AGAIN, HELD_AGAIN, TAKEN_AGAIN).when(said).then()
    wrong = kept(held(*AGAIN), report("reauthorize", part="s1", reference="auth2", amount_minor=59))
    assert wrong.why.startswith("0.59 EUR is held again for s1, where 0.60 EUR was asked for")
    assert not wrong.early


def test_money_that_is_held_again_is_as_much_as_was_asked_although_less_of_it_was_captured() -> None:
    short = p.PaymentCaptureShort(**EUR, capture_id="s1", amount_minor=10)
    less = captured(50)
    begin = (*AGAIN, HELD_AGAIN, TAKEN_AGAIN, short, less)
    held(*begin).when(report("reauthorize", part="s1", reference="auth2", amount_minor=60)).then()


def test_money_that_is_not_held_again_ends_its_capture_with_the_reason() -> None:
    for retriable in (False, True):
        declined = p.PaymentReauthorizationDeclined(
            **EUR, capture_id="s1", amount_minor=60, reason="no funds", retriable=retriable
        )
        said = report("reauthorize", "declined", part="s1", reason="no funds", retriable=retriable)
        held(*AGAIN).when(said).then(declined)
        held(*AGAIN, declined).when(said).then()


def test_a_new_hold_that_is_no_longer_wanted_is_released_under_the_name_of_its_capture() -> None:
    declined = p.PaymentReauthorizationDeclined(
        **EUR, capture_id="s1", amount_minor=60, reason="no funds", retriable=False
    )
    let_go = p.PaymentVoidRequested(**EUR, amount_minor=60, authorization="auth2", void_id="s1")
    released = p.PaymentVoided(**EUR, amount_minor=60, reference="v", void_id="s1")
    failed = p.PaymentVoidFailed(**EUR, amount_minor=60, void_id="s1", reason="x")
    waiting = held(*AGAIN, declined, HELD_AGAIN, let_go)
    for named in ({"part": "s1"}, {"authorization": "auth2"}):
        waiting.when(report("void", reference="v", **named)).then(released)
        waiting.when(report("void", "declined", reason="x", **named)).then(failed)
    over = held(*AGAIN, declined, HELD_AGAIN, let_go, released)
    assert not kept(over, report("void", "declined", part="s1", reason="x")).early


# --- early, or of what was asked for


@pytest.mark.parametrize(
    ("given", "said", "early"),
    [
        (held(capture_requested(100)), report_of_capture(100, currency="USD"), False),
        (held(capture_requested(100)), report_of_capture(100, "", "ch", currency="USD"), False),
        (held(capture_requested(100)), report("capture", "declined", part="s2", reason="x"), True),
        (held(), report_of_capture(101, "", "ch"), True),
        (held(), report("reauthorize", "declined", part="s1", reason="x"), True),
        (held(*TAKEN), report("reauthorize", "declined", part="s1", reason="x"), True),
        (
            held(*AGAIN, HELD_AGAIN, TAKEN_AGAIN),
            report("reauthorize", "declined", part="s1", reason="x"),
            False,
        ),
        (held(), report("dispute", "opened", part="dp", amount_minor=100), False),
    ],
)
def test_a_report_that_does_not_fit_is_early_if_it_is_of_what_was_not_asked_for(
    given: Given, said: p.RecordReport, early: bool
) -> None:
    assert kept(given, said).early is early


def test_so_many_reports_are_kept_and_another_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "KEPT_MAX", 2)
    wrong = [report_of_capture(n, "", "ch") for n in (101, 102, 103)]
    first, second = kept(held(), wrong[0]), kept(held(), wrong[1])
    assert kept(held(first), wrong[1]) == second
    held(first, second).when(wrong[2]).then_refused("contradicts")
    held(first, second).when(wrong[1]).then()


# --- captured


def test_a_capture_without_an_amount_is_as_much_as_was_asked() -> None:
    held(capture_requested(100)).when(report_of_capture(None)).then(captured(100))
    second = (capture_requested(60), captured(60), capture_requested(40, "s2"))
    held(*second).when(report_of_capture(None, "", "other")).then(captured(40, "other/s2", "s2"))


def test_a_capture_may_take_a_cent_and_what_it_may_not_take_is_said() -> None:
    short = p.PaymentCaptureShort(**EUR, capture_id="s1", amount_minor=99)
    held(capture_requested(100)).when(report_of_capture(1)).then(short, captured(1))
    held().when(report_of_capture(1, "", "ch")).then(captured(1, "ch/o.1", "o.1", asked=False))
    more = kept(held(capture_requested(100)), report_of_capture(101))
    assert more.why.startswith("1.01 EUR is taken as ch/s1, where 1.00 EUR was asked for")
    beyond = kept(held(capture_requested(60)), report_of_capture(41, "", "ch"))
    assert beyond.why.startswith("0.41 EUR is taken as ch/o.1, where 0.40 EUR is held and not asked for yet")


def test_a_capture_whose_hold_had_expired_is_asked_for_again() -> None:
    rest = p.PaymentExpired(**EUR, amount_minor=40, authorization="auth")
    said = report("capture", "declined", part="s1", reason="expired", expired=True)
    held(capture_requested(60)).when(said).then(rest, asked_again(60))
    failed = p.PaymentCaptureFailed(**EUR, capture_id="s1", amount_minor=60, reason="no funds")
    held(capture_requested(60)).when(report("capture", "declined", part="s1", reason="no funds")).then(failed)


def test_parts_of_a_charge_that_are_reported_again_by_themselves_or_in_all_are_no_news() -> None:
    two = (capture_requested(60), capture_requested(40, "s2"), captured(60), captured(40, "ch/s2", "s2"))
    held(*two).when(report_of_capture(40, "s2", "ch/s2")).then()
    held(*two).when(report_of_capture(100, "s2", "ch/s2", cumulative=True)).then()
    assert "is taken as ch/s2, known are 0.40 EUR" in kept(held(*two), report_of_capture(39, "s2", "ch/s2")).why


def test_a_charge_is_known_by_its_name_with_or_without_a_part() -> None:
    bare = held(capture_requested(100), captured(100, "ch"))
    assert kept(bare, report_of_capture(100, "", "ch")).why.startswith("capture s1 was reported as ch and now as ch/s1")


def test_what_is_taken_before_it_was_held_is_held_under_the_name_of_its_charge() -> None:
    def at_once(part: str, reference: str, hold: str) -> None:
        key = part or "o.1"
        name = reference if part else f"{reference}/{key}"
        held_as = p.PaymentAuthorized(**EUR, amount_minor=100, reference=hold)
        said = report_of_capture(100, part, reference, authorization="")
        pending().when(said).then(held_as, captured(100, name, key, asked=False))

    at_once("", "ch", "ch")
    at_once("c1", "ch", "ch/held")
    at_once("c1", "ch/1/2", "ch")


# --- released and expired


def test_what_is_released_without_a_reason_was_released_at_the_provider() -> None:
    said = report("void", reference="v", authorization="auth")
    pending().when(said).then(p.PaymentDeclined(**OF, reason="released at the provider", reference="v"))
    reused = kept(held(), report("void", reference="auth", authorization="auth"))
    assert reused.why.startswith("auth is reported for void and was the reference of authorization")


def test_a_payment_that_the_provider_gave_up_before_it_was_held_is_declined_and_a_hold_expires() -> None:
    gave_up = report("expire", authorization="auth", reference="auth/expired", reason="abandoned")
    pending().when(gave_up).then(p.PaymentDeclined(**OF, reason="abandoned", reference="auth/expired"))
    held().when(gave_up).then(EXPIRED)
    held(EXPIRED).when(gave_up).then()


def test_a_report_of_another_currency_or_without_an_amount_is_said_as_it_is() -> None:
    dollars = kept(held(*TAKEN), report_of_capture(100, currency="USD"))
    assert dollars.why.startswith("1.00 USD is reported of a payment of 1.00 EUR")
    unsaid = kept(held(), report_of_capture(None, "c1", "ch/c1"))
    assert unsaid.why.startswith("an amount that is not said is taken as ch/c1, and c1 was never asked for")
    in_euros = kept(held(), report_of_capture(101, "", "ch", currency=None))
    assert in_euros.why.startswith("1.01 EUR is taken as ch/o.1, where 1.00 EUR is held")


def inquiry(outcome: str = "opened", **more: Any) -> p.RecordReport:
    return report("dispute", outcome, part="dp", amount_minor=40, final=False, **more)


def test_an_inquiry_is_kept_for_a_person_and_changes_no_money() -> None:
    given = held(*TAKEN)
    asked = kept(given, inquiry(reason="not received"))
    assert asked.why.startswith("0.40 EUR is asked about in inquiry dp, and nothing is withdrawn")
    waiting = held(*TAKEN, asked)
    assert (waiting.state.disputed, waiting.state.refundable) == (0, given.state.refundable)
    waiting.when(inquiry(reason="not received")).then()
    waiting.when(inquiry("won")).then(p.PaymentReportSettled(**OF, kept_id=asked.kept_id))
    given.when(inquiry("won")).then()


def test_an_inquiry_that_becomes_a_dispute_is_one() -> None:
    asked = kept(held(*TAKEN), inquiry())
    opened = p.PaymentDisputeOpened(**EUR, dispute_id="dp", amount_minor=40, reason="")
    settled = p.PaymentReportSettled(**OF, kept_id=asked.kept_id)
    held(*TAKEN, asked).when(report("dispute", "opened", part="dp", amount_minor=40)).then(opened, settled)
    held(*TAKEN, opened).when(inquiry()).then()


def test_an_inquiry_that_an_earlier_release_booked_as_a_dispute_is_won_when_it_is_closed() -> None:
    opened = p.PaymentDisputeOpened(**EUR, dispute_id="dp", amount_minor=40, reason="")
    held(*TAKEN, opened).when(inquiry("won")).then(p.PaymentDisputeWon(**EUR, dispute_id="dp", amount_minor=40))


def test_a_dispute_says_why() -> None:
    said = report("dispute", "opened", part="dp", amount_minor=40, reason="not received")
    opened = p.PaymentDisputeOpened(**EUR, dispute_id="dp", amount_minor=40, reason="not received")
    held(*TAKEN).when(said).then(opened)
    other = kept(held(*TAKEN, opened), report("dispute", "won", part="dp", amount_minor=41))
    assert other.why.startswith("dispute dp was about 0.40 EUR and is now about 0.41 EUR")
    more = kept(held(*TAKEN), report("dispute", "opened", part="dp", amount_minor=101))
    assert more.why.startswith("dispute dp is about 1.01 EUR, more than what was taken and not given back")
