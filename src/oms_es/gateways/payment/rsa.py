"""RSA keys of merchants and providers, from files and settings, and SHA-256 signatures with them.

Invariant: no key is ever part of a message or of a log: the file or setting is named instead.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)

from oms_es.gateways.outgoing import ProtocolError

RSA_BITS_MIN = 2_048


class BadKey(ProtocolError):
    """A key cannot be used; the message names the file or setting, never its content."""


def private_key_in(path: Path) -> RSAPrivateKey:
    """Return the private key in the file. Raise BadKey."""
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise BadKey(f"{path} has no private key in PEM without a password ({type(error).__name__})") from None
    if not isinstance(key, RSAPrivateKey) or key.key_size < RSA_BITS_MIN:
        raise BadKey(f"{path} has no RSA key of at least {RSA_BITS_MIN} bits")
    return key


def public_key_in(path: Path) -> RSAPublicKey:
    """Return the public key in the file. Raise BadKey."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BadKey(f"{path} has no public key in PEM ({type(error).__name__})") from None
    if not isinstance(key, RSAPublicKey) or key.key_size < RSA_BITS_MIN:
        raise BadKey(f"{path} has no RSA key of at least {RSA_BITS_MIN} bits")
    return key


def public_key_of(text: str) -> RSAPublicKey:
    """Return the public key in the form in which providers show it: DER in base64, on one line. Raise BadKey."""
    try:
        key = load_der_public_key(b64decode(text, validate=True))
    except ValueError:
        raise BadKey("it is no public key in base64") from None
    if not isinstance(key, RSAPublicKey) or key.key_size < RSA_BITS_MIN:
        raise BadKey(f"it is no RSA key of at least {RSA_BITS_MIN} bits")
    return key


def signature_of(key: RSAPrivateKey, said: bytes) -> str:
    return b64encode(key.sign(said, PKCS1v15(), SHA256())).decode()


def is_signed(key: RSAPublicKey, signature: str, said: bytes) -> bool:
    try:
        key.verify(b64decode(signature, validate=True), said, PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True
