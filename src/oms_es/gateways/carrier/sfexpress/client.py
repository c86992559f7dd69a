"""Requests to SF Express: JSON in a signed form over HTTP, answered with JSON, in which the result is JSON as text.

Invariant: an answer that leaves open whether the request was done raises NoAnswer. Only an answer whose outer and
inner code both say so is a success.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from oms_es.gateways.carrier.sfexpress.signing import digest
from oms_es.gateways.outgoing import NoAnswer, NothingCertain, ProtocolError, request
from oms_es.kernel import GatewayUnavailable

REASON_CHARACTERS_MAX = 300
PATH = "/std/service"
HEADERS = {
    "Content-Type": "application/x-www-form-urlencoded;charset=UTF-8",
    "Accept": "application/json",
    "User-Agent": "oms-es",
}
REACHED = "A1000"
"""The outer code of a request that reached the service; whether it was done, the inner code says."""
DONE = "S0000"
OF_THE_ACCOUNT = frozenset({"A1002", "A1003", "A1004", "A1006", "A1008", "A1010"})
"""Outer codes about the account: the digest, the time, the address of this machine, or a right is wrong."""
UNDONE = frozenset({"A1001", "A1007"})
"""Outer codes of a request that is refused as it is."""
OPEN = frozenset({"A1005", "A1009", "A1099"})
"""Outer codes of a request that must be repeated: too many at once, or a server of SF's does not answer."""
OF_THE_CARD = frozenset({"6126", "8114", "8119", "8256"})
"""Inner codes about the monthly card, and not about the parcel."""
UNSURE = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


class SfRefused(ProtocolError):
    """SF Express refused the request, with its code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{message or 'refused'} ({code})"[:REASON_CHARACTERS_MAX])
        self.code = code


class Client:
    def __init__(self, partner_id: str, checkword: str, *, base: str, now: Callable[[], float]) -> None:
        """`checkword`: the secret with which requests are signed. `now`: seconds since 1970."""
        self._partner_id = partner_id
        self._checkword = checkword
        self._base = base
        self._now = now

    def ask(self, service: str, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send a request and return its result (msgData).

        Raise SfRefused; NoAnswer if it is not known whether the request was done; GatewayUnavailable if the account is
        at fault.
        """
        message, timestamp = json.dumps(wanted, ensure_ascii=False), str(int(self._now() * 1_000))
        form = {
            "partnerID": self._partner_id,
            "requestID": str(uuid4()),
            "serviceCode": service,
            "timestamp": timestamp,
            "msgDigest": digest(message, timestamp, self._checkword),
            "msgData": message,
        }
        reply = request(self._base, "POST", PATH, HEADERS, urlencode(form).encode())
        if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR or reply.status in UNSURE:
            raise NoAnswer(f"error {reply.status}")
        if reply.status != HTTPStatus.OK:
            raise NothingCertain(f"error {reply.status}")
        return _result(_object(reply.body))


def _result(said: Mapping[str, Any]) -> Mapping[str, Any]:
    code, words = str(said.get("apiResultCode") or ""), str(said.get("apiErrorMsg") or "")
    if code in OF_THE_ACCOUNT:
        raise GatewayUnavailable(
            f"SF Express refuses the account: {words} ({code}); see OMS_SFEXPRESS_CHECKWORD, and its rights at SF"
        )
    if code in UNDONE:
        raise SfRefused(code, words)
    if code in OPEN:
        raise NoAnswer(f"{words} ({code})")
    if code != REACHED:
        raise NothingCertain(f"an answer has the code {code[:20]!r}: {words[:REASON_CHARACTERS_MAX]}")
    inner = said.get("apiResultData")
    return _inner(_object(inner) if isinstance(inner, str) else inner)


def _inner(result: object) -> Mapping[str, Any]:
    if not isinstance(result, dict):
        raise NothingCertain("an answer has no result")
    code, words = str(result.get("errorCode") or ""), str(result.get("errorMsg") or "")
    if result.get("success") is False and code and code != DONE:
        if code in OF_THE_CARD:
            raise GatewayUnavailable(f"SF Express refuses the card: {words} ({code}); see OMS_SFEXPRESS_MONTHLY_CARD")
        raise SfRefused(code, words)
    content = result.get("msgData")
    if result.get("success") is not True or code not in ("", DONE) or not isinstance(content, dict):
        raise NothingCertain(f"an answer contradicts itself: {code[:20]} {words[:REASON_CHARACTERS_MAX]}")
    return content


def _object(text: str | bytes) -> dict[str, Any]:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        raise NothingCertain("an answer is no JSON") from None
    if not isinstance(said, dict):
        raise NothingCertain("an answer is no object")
    return said
