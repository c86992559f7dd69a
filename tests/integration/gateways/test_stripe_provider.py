"""Payments at Stripe over HTTP: its client, with a server that keeps accounts and fails as Stripe does."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid5

import pytest

from oms_es.gateways.loopback.stripe_books import HOLD_SECONDS, StripeBooks
from oms_es.gateways.loopback.stripe_server import Mishap, StripeServer
from oms_es.gateways.payment import stripe as webhooks
from oms_es.gateways.payment.port import Ask, Operation
from oms_es.gateways.payment.stripe_provider import StripeProvider
from oms_es.kernel import Command, GatewayUnavailable, Skipped
from provider_story import Story, found, one
from shop import an_order

KEY = "sk_test_loopback"
NOON = 1_800_000_000
CARD = "pm_card_visa"


class Account:
    """Stripe as one account sees it, with our provider client."""

    def __init__(self) -> None:
        self.now = NOON
        self.books = StripeBooks(lambda: self.now)
        self.mishaps: list[Mishap] = []
        self.server = StripeServer(self.books, KEY, lambda *_: self.mishaps.pop(0) if self.mishaps else "")
        self.numbers = iter(range(1, 10_000))
        self.address = ""

    def provider(self, *, multicapture: bool = False, key: str = KEY) -> StripeProvider:
        return StripeProvider(key, api_base=self.address, multicapture=multicapture)

    def ask(self, operation: Operation, part: str = "", amount: int = 1_000, **more: Any) -> Ask:
        key = uuid5(UUID(int=0), str(next(self.numbers)))
        usual: dict[str, Any] = {"currency": "EUR", "payment_token": CARD, "authorization": ""}
        named = {"payment_id": "p'1\\", "part": part, "amount_minor": amount}
        return Ask(key, operation, **{**named, **usual, **more})

    def reported(self) -> list[Command]:
        """Return what its webhooks have reported so far."""
        return [command for event in self.books.events for command in _read(event)]


def _read(event: dict[str, Any]) -> Iterator[Command]:
    try:
        yield webhooks.parse_event(json.dumps(event).encode())
    except Skipped:
        return


@pytest.fixture
def account() -> Iterator[Account]:
    account = Account()
    with account.server.listening() as account.address:
        yield account


def held(account: Account, provider: StripeProvider, **more: Any) -> str:
    answer = one(provider, account.ask("authorize", **more))
    assert answer.outcome == "succeeded"
    assert answer.expires_at
    assert answer.expires_at.timestamp() == account.now + HOLD_SECONDS
    return answer.reference


@pytest.mark.parametrize("operation", ["authorize", "reauthorize", "capture", "void", "refund"])
@pytest.mark.parametrize("mishap", ["lost", "dropped", "busy", "broken"])
@pytest.mark.parametrize("forgets", [False, True], ids=["key-known", "key-forgotten"])
def test_what_is_asked_again_after_a_mishap_has_been_done_once(
    account: Account, operation: Operation, mishap: Mishap, forgets: bool
) -> None:
    provider = account.provider()
    more: dict[str, Any] = {}
    if operation in ("capture", "void", "refund"):
        more["authorization"] = held(account, provider)
    if operation == "refund":
        assert one(provider, account.ask("capture", "s1", **more)).outcome == "succeeded"
    before = len(account.books.intents), len(account.books.refunds)
    ask = account.ask(operation, "part", **more)
    account.mishaps = ["", mishap] if operation == "refund" else [mishap]  # a refund first looks what may be refunded
    assert one(provider, ask).outcome == "unknown"
    if forgets and mishap != "broken":
        account.server.forget_keys()
    assert found(provider, ask).outcome == ("succeeded" if mishap == "lost" else "absent")
    first, again = provider.submit([ask]), provider.submit([ask])
    if not (forgets and mishap == "lost" and operation in ("authorize", "reauthorize")):  # the gateway looks first
        made = len(account.books.intents) - before[0], len(account.books.refunds) - before[1]
        assert made == (operation in ("authorize", "reauthorize"), operation == "refund")
    assert [answer.outcome for answer in (*first, *again)] == ["succeeded"] * 2
    assert found(provider, ask).outcome == "succeeded"


@pytest.mark.parametrize(
    ("card", "retriable"),
    [
        ("pm_card_visa_chargeDeclinedInsufficientFunds", True),
        ("pm_card_visa_chargeDeclinedStolenCard", False),
        ("pm_card_authenticationRequired", False),
        ("nonsense", False),
        ("pi_nonsense", False),
    ],
)
def test_a_card_that_is_turned_down_is_declined_and_says_whether_it_may_be_tried_again(
    account: Account, card: str, retriable: bool
) -> None:
    answer = one(account.provider(), account.ask("authorize", payment_token=card))
    assert (answer.outcome, answer.retriable) == ("declined", retriable)
    assert answer.reason


def test_an_amount_that_stripe_cannot_say_is_declined(account: Account) -> None:
    answer = one(account.provider(), account.ask("authorize", amount=1_001, currency="MGA"))
    assert (answer.outcome, account.server.requests) == ("declined", 0)


@pytest.mark.parametrize(
    ("currency", "asked", "wanted"), [("ISK", 500, 50_000), ("JPY", 500, 500), ("KWD", 5_000, 5_000)]
)
def test_amounts_are_asked_for_as_stripe_counts_them(account: Account, currency: str, asked: int, wanted: int) -> None:
    held(account, account.provider(), amount=asked, currency=currency)
    (intent,) = account.books.intents.values()
    assert (intent["amount"], intent["currency"]) == (wanted, currency.lower())


@pytest.mark.parametrize("multicapture", [True, False])
def test_an_account_captures_in_parts_or_authorises_each_further_part_again(
    account: Account, multicapture: bool
) -> None:
    provider = account.provider(multicapture=multicapture)
    first = {"authorization": held(account, provider), "final": False}
    assert one(provider, account.ask("capture", "s1", 400, **first)).outcome == "succeeded"
    second = one(provider, account.ask("capture", "s2", 600, **first))
    assert (second.outcome, second.expired) == (("succeeded", False) if multicapture else ("declined", True))
    if not multicapture:
        again = one(provider, account.ask("reauthorize", "s2", 600)).reference
        assert one(provider, account.ask("capture", "s2", 600, authorization=again)).outcome == "succeeded"
    back = account.ask("refund", "r1", 500, authorization=first["authorization"])
    assert one(provider, back).outcome == "succeeded", "of the intent that has so much"
    assert found(provider, back).outcome == "succeeded"
    too_much = one(provider, account.ask("refund", "r2", 501, authorization=first["authorization"]))
    assert (too_much.outcome, bool(too_much.reason)) == ("declined", True)


def test_an_account_that_may_not_capture_in_parts_turns_no_customer_away(account: Account) -> None:
    account.books.multicapture = False
    with pytest.raises(GatewayUnavailable, match="unset OMS_STRIPE_MULTICAPTURE"):
        account.provider(multicapture=True).submit([account.ask("authorize")])


def test_a_wrong_key_is_no_decline(account: Account) -> None:
    provider = account.provider(key="sk_test_wrong")
    for question in (provider.submit, provider.find):
        with pytest.raises(GatewayUnavailable):
            question([account.ask("authorize")])


def test_what_a_customer_confirmed_in_the_shop_is_taken_over_once_and_only_if_it_is_what_is_due(
    account: Account,
) -> None:
    provider = account.provider()
    shop: dict[str, Any] = {"amount": 1_000, "currency": "eur", "payment_method": CARD, "confirm": True}
    intent = account.books.create({**shop, "capture_method": "manual"})["id"]
    ask = account.ask("authorize", payment_token=intent)
    assert found(provider, ask).outcome == "absent"
    assert one(provider, ask).reference == intent
    assert found(provider, ask).outcome == "succeeded"
    other = ask._replace(payment_id="another", key=UUID(int=7))
    assert "pays for" in one(provider, other).reason
    assert "is over 1000 EUR" in one(provider, account.ask("authorize", amount=999, payment_token=intent)).reason
    at_once = account.books.create(shop)
    taken = one(provider, account.ask("authorize", payment_token=at_once["id"]))
    assert (taken.outcome, taken.charge) == ("succeeded", at_once["latest_charge"])
    unconfirmed = account.books.create({**shop, "confirm": False})["id"]
    assert one(provider, account.ask("authorize", payment_token=unconfirmed)).outcome == "pending"


def test_a_refund_that_takes_its_time_is_pending_until_its_webhook_says_how_it_ended(account: Account) -> None:
    provider = account.provider()
    for card, outcome in (("pm_card_pendingRefund", "succeeded"), ("pm_card_refundFail", "declined")):
        intent = held(account, provider, payment_token=card)
        one(provider, account.ask("capture", "s1", authorization=intent))
        ask = account.ask("refund", "r1", authorization=intent)
        assert one(provider, ask).outcome == "pending"
        account.books.settle_refunds()
        (answer,) = provider.find([ask])
        assert answer.outcome == outcome


def test_every_request_is_one_that_stripes_published_description_allows(account: Account) -> None:
    """stripe-mock checks the parameters of requests, and answers with made-up data."""
    if not (address := os.environ.get("OMS_TEST_STRIPE_MOCK")):
        pytest.skip("OMS_TEST_STRIPE_MOCK does not say where stripe-mock listens; run `make stripe`")
    account.address = address
    provider = account.provider(multicapture=True, key="sk_test_123")
    authorization: dict[str, Any] = {"authorization": "pi_1"}
    asks = [
        account.ask("authorize"),
        account.ask("reauthorize", "s1", payment_token="pi_1"),
        account.ask("capture", "s1", 400, final=False, **authorization),
        account.ask("void", "v1", **authorization),
        account.ask("refund", "r1", **authorization),
    ]
    answers = provider.submit(asks)
    assert [answer.reason for answer in answers] == ["declined", "declined", "", "", ""], "no request was refused"
    assert len(provider.find(asks)) == len(asks)


class StripeStory(Story):
    def __init__(self, account: Account, seed: int) -> None:
        super().__init__(account.provider(multicapture=bool(seed % 2)), seed)
        self.account = account

    def order(self, number: int) -> None:
        cards = [CARD, CARD, "pm_card_pendingRefund", "pm_card_visa_chargeDeclinedInsufficientFunds"]
        lines = [("A", self.random.randint(1, 3)), ("B", self.random.randint(1, 3))][: self.random.randint(1, 2)]
        self.engine.submit(an_order(str(number), *lines, payment_token=self.random.choice(cards)))

    def happens(self, chance: float) -> None:
        if chance < 0.15:
            self.account.mishaps.append(self.random.choice(["lost", "dropped", "busy", "broken"]))
        elif chance < 0.45:
            self.hear()
        elif chance < 0.5:
            self.change_of_mind()

    def repair(self) -> None:
        self.account.mishaps.clear()

    def settle_there(self) -> None:
        self.account.books.settle_refunds()

    def reports(self) -> int:
        return len(self.account.reported())

    def reported(self, number: int) -> Command:
        return self.account.reported()[number]


@pytest.mark.parametrize("seed", range(3))
def test_whatever_gets_lost_our_books_are_stripes(account: Account, seed: int) -> None:
    for payment in StripeStory(account, seed).run():
        intents = [
            i for i in account.books.intents.values() if i["metadata"].get("payment_id") == payment["payment_id"]
        ]
        given_back = [x for i in intents for x in account.books.refunds_of(i["id"]) if x["status"] == "succeeded"]
        theirs = sum(i["amount_received"] for i in intents), sum(x["amount"] for x in given_back)
        assert theirs == (payment["captured_minor"], payment["refunded_minor"]), payment
