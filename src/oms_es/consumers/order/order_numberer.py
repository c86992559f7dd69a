"""Order numberer: asks for the next number of its channel for every order that is placed.

Reads    OrderPlaced
Emits    AssignOrderNumber
Decides  nothing; for a channel that does not number its orders the command decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.kernel import Consumer
from oms_es.schemas.catalog.numbering import AssignOrderNumber
from oms_es.schemas.order import OrderPlaced

consumer = Consumer("order_numberer", emits=(AssignOrderNumber,))


@consumer.on(OrderPlaced)
def number_order_on_order_placed(event: OrderPlaced) -> Iterator[AssignOrderNumber]:
    yield AssignOrderNumber(channel=event.channel, order_id=event.order_id)
