"""Is every document that history points at there, and is it what its hash says?

The bytes are read again, from the rows and from the folder: neither a name nor a length is believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from itertools import islice
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from oms_es.store.documents.places import SHELF, FolderUnavailable
from oms_es.store.documents.table import DOCUMENTS
from oms_es.store.recorder import EVENTS
from oms_es.verification.check import Check
from oms_es.verification.history import History

ASKED_MAX = 2_000
Connection = psycopg.Connection[dict[str, Any]]


def documents_kept(connection: Connection, history: History) -> Check:
    """Check that documents are kept, except those that people removed, also after the position that history was read
    to."""
    check = Check("every document that history names is stored, and its content has its hash")
    documents = history.documents.entries()
    while some := dict(islice(documents, ASKED_MAX)):
        whole = _in_rows(connection, list(some))
        gone = _removed(connection, [one for one, pointed_at in some.items() if one not in whole and not pointed_at])
        for address in sorted(some):
            there = address in whole or address in gone
            check.expect(
                there or _in_folder(address), partial("{}: the document is missing, or another".format, address)
            )
    return check


def _in_rows(connection: Connection, addresses: Sequence[str]) -> set[str]:
    query = SQL("SELECT sha256 FROM {} WHERE sha256 = ANY(%s) AND sha256 = encode(sha256(content), 'hex')")
    return {row["sha256"] for row in connection.execute(query.format(Identifier(DOCUMENTS)), [list(addresses)])}


def _removed(connection: Connection, addresses: Sequence[str]) -> set[str]:
    query = SQL("SELECT originator_id FROM {} WHERE originator_id = ANY(%s) AND topic = 'DocumentRemoved'")
    streams = [f"document-{address}" for address in addresses]
    found = connection.execute(query.format(Identifier(EVENTS)), [streams])
    return {row["originator_id"].removeprefix("document-") for row in found}


def _in_folder(address: str) -> bool:
    """Return whether the folder has the document's bytes, of which no row has any."""
    if SHELF.folder is None:
        return False
    found = sha256()
    try:
        for piece in SHELF.folder.pieces(address):
            found.update(piece)
    except FolderUnavailable:
        return False
    return found.hexdigest() == address
