"""RSA keys in files and settings: a usable one is accepted, another is named by its place and never shown."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_curve_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from oms_es.gateways.payment import rsa

RSA, WEAK, CURVE = (
    generate_private_key(65_537, 2_048),
    generate_private_key(65_537, 1_024),
    generate_curve_key(SECP256R1()),
)


def pem_of(key: Any) -> bytes:
    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def public_of(key: Any, encoding: Encoding = Encoding.PEM) -> bytes:
    return bytes(key.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo))


@pytest.mark.parametrize("content", [public_of(RSA), pem_of(CURVE), pem_of(WEAK), b"sk_secret", None])
def test_a_file_without_a_usable_private_key_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "key.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(rsa.BadKey, match=r"key\.pem") as caught:
        rsa.private_key_in(path)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("content", [pem_of(RSA), public_of(CURVE), public_of(WEAK), b"sk_secret", None])
def test_a_file_without_a_usable_public_key_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "key.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(rsa.BadKey, match=r"key\.pem"):
        rsa.public_key_in(path)


@pytest.mark.parametrize("text", ["", "?", b64encode(public_of(WEAK, Encoding.DER)).decode(), "c2VjcmV0"])
def test_a_text_without_a_usable_public_key_is_not_shown(text: str) -> None:
    with pytest.raises(rsa.BadKey) as caught:
        rsa.public_key_of(text)
    assert not text or text not in str(caught.value)


def test_keys_that_can_be_used_sign_and_verify(tmp_path: Path) -> None:
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    private.write_bytes(pem_of(RSA))
    public.write_bytes(public_of(RSA))
    signature = rsa.signature_of(rsa.private_key_in(private), b"said")
    for key in (rsa.public_key_in(public), rsa.public_key_of(b64encode(public_of(RSA, Encoding.DER)).decode())):
        assert rsa.is_signed(key, signature, b"said")
        assert not rsa.is_signed(key, signature, b"Said")
        assert not rsa.is_signed(key, "?", b"said")
