"""Payments at WeChat Pay over HTTP, with a server that keeps accounts, rotates its keys and fails as WeChat Pay
does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID, uuid5

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from oms_es.gateways.loopback.wechatpay_books import WeChatBooks
from oms_es.gateways.loopback.wechatpay_server import Mishap, WeChatPayServer
from oms_es.gateways.notices import CannotDecide, Forged, NotForUs
from oms_es.gateways.payment.port import Ask, PaymentGateway
from oms_es.gateways.payment.prepaid import refund_name
from oms_es.gateways.payment.wechatpay import dialect, signing
from oms_es.gateways.payment.wechatpay.client import Client
from oms_es.gateways.payment.wechatpay.notices import WeChatPayNotices
from oms_es.gateways.payment.wechatpay.provider import WeChatPayProvider
from oms_es.kernel import BadInput, Command, GatewayUnavailable, Recorded, Skipped
from oms_es.schemas import payment as p
from oms_es.schemas.payment.answers import called_by_digest, digest_of
from oms_es.schemas.payment.provider import RecordProviderReport
from provider_story import PrepaidStory, found, one
from whole_engine import START

MCHID, APPID, SERIAL, API_KEY = "1900000109", "wxd678efh567hg6787", "5157F09E", "0123456789abcdef0123456789abcdef"


@cache
def merchant_key() -> RSAPrivateKey:
    return generate_private_key(65_537, 2_048)


class Account:
    """WeChat Pay as one merchant sees it, with our provider client."""

    def __init__(self) -> None:
        self.now = START.timestamp()
        self.books = WeChatBooks(MCHID, APPID, lambda: self.now)
        self.mishaps: list[Mishap] = []
        self.server = WeChatPayServer(self.books, API_KEY, merchant_key().public_key(), SERIAL, self._mishap)
        self.numbers = iter(range(1, 10_000))
        self.address = ""

    def _mishap(self, _method: str, path: str) -> Mishap:
        return self.mishaps.pop(0) if self.mishaps and path != "/v3/certificates" else ""

    def client(self, *, serial: str = SERIAL, public_keys: Any = None) -> Client:
        merchant = signing.Merchant(MCHID, APPID, serial, merchant_key())
        return Client(merchant, API_KEY, base=self.address, public_keys=public_keys, clock=lambda: self.now)

    def provider(self, **more: Any) -> WeChatPayProvider:
        return WeChatPayProvider(
            self.client(**more), notify_url="https://shop.example/v1/webhooks/wx", subject="订单", open_seconds=1_800
        )

    def ask(self, operation: Any, part: str = "", amount: int = 1_000, **more: Any) -> Ask:
        key = uuid5(UUID(int=0), str(next(self.numbers)))
        usual: dict[str, Any] = {"currency": "CNY", "payment_token": "native", "authorization": ""}
        usual["asked_at"] = datetime.fromtimestamp(self.now, UTC)
        return Ask(key, operation, **{"payment_id": "o.1", "part": part, "amount_minor": amount, **usual, **more})

    def paid(self, provider: WeChatPayProvider, **more: Any) -> str:
        """Return the reference of an order that its customer has paid."""
        answer = one(provider, self.ask("authorize", **more))
        assert answer.action
        assert self.books.pay(dialect.order_name(answer.action.reference))
        return answer.action.reference


@pytest.fixture
def account() -> Iterator[Account]:
    account = Account()
    with account.server.listening() as account.address:
        yield account


def test_a_code_is_given_to_the_customer_and_what_they_pay_is_found_by_our_name(account: Account) -> None:
    provider, ask = account.provider(), account.ask("authorize")
    action = one(provider, ask).action
    assert action
    assert (action.kind, action.content[:9], action.reference) == ("qr_code", "weixin://", f"wechatpay:{ask.key.hex}")
    wanted = account.books.orders[ask.key.hex]["wanted"]
    assert (wanted["amount"], wanted["time_expire"]) == (
        {"total": 1_000, "currency": "CNY"},
        "2026-01-01T08:30:00+08:00",
    )
    again = one(provider, ask).action
    assert again == action, "asked again it is the same order and code"
    assert found(provider, ask).outcome == "absent", "its code may have been lost: it is asked again"
    assert found(provider, ask._replace(chased=True)).outcome == "pending"
    assert account.books.pay(ask.key.hex)
    answer = found(provider, ask._replace(chased=True))
    assert (answer.outcome, answer.reference, answer.taken_minor) == ("succeeded", action.reference, 1_000)
    assert answer.charge == account.books.orders[ask.key.hex]["transaction_id"]


def test_in_the_app_the_page_gets_what_the_app_is_called_with(account: Account) -> None:
    answer = one(account.provider(), account.ask("authorize", payment_token="jsapi:oUpF8"))
    assert answer.action
    called = json.loads(answer.action.content)
    lines = [called[name] for name in ("appId", "timeStamp", "nonceStr", "package")]
    assert called["paySign"] == signing.signed(merchant_key(), *lines)
    (order,) = account.books.orders.values()
    assert order["wanted"]["payer"] == {"openid": "oUpF8"}


@pytest.mark.parametrize("mishap", ["lost", "dropped", "busy", "broken", "unsigned"])
@pytest.mark.parametrize("operation", ["authorize", "refund", "close"])
def test_what_is_asked_again_after_a_mishap_has_been_done_once(
    account: Account, operation: str, mishap: Mishap
) -> None:
    provider = account.provider()
    more: dict[str, Any] = {}
    if operation == "refund":
        more["authorization"] = account.paid(provider)
    elif operation == "close":
        prepared = one(provider, account.ask("authorize")).action
        assert prepared
        more["authorization"] = prepared.reference
    ask = account.ask(operation, "r1" if operation == "refund" else "", **more)
    account.mishaps = ["", mishap] if operation == "refund" else [mishap]  # a refund first asks what was paid
    assert one(provider, ask).outcome == "unknown"
    done = mishap in ("lost", "unsigned") and operation != "authorize"
    assert found(provider, ask).outcome == ("succeeded" if done else "absent")
    outcomes = [one(provider, ask).outcome for _ in range(2)]
    assert outcomes == ["pending" if operation == "authorize" else "succeeded"] * 2
    assert len(account.books.orders) == 1
    assert [refund["amount"]["refund"] for refund in account.books.refunds.values()] == [1_000] * (
        operation == "refund"
    )


def test_what_cannot_be_paid_so_is_declined_in_words(account: Account) -> None:
    provider = account.provider()
    asks = [
        account.ask("authorize", currency="EUR"),
        account.ask("authorize", payment_token="tok_visa"),
        account.ask("authorize", asked_at=datetime.fromtimestamp(account.now - 1_790, UTC)),
        *(
            account.ask(operation, "s1", authorization="wechatpay:x")
            for operation in ("capture", "void", "reauthorize")
        ),
    ]
    answers = provider.submit(asks)
    assert {answer.outcome for answer in answers} == {"declined"}
    assert all(answer.reason for answer in answers)
    assert [answer.retriable for answer in answers] == [False, False, True, False, False, False]
    assert not account.server.requests


def test_a_merchant_that_is_set_up_wrong_declines_no_customer(account: Account) -> None:
    provider = account.provider(serial="0BAD")
    for question in (provider.submit, provider.find):
        with pytest.raises(GatewayUnavailable, match="_SERIAL"):
            question([account.ask("authorize")])


def test_a_refund_may_take_its_time_fail_or_find_the_merchant_without_money(account: Account) -> None:
    provider = account.provider()
    reference = account.paid(provider)
    account.books.refunds_take_time = True
    later, failing = (account.ask("refund", part, 300, authorization=reference) for part in ("r1", "r2"))
    assert one(provider, later).outcome == "pending"
    account.books.settle_refunds()
    assert found(provider, later).outcome == "succeeded"
    assert one(provider, failing).outcome == "pending"
    account.books.settle_refunds("ABNORMAL")
    answer = found(provider, failing)
    assert "another way" in answer.reason
    assert answer.reference
    assert not answer.final
    account.books.short_of_funds = True
    answer = one(provider, account.ask("refund", "r3", 300, authorization=reference))
    assert (answer.outcome, answer.reason[:10]) == ("declined", "NOT_ENOUGH")


def test_a_refund_made_before_its_name_had_a_digest_is_found_and_not_made_again(account: Account) -> None:
    provider = account.provider()
    reference = account.paid(provider)
    before, new = (account.ask("refund", letter * 24, 300, authorization=reference) for letter in "ab")
    earlier = {"out_trade_no": dialect.order_name(reference), "out_refund_no": before.key.hex}
    amount = {"refund": 300, "total": 1_000, "currency": "CNY"}
    made = account.client().ask("POST", "/v3/refund/domestic/refunds", {**earlier, "amount": amount})
    for answer in (one(provider, before), found(provider, before), one(provider, before)):
        assert (answer.outcome, answer.reference) == ("succeeded", made["refund_id"])
    assert len(account.books.refunds) == 1
    assert found(provider, new).outcome == "absent"
    assert one(provider, new).outcome == found(provider, new).outcome == "succeeded"
    assert len(account.books.refunds) == 2


def test_what_is_not_wanted_is_closed_unless_it_was_paid(account: Account) -> None:
    provider = account.provider()
    open_one = one(provider, account.ask("authorize")).action
    paid = account.paid(provider)
    assert open_one
    assert one(provider, account.ask("close", authorization=open_one.reference)).outcome == "succeeded"
    assert not account.books.pay(dialect.order_name(open_one.reference))
    answer = one(provider, account.ask("close", authorization=paid))
    assert (answer.outcome, answer.taken_minor) == ("succeeded", 1_000)
    assert answer.charge
    waiting = account.ask("authorize")
    one(provider, waiting)
    assert found(provider, waiting._replace(chased=True, last=True)).reason == "it was not paid in time"
    assert not account.books.pay(waiting.key.hex)


def test_keys_that_change_are_fetched_and_a_stranger_s_are_not(account: Account) -> None:
    provider = account.provider()
    assert one(provider, account.ask("authorize")).action
    account.server.rotate()
    assert one(provider, account.ask("authorize")).outcome == "unknown", "they were fetched a moment ago"
    fresh = account.provider()
    assert one(fresh, account.ask("authorize")).action
    known = {account.server.platform[-1].serial: account.server.platform[-1].key.public_key()}
    asked = len(account.server.requests)
    assert one(account.provider(public_keys=known), account.ask("authorize")).action
    assert len(account.server.requests) == asked + 1, "a key from the settings is not fetched"


# --- what it reports


def notices(account: Account, **more: Any) -> WeChatPayNotices:
    whose = {"mchid": MCHID, "appid": APPID} | more
    return WeChatPayNotices(whose["mchid"], whose["appid"], account.client().keys.key_of)


def test_a_report_is_verified_forged_undecidable_or_not_for_us(account: Account) -> None:
    account.paid(account.provider())
    sent, body = account.server.report(0)
    headers = tuple(sent.items())
    (content,) = notices(account).open(headers, body, ["x" * 32, API_KEY], account.now)
    assert b'payer"' not in content
    assert b"openid" not in content
    command = dialect.parse_notice(content)
    assert isinstance(command, p.RecordReport)
    assert (command.payment_id, command.operation, command.amount_minor) == ("o.1", "capture", 1_000)
    for forged in (
        (headers, body + b" ", [API_KEY], account.now),
        (headers, body, ["x" * 32], account.now),
        (headers, body, [], account.now),
        (headers, body, [API_KEY], account.now + 301),
        (headers, body, [API_KEY], account.now - 301),
        ((*headers, ("Wechatpay-Nonce", "2")), body, [API_KEY], account.now),
        (tuple({**sent, "Wechatpay-Signature": "WECHATPAY/SIGNTEST/x"}.items()), body, [API_KEY], account.now),
    ):
        with pytest.raises(Forged):
            notices(account).open(*forged)
    with pytest.raises(CannotDecide):
        notices(account).open(tuple({**sent, "Wechatpay-Serial": "77"}.items()), body, [API_KEY], account.now)
    for other in ({"mchid": "1"}, {"appid": "wx1"}):
        with pytest.raises(NotForUs):
            notices(account, **other).open(headers, body, [API_KEY], account.now)


def test_a_stranger_who_asks_for_unknown_keys_makes_us_ask_once(account: Account) -> None:
    account.paid(account.provider())
    sent, body = account.server.report(0)
    opener, asked = notices(account), len(account.server.requests)
    for number in range(20):
        with pytest.raises(CannotDecide):
            opener.open(tuple({**sent, "Wechatpay-Serial": f"7{number}"}.items()), body, [API_KEY], account.now)
    assert len(account.server.requests) == asked + 1


def test_an_answer_and_its_report_are_one(account: Account) -> None:
    provider, ask = account.provider(), account.ask("authorize")
    one(provider, ask)
    account.books.pay(ask.key.hex)
    asked = Recorded(1, "payment-o.1", 1, chased_of(ask), UUID(int=9), START, None, "c", "test")
    ((answered,),) = PaymentGateway(provider).perform([asked])
    sent, body = account.server.report(0)
    (content,) = notices(account).open(tuple(sent.items()), body, [API_KEY], account.now)
    reported = dialect.parse_notice(content)
    assert answered == reported


def chased_of(ask: Ask) -> p.PaymentAnswerChased:
    return p.PaymentAnswerChased(
        payment_id=ask.payment_id,
        order_id="o",
        operation="authorize",
        key=str(ask.key),
        amount_minor=ask.amount_minor,
        currency=ask.currency,
        payment_token=ask.payment_token,
        attempt=1,
    )


@pytest.mark.parametrize("part", ["r1", "退款", "o.1/rest", "x" * 23, "x" * 24, "退款" * 60, "\U0010ffff"])
def test_a_refund_s_name_has_its_part_or_its_digest(part: str) -> None:
    name = refund_name(UUID(int=7), part)
    assert len(name) <= 64
    assert refund_name(UUID(int=7), part) == name
    said = {"out_trade_no": "n", "transaction_id": "t", "out_refund_no": name, "refund_id": "5"}
    amount = {"total": 5, "refund": 3}
    event = {"event_type": "REFUND.SUCCESS", "resource": {**said, "refund_status": "SUCCESS", "amount": amount}}
    command = dialect.parse_notice(json.dumps(event).encode())
    assert isinstance(command, RecordProviderReport)
    called = part if len(part.encode()) <= 23 else called_by_digest(digest_of(part))
    assert (command.references, command.report.part) == (("wechatpay:n", "t"), called)


def test_what_a_report_does_not_say_is_not_made_up() -> None:
    said = {"out_trade_no": "n", "transaction_id": "t", "out_refund_no": "by-hand", "refund_id": "5"}
    for resource, kind, error in (
        ({**said, "refund_status": "PROCESSING", "amount": {"total": 5}}, "REFUND.SUCCESS", Skipped),
        ({**said, "refund_status": "SUCCESS", "amount": {"total": 5}}, "REFUND.SUCCESS", BadInput),
        (
            {
                **said,
                "out_refund_no": "0af" * 10 + "12",
                "refund_status": "SUCCESS",
                "amount": {"total": 5, "refund": 3},
            },
            *("REFUND.SUCCESS", Skipped),
        ),
        ({**said, "trade_state": "NOTPAY", "amount": {"total": 5}}, "TRANSACTION.SUCCESS", Skipped),
        ({**said, "trade_state": "SUCCESS", "amount": {"total": 5}}, "TRANSACTION.SUCCESS", BadInput),
        ({**said, "trade_state": "SUCCESS", "amount": {"total": 5.5}}, "TRANSACTION.SUCCESS", BadInput),
        (
            {**said, "trade_state": "SUCCESS", "amount": {"total": 5, "currency": "HKD"}},
            "TRANSACTION.SUCCESS",
            BadInput,
        ),
        ({}, "TRANSACTION.SUCCESS", BadInput),
        ({}, "PAYSCORE.USER_PAID", BadInput),
    ):
        with pytest.raises(error):
            dialect.parse_notice(json.dumps({"event_type": kind, "resource": resource}).encode())


# --- whole orders


class WeChatStory(PrepaidStory):
    tokens = ("native",)

    def __init__(self, account: Account, seed: int) -> None:
        super().__init__(account, account.provider(), seed)
        self.account = account
        self.opener = notices(account)

    def shown(self, action: p.PaymentActionRequired) -> None:
        self.account.books.pay(dialect.order_name(action.reference))

    def reported(self, number: int) -> Command:
        """Return a report, possibly signed with a key that is not known yet."""
        sent, body = self.account.server.report(number)
        (content,) = self.opener.open(tuple(sent.items()), body, [API_KEY], self.account.now)
        return dialect.parse_notice(content)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_gets_lost_our_books_are_wechat_pays(account: Account, seed: int) -> None:
    for payment in WeChatStory(account, seed).run():
        whose = f"oms:{payment['payment_id']}"
        mine = {name: order for name, order in account.books.orders.items() if order["wanted"]["attach"] == whose}
        taken = sum(one["wanted"]["amount"]["total"] for one in mine.values() if one["state"] == "SUCCESS")
        back = sum(one["amount"]["refund"] for one in account.books.refunds.values() if one["out_trade_no"] in mine)
        assert (taken, back) == (payment["captured_minor"], payment["refunded_minor"]), payment
    assert "NOTPAY" not in {order["state"] for order in account.books.orders.values()}, "nothing stays open to be paid"
