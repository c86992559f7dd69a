"""A sender of webhooks to this engine.

Invariant: it is disabled once until it is enabled; events name secrets by id only.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from oms_es.kernel import Decider, Refused
from oms_es.schemas.operations import connection as con
from oms_es.schemas.operations.refusals import OperationsRefusal
from oms_es.schemas.refusals import SharedRefusal


class Connection(NamedTuple):
    name: str = ""
    dialect: str = ""
    channel: str | None = None
    secret_id: str = ""
    previous_secret_id: str = ""
    previous_until: datetime | None = None
    is_disabled: bool = False


def evolve(state: Connection, event: con.ConnectionEvent) -> Connection:
    """Never refuse an event: an old stream must load under new rules."""
    match event:
        case con.ConnectionOpened() | con.ConnectionRotated():
            return state._replace(**event.model_dump())
        case con.ConnectionDisabled() | con.ConnectionEnabled():
            return state._replace(is_disabled=isinstance(event, con.ConnectionDisabled))
    return state


def decide(state: Connection, command: con.ConnectionCommand) -> Iterator[con.ConnectionEvent]:
    """Yield nothing if the command is already satisfied, so that retries are free."""
    if isinstance(command, con.OpenConnection):
        yield from _open(state, command)
        return
    if not state.name:
        raise Refused(SharedRefusal.UNKNOWN_CONNECTION, f"there is no connection {command.name}; open it first")
    match command:
        case con.RotateConnection(secret_id=secret_id) if secret_id != state.secret_id:
            until = command.now + timedelta(seconds=command.overlap_seconds)
            before = state.secret_id
            yield con.ConnectionRotated(
                name=state.name, secret_id=secret_id, previous_secret_id=before, previous_until=until
            )
        case con.DisableConnection() if not state.is_disabled:
            yield con.ConnectionDisabled(**command.model_dump())
        case con.EnableConnection() if state.is_disabled:
            yield con.ConnectionEnabled(name=state.name)


def _open(state: Connection, command: con.OpenConnection) -> Iterator[con.ConnectionEvent]:
    if state.name:
        if state.secret_id != command.secret_id:
            detail = f"there is a connection {state.name} already; rotate its secret, or take another name"
            raise Refused(OperationsRefusal.CONNECTION_EXISTS, detail)
        return
    if command.channel is None and command.dialect == "woocommerce":
        raise Refused(
            OperationsRefusal.CHANNEL_NEEDED, "say whose orders they are: WooCommerce's ids are each shop's own"
        )
    if command.channel is not None and command.dialect not in ("woocommerce", "canonical"):
        raise Refused(OperationsRefusal.CHANNEL_NEEDED, "only woocommerce and canonical have a channel; leave it out")
    yield con.ConnectionOpened(**command.model_dump())


decider: Decider[Any] = Decider(
    "connection",
    Connection(),
    evolve,
    decide,
    accepts=(con.OpenConnection, con.RotateConnection, con.DisableConnection, con.EnableConnection),
    emits=(con.ConnectionOpened, con.ConnectionRotated, con.ConnectionDisabled, con.ConnectionEnabled),
)
