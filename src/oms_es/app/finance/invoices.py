"""An invoice that is kept is read: what it says, whether that adds up, and what it may be of.

Invariant: nothing is attached by itself, and the document is what it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from oms_es.kernel import BadInput
from oms_es.reports.finance.invoice_matches import Proposal, proposals
from oms_es.reports.queries import Connection
from oms_es.schemas.inputs import Input
from oms_es.schemas.operations.document import RecordDocumentFields
from oms_es.statements import invoices
from oms_es.statements.invoices.fields import Invoice
from oms_es.store.documents import table


class Connecting(Protocol):
    def __call__(self) -> AbstractContextManager[Connection]: ...


class Found(NamedTuple):
    """`command` says it to history."""

    invoice: Invoice
    proposals: Sequence[Proposal]
    command: RecordDocumentFields

    def shown(self, position: int | None) -> Mapping[str, Any]:
        said = {**self.invoice._asdict(), "sha256": self.command.sha256}
        return {**said, "proposals": [one._asdict() for one in self.proposals], "position": position}


def read_invoice(connecting: Connecting, address: str) -> Found:
    """Raises BadInput, NotFound, NotAsAddressed, FolderUnavailable."""
    with connecting() as connection:
        kept = table.look(connection, address)
    if kept.byte_count > invoices.BYTES_MAX:
        raise BadInput(Input.BAD_INVOICE, f"an invoice has at most {invoices.BYTES_MAX:,} bytes, to be read")
    invoice = invoices.read(b"".join(table.pieces(connecting, kept)), kept.media_type)
    with connecting() as connection:
        found = proposals(connection, invoice)
    said = invoice._asdict()
    del said["buyer"]
    return Found(invoice, found, RecordDocumentFields(sha256=address, **said))
