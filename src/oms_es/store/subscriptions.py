"""Subscriptions to what becomes of orders, and what is to be delivered to each.

Invariant: deliveries are written in the transaction that moves the subscription's position in the log, so that no event
is missed or doubled; a delivery is done with only once its receiver has said so, and is sent again until then. Of one
order a later delivery waits for the earlier.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import psycopg

from oms_es.store import webhook_secrets
from oms_es.store.recorder import EVENTS

SUBSCRIPTIONS = "oms_subscriptions"
DELIVERIES = "oms_deliveries"
LISTED_MAX = 1_000
SCANNED_MAX = 5_000
"""Positions that are looked through at a time."""
PENDING_MAX = 10_000
"""Of one subscription: more is read from the log only when some have been delivered."""
KEPT_DAYS = 30
"""What was delivered is listed for so long."""
CREATE = (
    f"""
    CREATE TABLE IF NOT EXISTS {SUBSCRIPTIONS} (
        name text PRIMARY KEY,
        url text NOT NULL,
        types text[] NOT NULL,
        channels text[],
        secret text NOT NULL,
        previous_secret text,
        previous_until timestamptz,
        position bigint NOT NULL,
        created_at timestamptz NOT NULL,
        created_by text NOT NULL,
        disabled_at timestamptz,
        disabled_because text NOT NULL DEFAULT ''
    )""",
    f"""
    CREATE TABLE IF NOT EXISTS {DELIVERIES} (
        subscription text NOT NULL REFERENCES {SUBSCRIPTIONS},
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
COLUMNS = (
    "name, url, types, channels, secret, previous_secret, previous_until, position, created_at, created_by, "
    "disabled_at, disabled_because"
)

Rows = psycopg.Connection[dict[str, Any]]


class Subscription(NamedTuple):
    """`channels`: None where it is of all. `position`: of the log, up to which deliveries were made of it."""

    name: str
    url: str
    types: Sequence[str]
    channels: Sequence[str] | None
    secret: str
    previous_secret: str | None
    previous_until: datetime | None
    position: int
    created_at: datetime
    created_by: str
    disabled_at: datetime | None
    disabled_because: str

    def __repr__(self) -> str:
        return f"Subscription({self.shown()})"

    def secrets_at(self, now: datetime) -> Sequence[str]:
        """Each signs: two while the receiver changes over."""
        return webhook_secrets.good_at(now, self)

    def shown(self) -> dict[str, Any]:
        return {name: value for name, value in self._asdict().items() if name not in ("secret", "previous_secret")}


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


def create(
    rows: Rows,
    *,
    name: str,
    url: str,
    types: Sequence[str],
    channels: Sequence[str] | None,
    secret: str,
    now: datetime,
    created_by: str,
) -> Subscription | None:
    """From here on. None where there is one of that name."""
    row = rows.execute(
        f"INSERT INTO {SUBSCRIPTIONS} (name, url, types, channels, secret, position, created_at, created_by) "
        f"SELECT %s, %s, %s, %s, %s, coalesce(max(notification_id), 0), %s, %s FROM {EVENTS} "
        f"ON CONFLICT DO NOTHING RETURNING {COLUMNS}".encode(),
        [name, url, list(types), channels and list(channels), secret, now, created_by],
    ).fetchone()
    return Subscription(**row) if row else None


def rotate(rows: Rows, name: str, secret: str, previous_until: datetime) -> Subscription | None:
    row = rows.execute(
        f"UPDATE {SUBSCRIPTIONS} SET previous_secret = secret, previous_until = %s, secret = %s WHERE name = %s "
        f"RETURNING {COLUMNS}".encode(),
        [previous_until, secret, name],
    ).fetchone()
    return Subscription(**row) if row else None


def disable(rows: Rows, name: str, at: datetime, because: str) -> Subscription | None:
    """Nothing is sent and nothing is lost: enabled again, it goes on where it was."""
    row = rows.execute(
        f"UPDATE {SUBSCRIPTIONS} SET "
        "disabled_because = CASE WHEN disabled_at IS NULL THEN %s ELSE disabled_because END, "
        f"disabled_at = coalesce(disabled_at, %s) WHERE name = %s RETURNING {COLUMNS}".encode(),
        [because, at, name],
    ).fetchone()
    return Subscription(**row) if row else None


def enable(rows: Rows, name: str, now: datetime) -> Subscription | None:
    """What waits is due now, as if it had never been tried."""
    with rows.transaction():
        row = rows.execute(
            f"UPDATE {SUBSCRIPTIONS} SET disabled_at = NULL, disabled_because = '' WHERE name = %s "
            f"RETURNING {COLUMNS}".encode(),
            [name],
        ).fetchone()
        rows.execute(
            f"UPDATE {DELIVERIES} SET attempts = 0, due_at = %s "
            "WHERE subscription = %s AND delivered_at IS NULL".encode(),
            [now, name],
        )
    return Subscription(**row) if row else None


def listed(rows: Rows) -> list[Subscription]:
    found = rows.execute(f"SELECT {COLUMNS} FROM {SUBSCRIPTIONS} ORDER BY name LIMIT %s".encode(), [LISTED_MAX])
    return [Subscription(**row) for row in found]


def occurred(rows: Rows, subscription: Subscription) -> tuple[list[Occurred], int]:
    """Events of its types after its position, and the position up to which was looked."""
    row = rows.execute(f"SELECT coalesce(max(notification_id), 0) AS end FROM {EVENTS}".encode()).fetchone()
    scanned = min(row["end"] if row else 0, subscription.position + SCANNED_MAX)
    found = rows.execute(
        f"SELECT notification_id AS position, originator_id AS stream, originator_version AS version, topic AS type, "
        f"state FROM {EVENTS} WHERE notification_id > %s AND notification_id <= %s AND topic = ANY(%s) "
        "ORDER BY notification_id".encode(),
        [subscription.position, scanned, list(subscription.types)],
    )
    return [Occurred(**{**one, "state": bytes(one["state"])}) for one in found], max(scanned, subscription.position)


def pending(rows: Rows, name: str) -> int:
    """Up to the bound."""
    row = rows.execute(
        f"SELECT count(*) AS waiting FROM (SELECT FROM {DELIVERIES} WHERE subscription = %s AND delivered_at IS NULL "
        "LIMIT %s) AS bounded".encode(),
        [name, PENDING_MAX],
    ).fetchone()
    return row["waiting"] if row else 0


def add_deliveries(
    rows: Rows, subscription: Subscription, due: Sequence[tuple[int, str, str]], position: int, now: datetime
) -> bool:
    """`due`: position, order and body of each. False where another process has moved the position meanwhile."""
    with rows.transaction():
        moved = rows.execute(
            f"UPDATE {SUBSCRIPTIONS} SET position = %s WHERE name = %s AND position = %s".encode(),
            [position, subscription.name, subscription.position],
        )
        if moved.rowcount and due:
            rows.cursor().executemany(
                f"INSERT INTO {DELIVERIES} (subscription, position, order_id, body, due_at) "
                "VALUES (%s, %s, %s, %s, %s)".encode(),
                [(subscription.name, *one, now) for one in due],
            )
        return bool(moved.rowcount)


def due(rows: Rows, name: str, now: datetime, limit: int) -> list[Delivery]:
    """The earliest that waits of each order, if its time has come."""
    found = rows.execute(
        f"SELECT * FROM (SELECT DISTINCT ON (order_id) * FROM {DELIVERIES} "
        "WHERE subscription = %s AND delivered_at IS NULL ORDER BY order_id, position) AS first "
        "WHERE due_at <= %s ORDER BY due_at, position LIMIT %s".encode(),
        [name, now, limit],
    )
    return [Delivery(**row) for row in found]


def note_delivered(rows: Rows, delivery: Delivery, status: int, at: datetime) -> None:
    rows.execute(
        f"UPDATE {DELIVERIES} SET attempts = attempts + 1, last_status = %s, last_error = '', delivered_at = %s "
        "WHERE subscription = %s AND position = %s".encode(),
        [status, at, delivery.subscription, delivery.position],
    )


def note_failed(rows: Rows, delivery: Delivery, status: int | None, error: str, due_at: datetime) -> None:
    rows.execute(
        f"UPDATE {DELIVERIES} SET attempts = attempts + 1, last_status = %s, last_error = %s, due_at = %s "
        "WHERE subscription = %s AND position = %s AND delivered_at IS NULL".encode(),
        [status, error, due_at, delivery.subscription, delivery.position],
    )


def send_again(rows: Rows, name: str, position: int, now: datetime) -> bool:
    """Also what was delivered. False where there is no such delivery."""
    done = rows.execute(
        f"UPDATE {DELIVERIES} SET delivered_at = NULL, attempts = 0, due_at = %s "
        "WHERE subscription = %s AND position = %s".encode(),
        [now, name, position],
    )
    return bool(done.rowcount)


def deliveries(rows: Rows, name: str, *, waiting: bool, limit: int = LISTED_MAX) -> list[Delivery]:
    """The newest first; with `waiting` those only that were not delivered."""
    found = rows.execute(
        f"SELECT * FROM {DELIVERIES} WHERE subscription = %s AND (NOT %s OR delivered_at IS NULL) "
        "ORDER BY position DESC LIMIT %s".encode(),
        [name, waiting, limit],
    )
    return [Delivery(**row) for row in found]


def sweep(rows: Rows, before: datetime) -> None:
    rows.execute(f"DELETE FROM {DELIVERIES} WHERE delivered_at < %s".encode(), [before])
