"""Forgetting a person's orders: requested as events; then the person's dead letters are emptied; then, in one
transaction, the orders' keys are destroyed, and the rows that have personal data in the clear are written again without
it.

Invariant: a key is destroyed only once every consumer and read model has passed the event of the request; the rows
change in the same transaction, so that they never differ from history. The key is destroyed last: after a crash, an
order that was forgotten and still has its key shows what is left to be done.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any, NamedTuple

import psycopg
from psycopg.errors import DeadlockDetected, LockNotAvailable
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads
from pydantic_core import from_json

from oms_es.aggregates.repeats import unquoted
from oms_es.app.engine import Runtime
from oms_es.app.privacy import elsewhere, holding, rows
from oms_es.app.privacy.encrypting import MAY_BE_PERSONAL
from oms_es.app.privacy.refusing import refusal, refusal_of
from oms_es.app.registry import CONSUMERS, PROJECTIONS
from oms_es.database.rows import Rows
from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.history import states
from oms_es.kafka.groups.watermark import Progress
from oms_es.kernel import Command, Event, Recorded
from oms_es.projections.privacy import forgotten_accounts, forgotten_orders
from oms_es.schemas import order as o
from oms_es.schemas.finance.account import AccountEvent
from oms_es.schemas.finance.account_privacy import ForgetAccount
from oms_es.schemas.finance.statement import StatementEvent
from oms_es.schemas.finance.statement_privacy import ForgetStatement
from oms_es.schemas.vocabulary import EVENTS as VOCABULARY
from oms_es.store import snapshots
from oms_es.store.archive.reading import whole
from oms_es.store.encoding import encrypting
from oms_es.store.encoding.codec import Cause
from oms_es.store.privacy import encrypted_later, subject_keys
from oms_es.store.privacy.subject_keys import KEYS
from oms_es.store.privacy.subjects import ACCOUNT, FORGOTTEN_TYPES, ORDER, STATEMENT, stream_of
from oms_es.store.recorder import EVENTS

ATTEMPTS_MAX = 20
LOCK_SECONDS_MAX = 0.8
"""Less than PostgreSQL's deadlock timeout: this transaction gives up its locks first, and tries again."""
POLL_SECONDS = 0.2
NAMED_MAX = 3
"""Readers that are named in the error when they are behind."""
OF_PEOPLE = frozenset(projection.name for projection in rows.OF_PEOPLE)


def _readers_of(family: type[Event]) -> frozenset[str]:
    consumers = {one.name for one in CONSUMERS if any(issubclass(event, family) for event in one.reactions)}
    return frozenset(consumers | {one.name for one in PROJECTIONS if any(issubclass(e, family) for e in one.folds)})


READERS = _readers_of(o.OrderEvent)
"""The consumers and read models that read orders' streams."""
READERS_OF = {ACCOUNT: _readers_of(AccountEvent), STATEMENT: _readers_of(StatementEvent)}
"""Of streams of other kinds, by how their names begin."""
FORGOTTEN, FORGOTTEN_ACCOUNTS = forgotten_orders.table.name, forgotten_accounts.table.name
UNFINISHED_MAX = 1_000
"""Orders that are listed, and finished, at a time."""
UNFINISHED = f"""
SELECT k.subject, f.position FROM {FORGOTTEN} AS f JOIN {KEYS} AS k ON k.subject = f.order_id
WHERE k.wrapped IS NOT NULL
UNION
SELECT k.subject, f.position FROM {FORGOTTEN_ACCOUNTS} AS f JOIN {KEYS} AS k ON k.subject = '{ACCOUNT}' || f.account_id
WHERE k.wrapped IS NOT NULL
UNION
SELECT k.subject, s.forgotten_position FROM statements AS s
JOIN {KEYS} AS k ON k.subject = '{STATEMENT}' || s.account || '/' || s.statement_id
WHERE s.forgotten_position IS NOT NULL AND k.wrapped IS NOT NULL
UNION
SELECT k.subject, e.notification_id FROM {EVENTS} AS e
JOIN {KEYS} AS k ON k.subject = regexp_replace(e.originator_id, '^{ORDER}', '')
WHERE e.notification_id > %s AND e.topic = ANY(%s) AND k.wrapped IS NOT NULL
ORDER BY 2 LIMIT {UNFINISHED_MAX}
"""
"""Of the log only what the read models have not folded yet is read."""
LIKE_US_MAX = 1_000
"""Other orders of the same e-mail address that are compared with dead letters, the newest first."""
OF_EMAIL = f"""
SELECT other.order_id FROM order_recipients AS other WHERE other.email_key <> '' AND other.email_key IN
    (SELECT email_key FROM order_recipients WHERE order_id = ANY(%s))
ORDER BY placed_at DESC, order_id LIMIT {LIKE_US_MAX}
"""
ENDED_AT = "SELECT max(changed_at) AS at FROM order_status WHERE order_id = ANY(%s)"
FORGOTTEN_AT = f"SELECT originator_id, notification_id FROM {EVENTS} WHERE originator_id = ANY(%s) AND topic = ANY(%s)"
STATES = f"""
SELECT topic, state FROM {EVENTS} WHERE originator_id = ANY(%s) AND topic = ANY(%s)
UNION ALL
SELECT e.topic, e.state FROM order_timeline AS t JOIN {EVENTS} AS e ON e.notification_id = t.position
WHERE t.order_id = ANY(%s) AND t.stream NOT LIKE 'order-%%' AND t.event = ANY(%s)
"""
NOT_ENCRYPTED = (
    "events that were stored in the clear are being encrypted: who is forgotten now would stay in the clear; run "
    "`oms-es migrate` to its end, then ask again"
)


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
    """The result. `orders`, `accounts`, `statements`: those whose keys were destroyed. `rows`: rows of read models that
    changed. `states`: kept past states that were deleted. `dead_letters`: those that were emptied. `like_theirs`: dead
    letters that may be about the person, for a person to look at."""

    orders: list[str]
    rows: int
    states: int
    dead_letters: int
    like_theirs: list[int]
    accounts: tuple[str, ...] = ()
    statements: tuple[str, ...] = ()

    def with_more(self, more: Erased) -> Erased:
        both = dict.fromkeys([*self.like_theirs, *more.like_theirs])
        return Erased(
            [*self.orders, *more.orders],
            self.rows + more.rows,
            self.states + more.states,
            self.dead_letters + more.dead_letters,
            [*both],
            (*self.accounts, *more.accounts),
            (*self.statements, *more.statements),
        )


def unfinished(connection: Rows) -> list[str]:
    """Return orders and accounts that were forgotten and still have their key: interrupted, or in progress."""
    folded = folded_up_to(Progress.stored(connection))
    return [row["subject"] for row in connection.execute(UNFINISHED.encode(), [folded, FORGOTTEN_TYPES])]


def folded_up_to(reached: Progress) -> int:
    """Return the position up to which the read models show who was forgotten."""
    return min(
        rows.folded_up_to(reached, FORGOTTEN),
        rows.folded_up_to(reached, FORGOTTEN_ACCOUNTS, "account"),
        rows.folded_up_to(reached, "statements", "statement"),
    )


def ask(runtime: Runtime, actor: str, subjects: Sequence[str], reason: str, case_id: str | None) -> Sequence[Recorded]:
    """Record that orders, accounts and statements are to be forgotten: all of them, or none. Raise Refused, naming
    those that cannot be."""
    commands = [_forgetting(subject, {"reason": reason, "case_id": case_id}) for subject in subjects]
    if refused := [why for command in commands if (why := refusal(runtime, command))]:
        raise refusal_of(refused)
    return runtime.append([(Cause(actor), [command]) for command in commands])


def _forgetting(subject: str, why: Mapping[str, Any]) -> Command:
    if subject.startswith(ACCOUNT):
        return ForgetAccount(account_id=subject.removeprefix(ACCOUNT), **why)
    if subject.startswith(STATEMENT):
        account, _, statement_id = subject.removeprefix(STATEMENT).partition("/")
        return ForgetStatement(account=account, statement_id=statement_id, **why)
    return o.ForgetOrder(order_id=subject, **why)


def require_encrypted(connection: Rows, orders: Collection[str]) -> None:
    """Raise InTheClear if an event of the orders, in whichever stream, is stored without encryption, or if events still
    have to be encrypted."""
    if subject_keys.newest(connection) and not all_encrypted(connection):
        raise InTheClear(NOT_ENCRYPTED)
    streams = [stream_of(order_id) for order_id in orders]
    with connection.transaction(), connection.cursor(name="stored") as curs:
        for row in curs.execute(STATES, [streams, MAY_BE_PERSONAL, [*orders], MAY_BE_PERSONAL]):
            if _in_the_clear(row):
                raise InTheClear(
                    "events of these orders are stored in the clear: give OMS_DATA_KEY_FILE or OMS_DATA_KEY, run "
                    "`oms-es migrate`, which encrypts them, then ask again; what it names as left is not encrypted"
                )


def all_encrypted(connection: Rows) -> bool:
    """Return whether nothing is left to be encrypted that was stored before there was a key. Once so, it stays so."""
    standing = encrypted_later.standing(connection)
    return standing is not None and standing.done


def _in_the_clear(row: Mapping[str, Any]) -> bool:
    try:
        return bool(encrypting.InTheClear(whole(bytes(row["state"])), VOCABULARY[row["topic"]], unquoted).taken)
    except (ValueError, KeyError, TypeError, AttributeError):
        return True  # a migration could not read it either, and has left it


def require_passed(connection: Rows, orders: Collection[str], seconds: float) -> None:
    """Wait until every reader has passed the requests to forget the orders. Raise NotPassed after `seconds`."""
    streams = [stream_of(order_id) for order_id in orders]
    asked = connection.execute(FORGOTTEN_AT, [streams, FORGOTTEN_TYPES]).fetchall()
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
    return sorted({reader for row in asked for reader in _not_there_yet(reached, row)})


def _not_there_yet(reached: Progress, asked: Mapping[str, Any]) -> list[str]:
    stream, position = asked["originator_id"], asked["notification_id"]
    readers = next((found for kind, found in READERS_OF.items() if stream.startswith(kind)), READERS)
    return [reader for reader in readers if not reached.has_taken(reader, stream, position)]


def passed(connection: Rows, orders: Sequence[str]) -> list[str]:
    """Return those of the orders whose request to be forgotten every reader has passed."""
    asked = connection.execute(FORGOTTEN_AT, [[*map(stream_of, orders)], FORGOTTEN_TYPES]).fetchall()
    reached = Progress.stored(connection)
    done = {row["originator_id"] for row in asked if not _not_there_yet(reached, row)}
    return [order_id for order_id in orders if stream_of(order_id) in done]


def erase(
    database_url: str, orders: Collection[str], actor: str, wait_seconds: float = 0.0, attempts: int = ATTEMPTS_MAX
) -> Erased:
    """Erase orders and accounts whose forgetting was requested. Raise NotPassed, also if others hold the rows at every
    attempt."""
    with psycopg.connect(database_url, row_factory=dict_row, autocommit=True) as connection:
        set_json_loads(from_json, connection)
        connection.execute("SET TIME ZONE 'UTC'")
        if not all_encrypted(connection):
            raise NotPassed(NOT_ENCRYPTED)
        require_passed(connection, orders, wait_seconds)
        found = _empty(connection, orders, actor)
        for attempt in range(attempts):
            time.sleep(POLL_SECONDS if attempt else 0)
            with suppress(LockNotAvailable, DeadlockDetected):
                destroyed, changed, gone = _erase(connection, orders)
                accounts = tuple(one.removeprefix(ACCOUNT) for one in destroyed if one.startswith(ACCOUNT))
                statements = tuple(one.removeprefix(STATEMENT) for one in destroyed if one.startswith(STATEMENT))
                orders_gone = [one for one in destroyed if not one.startswith((ACCOUNT, STATEMENT))]
                letters = len(found.theirs), found.like_theirs
                return Erased(orders_gone, changed, gone, *letters, accounts, statements)
        raise NotPassed(
            "it is recorded, and others hold the rows that are to be written again, as a rebuild does, or a long "
            "question of the past; ask again when they are done"
        )


def _empty(connection: Rows, orders: Collection[str], actor: str) -> elsewhere.FoundDeadLetters:
    """Empty the person's dead letters. This reads every dead letter, and so comes before rows are locked.

    What a legal hold needs stays. Where a period is over, so does what is open, came in after the orders had ended, or
    is of an order that goes on.
    """
    with connection.transaction():
        held = set(holding.held(connection)) - set(orders)
        kept_for_a_time = _of_retention(connection, orders)
        asked_for = [one for one in orders if one not in kept_for_a_time and not one.startswith(STATEMENT)]
        found = elsewhere.take_away(connection, _said(connection, asked_for), actor, sorted(held))
        if kept_for_a_time:
            same = [row["order_id"] for row in connection.execute(OF_EMAIL, [kept_for_a_time]).fetchall()]
            of_customers = _others(connection, rows.touched_by(connection, kept_for_a_time))
            going_on = _not_forgotten(connection, {*same, *of_customers} - set(orders))
            ended = connection.execute(ENDED_AT, [kept_for_a_time]).fetchone()
            said, spared = _said(connection, kept_for_a_time), sorted(held | going_on)
            more = elsewhere.take_away(connection, said, actor, spared, ended["at"] if ended else None)
            found = elsewhere.FoundDeadLetters(
                [*found.theirs, *more.theirs], sorted({*found.like_theirs, *more.like_theirs})
            )
        touched = rows.touched_by(connection, orders)
        others = _others(connection, touched)
        ordering = {others[order_id] for order_id in _not_forgotten(connection, set(others) - set(orders))}
        elsewhere.unname(connection, touched, ordering)
        return found


def _said(connection: Rows, orders: Collection[str]) -> elsewhere.Said:
    return elsewhere.said_in(rows.events_of(connection, orders, rows.PERSONAL_EVENTS))


def _others(connection: Rows, touched: rows.Touched) -> dict[str, rows.Customer]:
    return rows.other_orders(connection, rows.customers_in(touched))


def _of_retention(connection: Rows, orders: Collection[str]) -> list[str]:
    """Return the orders that are forgotten because their period is over, not because a person asked."""
    asked = (recorded.event for recorded in rows.events_of(connection, orders, [o.OrderForgotten.__name__]))
    return [event.order_id for event in asked if isinstance(event, o.OrderForgotten) and event.reason == "retention"]


def _not_forgotten(connection: Rows, orders: Collection[str]) -> set[str]:
    streams = [stream_of(order_id) for order_id in orders]
    asked = connection.execute(FORGOTTEN_AT, [streams, FORGOTTEN_TYPES]).fetchall()
    gone = {row["originator_id"] for row in asked}
    return {order_id for order_id in orders if stream_of(order_id) not in gone}


def _erase(connection: Rows, orders: Collection[str]) -> tuple[list[str], int, int]:
    """Destroy the keys and rewrite the rows. Raise LockNotAvailable or DeadlockDetected; then nothing has happened.

    The rows are locked while the events of the customer's other orders are read.
    """
    with connection.transaction():
        connection.execute(f"SET LOCAL lock_timeout = '{int(1_000 * LOCK_SECONDS_MAX)}ms'".encode())
        states.hold_back(connection)
        rows.hold(connection)
        touched = rows.touched_by(connection, orders)
        others = _others(connection, touched).keys() - set(orders)
        destroyed = subject_keys.destroy(connection, orders)
        connection.execute(snapshots.DELETE.encode(), [[*map(stream_of, orders)]])
        changed = rows.fold_again(connection, orders, others, touched)
        gone = states.drop_at_once(connection, OF_PEOPLE, LOCK_SECONDS_MAX)
        return destroyed, changed, gone
