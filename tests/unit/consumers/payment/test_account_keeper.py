"""The account keeper answers payments that name an account, and no others."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from oms_es.consumers.payment import account_keeper
from oms_es.gateways.payment.port import PaymentGateway
from oms_es.kernel import Command, Event, Recorded
from oms_es.schemas import payment as p
from oms_es.schemas.finance import account as a

PAYMENT: Any = {"payment_id": "o.1", "order_id": "o"}
MONEY: Any = {**PAYMENT, "amount_minor": 600, "currency": "EUR"}
OF_ACCOUNT: Any = {"account_id": "ACME-1", **MONEY}
OWNER = {"order_id": "o", "channel": "shop", "customer_id": "C-1", "joined_from": ["p"]}
HELD: Any = {"authorization": "account:ACME-1:2"}
ENTRY: Any = {**OF_ACCOUNT, "number": 3, "balance_minor": 1000, "held_minor": 0}


def reactions(event: Event, *, known: bool = True) -> list[Command]:
    reaction = account_keeper.consumer.reactions[type(event)]
    results = {
        "accounts": {name: [{"account_id": name}] if known else [] for name in ("ACME-1",)},
        "account_orders": {"o": [OWNER]},
    }
    more = (results,) if reaction.lookups else ()
    return list(reaction.handler(event, *more))


def requested(method: str = "account") -> p.PaymentRequested:
    return p.PaymentRequested(**MONEY, payment_token="ACME-1", method=method)


ASKED: list[tuple[Event, Command]] = [
    (requested(), a.HoldForPayment(**OF_ACCOUNT, channel="shop", customer_id="C-1", joined_from=("p",))),
    (
        p.PaymentCaptureRequested(**MONEY, **HELD, capture_id="s-1"),
        a.ApplyForPayment(**OF_ACCOUNT, part="s-1"),
    ),
    (p.PaymentVoidRequested(**MONEY, **HELD), a.ReleaseForPayment(**OF_ACCOUNT)),
    (
        p.PaymentRefundRequested(**MONEY, **HELD, refund_id="r-1"),
        a.CreditFromPayment(**OF_ACCOUNT, part="r-1"),
    ),
    (
        p.PaymentRefundRequested(**MONEY, authorization="pi_1", refund_id="r-1", to_account="ACME-1"),
        a.CreditFromPayment(**OF_ACCOUNT, part="r-1"),
    ),
]
OTHERS: list[Event] = [
    requested("card"),
    p.PaymentCaptureRequested(**MONEY, authorization="pi_1", capture_id="s-1"),
    p.PaymentVoidRequested(**MONEY, authorization="pi_1"),
    p.PaymentRefundRequested(**MONEY, authorization="pi_1", refund_id="r-1"),
    p.PaymentReauthorizationRequested(**MONEY, capture_id="s-1", payment_token="tok", method="card"),
    a.AccountCredited(**{**ENTRY, "payment_id": ""}, entry_id="in-1"),
]


@pytest.mark.parametrize(("event", "command"), ASKED)
def test_what_names_an_account_is_asked_of_it(event: Event, command: Command) -> None:
    assert reactions(event) == [command]


@pytest.mark.parametrize("event", OTHERS)
def test_what_names_none_is_left_to_others(event: Event) -> None:
    assert reactions(event) == []


def test_an_account_that_is_not_there_pays_and_takes_nothing() -> None:
    reason = account_keeper.NO_ACCOUNT
    assert reactions(requested(), known=False) == [p.RecordDecline(payment_id="o.1", reason=reason)]
    refund = p.PaymentRefundRequested(**MONEY, authorization="pi_1", refund_id="r-1", to_account="ACME-1")
    assert reactions(refund, known=False) == [p.RecordRefundFailure(payment_id="o.1", refund_id="r-1", reason=reason)]


REFERENCE: Any = {"payment_id": "o.1", "reference": "account:ACME-1:3"}


@pytest.mark.parametrize(
    ("event", "command"),
    [
        (a.AccountHeld(**ENTRY, hold_id="o.1"), p.RecordAuthorization(**REFERENCE)),
        (
            a.AccountHoldApplied(**ENTRY, hold_id="o.1", entry_id="o.1/s-1", part="s-1"),
            p.RecordCapture(**REFERENCE, capture_id="s-1"),
        ),
        (a.AccountHoldReleased(**ENTRY, hold_id="o.1"), p.RecordVoid(**REFERENCE)),
        (
            a.AccountCredited(**ENTRY, entry_id="o.1/r-1", part="r-1"),
            p.RecordRefund(**REFERENCE, refund_id="r-1"),
        ),
    ],
)
def test_what_an_account_did_its_payment_learns(event: Event, command: Command) -> None:
    assert reactions(event) == [command]


@pytest.mark.parametrize(
    ("operation", "command"),
    [
        ("hold", p.RecordDecline(payment_id="o.1", reason="no", retriable=True)),
        ("apply", p.RecordCaptureFailure(payment_id="o.1", reason="no", capture_id="1")),
        ("release", p.RecordVoidFailure(payment_id="o.1", reason="no", void_id="1")),
        ("credit", p.RecordRefundFailure(payment_id="o.1", reason="no", refund_id="1")),
    ],
)
def test_what_an_account_refuses_fails(operation: Any, command: Command) -> None:
    refused = a.AccountPaymentRefused(**OF_ACCOUNT, part="1", operation=operation, reason="no", retriable=True)
    assert reactions(refused) == [command]


def test_a_hold_of_an_account_is_not_renewed() -> None:
    asked = p.PaymentReauthorizationRequested(**MONEY, capture_id="s-1", payment_token="ACME-1", method="account")
    (declined,) = reactions(asked)
    assert isinstance(declined, p.RecordReauthorizationDecline)


class NotToBeAsked:
    def submit(self, asks: Any) -> Any:
        raise AssertionError(asks)

    find = submit


@pytest.mark.parametrize("event", [event for event, _ in ASKED])
def test_a_provider_is_not_asked_about_accounts(event: Event) -> None:
    intent = Recorded(1, "payment-o.1", 1, event, UUID(int=1), datetime(2026, 1, 1, tzinfo=UTC), None, "o", "engine")
    assert PaymentGateway(NotToBeAsked()).perform([intent]) == [()]
