"""WeChat Pay's signatures in both directions, and decryption of its reports.

Invariant: nothing is accepted as WeChat Pay's unless one of its keys verifies it, over the bytes as they came, signed
within WINDOW_SECONDS. Its keys have serial numbers and change: an unknown key is fetched, at most once in
REFRESH_SECONDS. No key is ever part of a message or of a log.
"""

from __future__ import annotations

import json
import time
from base64 import b64decode
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.x509 import load_pem_x509_certificate

from oms_es.gateways.notices import WINDOW_SECONDS, CannotDecide, Forged, Headers, one_header
from oms_es.gateways.payment.rsa import is_signed, signature_of

SCHEME = "WECHATPAY2-SHA256-RSA2048"
KEYS_MAX = 20
REFRESH_SECONDS = 60.0


class Merchant(NamedTuple):
    """The merchant that signs requests. `serial`: of the certificate of `key`."""

    mchid: str
    appid: str
    serial: str
    key: RSAPrivateKey


def signed(key: RSAPrivateKey, *lines: str) -> str:
    return signature_of(key, _joined(*lines))


def _joined(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def authorization(merchant: Merchant, method: str, path: str, body: bytes, seconds: int, nonce: str) -> str:
    """Return the Authorization header of a request. `path`: with its query."""
    signature = signed(merchant.key, method, path, str(seconds), nonce, body.decode())
    parts = {
        "mchid": merchant.mchid,
        "nonce_str": nonce,
        "signature": signature,
        "timestamp": str(seconds),
        "serial_no": merchant.serial,
    }
    return f"{SCHEME} " + ",".join(f'{name}="{value}"' for name, value in parts.items())


class PlatformKeys:
    """WeChat Pay's keys by serial number. `fetch`: returns the keys that are published now; raises CannotDecide."""

    def __init__(
        self,
        known: Mapping[str, RSAPublicKey],
        fetch: Callable[[], Mapping[str, RSAPublicKey]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = dict(known)
        self._fetch = fetch
        self._clock = clock
        self._fetched_at: float | None = None
        self._lock = Lock()

    def key_of(self, serial: str) -> RSAPublicKey:
        """Return the key with this serial number. Raise CannotDecide if it is not known, also after fetching."""
        if known := self._keys.get(serial):  # a known key needs no lock, so that its requests do not wait for a fetch
            return known
        with self._lock:
            if serial not in self._keys and self._fetch and self._may_fetch():
                self._fetched_at = self._clock()
                kept = {**self._keys, **self._fetch()}
                self._keys = dict(list(kept.items())[-KEYS_MAX:])
            if serial not in self._keys:
                raise CannotDecide("the key with that serial number is not known")
            return self._keys[serial]

    def _may_fetch(self) -> bool:
        return self._fetched_at is None or self._clock() - self._fetched_at >= REFRESH_SECONDS


def verify(headers: Headers, body: bytes, key_of: Callable[[str], RSAPublicKey], now: float) -> None:
    """Verify an answer or a notification. Raise Forged or CannotDecide."""
    seconds, nonce = one_header(headers, "wechatpay-timestamp"), one_header(headers, "wechatpay-nonce")
    if not (seconds.isascii() and seconds.isdigit()) or abs(now - int(seconds[:12])) > WINDOW_SECONDS:
        raise Forged("it was not signed now; compare the clocks")
    try:
        said = _joined(seconds, nonce, body.decode())
    except ValueError:
        raise Forged("its body is no text") from None
    signature = one_header(headers, "wechatpay-signature")
    if not is_signed(key_of(one_header(headers, "wechatpay-serial")), signature, said):
        raise Forged("its signature is not valid")


def decrypted(api_key: str, resource: Mapping[str, Any]) -> bytes:
    """Decrypt with AEAD_AES_256_GCM. Raise Forged: the tag says whether it was encrypted with this key."""
    try:
        if resource["algorithm"] != "AEAD_AES_256_GCM":
            raise Forged("it is encrypted in another way")
        key, nonce = api_key.encode(), resource["nonce"].encode()
        associated = (resource.get("associated_data") or "").encode()
        return AESGCM(key).decrypt(nonce, b64decode(resource["ciphertext"], validate=True), associated)
    except (KeyError, ValueError, AttributeError, TypeError, InvalidTag):
        raise Forged("it cannot be decrypted with the API v3 key") from None


def certified_keys(body: bytes, api_key: str, now: float) -> Mapping[str, RSAPublicKey]:
    """Return the keys that are valid now from the answer with the platform's certificates. Raise Forged."""
    try:
        listed = json.loads(body)["data"][-KEYS_MAX:]
        found = [
            (one["serial_no"], load_pem_x509_certificate(decrypted(api_key, one["encrypt_certificate"])))
            for one in listed
        ]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Forged("it is no list of certificates") from None
    return {
        serial: key
        for serial, certificate in found
        if f"{certificate.serial_number:X}" == serial.lstrip("0")
        and certificate.not_valid_before_utc.timestamp() <= now <= certificate.not_valid_after_utc.timestamp()
        and isinstance(key := certificate.public_key(), RSAPublicKey)
    }
