"""Payments at Alipay over HTTP, with a server that keeps accounts and fails as Alipay does."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import UUID, uuid5

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from oms_es.gateways.loopback.alipay_books import AlipayBooks
from oms_es.gateways.loopback.alipay_server import AlipayServer, Mishap
from oms_es.gateways.notices import CannotDecide, Forged, NotForUs
from oms_es.gateways.payment.alipay import dialect
from oms_es.gateways.payment.alipay.client import Client
from oms_es.gateways.payment.alipay.notices import AlipayNotices
from oms_es.gateways.payment.alipay.provider import AlipayProvider
from oms_es.gateways.payment.alipay.signing import to_fen
from oms_es.gateways.payment.port import Ask
from oms_es.kernel import BadInput, Command, GatewayUnavailable, Skipped
from oms_es.schemas import payment as p
from oms_es.schemas.payment.provider import RecordProviderReport
from provider_story import PrepaidStory, found, one
from whole_engine import START

APP_ID, SELLER_ID = "2014072300007148", "2088102146225135"


@cache
def app_key() -> RSAPrivateKey:
    return generate_private_key(65_537, 2_048)


class Account:
    """Alipay as one seller sees it, with our provider client."""

    def __init__(self) -> None:
        self.now = START.timestamp()
        self.books = AlipayBooks(APP_ID, SELLER_ID, lambda: self.now)
        self.mishaps: list[Mishap] = []
        self.server = AlipayServer(
            self.books, app_key().public_key(), lambda _: self.mishaps.pop(0) if self.mishaps else ""
        )
        self.numbers = iter(range(1, 10_000))
        self.address = ""

    def provider(self, key: RSAPrivateKey | None = None) -> AlipayProvider:
        client = Client(
            APP_ID, key or app_key(), self.server.key.public_key(), base=self.address, clock=lambda: self.now
        )
        urls = {"notify_url": "https://shop.example/v1/webhooks/ali", "return_url": "https://shop.example/thanks"}
        return AlipayProvider(client, subject="订单 1/2=3&", open_seconds=1_800, **urls)

    def ask(self, operation: Any, part: str = "", amount: int = 1_005, **more: Any) -> Ask:
        key = uuid5(UUID(int=0), str(next(self.numbers)))
        usual: dict[str, Any] = {"currency": "CNY", "payment_token": "qr", "authorization": ""}
        usual["asked_at"] = datetime.fromtimestamp(self.now, UTC)
        return Ask(key, operation, **{"payment_id": "o.1", "part": part, "amount_minor": amount, **usual, **more})

    def paid(self, provider: AlipayProvider) -> str:
        answer = one(provider, self.ask("authorize"))
        assert answer.action
        assert self.books.pay(dialect.order_name(answer.action.reference))
        return answer.action.reference

    @property
    def public_key(self) -> str:
        """Return Alipay's public key as its site shows it, to be set as the secret of a connection."""
        return b64encode(
            self.server.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        ).decode()


@pytest.fixture
def account() -> Iterator[Account]:
    account = Account()
    with account.server.listening() as account.address:
        yield account


def test_a_code_is_given_to_the_customer_and_is_known_at_alipay_once_it_is_scanned(account: Account) -> None:
    provider, ask = account.provider(), account.ask("authorize")
    action = one(provider, ask).action
    assert action
    assert (action.kind, action.reference) == ("qr_code", f"alipay:{ask.key.hex}")
    wanted = account.books.prepared[ask.key.hex]["wanted"]
    assert (wanted["total_amount"], wanted["body"], wanted["subject"]) == ("10.05", "oms:o.1", "订单 1 2 3  o.1")
    assert one(provider, ask).action == action, "asked again it is the same order and code"
    chased = ask._replace(chased=True)
    assert (found(provider, ask).outcome, found(provider, chased).outcome) == ("absent", "pending")
    assert account.books.opened(ask.key.hex)
    assert (found(provider, ask).outcome, found(provider, chased).outcome) == ("absent", "pending")
    assert account.books.pay(ask.key.hex)
    answer = found(provider, chased)
    assert (answer.outcome, answer.reference, answer.taken_minor) == ("succeeded", action.reference, 1_005)
    assert answer.charge == account.books.trades[ask.key.hex]["trade_no"]


def test_a_page_s_address_is_signed_and_the_same_however_often_it_is_asked_for(account: Account) -> None:
    provider, ask = account.provider(), account.ask("authorize", payment_token="page")
    action = one(provider, ask).action
    assert action
    assert one(provider, ask).action == action
    assert (action.kind, account.server.opened(action.content)) == ("page", ask.key.hex)
    with pytest.raises(ValueError, match="not signed"):
        account.server.opened(action.content.replace("10.05", "0.05"))
    assert account.books.pay(ask.key.hex)
    assert found(provider, ask).charge


@pytest.mark.parametrize("mishap", ["lost", "dropped", "busy", "limited", "broken", "unsigned"])
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
        account.books.opened(dialect.order_name(prepared.reference))
    ask = account.ask(operation, "r1" if operation == "refund" else "", **more)
    account.mishaps = [mishap]
    assert one(provider, ask).outcome == "unknown"
    done = mishap in ("lost", "unsigned") and operation != "authorize"
    assert found(provider, ask).outcome == ("succeeded" if done else "absent")
    answers = [one(provider, ask) for _ in range(2)]
    assert [answer.outcome for answer in answers] == ["pending" if operation == "authorize" else "succeeded"] * 2
    assert answers[0].reference == answers[1].reference
    assert (len(account.books.prepared), len(account.books.refunds)) == (1, operation == "refund")


def test_what_cannot_be_paid_so_is_declined_in_words(account: Account) -> None:
    provider = account.provider()
    asks = [
        account.ask("authorize", currency="EUR"),
        account.ask("authorize", payment_token="tok_visa"),
        account.ask("authorize", asked_at=datetime.fromtimestamp(account.now - 1_790, UTC)),
        *(account.ask(one, "s1", authorization="alipay:x") for one in ("capture", "void", "reauthorize")),
    ]
    answers = provider.submit(asks)
    assert {answer.outcome for answer in answers} == {"declined"}
    assert all(answer.reason for answer in answers)
    assert [answer.retriable for answer in answers] == [False, False, True, False, False, False]
    assert not account.server.requests


def test_an_app_that_is_set_up_wrong_declines_no_customer(account: Account) -> None:
    provider = account.provider(generate_private_key(65_537, 2_048))
    for question in (provider.submit, provider.find):
        with pytest.raises(GatewayUnavailable, match="OMS_ALIPAY_KEY_FILE"):
            question([account.ask("authorize")])


def test_a_refund_made_before_its_name_had_a_digest_is_found_and_not_made_again(account: Account) -> None:
    provider = account.provider()
    reference = account.paid(provider)
    before, new = (account.ask("refund", letter * 24, 5, authorization=reference) for letter in "ab")
    order = {"out_trade_no": dialect.order_name(reference), "refund_amount": "0.05"}
    provider._client.ask("alipay.trade.refund", {**order, "out_request_no": before.key.hex})
    assert one(provider, before).outcome == found(provider, before).outcome == "succeeded"
    assert len(account.books.refunds) == 1
    assert found(provider, new).outcome == "absent"
    assert one(provider, new).outcome == found(provider, new).outcome == "succeeded"
    assert len(account.books.refunds) == 2


def test_a_refund_of_more_than_there_is_or_without_money_fails_in_words(account: Account) -> None:
    provider = account.provider()
    reference = account.paid(provider)
    too_much = one(provider, account.ask("refund", "r1", 1_006, authorization=reference))
    assert (too_much.outcome, "REFUND_AMT" in too_much.reason) == ("declined", True)
    account.books.short_of_funds = True
    short = one(provider, account.ask("refund", "r2", 5, authorization=reference))
    assert (short.outcome, "BALANCE" in short.reason) == ("declined", True)


def test_what_is_not_wanted_is_closed_unless_it_was_paid_or_is_not_there(account: Account) -> None:
    provider = account.provider()
    scanned, unscanned = (one(provider, account.ask("authorize")).action for _ in range(2))
    assert scanned
    assert unscanned
    account.books.opened(dialect.order_name(scanned.reference))
    paid = account.paid(provider)
    assert one(provider, account.ask("close", authorization=scanned.reference)).outcome == "succeeded"
    assert not account.books.pay(dialect.order_name(scanned.reference))
    assert one(provider, account.ask("close", authorization=paid)).taken_minor == 1_005
    assert one(provider, account.ask("close", authorization=unscanned.reference)).outcome == "declined"
    waiting = account.ask("authorize")
    last = waiting._replace(chased=True, last=True)
    one(provider, waiting)
    account.books.opened(waiting.key.hex)
    assert found(provider, last).reason == "it was not paid in time"
    assert not account.books.pay(waiting.key.hex)


# --- what it reports

OURS = AlipayNotices(APP_ID, SELLER_ID)


def test_a_report_is_verified_forged_undecidable_or_not_for_us(account: Account) -> None:
    account.paid(account.provider())
    body, good = account.server.report(0), account.public_key
    (content,) = OURS.open((), body, ["nonsense", good], 0.0)
    assert b"159****" not in content, "who paid is not kept"
    command = dialect.parse_notice(content)
    assert isinstance(command, p.RecordReport)
    assert (command.payment_id, command.operation, command.amount_minor) == ("o.1", "capture", 1_005)
    other = b64encode(app_key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
    fields = dict(parse_qsl(body.decode(), keep_blank_values=True))
    without_empty = urlencode({name: value for name, value in fields.items() if value}).encode()
    changed = urlencode(fields | {"total_amount": "1.00"}).encode()
    for forged in (
        (changed, [good]),
        (body, [other]),
        (body + b"&total_amount=1.00", [good]),
        (body + b"\xff", [good]),
        (urlencode(fields | {"sign": "?"}).encode(), [good]),
        (urlencode(fields | {"more": ""}).encode(), [good]),
        (without_empty, [good]),
    ):
        with pytest.raises(Forged):
            OURS.open((), *forged, 0.0)
    for undecidable in (
        (body, []),
        (body, ["nonsense"]),
        (urlencode(fields | {"sign_type": "RSA"}).encode(), [good]),
        (urlencode(fields | {"charset": "ebcdic"}).encode(), [good]),
    ):
        with pytest.raises(CannotDecide):
            OURS.open((), *undecidable, 0.0)
    for stranger in (AlipayNotices("1", SELLER_ID), AlipayNotices(APP_ID, "1")):
        with pytest.raises(NotForUs):
            stranger.open((), body, [good], 0.0)
    assert AlipayNotices(APP_ID, "").open((), body, [good], 0.0) == [content]
    assert (OURS.answer(taken=True, why="").body, OURS.answer(taken=False, why="").body) == (b"success", b"failure")


def notice(**more: Any) -> bytes:
    said = {"out_trade_no": "n", "trade_no": "t", "trade_status": "TRADE_SUCCESS", "total_amount": "10.05"}
    return json.dumps(said | more).encode()


def test_what_is_reported_of_an_order_is_read_and_nothing_is_made_up() -> None:
    paid = dialect.parse_notice(notice())
    assert isinstance(paid, RecordProviderReport)
    assert (paid.references, paid.report.amount_minor) == (("alipay:n", "t"), 1_005)
    given_back = dialect.parse_notice(
        notice(trade_status="TRADE_CLOSED", gmt_refund="x", refund_fee="10.05", body="oms:p")
    )
    assert isinstance(given_back, p.RecordReport)
    assert (given_back.operation, given_back.cumulative, given_back.amount_minor) == ("refund", True, 1_005)
    closed = dialect.parse_notice(notice(trade_status="TRADE_CLOSED", body="oms:p"))
    assert isinstance(closed, p.RecordReport)
    assert (closed.operation, closed.reference) == ("void", "alipay:n/closed")
    for status, more in (("WAIT_BUYER_PAY", {}), ("TRADE_CLOSED", {"gmt_payment": "x"})):
        with pytest.raises(Skipped):
            dialect.parse_notice(notice(trade_status=status, **more))
    for amount in ("10.055", "1e3", "-1.00", "", "１.00", " 1.00"):
        with pytest.raises(BadInput, match="total_amount"):
            dialect.parse_notice(notice(total_amount=amount))
    for bad in (b"[]", b"{}", notice(notify_type="dut_user_sign")):
        with pytest.raises(BadInput):
            dialect.parse_notice(bad)


# --- whole orders


class AlipayStory(PrepaidStory):
    tokens = ("qr", "page")
    mishaps = (*PrepaidStory.mishaps, "limited")

    def __init__(self, account: Account, seed: int) -> None:
        super().__init__(account, account.provider(), seed)
        self.account = account

    def shown(self, action: p.PaymentActionRequired) -> None:
        """Open the prepared payment, and pay it or not."""
        books, name = self.account.books, dialect.order_name(action.reference)
        if action.kind == "page" and name not in books.trades:
            self.account.server.opened(action.content)
        self.random.choice([books.opened, books.pay, books.pay])(name)

    def reported(self, number: int) -> Command:
        report = self.account.server.report(number)
        (content,) = OURS.open((), report, [self.account.public_key], self.account.now)
        return dialect.parse_notice(content)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_gets_lost_our_books_are_alipays(account: Account, seed: int) -> None:
    books = account.books
    for payment in AlipayStory(account, seed).run():
        whose = f"oms:{payment['payment_id']}"
        mine = {name for name, one in books.prepared.items() if one["wanted"]["body"] == whose}
        paid = [name for name in mine if books.trades.get(name, {}).get("paid_at")]
        taken = sum(to_fen(books.prepared[name]["wanted"]["total_amount"]) for name in paid)
        back = sum(int(books.given_back(name) * 100) for name in mine)
        assert (taken, back) == (payment["captured_minor"], payment["refunded_minor"]), payment
    for name in books.prepared:
        assert not books.pay(name), "nothing can still be paid"
