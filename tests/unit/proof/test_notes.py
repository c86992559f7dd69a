"""Notes, keys and checkpoints in the formats of C2SP, and inputs that are not."""

from __future__ import annotations

import base64
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from oms_es.proof import checkpoints, notes
from oms_es.proof.checkpoints import Checkpoint
from oms_es.proof.notes import COSIGNATURE, Note, SignerKey
from oms_es.proof.tree import BadProof

NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SIGNED = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
"""The note with which the format's first implementation documents it."""
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    ),
]
"""Section 7.1: secret and public key."""
LOG = SignerKey("orders.example/log", bytes(range(32)))
WITNESS = SignerKey("witness.example/w1", bytes(range(1, 33)), COSIGNATURE)
CHECKPOINT = Checkpoint("orders.example/log", 3, sha256(b"x").digest())


def signed(text: str = CHECKPOINT.text) -> Note:
    return Note(text, (LOG.sign(text), WITNESS.sign(text, 1_750_000_000)))


def test_a_note_of_another_program_is_read_and_believed_for_its_key_only() -> None:
    note = notes.note(SIGNED)
    assert str(note) == SIGNED
    notes.require(note, [notes.verifier_key(NEUMANN)])
    with pytest.raises(BadProof, match="not signed by the key"):
        notes.require(note, [LOG.verifier])
    with pytest.raises(BadProof, match="does not verify"):
        notes.require(note._replace(text=note.text.replace("answer", "Answer")), [notes.verifier_key(NEUMANN)])


@pytest.mark.parametrize(("secret", "public"), RFC_8032)
def test_keys_are_those_of_the_rfc(secret: str, public: str) -> None:
    key = SignerKey("rfc", bytes.fromhex(secret))
    assert key.verifier.public.hex() == public
    assert notes.signer_key(str(key)) == key
    assert notes.verifier_key(str(key.verifier)) == key.verifier
    assert secret not in repr(key)


def test_a_witness_signs_the_moment_and_the_checkpoint() -> None:
    """Put together here by hand, as tlog-cosignature says it."""
    (_, line) = signed().signatures
    assert line.signature[:8] == (1_750_000_000).to_bytes(8)
    public = Ed25519PrivateKey.from_private_bytes(WITNESS.secret).public_key()
    public.verify(line.signature[8:], f"cosignature/v1\ntime 1750000000\n{CHECKPOINT.text}".encode())
    expected = sha256(b"witness.example/w1\n\x04" + public.public_bytes_raw()).digest()[:4]
    assert line.key_hash == expected
    notes.require(signed(), [LOG.verifier], [WITNESS.verifier])


def test_who_has_not_signed_is_named() -> None:
    alone = Note(CHECKPOINT.text, (LOG.sign(CHECKPOINT.text),))
    with pytest.raises(BadProof, match="not co-signed by witness"):
        notes.require(alone, [LOG.verifier], [WITNESS.verifier])
    later = WITNESS.sign(CHECKPOINT.text, 1)
    forged = later._replace(signature=(2).to_bytes(8) + later.signature[8:])
    with pytest.raises(BadProof, match="does not verify"):
        notes.require(Note(CHECKPOINT.text, (*alone.signatures, forged)), [LOG.verifier], [WITNESS.verifier])
    with pytest.raises(BadProof, match="no key"):
        notes.require(alone, [])


def test_signatures_stand_in_any_order_among_those_of_others() -> None:
    text, other = CHECKPOINT.text, SignerKey("other", bytes(32))
    namesake = SignerKey(LOG.name, bytes(32))
    note = Note(text, (other.sign(text), namesake.sign("else"), *reversed(signed().signatures)))
    notes.require(notes.note(str(note)), [LOG.verifier], [WITNESS.verifier])


@given(st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_a_checkpoint_is_read_back(size: int, root: bytes) -> None:
    found = Checkpoint("log", size, root if size else sha256().digest())
    assert checkpoints.checkpoint_of(Note(found.text, ())) == found
    assert checkpoints.checkpoint_of(Note(found.text + "extension\n", ())) == found


@pytest.mark.parametrize(
    "text",
    [
        "log\n3\n",
        "log\n03\n" + "A" * 43 + "=\n",
        "log\n-3\n" + "A" * 43 + "=\n",
        "log\n٣\n" + "A" * 43 + "=\n",
        "log\n3\nAAAA\n",
        "log\n3\nnone\n",
        "\n3\n" + "A" * 43 + "=\n",
        "log\n0\n" + "A" * 43 + "=\n",
        "",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(BadProof):
        checkpoints.checkpoint_of(Note(text, ()))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text",
        "text\n\n",
        "text\n\nline\n",
        "text\n\n— name AAAA\n",
        "text\n\n— name !!\n",
        "te\txt\n\n— n AAAAAAAA\n",
        SIGNED[:-1],
        SIGNED + "x",
        SIGNED.replace("— ", "- "),
        "text\n\n" + 101 * "— name AAAAAAAA\n",
    ],
)
def test_what_is_no_note_is_refused(text: str) -> None:
    with pytest.raises(BadProof):
        notes.note(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+00000000+",
        NEUMANN[:-1],
        "name+00000000+é",
        NEUMANN.replace("c74f20a3", "c74f20a4"),
        NEUMANN.replace("P", "Q", 1),
        "n+00000000+" + base64.b64encode(b"\2" + bytes(32)).decode(),
        "a b+00000000+" + "A" * 44,
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(BadProof):
        notes.verifier_key(text)
    with pytest.raises(BadProof):
        notes.signer_key(text)
    with pytest.raises(BadProof):
        notes.signer_key(notes.SECRET + text)
