"""Verification of webhook signatures: each sender's own scheme, over the bytes as they arrived.

Pure: headers, body, secrets and the time are arguments. Invariant: nothing of a body is read before its signature is
verified; every secret is tried, in constant time; any fault is the same refusal, which does not say why. A signature
with a time is valid for WINDOW_SECONDS before and after it; others have no time, and our commands recognise repeats.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from http import HTTPStatus
from unicodedata import normalize

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from oms_es.errors import OmsError
from oms_es.exit_codes import Code

WINDOW_SECONDS = 300
SIGNATURES_MAX = 10
"""How many signatures one header may have: a sender that changes its secret sends two."""
SIGNATURE_LENGTH_MAX = 2_000
STANDARD_PREFIX = "whsec_"
PRIVATE_PREFIX, PUBLIC_PREFIX = "whsk_", "whpk_"
"""Prefixes of a pair of Ed25519 keys, which sign `v1a`: the public one can only verify."""
KEY_BYTES = 32
SECONDS = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)
HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)
MESSAGE_ID = re.compile(r"[\x21-\x7e]{1,256}", re.ASCII)

Headers = Sequence[tuple[str, str]]
"""Headers as they arrived: a name may occur twice, and in any case."""
Verifier = Callable[[Headers, bytes, Sequence[str], float], None]


class BadSignature(OmsError):
    """The webhook is not signed with a secret of its connection, or its time is too old; nothing of it was read or
    kept.
    """

    code = "bad_signature"
    exit_code = Code.USAGE
    status = HTTPStatus.UNAUTHORIZED

    def __init__(self) -> None:
        super().__init__("the signature is not good; compare the secret, and the clocks of both sides")


def verify_shopify(headers: Headers, body: bytes, secrets: Sequence[str], _now: float) -> None:
    """Verify Shopify's signature.

    Raise BadSignature otherwise. The header is also accepted without X-, which Shopify is going to drop.
    """
    _verify_base64(_one(headers, "x-shopify-hmac-sha256", "shopify-hmac-sha256"), body, secrets)


def verify_woocommerce(headers: Headers, body: bytes, secrets: Sequence[str], _now: float) -> None:
    """Verify WooCommerce's signature. Raise BadSignature otherwise."""
    _verify_base64(_one(headers, "x-wc-webhook-signature"), body, secrets)


def verify_easypost(headers: Headers, body: bytes, secrets: Sequence[str], _now: float) -> None:
    """Verify EasyPost's signature. Raise BadSignature otherwise."""
    name, _, value = _one(headers, "x-hmac-signature").partition("=")
    if name != "hmac-sha256-hex":
        raise BadSignature
    keys = (normalize("NFKD", secret).encode() for secret in secrets)
    _require_any(_of_hex([value]), (_digest(key, body) for key in keys))


def verify_stripe(headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> None:
    """Verify Stripe's signature.

    Raise BadSignature otherwise. Signatures of other versions than v1 are for test events, or unknown.
    """
    pairs = [tuple(part.strip().partition("=")[::2]) for part in _one(headers, "stripe-signature").split(",")]
    moments = [value for name, value in pairs if name == "t"]
    if len(moments) != 1:
        raise BadSignature
    _require_recent(moments[0], now)
    signed = moments[0].encode() + b"." + body
    signatures = [value for name, value in pairs if name == "v1"]
    _require_any(_of_hex(signatures), (_digest(secret.encode(), signed) for secret in secrets))


def verify_standard(headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> None:
    """Verify a signature of Standard Webhooks: `v1` with a shared secret, `v1a` with the sender's public key. Raise
    BadSignature otherwise.
    """
    message_id, moment = _one(headers, "webhook-id"), _one(headers, "webhook-timestamp")
    if not MESSAGE_ID.fullmatch(message_id):
        raise BadSignature
    _require_recent(moment, now)
    signatures = [part.partition(",")[::2] for part in _one(headers, "webhook-signature").split(" ")]
    signed = standard_content(message_id, moment, body)
    symmetric = [secret for secret in secrets if not secret.startswith(PUBLIC_PREFIX)]
    public = [public_key_in(secret) for secret in secrets if secret.startswith(PUBLIC_PREFIX)]
    if _is_any_of(public, _of_base64([value for version, value in signatures if version == "v1a"]), signed):
        return
    given = _of_base64([value for version, value in signatures if version == "v1"])
    _require_any(given, (_digest(standard_key(secret), signed) for secret in symmetric))


VERIFIERS: Mapping[str, Verifier] = {
    "shopify": verify_shopify,
    "woocommerce": verify_woocommerce,
    "stripe": verify_stripe,
    "easypost": verify_easypost,
    "canonical": verify_standard,
}
"""The verifiers by dialect."""


def standard_content(message_id: str, seconds: str, body: bytes) -> bytes:
    return f"{message_id}.{seconds}.".encode() + body


def standard_key(secret: str) -> bytes:
    """Return the key in a secret of Standard Webhooks. Raise BadSignature if it is not valid."""
    try:
        return b64decode(secret.removeprefix(STANDARD_PREFIX), validate=True)
    except ValueError:
        raise BadSignature from None


def standard_signature(message_id: str, seconds: int, body: bytes, secrets: Iterable[str]) -> str:
    """Return the value of `webhook-signature`: one signature by each secret, so that either side may change its
    secret.
    """
    signed = standard_content(message_id, str(seconds), body)
    return " ".join(_signature(secret, signed) for secret in secrets)


def _signature(secret: str, signed: bytes) -> str:
    if secret.startswith(PRIVATE_PREFIX):
        return f"v1a,{b64encode(_private_key(secret).sign(signed)).decode()}"
    return f"v1,{b64encode(_digest(standard_key(secret), signed)).decode()}"


def public_key_of(secret: str) -> str:
    """Return the public key of a private key, with its prefix. Raise BadSignature if it is no private key."""
    raw = _private_key(secret).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return PUBLIC_PREFIX + b64encode(raw).decode()


def public_key_in(text: str) -> Ed25519PublicKey:
    """Return the public key in a text. Raise BadSignature if it is no key of Standard Webhooks."""
    return Ed25519PublicKey.from_public_bytes(_key_bytes(text.removeprefix(PUBLIC_PREFIX)))


def _private_key(text: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(_key_bytes(text.removeprefix(PRIVATE_PREFIX)))


def _key_bytes(text: str) -> bytes:
    """Return the bytes of a key; a private key may be followed by its public key.

    Raise BadSignature if it is not valid.
    """
    raw = standard_key(text)
    if len(raw) not in (KEY_BYTES, 2 * KEY_BYTES):
        raise BadSignature
    return raw[:KEY_BYTES]


def _is_any_of(keys: Sequence[Ed25519PublicKey], signatures: Iterable[bytes], signed: bytes) -> bool:
    for signature in list(signatures)[:SIGNATURES_MAX]:
        for key in keys:
            with suppress(InvalidSignature):
                key.verify(signature, signed)
                return True
    return False


def _verify_base64(signature: str, body: bytes, secrets: Sequence[str]) -> None:
    _require_any(_of_base64([signature]), (_digest(secret.encode(), body) for secret in secrets))


def _one(headers: Headers, *names: str) -> str:
    """Return the only value under these names.

    Raise BadSignature if there are several, as they could be read differently on the way.
    """
    values = [value for name, value in headers if name.lower() in names]
    if len(values) != 1 or not 0 < len(values[0]) <= SIGNATURE_LENGTH_MAX:
        raise BadSignature
    return values[0].strip()


def _require_recent(seconds: str, now: float) -> None:
    if not SECONDS.fullmatch(seconds) or abs(now - int(seconds)) > WINDOW_SECONDS:
        raise BadSignature


def _digest(key: bytes, signed: bytes) -> bytes:
    return hmac.digest(key, signed, sha256)


def _of_base64(texts: Sequence[str]) -> Iterator[bytes]:
    for text in texts:
        try:
            yield b64decode(text, validate=True)
        except ValueError:
            continue


def _of_hex(texts: Sequence[str]) -> Iterator[bytes]:
    return (bytes.fromhex(text) for text in texts if HEX.fullmatch(text))


def _require_any(given: Iterable[bytes], expected: Iterable[bytes]) -> None:
    """Raise BadSignature if no pair is equal.

    Every pair is compared, so that the time does not depend on which one matches.
    """
    signatures = list(given)[:SIGNATURES_MAX]
    good = [hmac.compare_digest(one, digest) for digest in expected for one in signatures]
    if not any(good):
        raise BadSignature
