"""A proof that needs no database: events, the path of each to a signed checkpoint, and that this continues an older
one.

Invariant: everything that a proof shows was computed up to a root that a given key has signed.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from oms_es.proof import checkpoints, notes
from oms_es.proof.checkpoints import Checkpoint
from oms_es.proof.encryption import Encrypted, is_encrypted, is_record, recorded_in
from oms_es.proof.entries import StoredEvent
from oms_es.proof.notes import VerifierKey
from oms_es.proof.tree import BadProof, check_consistency, check_inclusion, leaf_hash

FORMAT = "oms-es/proof/v1"
PROOF_BYTES_MAX = 256 * 1024 * 1024


class ProvedEvent(NamedTuple):
    """An event with its proof. `place`: the index of its entry in the tree, from 0. `sealed`: the digest of its bytes
    when it was sealed, if it was encrypted afterwards; the record of that is among the proved events. `clear`: those
    bytes themselves, where they may be disclosed: only with them is what the event says proved."""

    event: StoredEvent
    place: int
    path: Sequence[bytes]
    sealed: bytes | None = None
    clear: bytes | None = None

    @property
    def entry(self) -> bytes:
        return self.event.entry if self.sealed is None else self.event.entry_of(self.sealed)


class Older(NamedTuple):
    """An older checkpoint, with the proof that the newer one continues it."""

    checkpoint: str
    path: Sequence[bytes]


class Proof(NamedTuple):
    """A proof. `subject`: what it was requested for, such as an order; the subject itself is not proved."""

    subject: str
    checkpoint: str
    events: Sequence[ProvedEvent]
    older: Older | None = None


class Checked(NamedTuple):
    """The result of a verified proof. `events`: as they were sealed, or else as they are stored. `encrypted`: positions
    of those that were encrypted after they had been sealed. `not_proved`: those of them of which only the digest that
    was sealed is proved, with their place; what they say now rests on a record, which the log's owner can append.
    """

    checkpoint: Checkpoint
    older: Checkpoint | None
    events: Sequence[StoredEvent]
    encrypted: Sequence[int]
    not_proved: Sequence[int]


def check(proof: Proof, keys: Sequence[VerifierKey], witnesses: Sequence[VerifierKey] = ()) -> Checked:
    """Verify the proof and return what it shows. Raise BadProof."""
    signed, newest = checkpoints.read(proof.checkpoint)
    notes.require(signed, keys, witnesses)
    previous = -1
    for one in proof.events:
        if one.place <= previous:
            raise BadProof("the events are not in the order of the log, or one stands there twice")
        previous = one.place
        try:
            check_inclusion(one.place, newest.size, leaf_hash(one.entry), one.path, newest.root)
        except BadProof as wrong:
            raise BadProof(f"position {one.event.position}, {one.event.type} in {one.event.stream}: {wrong}") from None
    encrypted = [one for one in proof.events if one.sealed is not None]
    _check_recorded(encrypted, proof.events)
    return Checked(
        newest,
        _older(proof.older, newest, keys),
        [one.event if one.clear is None else one.event._replace(state=one.clear) for one in proof.events],
        [one.event.position for one in encrypted],
        [one.event.position for one in encrypted if one.clear is None],
    )


def _check_recorded(encrypted: Sequence[ProvedEvent], proved: Sequence[ProvedEvent]) -> None:
    """Raise BadProof unless a proved record from after each event names what it was and is, and it is encrypted."""
    if not encrypted:
        return
    records = [one.event for one in proved if is_record(one.event) and one.sealed is None]
    try:
        named = {
            (position, found)
            for event in records
            for said in (recorded_in(event),)
            for position, found in said.events.items()
            if said.may_name(position, event.position)
        }
    except (ValueError, KeyError, TypeError) as wrong:
        raise BadProof(f"a record of what was encrypted cannot be read: {wrong}") from None
    for one in encrypted:
        if (one.event.position, Encrypted(one.sealed or b"", one.event.digest)) not in named:
            raise BadProof(f"position {one.event.position}: no record here says that it was encrypted as it stands")
        if not is_encrypted(one.event.state):
            raise BadProof(f"position {one.event.position}: a record names it, and nothing of it is encrypted")
        if one.clear is not None and sha256(one.clear).digest() != one.sealed:
            raise BadProof(f"position {one.event.position}: the bytes given for it are not those that were sealed")


def _older(older: Older | None, newest: Checkpoint, keys: Sequence[VerifierKey]) -> Checkpoint | None:
    if older is None:
        return None
    signed, before = checkpoints.read(older.checkpoint)
    notes.require(signed, keys)
    if before.origin != newest.origin:
        raise BadProof(f"the older checkpoint is of another log, {before.origin}")
    check_consistency(before.size, newest.size, before.root, newest.root, older.path)
    return before


def written(proof: Proof) -> str:
    """Return the proof as JSON. The stored bytes of an event are JSON in UTF-8, and are included unchanged."""
    found: dict[str, Any] = {
        "format": FORMAT,
        "subject": proof.subject,
        "checkpoint": proof.checkpoint,
        "events": [
            {
                "position": one.event.position,
                "stream": one.event.stream,
                "version": one.event.version,
                "type": one.event.type,
                "state": one.event.state.decode(),
                "index": one.place,
                "path": [base64.b64encode(part).decode() for part in one.path],
                **({} if one.sealed is None else {"sealed": one.sealed.hex()}),
                **({} if one.clear is None else {"sealed_state": one.clear.decode()}),
            }
            for one in proof.events
        ],
    }
    if proof.older:
        path = [base64.b64encode(part).decode() for part in proof.older.path]
        found["older"] = {"checkpoint": proof.older.checkpoint, "path": path}
    return json.dumps(found, ensure_ascii=False, indent=1) + "\n"


def read(text: str) -> Proof:
    """Parse a proof. Raise BadProof."""
    try:
        found = json.loads(text, object_pairs_hook=_once)
        if found["format"] != FORMAT:
            raise BadProof(f"it is of format {found['format']}, and this program knows {FORMAT}")
        older = found.get("older")
        return Proof(
            _text(found["subject"]),
            _text(found["checkpoint"]),
            [_event(one) for one in found["events"]],
            Older(_text(older["checkpoint"]), _path(older["path"])) if older is not None else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error) as error:
        raise BadProof(f"it is no proof that `oms-es audit prove` wrote: {type(error).__name__} {error}") from None


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise ValueError(f"{value!r} is no number of the log")
    return value


def _path(value: Sequence[str]) -> list[bytes]:
    return [base64.b64decode(_text(part), validate=True) for part in value]


def _event(one: Mapping[str, Any]) -> ProvedEvent:
    event = StoredEvent(
        _number(one["position"]),
        _text(one["stream"]),
        _number(one["version"]),
        _text(one["type"]),
        _text(one["state"]).encode(),
    )
    sealed = bytes.fromhex(_text(one["sealed"])) if "sealed" in one else None
    clear = _text(one["sealed_state"]).encode() if "sealed_state" in one else None
    if clear is not None and sealed is None:
        raise ValueError("bytes that were sealed are given for an event without their digest")
    return ProvedEvent(event, _number(one["index"]), _path(one["path"]), sealed, clear)
