"""One document, and what it is attached to.

Invariant: it is attached once to each thing, and is not removed before the latest day until which it must be kept, even
if that attachment was undone. A removed document is never attached again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from rpds import HashTrieMap

from oms_es.kernel import Decider, Refused
from oms_es.schemas.operations import document as d
from oms_es.schemas.operations.refusals import OperationsRefusal


class Document(NamedTuple):
    """The state of a document.

    `keep_until` is the latest day that any attachment stated; ISO 8601 days compare as text.
    """

    attached: HashTrieMap[tuple[str, str], d.DocumentAttached] = HashTrieMap()
    keep_until: str = ""
    removed: bool = False
    fields: d.DocumentFieldsRead | None = None


def evolve(document: Document, event: d.DocumentEvent) -> Document:
    """Never refuse an event: an old stream must load under new rules."""
    match event:
        case d.DocumentAttached():
            latest = max(document.keep_until, event.keep_until or "")
            attached = document.attached.insert((event.entity, event.entity_id), event)
            return document._replace(attached=attached, keep_until=latest)
        case d.DocumentDetached():
            return document._replace(attached=document.attached.discard((event.entity, event.entity_id)))
        case d.DocumentFieldsRead():
            return document._replace(fields=event)
        case d.DocumentRemoved():
            return document._replace(removed=True)
    return document


def decide(document: Document, command: d.DocumentCommand) -> Iterator[d.DocumentEvent]:
    """Yield nothing if the command is already satisfied, so that retries are free."""
    match command:
        case d.AttachDocument():
            yield from _attach(document, command)
        case d.DetachDocument() if (command.entity, command.entity_id) in document.attached:
            yield d.DocumentDetached(**command.model_dump())
        case d.RemoveDocument() if not document.removed:
            yield from _remove(document, command)
        case d.RecordDocumentFields() if not document.removed:
            read = d.DocumentFieldsRead(**command.model_dump())
            if read != document.fields:
                yield read


def _attach(document: Document, command: d.AttachDocument) -> Iterator[d.DocumentEvent]:
    """Attach the document.

    Raise Refused if it was removed, is attached there otherwise, or has too many attachments.
    """
    wanted = d.DocumentAttached(**command.model_dump())
    if document.removed:
        raise Refused(
            OperationsRefusal.DOCUMENT_REMOVED, "it was removed for good; attach another copy, such as a new scan"
        )
    known = document.attached.get((command.entity, command.entity_id))
    if known == wanted:
        return
    if known is not None:
        raise Refused(
            OperationsRefusal.ATTACHED_OTHERWISE,
            f"it is attached there as {known.kind}, with another reference or term; detach it first",
        )
    if len(document.attached) >= d.ATTACHED_MAX:
        raise Refused(
            OperationsRefusal.TOO_MANY_ATTACHMENTS,
            f"it is attached to {d.ATTACHED_MAX} things, which is the most; detach it somewhere first",
        )
    yield wanted


def _remove(document: Document, command: d.RemoveDocument) -> Iterator[d.DocumentEvent]:
    """Detach the document everywhere and remove it. Raise Refused before the day until which it must be kept."""
    if document.keep_until >= command.today.isoformat():
        raise Refused(
            OperationsRefusal.DOCUMENT_RETAINED,
            f"it is to be kept until {document.keep_until}; remove it after that day",
        )
    of: Any = {"sha256": command.sha256, "reason": command.reason}
    for entity, entity_id in sorted(document.attached):
        yield d.DocumentDetached(**of, entity=entity, entity_id=entity_id)
    yield d.DocumentRemoved(**of)


decider: Decider[Document] = Decider(
    "document",
    Document(),
    evolve,
    decide,
    accepts=(d.AttachDocument, d.DetachDocument, d.RemoveDocument, d.RecordDocumentFields),
    emits=(d.DocumentAttached, d.DocumentDetached, d.DocumentRemoved, d.DocumentFieldsRead),
)
