"""Reading a stored invoice: its content, whether its sums are right, and what it may belong to.

Invariant: nothing is attached by itself, and the document is not changed. The recorded event does not contain the
recipient or other content of the invoice: only those of its references that name something of ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from oms_es.kernel import BadInput
from oms_es.reports.finance.invoice_matches import Proposal, ours, proposals
from oms_es.reports.queries import Connection
from oms_es.schemas.inputs import Input
from oms_es.schemas.operations.document import RecordDocumentFields
from oms_es.statements import invoices
from oms_es.statements.invoices.fields import Invoice
from oms_es.store.documents import table

OF_PEOPLE = frozenset({"buyer", "buyer_id"})
"""Fields of an invoice about its recipient, who may be a person."""


class Connecting(Protocol):
    def __call__(self) -> AbstractContextManager[Connection]: ...


class Found(NamedTuple):
    """What was read. `command` records it."""

    invoice: Invoice
    proposals: Sequence[Proposal]
    command: RecordDocumentFields

    def shown(self, position: int | None, *, sees_people: bool = True) -> Mapping[str, Any]:
        said = {**self.invoice._asdict(), "sha256": self.command.sha256}
        if not sees_people:
            said = {name: value for name, value in said.items() if name not in OF_PEOPLE}
            said["references"] = self.command.references
        return {**said, "proposals": [one._asdict() for one in self.proposals], "position": position}


def read_invoice(connecting: Connecting, address: str) -> Found:
    """Read the invoice at the address. Raise BadInput, NotFound, NotAsAddressed or FolderUnavailable."""
    with connecting() as connection:
        kept = table.look(connection, address)
    if kept.byte_count > invoices.BYTES_MAX:
        raise BadInput(Input.BAD_INVOICE, f"an invoice has at most {invoices.BYTES_MAX:,} bytes, to be read")
    invoice = invoices.read(b"".join(table.pieces(connecting, kept)), kept.media_type)
    with connecting() as connection:
        found = proposals(connection, invoice)
        known = ours(connection, invoice.references)
    said = {name: value for name, value in invoice._asdict().items() if name not in OF_PEOPLE}
    said["references"] = known
    return Found(invoice, found, RecordDocumentFields(sha256=address, **said))
