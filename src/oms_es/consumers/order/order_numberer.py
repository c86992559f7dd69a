"""Order numberer: every order that is placed is to have the next number of its channel.

Reads    OrderPlaced
Emits    AssignOrderNumber
Decides  nothing; a channel that does not number its orders decides nothing either.
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
