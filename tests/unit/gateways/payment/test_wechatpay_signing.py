"""Signatures and encryption of WeChat Pay, with test keys: its package for Python reads and writes the same."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from wechatpayv3 import utils as sdk

from oms_es.gateways.notices import Forged
from oms_es.gateways.payment.wechatpay import signing

API_KEY = "0123456789abcdef0123456789abcdef"
BODIES = ["", "{}", '{"description": "订单 100% + {1} ~*"}', '{"a":"\\n"}', "x" * 5_000]


@cache
def key() -> RSAPrivateKey:
    return generate_private_key(65_537, 2_048)


@pytest.mark.parametrize("body", BODIES)
def test_a_request_is_signed_as_its_own_package_signs(body: str) -> None:
    merchant = signing.Merchant("19", "wx", "5157F09E", key())
    path = "/v3/pay/transactions/out-trade-no/1?mchid=19"
    theirs = sdk.build_authorization(path, "POST", "19", "5157F09E", key(), body, nonce_str="N0NCE")
    found = re.search(r'timestamp="(\d+)"', theirs)
    assert found
    assert signing.authorization(merchant, "POST", path, body.encode(), int(found[1]), "N0NCE") == theirs


@pytest.mark.parametrize("body", BODIES)
def test_what_its_own_package_signs_is_good_and_changed_it_is_not(body: str) -> None:
    signature = sdk.rsa_sign(key(), f"100\nN\n{body}\n")
    headers = {
        "Wechatpay-Timestamp": "100",
        "Wechatpay-Nonce": "N",
        "Wechatpay-Serial": "S",
        "Wechatpay-Signature": signature,
    }
    assert sdk.rsa_verify("100", "N", body, signature, key().public_key())

    def verify(changed: str = body, **more: str) -> None:
        given = tuple({**headers, **more}.items())
        signing.verify(given, changed.encode(), lambda _: key().public_key(), 100.0)

    verify()
    changes: list[dict[str, Any]] = [
        {"changed": body + " "},
        {"Wechatpay-Nonce": "M"},
        {"Wechatpay-Timestamp": "101"},
        {"Wechatpay-Timestamp": "-100"},
        {"Wechatpay-Timestamp": "9" * 2_001},
        {"Wechatpay-Signature": b64encode(b64decode(signature)[:-1]).decode()},
        {"Wechatpay-Signature": "no base64"},
        {"wechatpay-serial": "twice"},
    ]
    for change in changes:
        with pytest.raises(Forged):
            verify(**change)


def test_what_is_encrypted_is_read_and_changed_it_is_not() -> None:
    content = json.dumps({"out_trade_no": "订单"}).encode()
    sealed = AESGCM(API_KEY.encode()).encrypt(b"nonce_of_12_", content, b"transaction")
    resource = {
        "algorithm": "AEAD_AES_256_GCM",
        "nonce": "nonce_of_12_",
        "associated_data": "transaction",
        "ciphertext": b64encode(sealed).decode(),
    }
    theirs = sdk.aes_decrypt("nonce_of_12_", resource["ciphertext"], "transaction", API_KEY)
    assert signing.decrypted(API_KEY, resource) == content == theirs.encode()
    bent = b64encode(bytes([sealed[0] ^ 1, *sealed[1:]])).decode()
    wrong: list[dict[str, Any]] = [
        {"ciphertext": bent},
        {"ciphertext": "?"},
        {"nonce": "other_nonce_"},
        {"nonce": 5},
        {"associated_data": None},
        {"algorithm": "AEAD_SM4_GCM"},
    ]
    for change in wrong:
        with pytest.raises(Forged):
            signing.decrypted(API_KEY, resource | change)
    for other in ("x" * 32, "short"):
        with pytest.raises(Forged):
            signing.decrypted(other, resource)
