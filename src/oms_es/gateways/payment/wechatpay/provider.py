"""WeChat Pay as a payment provider: the customer pays an order by a code (Native) or in the app (JSAPI).

Invariant: one request of ours is one order, or one refund: both are named after the request, and found again by that
name. An order is paid at once and as a whole; therefore nothing is held, released or captured. Amounts are in fen. A
payment token says how the customer pays: `native`, or `jsapi:` and their openid at the app.
"""

from __future__ import annotations

import json
import secrets
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

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
from oms_es.gateways.payment.wechatpay.client import Client
from oms_es.gateways.payment.wechatpay.dialect import (
    CNY,
    FAILED_FOR_NOW,
    REFUND_FAILURES,
    order_name,
    order_reference,
)
from oms_es.gateways.payment.wechatpay.signing import signed
from oms_es.kernel import GatewayUnavailable

DESCRIPTION_LENGTH_MAX = 127
NATIVE, JSAPI = "native", "jsapi:"
SET_UP_WRONG = frozenset({"SIGN_ERROR", "NO_AUTH", "MCH_NOT_EXISTS", "APPID_MCHID_NOT_MATCH", "INVALID_MCHID"})
"""Error codes that say that the merchant's configuration is wrong, and not the order."""
ABSENT = frozenset({"ORDER_NOT_EXIST", "ORDERNOTEXIST", "RESOURCE_NOT_EXISTS"})


class WeChatPayProvider(PrepaidProvider):
    """WeChat Pay as a provider. `notify_url`: where it sends reports. `open_seconds`: how long an order may be paid."""

    name = "WeChat Pay"

    def __init__(self, client: Client, *, notify_url: str, subject: str, open_seconds: int) -> None:
        super().__init__(open_seconds, client.clock)
        self._client = client
        self._notify_url = notify_url
        self._subject = subject

    def _is_absent(self, error: ProviderRefused) -> bool:
        return error.status == HTTPStatus.NOT_FOUND or error.code in ABSENT

    def _require_set_up(self, error: ProviderRefused) -> None:
        if error.status == HTTPStatus.UNAUTHORIZED or error.code in SET_UP_WRONG:
            raise GatewayUnavailable(
                f"WeChat Pay refuses the merchant: {error.in_words()}; "
                "see OMS_WECHATPAY_MCHID, _APPID, _SERIAL, _KEY_FILE"
            ) from error

    def _prepare(self, ask: Ask) -> Answer:
        if ask.currency != CNY:
            return Answer("declined", reason=f"WeChat Pay takes {CNY}, not {ask.currency}")
        openid = ask.payment_token.removeprefix(JSAPI) if ask.payment_token.startswith(JSAPI) else ""
        if not openid and ask.payment_token != NATIVE:
            return Answer("declined", reason=f"a payment token of WeChat Pay is {NATIVE}, or {JSAPI} and an openid")
        if not (until := self._until(ask)):
            return TOO_LATE
        way, wanted = ("jsapi" if openid else "native"), self._order(ask, until)
        if openid:
            wanted["payer"] = {"openid": openid}
        said = self._client.ask("POST", f"/v3/pay/transactions/{way}", wanted)
        content = self._called(str(said["prepay_id"])) if openid else str(said["code_url"])
        action = Action("app" if openid else "qr_code", content, order_reference(ask.key.hex), until)
        return Answer("pending", action=action)

    def _order(self, ask: Ask, until: datetime) -> dict[str, Any]:
        """Return the order's parameters: for the same request always the same, to the letter."""
        attach = attached(ask.payment_id)
        return {
            "appid": self._client.merchant.appid,
            "mchid": self._client.merchant.mchid,
            "description": f"{self._subject} {ask.payment_id}"[:DESCRIPTION_LENGTH_MAX],
            "out_trade_no": ask.key.hex,
            "time_expire": until.astimezone(CHINA).isoformat(timespec="seconds"),
            "notify_url": self._notify_url,
            "amount": {"total": ask.amount_minor, "currency": CNY},
            **({"attach": attach} if attach else {}),
        }

    def _called(self, prepay_id: str) -> str:
        """Return the signed parameters that the shop's page hands to the app."""
        merchant, seconds, nonce = self._client.merchant, str(int(self._client.clock())), secrets.token_hex(16)
        package = f"prepay_id={prepay_id}"
        called = {
            "appId": merchant.appid,
            "timeStamp": seconds,
            "nonceStr": nonce,
            "package": package,
            "signType": "RSA",
            "paySign": signed(merchant.key, merchant.appid, seconds, nonce, package),
        }
        return json.dumps(called)

    def _queried(self, name: str) -> dict[str, Any]:
        query = urlencode({"mchid": self._client.merchant.mchid})
        return self._client.ask("GET", f"/v3/pay/transactions/out-trade-no/{quote(name)}?{query}")

    def _find_order(self, ask: Ask) -> Answer:
        order = self._queried(ask.key.hex)
        state = order["trade_state"]
        if state in ("NOTPAY", "PAYERROR") and not ask.chased:
            return Answer("absent")  # the code may have been lost: the same request gives it again
        if state in ("NOTPAY", "PAYERROR") and ask.last:
            return self._close(ask._replace(authorization=order_reference(ask.key.hex)))
        return _became(order)

    def _close(self, ask: Ask) -> Answer:
        """Close the order and return its outcome. Raise NoAnswer, or ProviderRefused if it may have been paid
        meanwhile."""
        name = order_name(ask.authorization)
        path = f"/v3/pay/transactions/out-trade-no/{quote(name)}/close"
        try:
            self._client.ask("POST", path, {"mchid": self._client.merchant.mchid})
        except ProviderRefused as error:
            self._require_set_up(error)
        order = self._queried(name)
        return _became(order) if ask.operation != "close" else _closed(order)

    def _find_closed(self, ask: Ask) -> Answer:
        return _closed(self._queried(order_name(ask.authorization)))

    def _refund(self, ask: Ask) -> Answer:
        name = order_name(ask.authorization)
        total = self._queried(name)["amount"]["total"]
        wanted = {
            "out_trade_no": name,
            "out_refund_no": refund_name(ask.key, ask.part),
            "notify_url": self._notify_url,
            "amount": {"refund": ask.amount_minor, "total": total, "currency": CNY},
        }
        return _given_back(self._client.ask("POST", "/v3/refund/domestic/refunds", wanted))

    def _find_refund(self, ask: Ask, name: str) -> Answer:  # noqa: ARG002 - Alipay's are of an order
        return _given_back(self._client.ask("GET", f"/v3/refund/domestic/refunds/{quote(name)}"))


PAID = ("SUCCESS", "REFUND")
"""States of a paid order. `REFUND`: a part was refunded since, which is reported separately."""
OVER = ("CLOSED", "REVOKED")


def _became(order: dict[str, Any]) -> Answer:
    """Return what became of an order that may be paid."""
    state = order["trade_state"]
    if state in PAID:
        reference, taken = order_reference(order["out_trade_no"]), order["amount"]["total"]
        return Answer("succeeded", reference, charge=order["transaction_id"], taken_minor=taken)
    if state in OVER:
        return Answer("declined", reason=NOT_PAID)
    return Answer("pending")


def _closed(order: dict[str, Any]) -> Answer:
    """Return what became of an order that is to be closed; `absent` if it may still be paid."""
    if order["trade_state"] in OVER:
        return Answer("succeeded", reason=CLOSED)
    found = _became(order)
    return found if found.charge else Answer("absent")


def _given_back(refund: dict[str, Any]) -> Answer:
    state = refund["status"]
    if state == "SUCCESS":
        return Answer("succeeded", refund["refund_id"])
    if state in REFUND_FAILURES:
        reason, final = REFUND_FAILURES[state], state not in FAILED_FOR_NOW
        return Answer("declined", refund["refund_id"], reason, final=final)
    return Answer("pending")
