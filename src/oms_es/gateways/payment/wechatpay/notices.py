"""WeChat Pay's notifications: verified, decrypted, checked to be for us, then given to the dialect.

Invariant: one of four outcomes. Verified and ours: its content, without the payer. Not signed by WeChat Pay, or not
now: Forged. Signed with an unknown key: keys are fetched, and until they are here the notification must come again
(CannotDecide). Valid, and for another merchant or app: NotForUs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from oms_es.gateways.notices import Forged, Headers, NotForUs, Reply
from oms_es.gateways.payment.wechatpay.signing import decrypted, verify
from oms_es.kernel import BadInput
from oms_es.schemas.sent import check_sent


class WeChatPayNotices:
    def __init__(self, mchid: str, appid: str, key_of: Callable[[str], RSAPublicKey]) -> None:
        self._mchid = mchid
        self._appid = appid
        self._key_of = key_of

    def open(self, headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> Sequence[bytes]:
        """Return the decrypted notification. `secrets`: API v3 keys that are valid now. Raise Forged, CannotDecide or
        NotForUs."""
        verify(headers, body, self._key_of, now)
        try:
            check_sent(body)
            said = json.loads(body)
            content = _opened(said["resource"], secrets)
            check_sent(content)
            resource = json.loads(content)
            event = {name: said[name] for name in ("id", "create_time", "event_type") if name in said}
            self._require_ours(resource)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, BadInput):
            raise Forged("it is no notification of API v3") from None
        return [json.dumps({**event, "resource": resource}, ensure_ascii=False).encode()]

    def _require_ours(self, resource: dict[str, Any]) -> None:
        """Raise NotForUs unless the notification is for our merchant and app; a refund names its merchant alone.

        Fields about the payer are removed: they are not needed, and not kept.
        """
        if resource.get("mchid") != self._mchid:
            raise NotForUs("it is of another merchant")
        if resource.get("appid", self._appid) != self._appid:
            raise NotForUs("it is of another app of the merchant")
        for name in ("payer", "user_received_account"):
            resource.pop(name, None)

    def answer(self, *, taken: bool, why: str) -> Reply:
        said = {"code": "SUCCESS" if taken else "FAIL", "message": why}
        return Reply("application/json", json.dumps(said).encode())


def _opened(resource: dict[str, Any], secrets: Sequence[str]) -> bytes:
    for secret in secrets:
        with suppress(Forged):
            return decrypted(secret, resource)
    raise Forged("no API v3 key of the connection decrypts it")
