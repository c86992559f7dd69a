"""Alipay's reports: verified and checked to be for us, then given to the dialect as JSON of the form's fields.

Invariant: one of four outcomes. Signed with a key of the connection, over every field as it came, and ours: its fields,
without the payer's. Signed with another key: Forged. Signed in a way, or in a charset, that is not supported:
CannotDecide. Valid, and for another app or seller: NotForUs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from oms_es.gateways.notices import CannotDecide, Forged, Headers, NotForUs, Reply
from oms_es.gateways.payment.alipay.signing import fields_in, joined
from oms_es.gateways.payment.rsa import BadKey, is_signed, public_key_of

PEOPLE = ("buyer_id", "buyer_logon_id", "buyer_open_id", "buyer_user_id", "sign", "sign_type")
"""Fields that are not kept: the payer's, and the signature."""


class AlipayNotices:
    """Verifies Alipay's reports. `seller_id`: the seller of the orders; if empty, any seller of the app."""

    def __init__(self, app_id: str, seller_id: str) -> None:
        self._app_id = app_id
        self._seller_id = seller_id

    def open(self, _headers: Headers, body: bytes, secrets: Sequence[str], _now: float) -> Sequence[bytes]:
        """Return the report's fields as JSON. `secrets`: Alipay's public keys that are valid now. Raise Forged,
        CannotDecide or NotForUs."""
        fields, charset = fields_in(body)
        if fields.get("sign_type") != "RSA2":
            raise CannotDecide("it is signed in another way than RSA2")
        keys = tuple(_keys_in(secrets))
        if not keys:
            raise CannotDecide("no secret of the connection is a public key of Alipay's, in base64 on one line")
        said = joined(fields, "sign", "sign_type").encode(charset)
        if not any(is_signed(key, fields.get("sign", ""), said) for key in keys):
            raise Forged("its signature is not valid")
        if fields.get("app_id") != self._app_id:
            raise NotForUs("it is of another app")
        if self._seller_id and fields.get("seller_id") != self._seller_id:
            raise NotForUs("it is of another seller")
        return [json.dumps({name: fields[name] for name in fields if name not in PEOPLE}, ensure_ascii=False).encode()]

    def answer(self, *, taken: bool, why: str) -> Reply:  # noqa: ARG002 - it is the opener's shape
        """Return the reply: the word alone, since Alipay sends the report again after anything else."""
        return Reply("text/plain", b"success" if taken else b"failure")


def _keys_in(secrets: Sequence[str]) -> Iterator[RSAPublicKey]:
    for secret in secrets:
        with suppress(BadKey):
            yield public_key_of(secret)
