"""Money that is asked of Stripe: its client, over HTTP, and a server that keeps books and fails as Stripe does."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from random import Random
from typing import Any
from uuid import UUID, uuid5

import pytest

from oms_es.gateways.loopback.stripe_books import HOLD_SECONDS, StripeBooks
from oms_es.gateways.loopback.stripe_server import Mishap, StripeServer
from oms_es.gateways.payment import stripe as webhooks
from oms_es.gateways.payment.port import Answer, Ask, Operation, PaymentGateway
from oms_es.gateways.payment.stripe_provider import StripeProvider
from oms_es.kernel import Command, GatewayUnavailable, Recorded, Refused, Skipped
from oms_es.schemas import order as o
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.payment import PaymentEvent
from oms_es.schemas.stock import ReceiveStock
from outside import Outside
from shop import an_order
from whole_engine import WholeEngine, failed

KEY = "sk_test_loopback"
NOON = 1_800_000_000
CARD = "pm_card_visa"


class Account:
    """Stripe as one account sees it, and our provider beside it."""

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
        """What its webhooks have said so far."""
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


def one(provider: StripeProvider, ask: Ask) -> Answer:
    (answer,) = provider.submit([ask])
    return answer


def found(provider: StripeProvider, ask: Ask) -> str:
    (answer,) = provider.find([ask])
    return answer.outcome


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
    assert found(provider, ask) == ("succeeded" if mishap == "lost" else "absent")
    first, again = provider.submit([ask]), provider.submit([ask])
    if not (forgets and mishap == "lost" and operation in ("authorize", "reauthorize")):  # the gateway looks first
        made = len(account.books.intents) - before[0], len(account.books.refunds) - before[1]
        assert made == (operation in ("authorize", "reauthorize"), operation == "refund")
    assert [answer.outcome for answer in (*first, *again)] == ["succeeded"] * 2
    assert found(provider, ask) == "succeeded"


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
    assert found(provider, back) == "succeeded"
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
    assert found(provider, ask) == "absent"
    assert one(provider, ask).reference == intent
    assert found(provider, ask) == "succeeded"
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
    """stripe-mock checks the parameters of requests, and makes up what it answers."""
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


class StripeOutside(Outside):
    """Money is asked of Stripe; warehouse and carrier answer as usual."""

    def __init__(self, engine: WholeEngine, account: Account, provider: StripeProvider) -> None:
        super().__init__(engine)
        self.account = account
        self.gateway = PaymentGateway(provider)

    def answers(self, intent: Recorded) -> list[list[Command]]:
        if not isinstance(intent.event, PaymentEvent):
            return super().answers(intent)
        (commands,) = self.gateway.perform([intent])
        return [list(commands)]


class Story:
    """Orders of one shop, in an order of things that a seed draws."""

    def __init__(self, account: Account, seed: int) -> None:
        self.random = Random(seed)
        self.account = account
        self.engine = WholeEngine()
        provider = account.provider(multicapture=bool(seed % 2))
        self.outside = StripeOutside(self.engine, account, provider)
        self.read = 0
        self.waiting: list[Command] = []
        for location in ("berlin", "paris"):
            self.engine.submit(OpenLocation(location=location, country="DE"))
        self.engine.submit(ReceiveStock(sku="A", location="berlin", receipt_id="r", quantity=50))
        self.engine.submit(ReceiveStock(sku="B", location="paris", receipt_id="r", quantity=50))

    def order(self, number: int, card: str) -> None:
        lines = [("A", self.random.randint(1, 3)), ("B", self.random.randint(1, 3))][: self.random.randint(1, 2)]
        self.engine.submit(an_order(str(number), *lines, payment_token=card))

    def something(self) -> None:
        """One step of the world: an answer, a webhook, a mishap at Stripe, or somebody changes their mind."""
        chance = self.random.random()
        if chance < 0.15:
            self.account.mishaps.append(self.random.choice(["lost", "dropped", "busy", "broken"]))
        elif chance < 0.45:
            self.hear()
        elif chance < 0.5:
            self.change_of_mind()
        self.answer()
        self.engine.settle()

    def answer(self) -> None:
        intents = list(self.outside.look())
        if not intents:
            return
        intent = self.random.choice(intents)
        try:
            commands = list(self.outside.answer(intent))
        except GatewayUnavailable:
            self.outside.open.append(intent)
            return
        for command in commands:
            self.engine.submit(command)

    def hear(self) -> None:
        """A webhook, late or twice."""
        heard = self.account.reported()
        self.waiting += heard[self.read :]
        self.read = len(heard)
        if self.waiting:
            command = self.random.choice(self.waiting)
            if self.random.random() < 0.8:
                self.waiting.remove(command)
            self.engine.submit(command)

    def change_of_mind(self) -> None:
        row = self.random.choice(self.engine.open_rows("order_status"))
        if row["phase"] not in ("completed", "cancelled"):
            self.engine.submit(o.CancelOrder(order_id=row["order_id"], reason="changed my mind"))
            return
        if row["phase"] == "completed":
            refund = {"refund_id": f"r{self.random.randint(1, 2)}", "goodwill_minor": self.random.randint(1, 5_000)}
            with suppress(Refused):
                self.engine.submit(o.RefundOrder(order_id=row["order_id"], **refund))

    def finish(self) -> None:
        """Until nobody has anything to say, and what was pending was asked after."""
        self.account.mishaps.clear()
        for _ in range(4):
            while self.outside.look():
                self.answer()
                self.engine.settle()
            self.account.books.settle_refunds()
            while self.waiting or self.read < len(self.account.reported()):
                self.hear()
                self.engine.settle()
            self.engine.pass_time(3_600)
            self.engine.settle()


@pytest.mark.parametrize("seed", range(3))
def test_whatever_gets_lost_our_books_are_stripes(account: Account, seed: int) -> None:
    story = Story(account, seed)
    for number in range(8):
        cards = [CARD, CARD, "pm_card_pendingRefund", "pm_card_visa_chargeDeclinedInsufficientFunds"]
        story.order(number, story.random.choice(cards))
        for _ in range(story.random.randint(1, 12)):
            story.something()
    story.finish()
    assert not failed(story.engine.history)
    payments = story.engine.open_rows("payments")
    assert sum(payment["captured_minor"] for payment in payments) > 0
    for payment in payments:
        intents = [
            i for i in account.books.intents.values() if i["metadata"].get("payment_id") == payment["payment_id"]
        ]
        given_back = [x for i in intents for x in account.books.refunds_of(i["id"]) if x["status"] == "succeeded"]
        theirs = sum(i["amount_received"] for i in intents), sum(x["amount"] for x in given_back)
        assert theirs == (payment["captured_minor"], payment["refunded_minor"]), payment
