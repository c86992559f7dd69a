"""Forgetting a person's orders: requested as events; then the person's dead letters are emptied; then, in one
transaction, the orders' keys are destroyed, and the rows that have personal data in the clear are written again without
it.

Invariant: a key is destroyed only once every consumer and read model has passed the event of the request; the rows
change in the same transaction, so that they never differ from history. The key is destroyed last: after a crash, an
order that was forgotten and still has its key shows what is left to be done.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any, NamedTuple

import psycopg
from psycopg.errors import DeadlockDetected, LockNotAvailable
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads
from pydantic_core import from_json

from oms_es.app.engine import Runtime
from oms_es.app.privacy import elsewhere, rows
from oms_es.app.registry import CONSUMERS, PROJECTIONS
from oms_es.database.rows import Rows
from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.history import states
from oms_es.kafka.groups.watermark import Progress
from oms_es.kernel import Recorded, Refused
from oms_es.schemas import order as o
from oms_es.schemas.values.parts import parts_of, take_out
from oms_es.schemas.vocabulary import EVENTS as VOCABULARY
from oms_es.store.encoding.codec import Cause, opened
from oms_es.store.privacy import subject_keys
from oms_es.store.privacy.subject_keys import KEYS
from oms_es.store.recorder import EVENTS

ATTEMPTS_MAX = 20
LOCK_SECONDS_MAX = 0.8
"""Less than PostgreSQL's deadlock timeout: this transaction gives up its locks first, and tries again."""
POLL_SECONDS = 0.2
NAMED_MAX = 3
"""Readers that are named in the error when they are behind."""
REFUSED_MAX = 5
"""Refusals that are named in the error."""
OF_PEOPLE = frozenset(projection.name for projection in rows.OF_PEOPLE)
READERS = frozenset(
    {consumer.name for consumer in CONSUMERS if any(issubclass(event, o.OrderEvent) for event in consumer.reactions)}
    | {one.name for one in PROJECTIONS if any(issubclass(event, o.OrderEvent) for event in one.folds)}
)
"""The consumers and read models that read orders' streams."""
UNFINISHED_MAX = 1_000
"""Orders that are listed, and finished, at a time."""
UNFINISHED = f"""
SELECT k.subject FROM {EVENTS} AS e JOIN {KEYS} AS k ON e.originator_id = 'order-' || k.subject
WHERE e.topic = %s AND k.wrapped IS NOT NULL ORDER BY e.notification_id LIMIT {UNFINISHED_MAX}
"""
FORGOTTEN_AT = f"SELECT originator_id, notification_id FROM {EVENTS} WHERE originator_id = ANY(%s) AND topic = %s"
STATES = f"""
SELECT topic, state FROM {EVENTS}
WHERE originator_id = ANY(%s) AND topic = ANY(%s) ORDER BY originator_id, originator_version
"""


class NotPassed(OmsError):
    """Some readers have not reached the request to forget yet."""

    code = "not_passed"
    exit_code = Code.UNAVAILABLE
    status = HTTPStatus.SERVICE_UNAVAILABLE


class InTheClear(OmsError):
    """Events of the order are stored in the clear: destroying its key would not make them unreadable."""

    code = "stored_in_the_clear"
    exit_code = Code.REFUSED
    status = HTTPStatus.CONFLICT


class Erased(NamedTuple):
    """The result. `orders`: those whose keys were destroyed. `rows`: rows of read models that changed. `states`: kept
    past states that were deleted. `dead_letters`: those that were emptied. `like_theirs`: dead letters that may be
    about the person, for a person to look at."""

    orders: list[str]
    rows: int
    states: int
    dead_letters: int
    like_theirs: list[int]

    def with_more(self, more: Erased) -> Erased:
        both = dict.fromkeys([*self.like_theirs, *more.like_theirs])
        return Erased(
            [*self.orders, *more.orders],
            self.rows + more.rows,
            self.states + more.states,
            self.dead_letters + more.dead_letters,
            [*both],
        )


def unfinished(connection: Rows) -> list[str]:
    """Return orders that were forgotten and still have their key: interrupted, or in progress. It reads the
    whole log."""
    return [row["subject"] for row in connection.execute(UNFINISHED, [o.OrderForgotten.__name__])]


def ask(runtime: Runtime, actor: str, orders: Sequence[str], reason: str, case_id: str | None) -> Sequence[Recorded]:
    """Record that the orders are to be forgotten: all of them, or none. Raise Refused, naming the orders that cannot
    be."""
    commands = [o.ForgetOrder(order_id=order_id, reason=reason, case_id=case_id) for order_id in orders]
    refused = [refusal for command in commands if (refusal := _refusal(runtime, command))]
    if refused:
        more = f"; and {len(refused) - REFUSED_MAX} more" if len(refused) > REFUSED_MAX else ""
        raise Refused(refused[0].reason, "; ".join(one.detail for one in refused[:REFUSED_MAX]) + more)
    return runtime.append([(Cause(actor), [command]) for command in commands])


def _refusal(runtime: Runtime, command: o.ForgetOrder) -> Refused | None:
    try:
        runtime.store.preview(command)
    except Refused as refused:
        return refused
    return None


def require_encrypted(connection: Rows, orders: Collection[str]) -> None:
    """Raise InTheClear if an event of the orders is stored without encryption."""
    streams = [rows.stream_of(order_id) for order_id in orders]
    with connection.transaction(), connection.cursor(name="stored") as curs:
        for row in curs.execute(STATES, [streams, rows.PERSONAL_EVENTS]):
            event, _ = opened(bytes(row["state"]))
            if take_out(from_json(event), parts_of(VOCABULARY[row["topic"]])):
                raise InTheClear(
                    "some of these orders were taken before this database was encrypted, and their events stay as they "
                    "were stored: they cannot be forgotten"
                )


def require_passed(connection: Rows, orders: Collection[str], seconds: float) -> None:
    """Wait until every reader has passed the requests to forget the orders. Raise NotPassed after `seconds`."""
    streams = [rows.stream_of(order_id) for order_id in orders]
    asked = connection.execute(FORGOTTEN_AT, [streams, o.OrderForgotten.__name__]).fetchall()
    if missing := sorted(set(streams) - {row["originator_id"] for row in asked}):
        raise NotPassed(f"{', '.join(missing[:NAMED_MAX])} were not asked to be forgotten; do that first")
    end = time.monotonic() + seconds
    while behind := _behind(connection, asked):
        if time.monotonic() > end:
            raise NotPassed(
                f"it is recorded, and {', '.join(behind[:NAMED_MAX])} have not come as far: see that the engine runs, "
                "then ask again"
            )
        time.sleep(POLL_SECONDS)


def _behind(connection: Rows, asked: Sequence[dict[str, Any]]) -> list[str]:
    reached = Progress.stored(connection)
    return sorted(
        reader
        for reader in READERS
        if not all(reached.has_taken(reader, row["originator_id"], row["notification_id"]) for row in asked)
    )


def erase(database_url: str, orders: Collection[str], actor: str, wait_seconds: float = 0.0) -> Erased:
    """Erase orders whose forgetting was requested. Raise NotPassed."""
    with psycopg.connect(database_url, row_factory=dict_row, autocommit=True) as connection:
        set_json_loads(from_json, connection)
        connection.execute("SET TIME ZONE 'UTC'")
        require_passed(connection, orders, wait_seconds)
        found = _empty(connection, orders, actor)
        for _ in range(ATTEMPTS_MAX):
            with suppress(LockNotAvailable, DeadlockDetected):
                destroyed, changed, gone = _erase(connection, orders)
                return Erased(destroyed, changed, gone, len(found.theirs), found.like_theirs)
            time.sleep(POLL_SECONDS)
        raise NotPassed(
            "it is recorded, and others hold the rows that are to be written again, as a rebuild does, or a long "
            "question of the past; ask again when they are done"
        )


def _empty(connection: Rows, orders: Collection[str], actor: str) -> elsewhere.FoundDeadLetters:
    """Empty the person's dead letters. This reads every dead letter, and so comes before rows are locked."""
    with connection.transaction():
        said = elsewhere.said_in(rows.events_of(connection, orders, rows.PERSONAL_EVENTS))
        return elsewhere.take_away(connection, said, rows.touched_by(connection, orders), actor)


def _erase(connection: Rows, orders: Collection[str]) -> tuple[list[str], int, int]:
    """Destroy the keys and rewrite the rows. Raise LockNotAvailable or DeadlockDetected; then nothing has happened.

    The rows are locked while the events of the customer's other orders are read.
    """
    with connection.transaction():
        connection.execute(f"SET LOCAL lock_timeout = '{int(1_000 * LOCK_SECONDS_MAX)}ms'".encode())
        states.hold_back(connection)
        rows.hold(connection)
        touched = rows.touched_by(connection, orders)
        customers = rows.customers_in(touched)
        others = rows.other_orders(connection, customers) - set(orders)
        destroyed = subject_keys.destroy(connection, orders)
        changed = rows.fold_again(connection, orders, others, touched)
        gone = states.drop_at_once(connection, OF_PEOPLE, LOCK_SECONDS_MAX)
        return destroyed, changed, gone
