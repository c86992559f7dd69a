"""Co-signatures of witnesses, kept with the checkpoint that they are of."""

from __future__ import annotations

from collections.abc import Sequence

from oms_es.database.rows import Rows
from oms_es.proof import checkpoints, notes
from oms_es.proof.notes import Note, VerifierKey
from oms_es.proof.tree import BadProof
from oms_es.store.sealing.tables import CHECKPOINTS


def add(rows: Rows, text: str, witnesses: Sequence[VerifierKey]) -> int:
    """The size of the checkpoint. Its text stays, and other signatures are left out. Raises BadProof."""
    signed, checkpoint = checkpoints.read(text)
    notes.require(signed, witnesses, witnesses)
    by = {(witness.name, witness.key_hash) for witness in witnesses}
    with rows.transaction():
        query = f"SELECT note FROM {CHECKPOINTS} WHERE size = %s FOR UPDATE"
        found = rows.execute(query.encode(), [checkpoint.size]).fetchone()
        kept = notes.note(found["note"]) if found else None
        if kept is None or kept.text != signed.text:
            raise BadProof(f"this log has signed no such checkpoint of {checkpoint.size:,} events")
        new = [one for one in signed.signatures if (one.name, one.key_hash) in by]
        whole = Note(kept.text, tuple(dict.fromkeys([*kept.signatures, *new])))
        rows.execute(f"UPDATE {CHECKPOINTS} SET note = %s WHERE size = %s".encode(), [str(whole), checkpoint.size])
    return checkpoint.size
