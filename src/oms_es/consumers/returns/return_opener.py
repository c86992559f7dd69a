"""Return opener: opens a return that its order allows, under the policy of the order's channel.

Reads    OrderReturnRequested; looks up return_policies of the channel, or of every channel
Emits    OpenRma
Decides  nothing; the return checks its request against the policy.
"""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.kernel import Consumer, Lookup, LookupResults
from oms_es.schemas.order.returns import OrderReturnRequested
from oms_es.schemas.returns.policy import EVERY_CHANNEL
from oms_es.schemas.returns.rma import OpenRma, Terms

consumer = Consumer("return_opener", emits=(OpenRma,))
POLICIES = Lookup("return_policies", by="channel", keys=lambda event: (event.channel, EVERY_CHANNEL))


@consumer.on(OrderReturnRequested, lookups=(POLICIES,))
def open_return_on_order_return_requested(event: OrderReturnRequested, results: LookupResults) -> Iterator[OpenRma]:
    policies = results["return_policies"]
    rows = [*policies[event.channel], *policies[EVERY_CHANNEL]]
    yield OpenRma(
        rma_id=event.rma_id,
        order_id=event.order_id,
        channel=event.channel,
        resolution=event.resolution,
        lines=event.lines,
        requested_at=event.requested_at,
        delivered_at=event.delivered_at,
        terms=Terms.model_validate(rows[0]["terms"]) if rows else Terms(),
    )
