"""Checkpoints (C2SP tlog-checkpoint): which log, how many entries, and the root of their tree."""

from __future__ import annotations

import base64
import re
from typing import NamedTuple

from oms_es.proof.notes import Note, note
from oms_es.proof.tree import EMPTY_ROOT, HASH_BYTES, BadProof

NUMBER = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


class Checkpoint(NamedTuple):
    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """Return the text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def checkpoint_of(signed: Note) -> Checkpoint:
    """Return the checkpoint in a note. Raise BadProof. Further lines are extensions that are not known here; they are
    signed, too."""
    lines = signed.text.split("\n")
    try:
        origin, size, encoded = lines[:3]
        root = base64.b64decode(encoded, validate=True)
    except ValueError:
        raise BadProof("a checkpoint has an origin, a size and a root; this has not") from None
    if not origin or not NUMBER.fullmatch(size) or len(root) != HASH_BYTES:
        raise BadProof("a checkpoint has an origin, a size and a root; this has not")
    if size == "0" and root != EMPTY_ROOT:
        raise BadProof("a checkpoint of nothing has the root of the empty tree; this has not")
    return Checkpoint(origin, int(size), root)


def read(text: str) -> tuple[Note, Checkpoint]:
    """Return the note and its checkpoint. Raise BadProof."""
    signed = note(text)
    return signed, checkpoint_of(signed)
