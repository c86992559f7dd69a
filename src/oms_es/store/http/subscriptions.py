"""How far each subscription has come in the log, and what is to be delivered to it.

Invariant: deliveries are written in the transaction that moves the subscription's position in the log, so that no event
is missed or doubled; a delivery is done with only once its receiver has said so, and is sent again until then. Of one
order a later delivery waits for the earlier.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

import psycopg

from oms_es.database.rows import Rows
from oms_es.store.archive.reading import whole
from oms_es.store.http.webhook_secrets import Rotating, good_at
from oms_es.store.recorder import EVENTS

PROGRESS = "oms_subscription_progress"
DELIVERIES = "oms_deliveries"
LISTED_MAX = 1_000
SCANNED_MAX = 5_000
"""Positions that are looked through at a time."""
PENDING_MAX = 10_000
"""Of one subscription: more is read from the log only when some have been delivered."""
LOCK = 8_414_200_118
"""One process delivers, others stand by: two would send the same twice."""
KEPT_DAYS = 30
"""What was delivered is listed for so long."""
CREATE = (
    f"""
    CREATE TABLE IF NOT EXISTS {PROGRESS} (
        name text PRIMARY KEY,
        position bigint NOT NULL,
        rounds integer NOT NULL DEFAULT 0
    )""",
    f"""
    CREATE TABLE IF NOT EXISTS {DELIVERIES} (
        subscription text NOT NULL,
        position bigint NOT NULL,
        order_id text NOT NULL,
        body text NOT NULL,
        attempts integer NOT NULL DEFAULT 0,
        due_at timestamptz NOT NULL,
        last_status integer,
        last_error text NOT NULL DEFAULT '',
        delivered_at timestamptz,
        PRIMARY KEY (subscription, position)
    )""",
    f"""
    CREATE INDEX IF NOT EXISTS {DELIVERIES}_pending ON {DELIVERIES} (subscription, order_id, position)
    WHERE delivered_at IS NULL""",
    f"CREATE INDEX IF NOT EXISTS {DELIVERIES}_delivered ON {DELIVERIES} (delivered_at) WHERE delivered_at IS NOT NULL",
)


class Progress(NamedTuple):
    """`position`: of the log, up to which deliveries were made. `rounds`: how often it was enabled again so far."""

    name: str
    position: int
    rounds: int


class Delivery(NamedTuple):
    subscription: str
    position: int
    order_id: str
    body: str
    attempts: int
    due_at: datetime
    last_status: int | None
    last_error: str
    delivered_at: datetime | None


class Occurred(NamedTuple):
    """An event of an order, without what it says."""

    position: int
    stream: str
    version: int
    type: str
    state: bytes


class DeliveryTables:
    """What one process delivers: on a session of its own, whose lock keeps other processes from sending the same."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def try_lock(self) -> bool:
        row = self.rows.execute("SELECT pg_try_advisory_lock(%s) AS mine", [LOCK]).fetchone()
        return bool(row and row["mine"])

    def secrets(self, subscription: Rotating, now: datetime) -> Sequence[str]:
        return good_at(self.rows, now, subscription)

    def close(self) -> None:
        """The lock is given back first: the server ends a session some time after its connection."""
        with suppress(psycopg.Error):
            self.rows.execute("SELECT pg_advisory_unlock_all()")
        self.rows.close()

    def names(self) -> list[tuple[str, int]]:
        """Each with the position of the log at which it was opened, as the read model has them."""
        found = self.rows.execute(
            "SELECT name, opened_position FROM subscriptions ORDER BY name LIMIT %s", [LISTED_MAX]
        )
        return [(row["name"], row["opened_position"]) for row in found]

    def progress(self, name: str, opened_position: int) -> Progress:
        """Return the subscription's progress, which begins where it was opened."""
        self.rows.execute(
            f"INSERT INTO {PROGRESS} (name, position) VALUES (%s, %s) ON CONFLICT DO NOTHING".encode(),
            [name, opened_position],
        )
        row = self.rows.execute(
            f"SELECT name, position, rounds FROM {PROGRESS} WHERE name = %s".encode(), [name]
        ).fetchone()
        return Progress(**(row or {}))

    def resume(self, name: str, rounds: int, now: datetime) -> None:
        """It was enabled again: what waits is due now, as if it had never been tried."""
        with self.rows.transaction():
            self.rows.execute(f"UPDATE {PROGRESS} SET rounds = %s WHERE name = %s".encode(), [rounds, name])
            self.rows.execute(
                f"UPDATE {DELIVERIES} SET attempts = 0, due_at = %s "
                "WHERE subscription = %s AND delivered_at IS NULL".encode(),
                [now, name],
            )

    def occurred(self, position: int, types: Sequence[str]) -> tuple[list[Occurred], int]:
        """Events of these types after the position, and the position up to which was looked."""
        row = self.rows.execute(f"SELECT coalesce(max(notification_id), 0) AS end FROM {EVENTS}".encode()).fetchone()
        scanned = min(row["end"] if row else 0, position + SCANNED_MAX)
        found = self.rows.execute(
            "SELECT notification_id AS position, originator_id AS stream, originator_version AS version, "
            f"topic AS type, state FROM {EVENTS} "
            "WHERE notification_id > %s AND notification_id <= %s AND topic = ANY(%s) "
            "ORDER BY notification_id".encode(),
            [position, scanned, list(types)],
        )
        return [Occurred(**{**one, "state": whole(bytes(one["state"]))}) for one in found], max(scanned, position)

    def pending(self, name: str) -> int:
        """Up to the bound."""
        row = self.rows.execute(
            f"SELECT count(*) AS waiting FROM (SELECT FROM {DELIVERIES} "
            "WHERE subscription = %s AND delivered_at IS NULL LIMIT %s) AS bounded".encode(),
            [name, PENDING_MAX],
        ).fetchone()
        return row["waiting"] if row else 0

    def add(self, before: Progress, due: Sequence[tuple[int, str, str]], position: int, now: datetime) -> bool:
        """`due`: position, order and body of each. False where another process has moved the position meanwhile."""
        with self.rows.transaction():
            moved = self.rows.execute(
                f"UPDATE {PROGRESS} SET position = %s WHERE name = %s AND position = %s".encode(),
                [position, before.name, before.position],
            )
            if moved.rowcount and due:
                self.rows.cursor().executemany(
                    f"INSERT INTO {DELIVERIES} (subscription, position, order_id, body, due_at) "
                    "VALUES (%s, %s, %s, %s, %s)".encode(),
                    [(before.name, *one, now) for one in due],
                )
            return bool(moved.rowcount)

    def due(self, name: str, now: datetime, limit: int) -> list[Delivery]:
        """The earliest that waits of each order, if its time has come."""
        found = self.rows.execute(
            f"SELECT * FROM (SELECT DISTINCT ON (order_id) * FROM {DELIVERIES} "
            "WHERE subscription = %s AND delivered_at IS NULL ORDER BY order_id, position) AS first "
            "WHERE due_at <= %s ORDER BY due_at, position LIMIT %s".encode(),
            [name, now, limit],
        )
        return [Delivery(**row) for row in found]

    def note_delivered(self, delivery: Delivery, status: int, at: datetime) -> None:
        self.rows.execute(
            f"UPDATE {DELIVERIES} SET attempts = attempts + 1, last_status = %s, last_error = '', delivered_at = %s "
            "WHERE subscription = %s AND position = %s".encode(),
            [status, at, delivery.subscription, delivery.position],
        )

    def note_failed(self, delivery: Delivery, status: int | None, error: str, due_at: datetime) -> None:
        self.rows.execute(
            f"UPDATE {DELIVERIES} SET attempts = attempts + 1, last_status = %s, last_error = %s, due_at = %s "
            "WHERE subscription = %s AND position = %s AND delivered_at IS NULL".encode(),
            [status, error, due_at, delivery.subscription, delivery.position],
        )

    def sweep(self, before: datetime) -> None:
        self.rows.execute(f"DELETE FROM {DELIVERIES} WHERE delivered_at < %s".encode(), [before])


def send_again(rows: Rows, name: str, position: int, now: datetime) -> bool:
    """Make the delivery due again, even if it was delivered. Return False if there is no such delivery."""
    done = rows.execute(
        f"UPDATE {DELIVERIES} SET delivered_at = NULL, attempts = 0, due_at = %s "
        "WHERE subscription = %s AND position = %s".encode(),
        [now, name, position],
    )
    return bool(done.rowcount)


def deliveries(
    rows: Rows, name: str, *, waiting: bool, before: int | None = None, limit: int = LISTED_MAX
) -> list[Delivery]:
    """The newest first, from `before` on; with `waiting` those only that were not delivered."""
    found = rows.execute(
        f"SELECT * FROM {DELIVERIES} WHERE subscription = %(name)s AND (NOT %(waiting)s OR delivered_at IS NULL) "
        "AND (%(before)s::bigint IS NULL OR position < %(before)s) ORDER BY position DESC LIMIT %(limit)s".encode(),
        {"name": name, "waiting": waiting, "before": before, "limit": limit},
    )
    return [Delivery(**row) for row in found]


def one_delivery(rows: Rows, name: str, position: int) -> Delivery | None:
    query = f"SELECT * FROM {DELIVERIES} WHERE subscription = %s AND position = %s"
    row = rows.execute(query.encode(), [name, position]).fetchone()
    return Delivery(**row) if row else None
