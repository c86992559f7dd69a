"""Order joiner: places an order for units that were split off, and asks orders to merge, one after the other.

Reads    OrderSplit, OrderMergeRequested, OrderMergedInto, OrderMergeDeclined
Emits    PlaceJoined, YieldToMerge, RecordMergeAnswer
Decides  nothing; every order knows whether it can still become part of another.
"""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.kernel import Consumer
from oms_es.schemas import order as o

consumer = Consumer("order_joiner", emits=(o.PlaceJoined, o.YieldToMerge, o.RecordMergeAnswer))


@consumer.on(o.OrderSplit)
def place_joined_order_on_order_split(event: o.OrderSplit) -> Iterator[o.PlaceJoined]:
    yield o.PlaceJoined(
        order_id=event.to_order_id,
        from_order_id=event.order_id,
        content=event.content,
        transfers=tuple(
            o.Reservation(
                reservation_id=o.transferred(event.to_order_id, cut.reservation_id),
                sku=cut.sku,
                location=cut.location,
                quantity=cut.quantity,
            )
            for cut in event.released
        ),
        backordered=event.no_longer_backordered,
        bundles=event.bundles,
        holds=event.holds,
    )


@consumer.on(o.OrderMergeRequested)
def ask_order_to_merge_on_order_merge_requested(event: o.OrderMergeRequested) -> Iterator[o.YieldToMerge]:
    yield o.YieldToMerge(order_id=event.source_id, to_order_id=event.order_id, channel=event.channel, terms=event.terms)


@consumer.on(o.OrderMergedInto)
def record_agreement_on_order_merged_into(event: o.OrderMergedInto) -> Iterator[o.RecordMergeAnswer]:
    yield o.RecordMergeAnswer(order_id=event.to_order_id, source_id=event.order_id, merged=event)


@consumer.on(o.OrderMergeDeclined)
def record_refusal_on_order_merge_declined(event: o.OrderMergeDeclined) -> Iterator[o.RecordMergeAnswer]:
    yield o.RecordMergeAnswer(order_id=event.to_order_id, source_id=event.order_id)
