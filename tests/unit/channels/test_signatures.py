"""Signatures of webhooks: what the sender signed is accepted, and nothing else, whatever the headers contain."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_es.channels.senders import SENDERS
from oms_es.channels.signatures import (
    PRIVATE_PREFIX,
    PUBLIC_PREFIX,
    STANDARD_PREFIX,
    VERIFIERS,
    WINDOW_SECONDS,
    BadSignature,
    Headers,
    public_key_of,
    standard_signature,
    verify_standard,
)
from oms_es.http.writing.webhooks import OPENED

NOW = 1_788_000_000
BODY = b'{"id": 4711, "note": "\xc3\xa9\xff\x00"}'
OTHER = "whsec_" + b64encode(b"another secret of 24 byt").decode()
SECRET = "whsec_" + b64encode(b"a secret of 24 bytes, ok").decode()


def digest(secret: str, signed: bytes) -> bytes:
    return hmac.new(secret.encode(), signed, sha256).digest()


def shopify(body: bytes, secret: str, _at: int) -> Headers:
    return [("X-Shopify-Hmac-Sha256", b64encode(digest(secret, body)).decode())]


def woocommerce(body: bytes, secret: str, _at: int) -> Headers:
    return [("X-WC-Webhook-Signature", b64encode(digest(secret, body)).decode())]


def easypost(body: bytes, secret: str, _at: int) -> Headers:
    return [("X-Hmac-Signature", "hmac-sha256-hex=" + digest(normalize("NFKD", secret), body).hex())]


def stripe(body: bytes, secret: str, at: int) -> Headers:
    return [("Stripe-Signature", f"t={at},v1={digest(secret, f'{at}.'.encode() + body).hex()},v0=ignored")]


def standard(body: bytes, secret: str, at: int) -> Headers:
    return [
        ("Webhook-Id", "msg_1"),
        ("Webhook-Timestamp", str(at)),
        ("Webhook-Signature", standard_signature("msg_1", at, body, [secret])),
    ]


Signing = Callable[[bytes, str, int], Headers]
SIGNING: dict[str, Signing] = {
    "shopify": shopify,
    "woocommerce": woocommerce,
    "easypost": easypost,
    "stripe": stripe,
    "canonical": standard,
}
each = pytest.mark.parametrize("dialect", sorted(SIGNING))


def is_good(
    dialect: str, headers: Headers, body: bytes = BODY, secrets: Sequence[str] = (SECRET,), now: float = NOW
) -> bool:
    try:
        VERIFIERS[dialect](headers, body, secrets, now)
    except BadSignature as error:
        assert SECRET not in str(error)
        return False
    return True


def test_every_sender_has_a_verifier_that_is_tried_here() -> None:
    """Providers whose reports are verified with their own keys are tested in tests/unit/gateways."""
    assert set(SENDERS) - OPENED == set(VERIFIERS) == set(SIGNING)


@each
def test_what_was_signed_is_good_whatever_the_case_of_its_headers(dialect: str) -> None:
    headers = SIGNING[dialect](BODY, SECRET, NOW)
    assert is_good(dialect, headers)
    assert is_good(dialect, [(name.lower(), value) for name, value in headers])
    assert is_good(dialect, [(name.upper(), value) for name, value in headers])


@each
def test_any_of_the_secrets_may_have_signed(dialect: str) -> None:
    headers = SIGNING[dialect](BODY, SECRET, NOW)
    assert is_good(dialect, headers, secrets=[OTHER, SECRET])
    assert not is_good(dialect, headers, secrets=[OTHER])
    assert not is_good(dialect, headers, secrets=[])


@each
@given(at=st.integers(0, len(BODY)), byte=st.binary(min_size=1, max_size=1))
def test_another_body_is_refused(dialect: str, at: int, byte: bytes) -> None:
    headers = SIGNING[dialect](BODY, SECRET, NOW)
    assert not is_good(dialect, headers, BODY[:at] + byte + BODY[at:])
    changed = BODY[:at] + byte + BODY[at + 1 :]
    assert is_good(dialect, headers, changed) == (changed == BODY)


@each
def test_missing_empty_and_doubled_headers_are_refused(dialect: str) -> None:
    headers = list(SIGNING[dialect](BODY, SECRET, NOW))
    assert not is_good(dialect, [])
    for number, (name, value) in enumerate(headers):
        without = headers[:number] + headers[number + 1 :]
        assert not is_good(dialect, without)
        assert not is_good(dialect, [*headers, (name, value)])
        assert not is_good(dialect, [*without, (name, "")])
        assert not is_good(dialect, [*without, (name, value * 200)])


@each
@given(text=st.text(max_size=80))
def test_no_header_makes_a_mistake_of_ours(dialect: str, text: str) -> None:
    for number, (name, value) in enumerate(headers := list(SIGNING[dialect](BODY, SECRET, NOW))):
        if text.strip() != value:
            assert not is_good(dialect, [*headers[:number], (name, text), *headers[number + 1 :]])


@pytest.mark.parametrize("dialect", ["stripe", "canonical"])
@pytest.mark.parametrize("off", [WINDOW_SECONDS, -WINDOW_SECONDS])
def test_what_is_signed_with_a_time_is_good_within_the_window(dialect: str, off: int) -> None:
    headers = SIGNING[dialect](BODY, SECRET, NOW - off)
    assert is_good(dialect, headers)
    assert not is_good(dialect, headers, now=NOW + (1 if off > 0 else -1))


def test_stripe_may_sign_several_times_and_one_must_be_good() -> None:
    (name, value), *_ = stripe(BODY, SECRET, NOW)
    bad = "0" * 64
    assert is_good("stripe", [(name, f"{value},v1={bad}")])
    assert is_good("stripe", [(name, value.replace("v1=", f"v1={bad},v1="))])
    assert not is_good("stripe", [(name, value.replace("v1=", "v0="))])
    assert not is_good("stripe", [(name, f"{value},t={NOW}")])


def test_the_standard_may_sign_several_times_and_other_versions_are_passed_over() -> None:
    signed = standard_signature("msg_1", NOW, BODY, [OTHER, SECRET])
    headers = [("webhook-id", "msg_1"), ("webhook-timestamp", str(NOW))]
    assert is_good("canonical", [*headers, ("webhook-signature", f"v1a,abc {signed}")])
    assert not is_good("canonical", [*headers, ("webhook-signature", signed.replace("v1,", "v2,"))])


def test_shopify_may_leave_its_x_away_and_not_send_both() -> None:
    ((_, value),) = shopify(BODY, SECRET, NOW)
    assert is_good("shopify", [("Shopify-Hmac-Sha256", value)])
    assert not is_good("shopify", [("Shopify-Hmac-Sha256", value), ("X-Shopify-Hmac-Sha256", value)])


def test_easypost_normalizes_its_secret() -> None:
    assert is_good("easypost", easypost(BODY, "caf\u00e9", NOW), secrets=["cafe\u0301"])


def test_as_the_public_packages_sign_and_verify() -> None:
    package = pytest.importorskip("standardwebhooks")
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(NOW),
        "webhook-signature": package.Webhook(SECRET).sign("msg_1", datetime.fromtimestamp(NOW, UTC), "{}"),
    }
    assert is_good("canonical", list(headers.items()), b"{}")
    assert headers["webhook-signature"] == standard_signature("msg_1", NOW, b"{}", [SECRET])
    assert STANDARD_PREFIX == "whsec_"


def test_as_stripes_package_signs() -> None:
    package = pytest.importorskip("stripe")
    signature = package.WebhookSignature._compute_signature(f"{NOW}.{BODY[:10].decode()}", SECRET)
    assert is_good("stripe", [("Stripe-Signature", f"t={NOW},v1={signature}")], BODY[:10])


def test_easyposts_package_takes_what_is_good_here() -> None:
    package = pytest.importorskip("easypost.util")
    ((name, value),) = easypost(b'{"id": "evt_1"}', "caf\u00e9", NOW)
    assert package.validate_webhook(b'{"id": "evt_1"}', {name: value}, "cafe\u0301") == {"id": "evt_1"}
    assert is_good("easypost", [(name, value)], b'{"id": "evt_1"}', ["caf\u00e9"])


# RFC 8032, section 7.1, test 1: the keys of it, and what another implementation of the rules signs with them
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")


def asymmetric(seed: bytes) -> str:
    return PRIVATE_PREFIX + b64encode(seed).decode()


def signed_by(secret: str, at: int = NOW, body: bytes = BODY) -> Headers:
    signature = standard_signature("msg_1", at, body, [secret])
    return [("webhook-id", "msg_1"), ("webhook-timestamp", str(at)), ("webhook-signature", signature)]


def test_the_public_key_is_the_one_of_the_standard() -> None:
    assert public_key_of(asymmetric(SEED)) == public_key_of(asymmetric(SEED + PUBLIC))
    assert public_key_of(asymmetric(SEED)) == PUBLIC_PREFIX + b64encode(PUBLIC).decode()


def test_what_a_private_key_signs_its_public_key_verifies_and_no_other_does() -> None:
    secret, other = asymmetric(SEED), asymmetric(b"x" * 32)
    headers = signed_by(secret)
    assert headers[2][1].startswith("v1a,")
    verify_standard(headers, BODY, [OTHER, public_key_of(secret)], NOW)
    wrong: Sequence[tuple[Headers, bytes, Sequence[str], float]] = (
        (headers, BODY, [public_key_of(other)], NOW),
        (headers, BODY + b" ", [public_key_of(secret)], NOW),
        (headers, BODY, [public_key_of(secret)], NOW + WINDOW_SECONDS + 1),
        (headers, BODY, [SECRET], NOW),
        (headers, BODY, [], NOW),
        (signed_by(SECRET), BODY, [public_key_of(secret)], NOW),
    )
    for one in wrong:
        with pytest.raises(BadSignature):
            verify_standard(*one)


def test_a_signature_with_a_secret_that_is_named_v1a_is_none() -> None:
    """A public key must not be accepted as the secret of an HMAC."""
    public = public_key_of(asymmetric(SEED))
    forged = "v1," + b64encode(hmac.digest(PUBLIC, b"msg_1.%d." % NOW + BODY, sha256)).decode()
    headers = [("webhook-id", "msg_1"), ("webhook-timestamp", str(NOW)), ("webhook-signature", forged)]
    with pytest.raises(BadSignature):
        verify_standard(headers, BODY, [public], NOW)


@pytest.mark.parametrize("text", ["whpk_", "whpk_AAAA", "whpk_é", "whpk_" + "A" * 200])
def test_what_is_no_key_verifies_nothing(text: str) -> None:
    with pytest.raises(BadSignature):
        verify_standard(signed_by(asymmetric(SEED)), BODY, [text], NOW)
