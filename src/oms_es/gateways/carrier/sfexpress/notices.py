"""Verification of SF's pushes: by the digest over the message, or by a key in the address to which it is sent.

Invariant: nothing of a push is read before it is verified. SF's plain route pushes (RoutePushService) are not signed:
they are taken only if their address has the connection's secret, as in `/v1/webhooks/sf?key=…`.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from oms_es.gateways.carrier.sfexpress.dialect import histories_in
from oms_es.gateways.carrier.sfexpress.signing import digest
from oms_es.gateways.notices import ADDRESS, CannotDecide, Forged, Headers, Reply

FIELDS_MAX = 20
KEY = "key"


class SfExpressNotices:
    """Verifies SF's pushes. `checkword`: the secret of the account; empty if there is none here."""

    def __init__(self, checkword: str) -> None:
        self._checkword = checkword

    def open(self, headers: Headers, body: bytes, secrets: Sequence[str], _now: float) -> Sequence[bytes]:
        """Return the histories in a verified push, one for each number. Raise Forged or CannotDecide."""
        has_key = _has_key(headers, secrets)
        fields = _fields(body)
        if "msgDigest" in fields:
            self._verify(fields)
            content = str(fields["msgData"]).encode("utf-8", "surrogatepass")
        elif has_key:
            content = body
        else:
            raise Forged("it is not signed, and its address has no key of the connection")
        with suppress(ValueError, RecursionError):
            push = json.loads(content)
            return (histories_in(push) if isinstance(push, dict) else ()) or [content]
        return [content]

    def _verify(self, fields: Mapping[str, Any]) -> None:
        if not self._checkword:
            raise CannotDecide("it is signed, and OMS_SFEXPRESS_CHECKWORD is not set here")
        message, timestamp, sign = (str(fields.get(name) or "") for name in ("msgData", "timestamp", "msgDigest"))
        try:
            expected = digest(message, timestamp, self._checkword)
        except UnicodeEncodeError:
            raise Forged("it is no text") from None
        if not hmac.compare_digest(expected.encode(), sign.encode("utf-8", "surrogatepass")):
            raise Forged("its digest is not valid")

    def answer(self, *, taken: bool, why: str) -> Reply:
        """Return the reply; a push that is answered with another code than 0000 is sent again."""
        said = {"return_code": "0000" if taken else "1000", "return_msg": "成功" if taken else why}
        return Reply("application/json", json.dumps(said, ensure_ascii=False).encode())


def _has_key(headers: Headers, secrets: Sequence[str]) -> bool:
    address = next((value for name, value in headers if name == ADDRESS), "")
    with suppress(ValueError):
        given = parse_qs(urlsplit(address).query, max_num_fields=FIELDS_MAX).get(KEY, [])
        return len(given) == 1 and any(
            hmac.compare_digest(secret.encode(), given[0].encode("utf-8", "surrogatepass")) for secret in secrets
        )
    return False


def _fields(body: bytes) -> Mapping[str, Any]:
    """Return the fields of a form or of a JSON object; none of anything else."""
    with suppress(ValueError, RecursionError):
        if body.lstrip()[:1] == b"{":
            document = json.loads(body)
            return document if isinstance(document, dict) else {}
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX)
        return dict(pairs) if len(dict(pairs)) == len(pairs) else {}
    return {}
