"""Invoicing: an invoice of every capture and a credit note of every refund, numbered, made and kept.

Reads    PaymentCaptured, PaymentRefunded, PaymentRefundReversed, InvoiceCorrectionRequested, InvoiceIssued
Emits    IssueInvoice; AttachDocument, RecordDocumentFields
Decides  nothing: what a document says follows from history up to the movement, its number from its series. Where no
         seller was set when a payment's first money came, none of its documents is issued.

A document is made of the event with its number alone, and kept before the event that names it: after a kill the same
bytes are made again. One that refers to another waits until that has its number, and until a correction of it that was
asked for before is made or put aside. Where the other one was put aside itself, this one is too: it holds up no one,
and is replayed after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import structlog

from oms_es.app.invoicing.content import (
    CANCELLATION,
    MOVED,
    REPLACEMENT,
    Story,
    day_of,
    drawn_up,
    kept_until,
    name_of,
    seller_of,
    seller_then,
    standing_of,
)
from oms_es.kernel import (
    Command,
    Event,
    GatewayUnavailable,
    Lookup,
    LookupResults,
    Recorded,
    Refused,
    Row,
    WaitsForEngine,
)
from oms_es.projections.finance.invoices import document_of
from oms_es.schemas import payment as p
from oms_es.schemas.finance import invoicing as v
from oms_es.schemas.finance.refusals import FinanceRefusal
from oms_es.schemas.operations.aside import ReactionPutAside
from oms_es.schemas.operations.document import AttachDocument, RecordDocumentFields

log = structlog.get_logger(__name__)

BATCH_MAX = 50
"""Intents per batch. Making a document takes some hundredths of a second."""
NO_SELLER = "no invoices are issued: no seller is set for the channel; `oms-es seller set` sets one"
FORMAT = "factur-x"
OPPOSITE: Mapping[v.PaperKind, v.PaperKind] = {"invoice": "credit_note", "credit_note": "invoice"}


def payments_of(payment_id: str) -> tuple[str, ...]:
    return (payment_id,)


OF_PAYMENT = Lookup("invoices", by="payment_id", keys=payments_of, order_by="position")
BY_NUMBER = Lookup("invoices", by="document", keys=payments_of)


class Finder(Protocol):
    def fetch(self, wanted: Mapping[Lookup, Sequence[Any]]) -> LookupResults: ...


class InvoicingGateway:
    name = "invoicing"
    intents: frozenset[type[Event]] = frozenset({*MOVED, v.InvoiceCorrectionRequested, v.InvoiceIssued})
    batch_max = BATCH_MAX

    def __init__(
        self,
        stream: Callable[[str], Sequence[Recorded]],
        at: Callable[[int], Recorded],
        lookups: Finder,
        make: Callable[[v.InvoiceIssued], bytes],
        keep: Callable[[bytes], str],
        attached: Callable[[v.InvoiceIssued], bool],
        corrections: Callable[[str, int], Sequence[Recorded]],
    ) -> None:
        """`stream`: all of its events, with their positions; `at`: the event at one; `keep`: gives the hash under which
        it is kept; `attached`: whether this gateway has attached such a document to the order;
        `corrections`: what a series has of requests to correct the document of a number."""
        self.stream = stream
        self.at = at
        self.lookups = lookups
        self.make = make
        self.keep = keep
        self.attached = attached
        self.corrections = corrections
        self.said = False

    def perform(self, intents: Sequence[Recorded]) -> Sequence[Sequence[Command]]:
        """Return the commands that answer each intent.

        Raise GatewayUnavailable while the database does not answer, or a document refers to one without a number.
        """
        answered: list[Sequence[Command] | None] = []
        waiting: GatewayUnavailable | None = None
        sellers = self.stream(v.SELLERS_STREAM)
        for intent in intents:
            try:
                answered.append(tuple(self._commands(intent, sellers)))
            except GatewayUnavailable as error:
                waiting = waiting if type(waiting) is GatewayUnavailable else error
                answered.append(None)
        if waiting:
            waiting.answered = answered if any(one is not None for one in answered) else ()
            raise waiting
        return [one for one in answered if one is not None]

    def _commands(self, intent: Recorded, sellers: Sequence[Recorded]) -> Iterator[Command]:
        match intent.event:
            case v.InvoiceIssued() as issued:
                yield from self._kept(issued)
            case v.InvoiceCorrectionRequested() as asked:
                yield from self._corrected(intent, asked, sellers)
            case _:
                yield from self._issued(intent, sellers)

    def _issued(self, intent: Recorded, sellers: Sequence[Recorded]) -> Iterator[Command]:
        event: Any = intent.event
        seller = None
        if any(one.position < intent.position for one in sellers):
            story = self._story(event.order_id, event.payment_id, sellers).until(intent.position)
            seller = seller_of(story)
        if seller is None:
            self._say_once()
            return
        before = [one for one in story.moved if one.position < intent.position]
        earlier = [name_of(one) for one in before]
        rows: Mapping[str, Row] = self._rows(event.payment_id)
        if name_of(intent) in rows:
            return  # numbered in another year, or longer ago than its series remembers
        if not isinstance(event, p.PaymentCaptured):
            self._require_numbered(before, rows)
            self._require_corrected(rows, intent.position)
        rows = {key: row for key, row in rows.items() if row["about"] in earlier}
        taxing = seller_then(story) or seller
        yield _issue(seller, day_of(intent.recorded_at), drawn_up(story, intent, seller, rows, taxing))

    def _require_numbered(self, moved: Sequence[Recorded], rows: Mapping[str, Row]) -> None:
        """Raise WaitsForEngine while one of these movements has no document in the rows, and Refused if it gets none
        because it was put aside."""
        for one in moved:
            name = name_of(one)
            if name not in rows:
                if self._is_aside(one):
                    raise Refused(
                        FinanceRefusal.INVOICE_MISSING,
                        f"{name}, which this document refers to, has none: it was put aside; replay its dead letter, "
                        "then this one",
                    )
                raise WaitsForEngine(f"the document of {name} has no number yet, which this one refers to")

    def _require_corrected(self, rows: Mapping[str, Row], before: int) -> None:
        """Raise WaitsForEngine while a correction of one of these documents that was requested before that position
        is not in the rows yet. A correction that was put aside is not waited for."""
        cancelled = {row["corrects"] for row in rows.values()}
        for row in rows.values():
            if row["corrects"]:
                again = row["movement"].replace(CANCELLATION, REPLACEMENT)
                is_waiting = again not in rows
            else:
                is_waiting = row["name"] not in cancelled and self._is_to_be_corrected(row, before)
            if is_waiting:
                raise WaitsForEngine(f"{row['name']} is being corrected, which this document refers to")

    def _is_to_be_corrected(self, row: Row, before: int) -> bool:
        series = f"invoice-{row['seller']}/{row['year']}"
        asked = next((one for one in self.corrections(series, row["number"]) if one.position < before), None)
        return asked is not None and not self._is_aside(asked)

    def _is_aside(self, intent: Recorded) -> bool:
        """Return whether the intent was refused and put aside, and not replayed since."""
        aside = self.stream(f"aside-{self.name}/{intent.event_id}")
        return bool(aside) and isinstance(aside[-1].event, ReactionPutAside)

    def _corrected(
        self, intent: Recorded, asked: v.InvoiceCorrectionRequested, sellers: Sequence[Recorded]
    ) -> Iterator[Command]:
        """Yield the cancellation of the document, and its replacement: for the same movement, with the order as it was
        when the correction was requested, and the seller as it is set now, so that a refused correction succeeds once
        the seller is set correctly. Raise Refused."""
        mistaken = self._issued_under(document_of(asked.seller, asked.year, asked.number))
        rows = self._rows(mistaken.payment_id)
        own = {kind: f"{kind}/{intent.position}" for kind in (CANCELLATION, REPLACEMENT)}
        if any(movement in rows for movement in own.values()):
            return  # both are recorded at once
        story = self._story(mistaken.order_id, mistaken.payment_id, sellers).until(intent.position)
        story, day = story._replace(sellers=sellers), day_of(intent.recorded_at)
        seller = seller_of(story)
        moved = next((one for one in story.moved if name_of(one) == mistaken.about), None)
        if seller is None or moved is None:
            raise _cannot_be_drawn_up(mistaken)
        self._require_numbered(story.moved, rows)
        cancelled = {
            "movement": own[CANCELLATION],
            "kind": OPPOSITE[mistaken.kind],
            "happened_on": day,
            "precedes": (mistaken.name,),
            "corrects": mistaken.name,
            "reason": asked.reason,
        }
        others = {key: row for key, row in rows.items() if key != mistaken.movement}
        again = drawn_up(story, moved, seller, others, taxing=seller)
        _require_no_less_than_credited(mistaken, again, standing_of(others))
        yield _issue(seller, day, v.InvoiceContent(**mistaken.content).model_copy(update=cancelled))
        precedes = (*again.precedes, mistaken.name)[-v.PRECEDING_MAX :]
        new = {"movement": own[REPLACEMENT], "precedes": precedes, "reason": asked.reason}
        yield _issue(seller, day, again.model_copy(update=new))

    def _issued_under(self, document: str) -> v.InvoiceIssued:
        """Return the document with that number. Raise WaitsForEngine while the read model does not have it."""
        rows = self.lookups.fetch({BY_NUMBER: [document]})[BY_NUMBER.projection][document]
        if not rows:
            raise WaitsForEngine(f"the read model of invoices has not come to {document} yet")
        event = self.at(rows[0]["position"]).event
        assert isinstance(event, v.InvoiceIssued)
        return event

    def _rows(self, payment_id: str) -> dict[str, Row]:
        found = self.lookups.fetch({OF_PAYMENT: [payment_id]})[OF_PAYMENT.projection][payment_id]
        return {row["movement"]: row for row in found}

    def _story(self, order_id: str, payment_id: str, sellers: Sequence[Recorded]) -> Story:
        return Story(self.stream(f"order-{order_id}"), self.stream(f"payment-{payment_id}"), sellers)

    def _say_once(self) -> None:
        if not self.said:
            self.said = True
            log.info(NO_SELLER)

    def _kept(self, issued: v.InvoiceIssued) -> Iterator[Command]:
        """Make, keep and attach a document, unless one is attached already: another font would make other bytes."""
        if self.attached(issued):
            return
        address = self.keep(self.make(issued))
        to: Any = {"sha256": address, "kind": issued.kind, "reference": issued.name, "keep_until": issued.keep_until}
        yield AttachDocument(entity="order", entity_id=issued.order_id, **to)
        yield AttachDocument(entity="payment", entity_id=issued.payment_id, **to)
        yield RecordDocumentFields(
            sha256=address,
            format=FORMAT,
            kind=issued.kind,
            invoice_number=issued.name,
            issued_on=issued.issued_on,
            seller=issued.party.name,
            seller_id=issued.party.vat_id or issued.party.tax_number,
            currency=issued.currency,
            net_minor=issued.net_minor,
            tax_minor=issued.tax_minor,
            total_minor=issued.total_minor,
            references=tuple(dict.fromkeys((issued.order_name, issued.payment_id))),
        )


def _cannot_be_drawn_up(mistaken: v.InvoiceIssued) -> Refused:
    return Refused(
        FinanceRefusal.INVOICE_NOT_DRAWN_UP,
        f"history before the correction has no seller of {mistaken.payment_id}, or not {mistaken.about}, which "
        f"{mistaken.name} is about; run `oms-es verify`, restore what it finds, then replay this dead letter",
    )


def _require_no_less_than_credited(mistaken: v.InvoiceIssued, again: v.InvoiceContent, others: Sequence[Row]) -> None:
    """Raise Refused if valid credit notes refund more net or tax than would still be invoiced. An excess that existed
    before the correction is allowed."""
    if mistaken.kind != "invoice":
        return
    for name in ("net_minor", "tax_minor"):
        rest = sum(row[name] if row["kind"] == "invoice" else -row[name] for row in others)
        before, after = rest + getattr(mistaken, name), rest + getattr(again, name)
        if after < min(before, 0):
            raise Refused(
                FinanceRefusal.INVOICE_CREDITED,
                f"issued again, {mistaken.name} would have less {name.removesuffix('_minor')} than credit notes of its "
                f"payment give back; set the seller with the tax that it had, then replay this dead letter",
            )


def _issue(seller: v.SellerSet, day: str, content: v.InvoiceContent) -> v.IssueInvoice:
    year = int(day[:4])
    return v.IssueInvoice(
        seller=seller.seller,
        year=year,
        prefix=seller.prefix,
        digits=seller.digits,
        keep_until=kept_until(year, seller),
        content=content,
    )
