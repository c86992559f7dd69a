"""Requests to WeChat Pay: signed by the merchant, and answers that are verified before they are read."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from oms_es.gateways.notices import CannotDecide, Forged
from oms_es.gateways.outgoing import NoAnswer, Reply, request
from oms_es.gateways.payment.prepaid import ProviderRefused
from oms_es.gateways.payment.wechatpay.signing import Merchant, PlatformKeys, authorization, certified_keys, verify

CERTIFICATES = "/v3/certificates"


class Client:
    """A client of WeChat Pay. `public_keys`: those from the settings, by id. `clock`: seconds since 1970."""

    def __init__(
        self,
        merchant: Merchant,
        api_key: str,
        *,
        base: str,
        public_keys: Mapping[str, RSAPublicKey] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.merchant = merchant
        self.api_key = api_key
        self.clock = clock
        self._base = base
        self._expected = next(iter(public_keys or {}), "")
        self.keys = PlatformKeys(public_keys or {}, self._fetched_keys)

    def ask(self, method: str, path: str, wanted: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send a request and return its answer. Raise ProviderRefused, NoAnswer if it is not known whether it was done,
        or CannotDecide without a key."""
        reply = self._sent(method, path, wanted)
        if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR or reply.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise NoAnswer(f"error {reply.status}")
        done = reply.status in (HTTPStatus.OK, HTTPStatus.NO_CONTENT)
        # 401 decides nothing and need not be verified: keys could not be fetched either
        if reply.status != HTTPStatus.UNAUTHORIZED:
            self._verify(reply)
        said = object_in(reply.body)
        if not done:
            if not said.get("code"):
                raise NoAnswer(f"error {reply.status}, not in WeChat Pay's words")
            raise ProviderRefused(reply.status, str(said["code"]), str(said.get("message") or ""))
        return said

    def _sent(self, method: str, path: str, wanted: Mapping[str, Any] | None) -> Reply:
        body = json.dumps(wanted, ensure_ascii=False).encode() if wanted is not None else b""
        signature = authorization(self.merchant, method, path, body, int(self.clock()), secrets.token_hex(16))
        headers = {
            "Authorization": signature,
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": "oms-es",
        }
        if self._expected:
            headers["Wechatpay-Serial"] = self._expected
        return request(self._base, method, path, headers, body)

    def _verify(self, reply: Reply) -> None:
        """Verify the answer's signature. Raise NoAnswer if it is not WeChat Pay's, or CannotDecide."""
        try:
            verify(tuple(reply.headers.items()), reply.body, self.keys.key_of, self.clock())
        except Forged as error:
            raise NoAnswer(f"an answer is not signed by WeChat Pay: {error}") from None

    def _fetched_keys(self) -> Mapping[str, RSAPublicKey]:
        """Fetch WeChat Pay's keys: encrypted with the API v3 key, and signed with one of the keys themselves. Raise
        CannotDecide."""
        try:
            reply = self._sent("GET", CERTIFICATES, None)
            found = certified_keys(reply.body, self.api_key, self.clock())
            verify(tuple(reply.headers.items()), reply.body, PlatformKeys(found).key_of, self.clock())
        except (NoAnswer, Forged) as error:
            raise CannotDecide(f"WeChat Pay's certificates cannot be had: {error}") from error
        return found


def object_in(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        raise NoAnswer("an answer is no JSON") from None
    if not isinstance(said, dict):
        raise NoAnswer("an answer is no object")
    return said
