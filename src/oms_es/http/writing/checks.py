"""Checks before a command is decided: what it names exists, and belongs to the caller's channels.

Invariant: a key of some channels can give no command about what belongs to another channel, and cannot learn whether
such a thing exists: the answer is the one for a thing that does not exist.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psycopg
from psycopg.rows import dict_row

from oms_es.app.verbs import is_for_the_engine
from oms_es.http.access import Caller
from oms_es.http.errors import Forbidden
from oms_es.kernel import Command, Refused
from oms_es.reports.existence import Asking, require
from oms_es.reports.queries import Connection
from oms_es.schemas.order import PlaceOrder, order_id_of
from oms_es.schemas.refusals import SharedRefusal
from oms_es.store.store import OUTAGES, Store

OF_AN_ORDER = {"order", "payment", "shipment", "rma", "feedback"}
"""Categories of streams that belong to an order, and thereby to its channel."""


class Checks:
    """The checks; used in the store's thread only."""

    def __init__(self, database_url: str, store: Store) -> None:
        self.database_url = database_url
        self.store = store
        self._connection: Connection | None = None

    def close(self) -> None:
        if self._connection:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    def of_order(self, caller: Caller, command: PlaceOrder) -> None:
        """Raise Forbidden if the order is of a channel that the caller has no rights for."""
        if caller.channels is not None and command.channel not in caller.channels:
            raise Forbidden(f"this key places orders of {', '.join(sorted(caller.channels))} only")

    def of_command(self, caller: Caller, command: Command, channel: str | None) -> None:
        """Raise Refused or Forbidden unless the caller may give the command. `channel`: the one by which the caller
        named the order, if so."""
        if caller.channels is not None:
            self._require_own(caller.channels, command, channel)
        try:
            require(Asking(self.store.state_of, self._opened()), command)
        except OUTAGES:
            self.close()
            raise

    def _opened(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self.database_url, row_factory=dict_row, autocommit=True)
            self._connection.execute("SET default_transaction_read_only = on")
        return self._connection

    def _require_own(self, channels: frozenset[str], command: Command, channel: str | None) -> None:
        if is_for_the_engine(type(command)) or command.stream.partition("-")[0] not in OF_AN_ORDER:
            raise Forbidden("a key of some channels gives commands about their orders only")
        said = getattr(command, "channel", channel)
        if said is not None and said not in channels:
            raise Refused(SharedRefusal.UNKNOWN_ORDER, "there is no such order of this key's channels")
        for order_id in dict.fromkeys(self._orders(command)):
            if said is not None and command.stream == f"order-{order_id}":
                continue  # its id proves its channel, and the order may still be to come
            if self.channel_of(order_id) not in channels:
                raise Refused(SharedRefusal.UNKNOWN_ORDER, "there is no such order of this key's channels")

    def _orders(self, command: Command) -> Iterator[str]:
        """Yield every order that the command names, and the order that its stream belongs to."""
        category, _, name = command.stream.partition("-")
        state, _ = self.store.state_of(command.stream)
        yield name if category in ("order", "feedback") else _order_of(state)
        for field in type(command).model_fields:
            value = getattr(command, field)
            if field.endswith("order_id") and isinstance(value, str):
                yield value
            if field.endswith("order_ids") and isinstance(value, tuple | list):
                yield from value

    def channel_of(self, order_id: str) -> str | None:
        state, _ = self.store.state_of(f"order-{order_id}")
        return None if state.placed is None else state.placed.channel


def _order_of(state: Any) -> str:
    """Return the order of a payment, a parcel or a return, or an empty string if it has none and so belongs to no
    channel."""
    for name in ("requested", "opened"):
        if begun := getattr(state, name, None):
            return str(getattr(begun, "order_id", ""))
    return ""


def named_order(name: str) -> tuple[str, str | None]:
    """Return an order's id, and its channel if it is named as CHANNEL~EXTERNAL_ID, else None."""
    channel, tilde, external_id = name.partition("~")
    return (order_id_of(channel, external_id), channel) if tilde else (name, None)
