"""Serial keeper: receives the units of claimed serial numbers, and records in the registry where numbered units are.

Reads    SerialsClaimed; StockReceived, StockReturned, StockMovedOut, StockMovedIn, StockShipped, StockWrittenOff,
         StockAdjusted, StockCounted, StockInboundCancelled, as far as they name serial numbers
Emits    AdmitSerials, RecordSerialsSeen, RecordSerialsLeft
Decides  nothing; the registry knows which number is where.
"""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.kernel import Consumer
from oms_es.schemas import stock as s
from oms_es.schemas.catalog.serial import RecordSerialsLeft, RecordSerialsSeen, SerialsClaimed

consumer = Consumer("serial_keeper", emits=(s.AdmitSerials, RecordSerialsSeen, RecordSerialsLeft))


@consumer.on(SerialsClaimed)
def admit_serials_on_serials_claimed(event: SerialsClaimed) -> Iterator[s.AdmitSerials]:
    yield s.AdmitSerials(**event.model_dump(exclude={"asked"}))


@consumer.on(s.StockReceived, s.StockReturned)
def record_serials_on_units_received(event: s.StockReceived | s.StockReturned) -> Iterator[RecordSerialsSeen]:
    if event.serials:
        yield RecordSerialsSeen(sku=event.sku, location=event.location, serials=event.serials)


@consumer.on(s.StockMovedOut, s.StockMovedIn)
def record_serials_on_units_moved(event: s.StockMovedOut | s.StockMovedIn) -> Iterator[RecordSerialsSeen]:
    if not event.serials:
        return
    match event:
        case s.StockMovedOut(location=origin, to_location=location):
            yield RecordSerialsSeen(sku=event.sku, location=location, serials=event.serials, from_location=origin)
        case s.StockMovedIn(location=location, from_location=origin):
            yield RecordSerialsSeen(sku=event.sku, location=location, serials=event.serials, from_location=origin)


@consumer.on(s.StockShipped, s.StockWrittenOff, s.StockAdjusted, s.StockCounted)
def record_serials_on_units_gone(
    event: s.StockShipped | s.StockWrittenOff | s.StockAdjusted | s.StockCounted,
) -> Iterator[RecordSerialsLeft]:
    if event.serials:
        yield RecordSerialsLeft(sku=event.sku, location=event.location, serials=event.serials)


@consumer.on(s.StockInboundCancelled)
def record_serials_on_stock_inbound_cancelled(event: s.StockInboundCancelled) -> Iterator[RecordSerialsLeft]:
    if event.serials:
        yield RecordSerialsLeft(sku=event.sku, location=event.location, serials=event.serials)
