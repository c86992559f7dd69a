"""Requests to Alipay: signed by the app; an answer's node is verified, to the byte, before it is read."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from oms_es.gateways.outgoing import NoAnswer, request
from oms_es.gateways.payment.alipay.signing import joined, node_in
from oms_es.gateways.payment.prepaid import CHINA, ProviderRefused
from oms_es.gateways.payment.rsa import is_signed, signature_of

DONE, BUSY, LIMITED = "10000", "20000", "40005"
FORM = "application/x-www-form-urlencoded;charset=utf-8"
UNSURE = ("SYSTEM_ERROR", "unknow-error", "UNKNOWN_ERROR")
"""Endings of codes after which the request may have been done."""


class Client:
    """A client of Alipay. `public_key`: Alipay's key for this app. `clock`: seconds since 1970."""

    def __init__(
        self,
        app_id: str,
        key: RSAPrivateKey,
        public_key: RSAPublicKey,
        *,
        base: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.app_id = app_id
        self.clock = clock
        self._key = key
        self._public_key = public_key
        self._base = base

    def page(self, method: str, wanted: Mapping[str, Any], asked_at: datetime, **more: str) -> str:
        """Return the address of a payment page, which the customer opens."""
        return f"{self._base}?{urlencode(self._signed(method, wanted, asked_at, more))}"

    def ask(self, method: str, wanted: Mapping[str, Any], **more: str) -> dict[str, Any]:
        """Send a request and return its answer. Raise ProviderRefused, or NoAnswer if it is not known whether it was
        done."""
        now = datetime.fromtimestamp(self.clock(), UTC)
        form = urlencode(self._signed(method, wanted, now, more)).encode()
        reply = request(self._base, "POST", "?charset=utf-8", {"Content-Type": FORM, "User-Agent": "oms-es"}, form)
        if reply.status != HTTPStatus.OK:
            raise NoAnswer(f"error {reply.status}")
        node = node_in(reply.body, f"{method.replace('.', '_')}_response")
        said = object_in(node.raw)
        code, why = str(said.get("code", "")), str(said.get("sub_code") or said.get("msg") or "")
        refused = ProviderRefused(int(code) if code.isdecimal() else 0, why, str(said.get("sub_msg") or ""))
        if is_set_up_wrong(refused):
            raise refused  # Alipay does not sign its answer to an unknown app; such an answer decides nothing
        if not is_signed(self._public_key, node.sign, node.raw):
            raise NoAnswer("an answer is not signed by Alipay")
        if code in (BUSY, LIMITED) or why.endswith(UNSURE):
            raise NoAnswer(why)
        if code != DONE:
            raise refused
        return said

    def _signed(self, method: str, wanted: Mapping[str, Any], now: datetime, more: Mapping[str, str]) -> dict[str, str]:
        fields = {
            "app_id": self.app_id,
            "method": method,
            "format": "JSON",
            "charset": "utf-8",
            "sign_type": "RSA2",
            "timestamp": f"{now.astimezone(CHINA):%Y-%m-%d %H:%M:%S}",
            "version": "1.0",
            "biz_content": json.dumps(wanted, ensure_ascii=False),
            **more,
        }
        return {**fields, "sign": signature_of(self._key, joined(fields).encode())}


def is_set_up_wrong(error: ProviderRefused) -> bool:
    """Return whether the app's configuration is wrong, and not the order."""
    return error.status in (20001, 40006) or error.code.startswith(
        ("isv.invalid-signature", "isv.missing-signature", "isv.invalid-app-id", "isv.missing-app-id")
    )


def object_in(raw: bytes) -> dict[str, Any]:
    """Return the JSON object in the bytes. Raise NoAnswer."""
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError):
        raise NoAnswer("an answer is no JSON") from None
    if not isinstance(said, dict):
        raise NoAnswer("an answer is no object")
    return said
