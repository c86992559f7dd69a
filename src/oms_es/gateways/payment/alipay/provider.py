"""Alipay as a payment provider: the customer pays an order by a code (precreate) or on a page (page.pay).

Invariant: one request of ours is one order, or one refund: both are named after the request, and found again by that
name. An order exists at Alipay only once its code was scanned or its page was opened; before that it expires by itself.
It is paid at once and as a whole. Amounts are fen here, and yuan with two decimals on the wire. A payment token says
how the customer pays: `qr` or `page`.
"""

from __future__ import annotations

from typing import Any

from oms_es.gateways.payment.alipay.client import Client, is_set_up_wrong
from oms_es.gateways.payment.alipay.dialect import CNY, PAID, order_name, order_reference, refund_reference
from oms_es.gateways.payment.alipay.signing import to_fen, to_yuan
from oms_es.gateways.payment.port import Action, Answer, Ask
from oms_es.gateways.payment.prepaid import (
    CHINA,
    CLOSED,
    NOT_PAID,
    TOO_LATE,
    PrepaidProvider,
    ProviderRefused,
    attached,
    refund_name,
)
from oms_es.kernel import GatewayUnavailable

SUBJECT_LENGTH_MAX = 256
UNSPEAKABLE = str.maketrans("/=&", "   ")
"""Characters that Alipay does not allow in a subject."""
CODE, PAGE = "qr", "page"
ABSENT = "ACQ.TRADE_NOT_EXIST"


class AlipayProvider(PrepaidProvider):
    """Alipay as a provider. `notify_url`: where it sends reports; `return_url`: where its page leads afterwards; empty
    for nowhere."""

    name = "Alipay"

    def __init__(self, client: Client, *, notify_url: str, return_url: str, subject: str, open_seconds: int) -> None:
        super().__init__(open_seconds, client.clock)
        self._client = client
        self._notify_url = notify_url
        self._return_url = return_url
        self._subject = subject

    def _is_absent(self, error: ProviderRefused) -> bool:
        return error.code == ABSENT

    def _require_set_up(self, error: ProviderRefused) -> None:
        if is_set_up_wrong(error):
            raise GatewayUnavailable(
                f"Alipay refuses the app: {error.in_words()}; see OMS_ALIPAY_APP_ID and OMS_ALIPAY_KEY_FILE"
            ) from error

    def _prepare(self, ask: Ask) -> Answer:
        if ask.currency != CNY:
            return Answer("declined", reason=f"Alipay takes {CNY}, not {ask.currency}")
        if ask.payment_token not in (CODE, PAGE):
            return Answer("declined", reason=f"a payment token of Alipay is {CODE} or {PAGE}")
        if not (until := self._until(ask)):
            return TOO_LATE
        wanted, reports = self._order(ask), {"notify_url": self._notify_url}
        if ask.payment_token == CODE:
            minutes = f"{self._open_seconds // 60}m"
            wanted |= {"timeout_express": minutes, "qr_code_timeout_express": minutes}
            content = str(self._client.ask("alipay.trade.precreate", wanted, **reports)["qr_code"])
        else:
            wanted |= {"product_code": "FAST_INSTANT_TRADE_PAY", "time_expire": f"{until.astimezone(CHINA):%F %T}"}
            back = {"return_url": self._return_url} if self._return_url else {}
            content = self._client.page("alipay.trade.page.pay", wanted, ask.asked_at or until, **reports, **back)
        kind: Any = "qr_code" if ask.payment_token == CODE else "page"
        return Answer("pending", action=Action(kind, content, order_reference(ask.key.hex), until))

    def _order(self, ask: Ask) -> dict[str, Any]:
        """Return the order's parameters: for the same request always the same, to the letter."""
        said = attached(ask.payment_id)
        return {
            "out_trade_no": ask.key.hex,
            "total_amount": to_yuan(ask.amount_minor),
            "subject": f"{self._subject} {ask.payment_id}".translate(UNSPEAKABLE)[:SUBJECT_LENGTH_MAX],
            **({"body": said} if said else {}),
        }

    def _queried(self, name: str) -> dict[str, Any]:
        return self._client.ask("alipay.trade.query", {"out_trade_no": name})

    def _find_order(self, ask: Ask) -> Answer:
        """Look the order up. One that waits is absent, and requested again, unless it was asked after: its code may
        have been lost."""
        try:
            order = self._queried(ask.key.hex)
        except ProviderRefused as error:
            if not ask.chased or not self._is_absent(error):
                raise
            return Answer("declined", reason=NOT_PAID) if ask.last else Answer("pending")
        if order["trade_status"] == "WAIT_BUYER_PAY" and not ask.chased:
            return Answer("absent")
        if order["trade_status"] == "WAIT_BUYER_PAY" and ask.last:
            self._end(ask.key.hex)
            order = self._queried(ask.key.hex)
        return _became(order)

    def _end(self, name: str) -> None:
        """Close the order. If it was paid or has ended meanwhile, this changes nothing."""
        try:
            self._client.ask("alipay.trade.close", {"out_trade_no": name})
        except ProviderRefused as error:
            self._require_set_up(error)

    def _close(self, ask: Ask) -> Answer:
        name = order_name(ask.authorization)
        self._end(name)
        try:
            return _closed(self._queried(name))
        except ProviderRefused as error:
            if not self._is_absent(error):
                raise
            return Answer("declined", reason="no one has opened it: it ends by itself")

    def _find_closed(self, ask: Ask) -> Answer:
        return _closed(self._queried(order_name(ask.authorization)))

    def _refund(self, ask: Ask) -> Answer:
        """Refund a part of an order. If the answer says that no money moved, look up whether it had moved before."""
        name = refund_name(ask.key, ask.part)
        wanted = {
            "out_trade_no": order_name(ask.authorization),
            "refund_amount": to_yuan(ask.amount_minor),
            "out_request_no": name,
        }
        said = self._client.ask("alipay.trade.refund", wanted)
        if said.get("fund_change") == "Y":
            return Answer("succeeded", refund_reference(said["trade_no"], name))
        found = self._find_refund(ask, name)
        return Answer("pending") if found.outcome == "absent" else found

    def _find_refund(self, ask: Ask, name: str) -> Answer:
        wanted = {"out_trade_no": order_name(ask.authorization), "out_request_no": name}
        said = self._client.ask("alipay.trade.fastpay.refund.query", wanted)
        if said.get("refund_status") != "REFUND_SUCCESS":
            return Answer("absent")
        return Answer("succeeded", refund_reference(said["trade_no"], name))


def _became(order: dict[str, Any]) -> Answer:
    """Return what became of an order that may be paid. A wholly refunded order is closed, too, and counts as paid."""
    state = order["trade_status"]
    if state in PAID or (state == "TRADE_CLOSED" and order.get("send_pay_date")):
        reference, taken = order_reference(order["out_trade_no"]), to_fen(order["total_amount"])
        return Answer("succeeded", reference, charge=order["trade_no"], taken_minor=taken)
    return Answer("declined", reason=NOT_PAID) if state == "TRADE_CLOSED" else Answer("pending")


def _closed(order: dict[str, Any]) -> Answer:
    """Return what became of an order that is to be closed; `absent` if it may still be paid."""
    found = _became(order)
    if found.outcome == "declined":
        return Answer("succeeded", reason=CLOSED)
    return found if found.charge else Answer("absent")
