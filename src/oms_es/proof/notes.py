"""Signed notes (C2SP signed-note) with Ed25519, and the co-signatures of witnesses (C2SP tlog-cosignature).

Invariant: a note is trusted for a key only if a signature of that very key, by name and by hash, verifies its text.
Signatures of other keys are neither trusted nor refused.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from oms_es.proof.tree import BadProof

NOTE_BYTES_MAX = 1_000_000
SIGNATURES_MAX = 100
ED25519, COSIGNATURE = 1, 4
"""The algorithm byte of a key: a plain signature, or a witness's co-signature with a time."""
SECRET = "PRIVATE+KEY+"
KEY_BYTES, HASH_BYTES, SECONDS_BYTES = 32, 4, 8
LINE = re.compile("— (\\S+) (\\S+)")
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
NAME = re.compile(r"[^\s+]+")


class Signature(NamedTuple):
    """A signature line of a note: the name and hash of its key, and the signature."""

    name: str
    key_hash: bytes
    signature: bytes

    def __str__(self) -> str:
        return f"— {self.name} {base64.b64encode(self.key_hash + self.signature).decode()}"


class Note(NamedTuple):
    """A signed note. `text` ends with a newline."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return "".join([self.text, "\n", *(f"{one}\n" for one in self.signatures)])


class VerifierKey(NamedTuple):
    """The public key, which is given to those who verify."""

    name: str
    algorithm: int
    public: bytes

    @property
    def key_hash(self) -> bytes:
        return key_hash(self.name, self.algorithm, self.public)

    def __str__(self) -> str:
        return _written(self.name, self.key_hash, self.algorithm, self.public)

    @property
    def is_witness(self) -> bool:
        return self.algorithm == COSIGNATURE

    def verifies(self, text: str, signature: bytes) -> bool:
        message, signed = text.encode(), signature
        if self.is_witness:
            message, signed = _cosigned(text, signature[:SECONDS_BYTES]), signature[SECONDS_BYTES:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signed, message)
        except (InvalidSignature, ValueError):
            return False
        return True


class SignerKey(NamedTuple):
    """The private key: 32 bytes that only its owner knows."""

    name: str
    secret: bytes
    algorithm: int = ED25519

    @property
    def verifier(self) -> VerifierKey:
        public = Ed25519PrivateKey.from_private_bytes(self.secret).public_key().public_bytes_raw()
        return VerifierKey(self.name, self.algorithm, public)

    def __str__(self) -> str:
        return SECRET + _written(self.name, self.verifier.key_hash, self.algorithm, self.secret)

    def __repr__(self) -> str:
        return f"SignerKey({self.name!r}, …)"

    def sign(self, text: str, seconds: int = 0) -> Signature:
        """Return the signature of the text. `seconds`: since 1970; for a witness, when it saw the text."""
        moment = seconds.to_bytes(SECONDS_BYTES) if self.algorithm == COSIGNATURE else b""
        message = _cosigned(text, moment) if moment else text.encode()
        signed = Ed25519PrivateKey.from_private_bytes(self.secret).sign(message)
        return Signature(self.name, self.verifier.key_hash, moment + signed)


def key_hash(name: str, algorithm: int, public: bytes) -> bytes:
    return sha256(f"{name}\n".encode() + bytes([algorithm]) + public).digest()[:HASH_BYTES]


def _cosigned(text: str, moment: bytes) -> bytes:
    return f"cosignature/v1\ntime {int.from_bytes(moment)}\n{text}".encode()


def _written(name: str, hashed: bytes, algorithm: int, key: bytes) -> str:
    return f"{name}+{hashed.hex()}+{base64.b64encode(bytes([algorithm]) + key).decode()}"


def _read(text: str) -> tuple[str, str, int, bytes]:
    name, _, rest = text.partition("+")
    hashed, _, encoded = rest.partition("+")
    try:
        key = base64.b64decode(encoded, validate=True)
    except ValueError:  # raised also for characters that are not ASCII
        key = b""
    if not NAME.fullmatch(name) or len(key) != KEY_BYTES + 1 or key[0] not in (ED25519, COSIGNATURE):
        raise BadProof("a key is written name+hash+base64, and is of Ed25519; this is not one")
    return name, hashed, key[0], key[1:]


def verifier_key(text: str) -> VerifierKey:
    """Parse a public key. Raise BadProof."""
    name, hashed, algorithm, public = _read(text.strip())
    key = VerifierKey(name, algorithm, public)
    if key.key_hash.hex() != hashed:
        raise BadProof(f"the key of {name} is not the one that its hash {hashed} is of")
    return key


def signer_key(text: str) -> SignerKey:
    """Parse a private key. Raise BadProof, without the text in the message."""
    if not text.strip().startswith(SECRET):
        raise BadProof(f"a private key begins with {SECRET}; this does not")
    name, hashed, algorithm, secret = _read(text.strip().removeprefix(SECRET))
    key = SignerKey(name, secret, algorithm)
    if key.verifier.key_hash.hex() != hashed:
        raise BadProof(f"the private key of {name} is not the one that its hash {hashed} is of")
    return key


def note(text: str) -> Note:
    """Parse a signed note. Raise BadProof."""
    if len(text) > NOTE_BYTES_MAX or CONTROL.search(text):
        raise BadProof("a signed note is text of at most a megabyte without control characters")
    body, blank, lines = text.rpartition("\n\n")
    signatures = [_signature(line) for line in lines.removesuffix("\n").split("\n")]
    if not blank or not lines.endswith("\n") or len(signatures) > SIGNATURES_MAX:
        raise BadProof("a signed note is text, an empty line, and lines of signatures; this is not one")
    return Note(body + "\n", tuple(signatures))


def _signature(line: str) -> Signature:
    found = LINE.fullmatch(line)
    try:
        decoded = base64.b64decode(found[2], validate=True) if found else b""
    except ValueError:
        decoded = b""
    if not found or not NAME.fullmatch(found[1]) or len(decoded) <= HASH_BYTES:
        raise BadProof("a signed note is text, an empty line, and lines of signatures; this is not one")
    return Signature(found[1], decoded[:HASH_BYTES], decoded[HASH_BYTES:])


def signed_by(signed: Note, keys: Iterable[VerifierKey]) -> list[VerifierKey]:
    """Return the keys that have signed the note. Raise BadProof if a signature under the name of one does
    not verify."""
    found = []
    for key in keys:
        lines = [one for one in signed.signatures if (one.name, one.key_hash) == (key.name, key.key_hash)]
        if not all(key.verifies(signed.text, one.signature) for one in lines):
            raise BadProof(f"the signature of {key.name} does not verify: the text, or the signature, was changed")
        if lines:
            found.append(key)
    return found


def require(signed: Note, keys: Sequence[VerifierKey], witnesses: Sequence[VerifierKey] = ()) -> None:
    """Raise BadProof unless one of the keys, and every witness, has signed the note."""
    if not signed_by(signed, keys):
        names = ", ".join(sorted({key.name for key in keys})) or "no key"
        raise BadProof(f"it is not signed by the key that was given ({names})")
    by = signed_by(signed, witnesses)
    if missing := [witness.name for witness in witnesses if witness not in by]:
        raise BadProof(f"it is not co-signed by {', '.join(missing)}")
