"""Legal holds: orders that a case needs are not forgotten until it is over.

Invariant: all orders of one request are held, or released, together, or none of them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from oms_es.app.engine import Runtime
from oms_es.app.privacy import rows
from oms_es.app.privacy.family import Connection
from oms_es.kernel import Recorded
from oms_es.projections.privacy import legal_holds
from oms_es.schemas.order import OrderLegalHoldPlaced
from oms_es.schemas.order.forgetting import LegalHoldReason, LiftLegalHold, PlaceLegalHold
from oms_es.store.encoding.codec import Cause

HELD = f"SELECT DISTINCT order_id FROM {legal_holds.table.name} WHERE lifted_at IS NULL"


def held(connection: Connection) -> list[str]:
    """Return the orders that a case holds, including those whose hold the read model does not show yet."""
    with connection.transaction():
        listed = {row["order_id"] for row in connection.execute(HELD.encode())}
        newer = rows.not_folded_yet(connection, legal_holds.projection, OrderLegalHoldPlaced)
        return sorted(listed | {recorded.event.order_id for recorded in newer})  # type: ignore[attr-defined] # of orders


def hold(
    runtime: Runtime, actor: str, orders: Collection[str], case_id: str, reason: LegalHoldReason
) -> Sequence[Recorded]:
    """Place a legal hold on the orders. Raise Refused."""
    return runtime.append(
        [(Cause(actor), [PlaceLegalHold(order_id=one, case_id=case_id, reason=reason)]) for one in orders]
    )


def release(runtime: Runtime, actor: str, orders: Collection[str], case_id: str) -> Sequence[Recorded]:
    """Lift a legal hold from the orders. Raise Refused."""
    return runtime.append([(Cause(actor), [LiftLegalHold(order_id=one, case_id=case_id)]) for one in orders])
