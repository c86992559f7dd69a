"""Effects of the simulators, stored as a provider would store them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import psycopg

from oms_es.gateways.simulated.modes import Mode
from oms_es.kernel import GatewayUnavailable

PAYMENT_CALLBACKS = "payment_callbacks"

CARRIER_CALLBACKS = "carrier_callbacks"

CREATE = (
    """
CREATE TABLE IF NOT EXISTS simulated_effects (
    key uuid PRIMARY KEY, operation text NOT NULL, subject text NOT NULL, part text NOT NULL,
    amount_minor bigint NOT NULL, outcome text NOT NULL, reference text NOT NULL, mode text NOT NULL
)
""",
    """
CREATE TABLE IF NOT EXISTS simulated_callbacks_queued (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, source text NOT NULL, due_at timestamptz NOT NULL,
    payload bytea NOT NULL
)
""",
    "CREATE INDEX IF NOT EXISTS simulated_callbacks_due ON simulated_callbacks_queued (source, due_at, id)",
    """
CREATE TABLE IF NOT EXISTS simulated_callbacks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, source text NOT NULL, payload bytea NOT NULL
)
""",
    "CREATE INDEX IF NOT EXISTS simulated_callbacks_of ON simulated_callbacks (source, id)",
)


class Effect(NamedTuple):
    key: UUID
    operation: str
    subject: str
    part: str
    amount_minor: int
    outcome: str
    reference: str
    mode: Mode


class EffectStore(Protocol):
    """The store of one simulated world: what was done, and what will be reported."""

    clock: Callable[[], datetime]

    def effects(
        self,
        asked: Sequence[tuple[UUID, Callable[[], Effect]]],
        callbacks_of: Callable[[Effect], Iterable[PendingCallback]],
    ) -> tuple[dict[UUID, Effect], set[UUID]]:
        """Return the effect of every key, made now for a new key; and the keys that are new."""

    def known(self, keys: Sequence[UUID]) -> dict[UUID, Effect]:
        """Return the effects of those keys that have one; nothing is made. Raise GatewayUnavailable."""

    def close(self) -> None: ...


class SqlEffectStore:
    def __init__(self, database_url: str, clock: Callable[[], datetime]) -> None:
        self.database_url = database_url
        self.clock = clock
        self._connection: psycopg.Connection[Any] | None = None

    def effects(
        self,
        asked: Sequence[tuple[UUID, Callable[[], Effect]]],
        callbacks_of: Callable[[Effect], Iterable[PendingCallback]],
    ) -> tuple[dict[UUID, Effect], set[UUID]]:
        try:
            connection = self.connection()
            with connection.transaction():
                known = self._known(connection, [key for key, _ in asked])
                made = self._made(connection, [make() for key, make in asked if key not in known])
                self._queue([due for effect in made.values() for due in callbacks_of(effect)])
            if len(known) + len(made) < len(asked):  # another worker has made the others meanwhile
                known = self._known(connection, [key for key, _ in asked])
        except psycopg.OperationalError as error:
            self.close()
            raise GatewayUnavailable(str(error)) from error
        return known | made, set(made)

    def _known(self, connection: psycopg.Connection[Any], keys: Sequence[UUID]) -> dict[UUID, Effect]:
        rows = connection.execute(
            "SELECT key, operation, subject, part, amount_minor, outcome, reference, mode "
            "FROM simulated_effects WHERE key = ANY(%b)",
            [keys],
        )
        return {row[0]: Effect(*row) for row in rows}

    def _made(self, connection: psycopg.Connection[Any], effects: Sequence[Effect]) -> dict[UUID, Effect]:
        """Insert effects and return those that were new: another process, even one that lost its role, may make them,
        too."""
        if not effects:
            return {}
        rows = connection.execute(
            "INSERT INTO simulated_effects SELECT * FROM unnest(%b::uuid[], %b::text[], %b::text[], "
            "%b::text[], %b::bigint[], %b::text[], %b::text[], %b::text[]) ON CONFLICT (key) DO NOTHING RETURNING key",
            [list(column) for column in zip(*effects, strict=True)],
        )
        made = {key for (key,) in rows}
        return {effect.key: effect for effect in effects if effect.key in made}

    def known(self, keys: Sequence[UUID]) -> dict[UUID, Effect]:
        try:
            return self._known(self.connection(), keys)
        except psycopg.OperationalError as error:
            self.close()
            raise GatewayUnavailable(str(error)) from error

    def connection(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self.database_url, autocommit=True)
        return self._connection

    def close(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    def recall(self, source: str, shipment_id: str) -> bool:
        """Remove the queued callbacks of the shipment if its pick-up is still to come; return whether they were
        removed.

        The shipment is found by its id, since another shipment may have the same tracking number.
        """
        about = "source = %s AND position(%s in payload) > 0"
        pickup = (
            f"SELECT 1 FROM simulated_callbacks_queued WHERE {about} AND due_at > %s AND position(%s in payload) > 0"
        )
        found = [source, f'"{shipment_id}"'.encode()]
        connection = self.connection()
        if not connection.execute(pickup.encode(), [*found, self.clock(), b'"picked_up"']).fetchone():
            return False
        connection.execute(f"DELETE FROM simulated_callbacks_queued WHERE {about}".encode(), found)
        return True

    def _queue(self, due: Sequence[PendingCallback]) -> None:
        if due:
            self.connection().execute(
                "INSERT INTO simulated_callbacks_queued (source, due_at, payload) "
                "SELECT * FROM unnest(%b::text[], %b::timestamptz[], %b::bytea[])",
                [[t.source for t in due], [t.due_at for t in due], [t.payload for t in due]],
            )


class PendingCallback(NamedTuple):
    source: str
    due_at: datetime
    payload: bytes
