"""Legal holds: orders that a case needs are not forgotten until it is over.

Invariant: all orders of one request are held, or released, together, or none of them; apart from those that have
nothing to hold or release, since relatives may have come, or have been forgotten, in the meantime.
"""

from __future__ import annotations

from collections.abc import Sequence

from oms_es.app.engine import Runtime
from oms_es.app.privacy import rows
from oms_es.app.privacy.family import Connection
from oms_es.app.privacy.refusing import refusal, refusal_of
from oms_es.kernel import Recorded
from oms_es.projections.privacy import legal_holds
from oms_es.schemas.order import OrderLegalHoldPlaced
from oms_es.schemas.order.forgetting import LegalHoldReason, LiftLegalHold, PlaceLegalHold
from oms_es.schemas.order.refusals import OrderRefusal
from oms_es.store.encoding.codec import Cause

HELD = f"SELECT DISTINCT order_id FROM {legal_holds.table.name} WHERE lifted_at IS NULL"


def held(connection: Connection) -> list[str]:
    """Return the orders that a case holds, including those whose hold the read model does not show yet."""
    with connection.transaction():
        listed = {row["order_id"] for row in connection.execute(HELD.encode())}
        newer = rows.not_folded_yet(connection, legal_holds.projection, OrderLegalHoldPlaced)
        return sorted(listed | {recorded.event.order_id for recorded in newer})  # type: ignore[attr-defined] # of orders


def hold(
    runtime: Runtime, actor: str, orders: Sequence[str], case_id: str, reason: LegalHoldReason
) -> tuple[list[str], Sequence[Recorded]]:
    """Place a legal hold on those of the orders that are not forgotten; return them, and what was recorded. Raise
    Refused, naming the orders, if all are forgotten or the case held one before."""
    commands = [PlaceLegalHold(order_id=one, case_id=case_id, reason=reason) for one in orders]
    return _record(runtime, actor, commands, OrderRefusal.FORGOTTEN)


def release(runtime: Runtime, actor: str, orders: Sequence[str], case_id: str) -> tuple[list[str], Sequence[Recorded]]:
    """Lift a legal hold from those of the orders that have it; return them, and what was recorded. Raise Refused,
    naming the orders, if the case holds none of them."""
    commands = [LiftLegalHold(order_id=one, case_id=case_id) for one in orders]
    return _record(runtime, actor, commands, OrderRefusal.NO_LEGAL_HOLD)


def _record(
    runtime: Runtime, actor: str, commands: Sequence[PlaceLegalHold | LiftLegalHold], passed_over: OrderRefusal
) -> tuple[list[str], Sequence[Recorded]]:
    """Append for all orders but those with this refusal, which are passed over unless it is that of all."""
    refused = {command.order_id: why for command in commands if (why := refusal(runtime, command))}
    others = [why for why in refused.values() if why.reason != passed_over]
    taken = [command for command in commands if command.order_id not in refused]
    if others or not taken:
        raise refusal_of(others or [*refused.values()])
    return [command.order_id for command in taken], runtime.append([(Cause(actor), [one]) for one in taken])
