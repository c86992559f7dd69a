"""Open exceptions with their assignees, resolved ones, and the differences between two versions of an order.

Invariant: an exception is open while it is in open_exceptions and was raised after it was last resolved. Snoozed
exceptions are listed separately until their time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Literal, NamedTuple

from oms_es.aggregates.order import decider as order
from oms_es.aggregates.order.state import CHANGEABLE, Order
from oms_es.kernel import Command, Refused
from oms_es.projections.operations.exception_history import ASSIGNED, RESOLVED, SNOOZED
from oms_es.reports.queries import Connection, Row
from oms_es.reports.streams import history, state
from oms_es.schemas import order as o
from oms_es.schemas.operations.exception import ResolveException
from oms_es.schemas.operations.refusals import OperationsRefusal
from oms_es.schemas.order.refusals import OrderRefusal
from oms_es.schemas.values.personal import personal_fields
from oms_es.store.encoding.codec import Codec

PAGE_MAX = 500
HISTORY_MAX = 200
NEIGHBOURS_MAX = 20
DUPLICATE = "duplicate_conflict"
Side = Literal["ours", "theirs"]
"""Of two versions of an order: as it is here, or the newest other content that its channel sent."""

OPEN = f"""
SELECT e.*, seen_to.assignee, seen_to.note AS assigned_note, snoozed.until AS snoozed_until,
    s.channel, s.external_id
FROM open_exceptions e LEFT JOIN order_status s USING (order_id)
LEFT JOIN LATERAL (SELECT assignee, note FROM exception_history h
    WHERE h.exception_id = e.exception_id AND h.what = '{ASSIGNED}' AND h.raised_at >= e.raised_at
    ORDER BY position DESC LIMIT 1) AS seen_to ON true
LEFT JOIN LATERAL (SELECT max(h.raised_at) AS through FROM exception_history h
    WHERE h.exception_id = e.exception_id AND h.what = '{RESOLVED}') AS resolved ON true
LEFT JOIN LATERAL (SELECT until FROM exception_history h
    WHERE h.exception_id = e.exception_id AND h.what = '{SNOOZED}' AND h.raised_at >= e.last_raised_at
    ORDER BY position DESC LIMIT 1) AS snoozed ON true
WHERE (resolved.through IS NULL OR resolved.through < e.last_raised_at)
"""


NOT_SNOOZED = " AND (snoozed.until IS NULL OR snoozed.until <= now())"
OF_CHANNELS = " AND s.channel = ANY(%(channels)s)"
COUNTED_MAX = 10_000
"""Of how many exceptions, of all kinds together, those that are open are counted; a list of more would not be read."""
BY_KIND = f"""
WITH oldest AS MATERIALIZED (
    SELECT e.exception_id, e.kind, e.raised_at, e.last_raised_at FROM open_exceptions e {{of_channels}}
    ORDER BY e.raised_at, e.exception_id LIMIT %(limit)s),
seen AS (
    SELECT e.exception_id, max(h.raised_at) FILTER (WHERE h.what = '{RESOLVED}') AS through,
        (array_agg(h.assignee ORDER BY h.position DESC)
            FILTER (WHERE h.what = '{ASSIGNED}' AND h.raised_at >= e.raised_at))[1] AS assignee,
        coalesce((array_agg(h.until ORDER BY h.position DESC)
            FILTER (WHERE h.what = '{SNOOZED}' AND h.raised_at >= e.last_raised_at))[1] > now(), false) AS is_snoozed
    FROM oldest e JOIN exception_history h USING (exception_id) GROUP BY e.exception_id),
found AS (
    SELECT e.kind, e.raised_at, seen.assignee, coalesce(seen.is_snoozed, false) AS is_snoozed
    FROM oldest e LEFT JOIN seen USING (exception_id)
    WHERE seen.through IS NULL OR seen.through < e.last_raised_at)
SELECT kind, count(*) FILTER (WHERE NOT is_snoozed) AS open, count(*) FILTER (WHERE is_snoozed) AS snoozed,
    coalesce(min(raised_at) FILTER (WHERE NOT is_snoozed), min(raised_at)) AS oldest_at,
    count(assignee) FILTER (WHERE NOT is_snoozed) AS assigned
FROM found GROUP BY kind ORDER BY 2 DESC, kind
"""
"""The exceptions of OPEN by kind, joined at once instead of one by one."""


class Asked(NamedTuple):
    """The filter of a list.

    None means any. `after` is the exception at which the page before ended. `channels` are those of the orders.
    `snoozed`: only those that are snoozed.
    """

    kind: str | None = None
    order_id: str | None = None
    assignee: str | None = None
    after: tuple[datetime, str] | None = None
    channels: list[str] | None = None
    snoozed: bool = False


def page(connection: Connection, asked: Asked, limit: int) -> list[Row]:
    """Return a page of open exceptions, the oldest first."""
    tests = {"kind": "e.kind", "order_id": "e.order_id", "assignee": "seen_to.assignee"}
    wanted = "".join(
        f" AND {column} = %({name})s" for name, column in tests.items() if getattr(asked, name) is not None
    )
    wanted += " AND snoozed.until > now()" if asked.snoozed else NOT_SNOOZED
    wanted += OF_CHANNELS if asked.channels is not None else ""
    wanted += " AND (e.raised_at, e.exception_id) > (%(at)s, %(id)s)" if asked.after else ""
    at, last = asked.after or (None, None)
    query = f"{OPEN}{wanted} ORDER BY e.raised_at, e.exception_id LIMIT %(limit)s"
    values = {**asked._asdict(), "at": at, "id": last, "limit": limit}
    return connection.execute(query.encode(), values).fetchall()


def by_kind(connection: Connection, channels: list[str] | None = None) -> list[Row]:
    """Return by kind the number of open exceptions and the time of the oldest, among the COUNTED_MAX oldest."""
    joined = f"JOIN order_status s ON s.order_id = e.order_id{OF_CHANNELS}" if channels is not None else ""
    query = BY_KIND.format(of_channels=joined)
    return connection.execute(query.encode(), {"channels": channels, "limit": COUNTED_MAX}).fetchall()


def one(connection: Connection, exception_id: str) -> Row | None:
    """Return an exception if it is open."""
    return connection.execute(f"{OPEN} AND e.exception_id = %s".encode(), [exception_id]).fetchone()


def was_raised(connection: Connection, exception_id: str) -> bool:
    """Return whether the exception is open or was resolved; one that settled itself is gone."""
    query = "SELECT FROM open_exceptions WHERE exception_id = %s"
    return connection.execute(query, [exception_id]).fetchone() is not None


def resolved(connection: Connection, before: int | None, limit: int) -> list[Row]:
    """Return resolved exceptions, the newest first; `before` is the position at which the page before ended."""
    query = (
        "SELECT * FROM exception_history WHERE what = %(what)s AND position < %(before)s "
        "ORDER BY position DESC LIMIT %(limit)s"
    )
    return connection.execute(query, {"what": RESOLVED, "before": before or 2**62, "limit": limit}).fetchall()


def seen_to(connection: Connection, exception_id: str) -> list[Row]:
    """Return what people did about an exception, in order."""
    query = "SELECT * FROM exception_history WHERE exception_id = %s ORDER BY position LIMIT %s"
    return connection.execute(query, [exception_id, HISTORY_MAX]).fetchall()


def like(connection: Connection, exception_id: str) -> str | None:
    """Return the exception with the most similar id; None if none is similar."""
    sides = [
        f"(SELECT exception_id FROM open_exceptions WHERE exception_id {side} %s "
        f"ORDER BY exception_id {direction} LIMIT {NEIGHBOURS_MAX})"
        for side, direction in (("<=", "DESC"), (">", "ASC"))
    ]
    rows = connection.execute(" UNION ALL ".join(sides).encode(), [exception_id, exception_id])
    return next(iter(get_close_matches(exception_id, [row["exception_id"] for row in rows], n=1)), None)


PERSONAL = personal_fields([o.OrderContent])


class Difference(NamedTuple):
    """A field in which the order differs from the version that the channel sent again."""

    field: str
    ours: Any
    theirs: Any

    @property
    def is_personal(self) -> bool:
        return not PERSONAL.isdisjoint(self.field.split("."))


class Conflict(NamedTuple):
    """An order in its current state, and the newest other content that its channel sent, with when that came. Content
    that had come before is not news."""

    order: Order
    latest: o.DuplicateConflictFound
    raised_at: datetime

    @property
    def differences(self) -> list[Difference]:
        assert self.order.content
        ours, theirs = (dict(_fields("", _plain(content))) for content in (self.order.content, self.latest.content))
        names = dict.fromkeys((*ours, *theirs))
        return [Difference(n, ours.get(n), theirs.get(n)) for n in names if ours.get(n) != theirs.get(n)]

    def taken(self) -> Command | None:
        """Return the command that changes the order to what the channel sent.

        None if nothing is to change. Raise Refused if an amendment cannot change a field.
        """
        assert self.order.content
        names = {difference.field.partition(".")[0] for difference in self.differences}
        fixed = sorted(names.difference(CHANGEABLE, KEPT))
        if fixed:
            raise Refused(
                OrderRefusal.NOT_AMENDABLE,
                f"{', '.join(fixed)} cannot be changed by an amendment: cancel the order and have it placed under "
                "another id, or take ours",
            )
        changes = {name: getattr(self.latest.content, name) for name in CHANGEABLE if name in names}
        if not changes:
            return None
        amendment_id = f"conflict-{self.latest.fingerprint[:32]}"
        return o.AmendOrder(order_id=self.latest.order_id, amendment_id=amendment_id, **changes)


def about(row: Row) -> dict[str, Any]:
    """Return the fields by which a command names an exception as it was read."""
    same = {name: row[name] for name in ("exception_id", "order_id", "detail")}
    return {**same, "raised_at": row["last_raised_at"]}


def present(row: Row, now: datetime) -> datetime:
    """Return the present moment: what is recorded has happened, also where the clock of this machine is behind."""
    raised_at: datetime = row["last_raised_at"]
    return max(now, raised_at)


def require_as_read(raised_at: datetime, read_at: datetime) -> None:
    """Raise Refused if the exception was raised again since it was read."""
    if raised_at != read_at:
        raise Refused(
            OperationsRefusal.RAISED_AGAIN,
            f"it was raised at {raised_at.isoformat()}, since it was read: read it again",
        )


def taking(row: Row, conflict: Conflict, side: Side, note: str, now: datetime) -> list[Command]:
    """Return the commands that settle a conflict as the row shows it, to be given together. Raise Refused if other
    content came since then, or if `theirs` cannot be taken."""
    require_as_read(conflict.raised_at, row["last_raised_at"])
    amendment = conflict.taken() if side == "theirs" else None
    why = f"took {side}" + (f": {note}" if note else "")
    return [*([amendment] if amendment else []), ResolveException(**about(row), note=why, now=present(row, now))]


KEPT = frozenset({"placed_at"})
"""The time of placing is not something that an order asks for, so ours is kept."""


def conflict_of_exception(connection: Connection, codec: Codec, exception_id: str) -> Conflict | None:
    """Return the conflict of an exception; None if it is not about two versions of an order."""
    kind, _, order_id = exception_id.partition("/")
    return conflict_of(connection, codec, order_id) if kind == DUPLICATE else None


def conflict_of(connection: Connection, codec: Codec, order_id: str) -> Conflict | None:
    events = history(connection, codec, f"order-{order_id}")
    conflicts = [(one.event, one.recorded_at) for one in events if isinstance(one.event, o.DuplicateConflictFound)]
    return Conflict(state(order.decider, events), *conflicts[-1]) if conflicts else None


def _plain(content: o.OrderContent) -> dict[str, Any]:
    """Return the content as plain values, with lines by id, so that each line is compared with itself."""
    names = o.OrderContent.model_fields
    plain = {name: value for name, value in content.model_dump(mode="json").items() if name in names}
    return {**plain, "lines": {line.pop("line_id"): line for line in plain["lines"]}}


def _fields(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _fields(f"{name}.{key}" if name else str(key), inner)
    else:
        yield name, value
