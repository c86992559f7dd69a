"""Verification of kuaidi100's pushes: a form with the message and a digest over it and the salt.

Invariant: the digest is computed over the message as it came, decoded once. The salt is the connection's secret; a push
of a subscription without a salt is not signed, and is refused.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Sequence
from hashlib import md5
from urllib.parse import parse_qsl

from oms_es.gateways.notices import Forged, Headers, Reply

FIELDS_MAX = 20


def digest(*parts: str) -> str:
    """Return kuaidi100's digest: MD5 over the concatenated parts, in capitals."""
    return md5("".join(parts).encode(), usedforsecurity=False).hexdigest().upper()


class Kuaidi100Notices:
    def open(self, _headers: Headers, body: bytes, secrets: Sequence[str], _now: float) -> Sequence[bytes]:
        """Return the message of a verified push. Raise Forged."""
        try:
            pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX)
        except ValueError:
            raise Forged("it is no form") from None
        fields = dict(pairs)
        if len(fields) != len(pairs):
            raise Forged("a field is there twice")
        param, sign = fields.get("param", ""), fields.get("sign", "").upper().encode()
        if not any(hmac.compare_digest(digest(param, salt).encode(), sign) for salt in secrets if salt):
            raise Forged("its signature is not valid")
        return [param.encode()]

    def answer(self, *, taken: bool, why: str) -> Reply:
        """Return the reply; a push that is answered with `result: false` is sent again."""
        said = {"result": taken, "returnCode": "200" if taken else "500", "message": "成功" if taken else why}
        return Reply("application/json", json.dumps(said, ensure_ascii=False).encode())
