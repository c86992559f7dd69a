"""Providers beside each other: a payment goes where it says, and what rests on it goes back there, whatever is set."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid5

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from oms_es.gateways.loopback.alipay_books import AlipayBooks
from oms_es.gateways.loopback.alipay_server import AlipayServer
from oms_es.gateways.loopback.stripe_books import StripeBooks
from oms_es.gateways.loopback.stripe_server import StripeServer
from oms_es.gateways.loopback.wechatpay_books import WeChatBooks
from oms_es.gateways.loopback.wechatpay_server import WeChatPayServer
from oms_es.gateways.payment.alipay import client as alipay
from oms_es.gateways.payment.alipay.provider import AlipayProvider
from oms_es.gateways.payment.port import Ask, PaymentGateway, PaymentProvider
from oms_es.gateways.payment.routing import UNKNOWN, Providers, provider_of
from oms_es.gateways.payment.stripe_provider import StripeProvider
from oms_es.gateways.payment.wechatpay import client as wechatpay
from oms_es.gateways.payment.wechatpay.provider import WeChatPayProvider
from oms_es.gateways.payment.wechatpay.signing import Merchant
from oms_es.kernel import Recorded
from oms_es.processing.metrics import PAYMENT_ANSWERS
from oms_es.schemas import payment as p
from oms_es.schemas.catalog.routes import PAYMENT_GATEWAYS
from whole_engine import START

NOW = START.timestamp()
URL = "https://shop.example/v1/webhooks/x"
KEY = generate_private_key(65_537, 2_048)
API_KEY = "0123456789abcdef0123456789abcdef"


class World(NamedTuple):
    providers: dict[str, PaymentProvider]
    wechat: WeChatBooks
    alipay: AlipayBooks
    stripe: StripeBooks

    def having(self, *names: str) -> Providers:
        return Providers({name: self.providers[name] for name in names})


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    wechat, ali = WeChatBooks("19", "wx", lambda: NOW), AlipayBooks("20", "21", lambda: NOW)
    stripe = StripeBooks(lambda: int(NOW))
    wechat_server = WeChatPayServer(wechat, API_KEY, KEY.public_key(), "5157")
    ali_server = AlipayServer(ali, KEY.public_key())
    usual: dict[str, Any] = {"notify_url": URL, "subject": "Order", "open_seconds": 1_800}
    with (
        wechat_server.listening() as at_wechat,
        ali_server.listening() as at_alipay,
        StripeServer(stripe, "sk_test").listening() as at_stripe,
    ):
        merchant = Merchant("19", "wx", "5157", KEY)
        to_wechat = wechatpay.Client(merchant, API_KEY, base=at_wechat, clock=lambda: NOW)
        to_alipay = alipay.Client("20", KEY, ali_server.key.public_key(), base=at_alipay, clock=lambda: NOW)
        providers: dict[str, PaymentProvider] = {
            "stripe": StripeProvider("sk_test", api_base=at_stripe, multicapture=False),
            "wechatpay": WeChatPayProvider(to_wechat, **usual),
            "alipay": AlipayProvider(to_alipay, return_url="", **usual),
        }
        yield World(providers, wechat, ali, stripe)


def asked(operation: Any, number: int, token: str = "", authorization: str = "", currency: str = "CNY") -> Ask:
    key = uuid5(UUID(int=1), f"{operation}{number}")
    part = "r1" if operation == "refund" else ""
    return Ask(key, operation, f"o.{number}", part, 500, currency, token, authorization, asked_at=START)


ALL = ("stripe", "wechatpay", "alipay")
DECLINES = {"authorize": p.RecordDecline, "reauthorize": p.RecordReauthorizationDecline}


def requests_made(world: World) -> tuple[int, int, int]:
    return len(world.wechat.orders), len(world.alipay.prepared), len(world.stripe.intents)


def requested(operation: str, gateway: str) -> Recorded:
    """Return the intent that asks for a payment at a gateway."""
    of: Any = {"payment_id": "o.62", "order_id": "o", "amount_minor": 500, "currency": "EUR", "gateway": gateway}
    intent = (
        p.PaymentRequested(**of, payment_token="pm_card_visa")
        if operation == "authorize"
        else p.PaymentReauthorizationRequested(**of, capture_id="c1", payment_token="pm_card_visa", method="card")
    )
    return Recorded(1, "payment-o.62", 1, intent, UUID(int=62), START, None, "o", "engine")


def test_each_payment_goes_where_its_token_says_and_its_refund_goes_back_there(world: World) -> None:
    providers = world.having(*ALL)
    tokens = ["native", "pm_card_visa", "qr", "jsapi:oUpF8", "page"]
    starting = [
        asked("authorize", n, token, currency="EUR" if "pm" in token else "CNY") for n, token in enumerate(tokens)
    ]
    answers = providers.submit(starting)
    kinds = [answer.action.kind if answer.action else answer.outcome for answer in answers]
    assert kinds == ["qr_code", "succeeded", "qr_code", "app", "page"], "in the order in which they were asked"
    assert (len(world.wechat.orders), len(world.alipay.prepared), len(world.stripe.intents)) == (2, 1, 1)
    assert world.wechat.pay(starting[0].key.hex)
    assert world.alipay.pay(starting[2].key.hex)
    references = [f"alipay:{starting[2].key.hex}", f"wechatpay:{starting[0].key.hex}"]
    refunds = [asked("refund", n, authorization=one) for n, one in enumerate(references)]
    assert [answer.outcome for answer in providers.submit(refunds)] == ["succeeded"] * 2
    assert [answer.outcome for answer in providers.find(refunds)] == ["succeeded"] * 2
    assert (len(world.wechat.refunds), len(world.alipay.refunds), len(world.stripe.refunds)) == (1, 1, 0)


@pytest.mark.parametrize(
    ("there", "operation", "token", "authorization"),
    [
        (("stripe",), "refund", "", "wechatpay:1"),
        (("stripe", "alipay"), "close", "", "wechatpay:1"),
        (("wechatpay",), "refund", "", "pi_1"),
        (("wechatpay", "alipay"), "capture", "", "pi_1"),
    ],
)
def test_what_rests_on_a_provider_that_is_not_set_up_waits_for_it(
    world: World, there: tuple[str, ...], operation: str, token: str, authorization: str
) -> None:
    providers, ask = world.having(*there), asked(operation, 20, token, authorization)
    for question in (providers.submit, providers.find):
        (answer,) = question([ask])
        assert answer.outcome == "unavailable", "it is held, and others go on"
        assert "OMS_PAYMENTS" in answer.reason


def test_what_waits_for_a_provider_that_was_taken_out_keeps_no_other_from_its_answer(world: World) -> None:
    asks = [asked("refund", 40, authorization="wechatpay:1"), asked("authorize", 41, "pm_card_visa", currency="EUR")]
    assert [a.outcome for a in world.having("stripe", "alipay").submit(asks)] == ["unavailable", "succeeded"]


def test_a_new_payment_that_no_one_here_takes_is_declined_and_asked_of_no_other(world: World) -> None:
    made = len(world.wechat.orders), len(world.alipay.prepared), len(world.stripe.intents)
    asks = [
        (world.having("stripe", "alipay"), asked("authorize", 30, "native")),
        (world.having("wechatpay", "alipay"), asked("authorize", 31, "pm_card_visa")),
        (world.having("wechatpay"), asked("authorize", 32, "qr")),
        (world.having("alipay"), asked("authorize", 33, "on-file")),
    ]
    for providers, ask in asks:
        (answer,) = providers.submit([ask])
        assert (answer.outcome, bool(answer.reason), answer.retriable) == ("declined", True, False)
    assert made == (len(world.wechat.orders), len(world.alipay.prepared), len(world.stripe.intents))


def test_where_a_payment_goes_follows_from_what_it_says_alone() -> None:
    ask = asked("authorize", 1, "native")
    same = [ask, ask._replace(chased=True), ask._replace(last=True), ask._replace(asked_at=None, method="card")]
    assert {provider_of(one) for one in same} == {"wechatpay"}
    assert provider_of(asked("reauthorize", 1, "pi_1")) == "stripe"
    assert provider_of(asked("void", 1, authorization="pi_wechatpay:")) == "stripe"


def test_a_named_gateway_is_asked_whatever_the_token_says_and_all_that_follows_goes_there(world: World) -> None:
    """By its token the payment would go to Alipay, and by its authorization the refund."""
    before = len(world.stripe.intents), len(world.alipay.prepared)
    named = asked("authorize", 50, "qr", currency="CNY")._replace(gateway="stripe")
    follows = asked("refund", 50, authorization="alipay:whatever")._replace(gateway="stripe")
    providers = world.having(*ALL)
    providers.submit([named])
    (refunded,) = providers.submit([follows])
    assert (len(world.stripe.intents) - before[0], len(world.alipay.prepared)) == (1, before[1])
    assert refunded.outcome == "declined", "Stripe has no such charge, and Alipay was not asked"


@pytest.mark.parametrize("operation", ["authorize", "reauthorize", "capture", "refund", "void"])
def test_what_names_a_gateway_that_is_not_set_up_waits_for_it_and_is_asked_of_no_other(
    world: World, operation: str
) -> None:
    made = requests_made(world)
    for there in (("stripe",), ("stripe", "wechatpay")):
        ask = asked(operation, 60, "pm_card_visa", "pi_1", currency="EUR")._replace(gateway="alipay")
        for question in (world.having(*there).submit, world.having(*there).find):
            (answer,) = question([ask])
            assert (answer.outcome, "alipay" in answer.reason) == ("unavailable", True)
    assert made == requests_made(world)


@pytest.mark.parametrize("operation", ["authorize", "reauthorize"])
@pytest.mark.parametrize("hours", [0, 13], ids=["asked", "looked up"])
def test_a_new_payment_for_a_gateway_that_does_not_exist_is_declined_and_holds_up_nothing(
    world: World, operation: str, hours: int
) -> None:
    """It was never asked of anything. A route of the right name takes the next attempt."""
    made = requests_made(world)
    for there in (("stripe",), ALL):
        gateway = PaymentGateway(world.having(*there), now=lambda: START + timedelta(hours=hours))
        (said,) = gateway.perform([requested(operation, "Stripe")])
        assert [type(one) for one in said] == [DECLINES[operation]]
        assert getattr(said[0], "retriable") is True  # noqa: B009 - commands of two kinds
        reason = getattr(said[0], "reason")  # noqa: B009
        assert "no payment gateway Stripe" in reason
        assert "retry the payment" in reason
    assert made == requests_made(world)


@pytest.mark.parametrize("operation", ["capture", "refund", "void"])
def test_what_follows_at_a_gateway_that_does_not_exist_is_no_decline(world: World, operation: str) -> None:
    """Who authorised it is not known: money may be held there."""
    ask = asked(operation, 61, "pm_card_visa", "pi_1", currency="EUR")._replace(gateway="Stripe")
    (answer,) = world.having(*ALL).submit([ask])
    assert answer.outcome == "unavailable"


def test_answers_are_counted_under_the_names_of_gateways_that_there_are(world: World) -> None:
    names = [*(f"g{n}" for n in range(5)), "alipay", "stripe"]
    asks = [asked("authorize", 70, "pm_card_visa", currency="EUR")._replace(gateway=name) for name in names]
    world.having("stripe").submit(asks)
    labels = {sample.labels["provider"] for metric in PAYMENT_ANSWERS.collect() for sample in metric.samples}
    assert {"alipay", "stripe", UNKNOWN} <= labels <= {*PAYMENT_GATEWAYS, UNKNOWN}
