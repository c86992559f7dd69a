"""Queries and subscriptions at kuaidi100: one request for each tracking number.

Invariant: a repeated subscription changes nothing, and kuaidi100 says that it exists. Carriers are named by kuaidi100's
codes (`shunfeng`, `yuantong`); bookings must be recorded with the same names.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import structlog

from oms_es.gateways.carrier.kuaidi100.client import REASON_CHARACTERS_MAX, Client
from oms_es.gateways.carrier.port import Following, TrackedNumber
from oms_es.gateways.outgoing import NoAnswer
from oms_es.kernel import GatewayUnavailable

log = structlog.get_logger()

Answered = TypeVar("Answered")
CONCURRENT_MAX = 5
OF_THE_ACCOUNT = frozenset({"503", "600", "601"})
"""Codes about the account: the digest or the key is wrong, or the account has no right to ask, or none any more."""
SERVER = frozenset({"501", "502"})
"""Codes of a query: kuaidi100's server, or that of the carrier, does not answer."""
FOLLOWED = frozenset({"200", "501"})
"""Codes of a subscription: it is made, or was made before."""
BUSY = "500"
"""The code of a subscription that must be tried again; for a query the same code means that there is no history."""


class Kuaidi100Tracking:
    dialect = "kuaidi100"

    def __init__(self, client: Client, *, callback_url: str = "", salt: str = "") -> None:
        """`salt`: the secret that signs pushes, as the connection that receives them has it."""
        self._client = client
        self._callback_url = callback_url
        self._salt = salt

    def track(self, numbers: Sequence[TrackedNumber]) -> Sequence[bytes | None]:
        """Return the history of each number, None where no answer came. Raise GatewayUnavailable."""
        return _each(self._tracked, numbers)

    def subscribe(self, numbers: Sequence[TrackedNumber]) -> Sequence[Following]:
        """Subscribe to each number. Raise GatewayUnavailable."""
        return _each(self._subscribed, numbers)

    def _subscribed(self, asked: TrackedNumber) -> Following:
        try:
            said = self._client.subscribe(asked.carrier, asked.tracking_number, self._callback_url, self._salt)
        except NoAnswer as error:
            return Following("unknown", str(error))
        code, words = _code(said)
        if code in FOLLOWED:
            return Following("followed")
        return Following("unknown" if code in (BUSY, "") else "refused", f"{words} ({code})")

    def _tracked(self, asked: TrackedNumber) -> bytes | None:
        try:
            said = self._client.query(asked.carrier, asked.tracking_number)
        except NoAnswer as error:
            log.warning("no answer from kuaidi100", error=str(error))
            return None
        if isinstance(said.get("data"), list) and said.get("nu"):
            return json.dumps({**said, "com": asked.carrier}, ensure_ascii=False).encode()
        code, words = _code(said)
        if code in SERVER or not code:
            log.warning("no answer from kuaidi100", error=words, code=code)
            return None
        log.info("kuaidi100 has no history", tracking_number=asked.tracking_number, why=words, code=code)
        return b""


def _code(said: Mapping[str, Any]) -> tuple[str, str]:
    """Return the code and its message. Raise GatewayUnavailable if the account is at fault, and not the number."""
    code, words = str(said.get("returnCode") or ""), str(said.get("message") or "")[:REASON_CHARACTERS_MAX]
    if code in OF_THE_ACCOUNT:
        raise GatewayUnavailable(f"kuaidi100 refuses the account: {words} ({code}); see OMS_KUAIDI100_KEY")
    return code, words


def _each(question: Callable[[TrackedNumber], Answered], numbers: Sequence[TrackedNumber]) -> Sequence[Answered]:
    with ThreadPoolExecutor(min(CONCURRENT_MAX, len(numbers)) or 1, "kuaidi100") as threads:
        return list(threads.map(question, numbers))
