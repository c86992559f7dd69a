"""Legal holds: orders, accounts and statements that a case needs are not forgotten until it is over.

Invariant: all orders and accounts of one request are held, or released, together, or none of them; apart from those
that have nothing to hold or release, since relatives may have come, or have been forgotten, in the meantime.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from oms_es.app.engine import Runtime
from oms_es.app.privacy import rows
from oms_es.app.privacy.family import Connection
from oms_es.app.privacy.refusing import refusal, refusal_of
from oms_es.kernel import Command, Recorded
from oms_es.projections.privacy import legal_holds
from oms_es.schemas.finance.account_privacy import LiftAccountLegalHold, PlaceAccountLegalHold
from oms_es.schemas.finance.statement_privacy import LiftStatementLegalHold, PlaceStatementLegalHold
from oms_es.schemas.order import OrderLegalHoldPlaced
from oms_es.schemas.order.forgetting import LegalHoldReason, LiftLegalHold, PlaceLegalHold
from oms_es.schemas.refusals import SharedRefusal
from oms_es.store.encoding.codec import Cause
from oms_es.store.privacy.subjects import ACCOUNT, STATEMENT, subject_of

HELD = f"SELECT DISTINCT order_id FROM {legal_holds.table.name} WHERE lifted_at IS NULL"


HOLDING = (PlaceLegalHold, PlaceAccountLegalHold, PlaceStatementLegalHold)
RELEASING = (LiftLegalHold, LiftAccountLegalHold, LiftStatementLegalHold)
"""The commands for an order, an account and a statement."""


def _about(subject: str, kinds: Sequence[type[Any]], said: Mapping[str, Any]) -> Command:
    of_order, of_account, of_statement = kinds
    if subject.startswith(ACCOUNT):
        command = of_account(account_id=subject.removeprefix(ACCOUNT), **said)
    elif subject.startswith(STATEMENT):
        account, _, statement_id = subject.removeprefix(STATEMENT).partition("/")
        command = of_statement(account=account, statement_id=statement_id, **said)
    else:
        command = of_order(order_id=subject, **said)
    return cast("Command", command)


def held(connection: Connection) -> list[str]:
    """Return the orders that a case holds, including those whose hold the read model does not show yet."""
    with connection.transaction():
        listed = {row["order_id"] for row in connection.execute(HELD.encode())}
        newer = rows.not_folded_yet(connection, legal_holds.projection, OrderLegalHoldPlaced)
        return sorted(listed | {recorded.event.order_id for recorded in newer})  # type: ignore[attr-defined] # of orders


def hold(
    runtime: Runtime, actor: str, subjects: Sequence[str], case_id: str, reason: LegalHoldReason
) -> tuple[list[str], Sequence[Recorded]]:
    """Place a legal hold on those of the orders and accounts that are not forgotten; return them, and what was
    recorded. Raise Refused, naming them, if all are forgotten or the case held one before."""
    commands = [_about(one, HOLDING, {"case_id": case_id, "reason": reason}) for one in subjects]
    return _record(runtime, actor, commands, SharedRefusal.FORGOTTEN)


def release(
    runtime: Runtime, actor: str, subjects: Sequence[str], case_id: str
) -> tuple[list[str], Sequence[Recorded]]:
    """Lift a legal hold from those of the orders and accounts that have it; return them, and what was recorded. Raise
    Refused, naming them, if the case holds none of them."""
    commands = [_about(one, RELEASING, {"case_id": case_id}) for one in subjects]
    return _record(runtime, actor, commands, SharedRefusal.NO_LEGAL_HOLD)


def _record(
    runtime: Runtime, actor: str, commands: Sequence[Command], passed_over: SharedRefusal
) -> tuple[list[str], Sequence[Recorded]]:
    """Append for all but those with this refusal, which are passed over unless it is that of all."""
    refused = {subject_of(command.stream): why for command in commands if (why := refusal(runtime, command))}
    others = [why for why in refused.values() if why.reason != passed_over]
    taken = [command for command in commands if subject_of(command.stream) not in refused]
    if others or not taken:
        raise refusal_of(others or [*refused.values()])
    return [subject_of(command.stream) for command in taken], runtime.append([(Cause(actor), [one]) for one in taken])
