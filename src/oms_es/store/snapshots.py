"""Snapshots of long streams: written with a digest of what they say, and read only where that fits.

Invariant: a snapshot saves time and never decides anything: one of another version, or that cannot be read, is left
aside, and its stream is replayed. The state of a stream that has a key of its own is encrypted under that.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from hashlib import sha256
from http import HTTPStatus
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic_core import from_json, to_json

from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.kernel import Decider
from oms_es.store.privacy.subject_keys import SubjectKeys
from oms_es.store.privacy.subjects import NAMED_BY_STREAM
from oms_es.store.privacy.wrapping import NONCE_BYTES, NoDataKey
from oms_es.store.recorder import SNAPSHOTS, Snapshot

EVERY_EVENTS = 2_000
BYTES_PER_EVENT = 100
"""A snapshot of a large state waits for as many more events: snapshots cost a bounded share of the appends."""

ENCRYPTED = b"\0"
"""With this begins what is encrypted; JSON begins otherwise."""
DELETE = f"DELETE FROM {SNAPSHOTS} WHERE stream = ANY(%s)"
DELETE_IN_THE_CLEAR = f"DELETE FROM {SNAPSHOTS} WHERE stream ^@ ANY(%s) AND get_byte(state, 0) <> 0"


class Unreadable(OmsError):
    """It is not what was written."""

    code = "snapshot_unreadable"
    exit_code = Code.UNEXPECTED
    status = HTTPStatus.INTERNAL_SERVER_ERROR


def taken(
    decider: Decider[Any],
    stream: str,
    version: int,
    state: Any,
    keys: SubjectKeys | None = None,
    writing: Callable[[], AbstractContextManager[Any]] | None = None,
) -> Snapshot | None:
    """Return the snapshot; None if it would have to be encrypted under a key that is destroyed.

    `writing`: a transaction, in which a key is made if no event of the stream needed one yet.
    """
    assert decider.dump
    content = to_json(decider.dump(state))
    if keys and writing and stream.startswith(NAMED_BY_STREAM):
        ciphers = _cipher_of(stream, keys, writing)
        if ciphers is not None:
            if (cipher := ciphers[stream]) is None:
                return None
            nonce = secrets.token_bytes(NONCE_BYTES)
            content = ENCRYPTED + nonce + cipher.encrypt(nonce, content, _place(stream, version))
    return Snapshot(stream, version, _topic(decider, stream, version, content), content)


def _cipher_of(
    stream: str, keys: SubjectKeys, writing: Callable[[], AbstractContextManager[Any]]
) -> Mapping[str, AESGCM | None] | None:
    """None where nothing is encrypted."""
    try:
        return {stream: keys.to_read(stream)}
    except NoDataKey:
        with writing() as transaction:
            return keys.to_write(transaction, [stream])


def next_version(snapshot: Snapshot) -> int:
    """At which version of its stream the next snapshot is due."""
    return snapshot.version + max(EVERY_EVENTS, len(snapshot.state) // BYTES_PER_EVENT)


def is_of_this_version(deciders: Mapping[str, Decider[Any]], snapshot: Snapshot) -> bool:
    """Others were written by another version of the program, and are replaced in time."""
    decider = deciders.get(snapshot.stream.partition("-")[0])
    return decider is not None and snapshot.topic.startswith(f"{decider.snapshot_topic}:")


def state_in(decider: Decider[Any], snapshot: Snapshot, keys: SubjectKeys | None = None) -> Any:
    """Raises Unreadable, also if the key of what is encrypted is not there."""
    stream, version, topic, content = snapshot
    if decider.restore is None or topic != _topic(decider, stream, version, content):
        raise Unreadable(f"the snapshot of {stream} at {version} is not what was written")
    if content.startswith(ENCRYPTED):
        content = _decrypted(snapshot, keys)
    try:
        return decider.restore(from_json(content))
    except Exception as error:
        raise Unreadable(f"the snapshot of {stream} at {version} cannot be read: {type(error).__name__}") from error


def _decrypted(snapshot: Snapshot, keys: SubjectKeys | None) -> bytes:
    stream, version, _, content = snapshot
    begin, end = len(ENCRYPTED), len(ENCRYPTED) + NONCE_BYTES
    try:
        if keys and (cipher := keys.to_read(stream)):
            return cipher.decrypt(content[begin:end], content[end:], _place(stream, version))
    except (NoDataKey, InvalidTag):
        pass
    raise Unreadable(f"the snapshot of {stream} at {version} is encrypted, and its key is not there")


def _place(stream: str, version: int) -> bytes:
    return b"%s@%d" % (stream.encode(), version)


def _topic(decider: Decider[Any], stream: str, version: int, content: bytes) -> str:
    return f"{decider.snapshot_topic}:{sha256(_place(stream, version) + b' ' + content).hexdigest()}"
