"""Documents: papers about orders, payments, parcels and statements, whose bytes are kept under their SHA-256.

These classes are the storage format. An event's name and meaning never change; a new meaning is a new event.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import model_validator

from oms_es.door import BY_THE_CLOCK
from oms_es.kernel import Command, Event, SystemCommand
from oms_es.schemas.finance.statement import Day, SignedMinor, at_most
from oms_es.schemas.order import order_id_of
from oms_es.schemas.shipment.base import Sha256
from oms_es.schemas.values.types import Currency, Derived, Identifier, Moment, PartName, QuotedText, Text

Entity: TypeAlias = Literal["order", "payment", "shipment", "statement"]
"""What a document can be about. A statement's id is ACCOUNT/STATEMENT."""
DocumentKind: TypeAlias = Literal[
    "bank_receipt",
    "invoice",
    "receipt",
    "credit_note",
    "delivery_proof",
    "customs",
    "contract",
    "correspondence",
    "other",
]
"""The kind of paper. A bank's or a provider's confirmation of one payment (电子回单) is a bank receipt."""
ENTITIES: tuple[Entity, ...] = get_args(Entity)
KINDS: tuple[DocumentKind, ...] = get_args(DocumentKind)
InvoiceKind: TypeAlias = Literal["invoice", "credit_note"]
REFERENCES_MAX = 20
DIFFERENCES_MAX = 20
"""How many differences are stated of an invoice."""
ATTACHED_MAX = 1_000
"""How many things one document may be attached to: as many as a collective invoice of a busy month has orders."""


class DocumentCommand(Command):
    sha256: Sha256

    @property
    def stream(self) -> str:
        return f"document-{self.sha256}"


class AboutSomething(DocumentCommand):
    entity: Entity
    entity_id: Derived
    """The entity's id. For an order CHANNEL/EXTERNAL_ID is accepted, too; for a statement it is ACCOUNT/STATEMENT."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        """Replace CHANNEL/EXTERNAL_ID of an order by the order's id."""
        if isinstance(given, dict) and given.get("entity") == "order" and "/" in str(given.get("entity_id")):
            channel, _, external_id = str(given["entity_id"]).partition("/")
            return {**given, "entity_id": order_id_of(channel, external_id)}
        return given


class AttachDocument(AboutSomething):
    """Attach a document, whose bytes are kept already, to an order, a payment, a shipment or a statement."""

    kind: DocumentKind = "other"
    reference: PartName = ""
    """A reference that is printed on the document, such as its number."""
    keep_until: Day | None = None
    """The day until which the document must not be removed, by law or contract."""


class DetachDocument(AboutSomething):
    """Undo an attachment, such as one to the wrong order. The document is kept."""

    reason: Text = ""


class RemoveDocument(DocumentCommand):
    """Allow a document's bytes to be deleted for good. The record that it existed remains."""

    reason: Text
    now: Annotated[Moment, BY_THE_CLOCK]

    @property
    def today(self) -> date:
        return self.now.date()


class RecordDocumentFields(DocumentCommand, SystemCommand):
    """Record the fields that a program read in an invoice. The buyer's name is not recorded: it may be a person.

    `references`: the references in the invoice that name an order, a payment, a parcel or a statement of ours.
    """

    format: Identifier
    kind: InvoiceKind
    invoice_number: Identifier
    issued_on: Day
    seller: QuotedText = ""
    seller_id: PartName = ""
    currency: Currency
    net_minor: SignedMinor
    tax_minor: SignedMinor
    total_minor: SignedMinor
    references: Annotated[tuple[PartName, ...], at_most(REFERENCES_MAX)] = ()
    differences: Annotated[tuple[QuotedText, ...], at_most(DIFFERENCES_MAX)] = ()
    """Sums of the invoice that do not add up, each with both amounts."""


class DocumentEvent(Event):
    sha256: str


class DocumentAttached(DocumentEvent):
    entity: Entity
    entity_id: str
    kind: DocumentKind
    reference: str = ""
    keep_until: str | None = None


class DocumentDetached(DocumentEvent):
    entity: Entity
    entity_id: str
    reason: str = ""


class DocumentRemoved(DocumentEvent):
    """The document's bytes may be deleted; it was detached from everything before."""

    reason: str


class DocumentFieldsRead(DocumentEvent):
    """The fields of an invoice were read. Of several readings, the newest is valid."""

    format: str
    kind: InvoiceKind
    invoice_number: str
    issued_on: str
    seller: str = ""
    seller_id: str = ""
    currency: str
    net_minor: int
    tax_minor: int
    total_minor: int
    references: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
