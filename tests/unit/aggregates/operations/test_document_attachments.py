"""Documents: attached once to each thing, kept for their term, removed for good."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from dsl import Given
from oms_es.aggregates.operations import document
from oms_es.schemas.operations import document as d
from oms_es.schemas.order import order_id_of

OF: Any = {"sha256": "0" * 64}
TO: Any = {**OF, "entity": "payment", "entity_id": "o.1"}
ATTACH = d.AttachDocument(**TO, kind="bank_receipt", reference="R-7", keep_until="2036-12-31")
ATTACHED = d.DocumentAttached(**TO, kind="bank_receipt", reference="R-7", keep_until="2036-12-31")
DETACHED = d.DocumentDetached(**TO)
REMOVED = d.DocumentRemoved(**OF, reason="asked to")


def remove(year: int) -> d.RemoveDocument:
    return d.RemoveDocument(**OF, reason="asked to", now=datetime(year, 12, 31, tzinfo=UTC))


def test_a_document_is_attached_once_to_each_thing() -> None:
    Given(document.decider).when(ATTACH).then(ATTACHED)
    Given(document.decider, ATTACHED).when(ATTACH).then()
    other = ATTACH.model_copy(update={"kind": "invoice"})
    Given(document.decider, ATTACHED).when(other).then_refused("attached_otherwise")
    elsewhere = ATTACH.model_copy(update={"entity_id": "o.2"})
    Given(document.decider, ATTACHED).when(elsewhere).then(ATTACHED.model_copy(update={"entity_id": "o.2"}))


def test_an_attachment_is_undone_and_may_be_made_otherwise() -> None:
    Given(document.decider, ATTACHED).when(d.DetachDocument(**TO)).then(DETACHED)
    Given(document.decider, ATTACHED, DETACHED).when(d.DetachDocument(**TO)).then()
    other = ATTACH.model_copy(update={"kind": "invoice"})
    Given(document.decider, ATTACHED, DETACHED).when(other).then(ATTACHED.model_copy(update={"kind": "invoice"}))


def test_it_is_removed_after_its_term_for_good() -> None:
    Given(document.decider, ATTACHED).when(remove(2036)).then_refused("document_retained")
    Given(document.decider, ATTACHED, DETACHED).when(remove(2036)).then_refused("document_retained")
    detached = DETACHED.model_copy(update={"reason": "asked to"})
    Given(document.decider, ATTACHED).when(remove(2037)).then(detached, REMOVED)
    Given(document.decider, ATTACHED, detached, REMOVED).when(remove(2037)).then()
    Given(document.decider, ATTACHED, detached, REMOVED).when(ATTACH).then_refused("document_removed")


def test_it_is_attached_to_so_many_things_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(d, "ATTACHED_MAX", 1)
    elsewhere = ATTACH.model_copy(update={"entity_id": "o.2"})
    Given(document.decider, ATTACHED).when(elsewhere).then_refused("too_many_attachments")


def test_an_order_may_be_called_as_its_channel_calls_it() -> None:
    named = d.AttachDocument(**OF, entity="order", entity_id="web/W-1")
    assert named.entity_id == order_id_of("web", "W-1")
    statement = d.AttachDocument(**OF, entity="statement", entity_id="bank/2026-01")
    assert statement.entity_id == "bank/2026-01"


READ = d.RecordDocumentFields(
    **OF,
    format="ubl",
    kind="invoice",
    invoice_number="INV-7",
    issued_on="2026-03-01",
    currency="EUR",
    net_minor=100,
    tax_minor=19,
    total_minor=119,
)


def test_what_an_invoice_says_is_recorded_once_and_again_where_it_was_read_otherwise() -> None:
    fields = d.DocumentFieldsRead(**READ.model_dump())
    Given(document.decider).when(READ).then(fields)
    Given(document.decider, fields).when(READ).then()
    other = READ.model_copy(update={"tax_minor": 18})
    Given(document.decider, fields).when(other).then(fields.model_copy(update={"tax_minor": 18}))
    Given(document.decider, REMOVED).when(READ).then()
