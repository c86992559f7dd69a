"""Forgetting without a command: what was asked over HTTP or was interrupted is finished, and what was kept for its time
is forgotten.

Invariant: without a request an order is forgotten only if it and all its relatives ended longer ago than the period,
and no legal hold is on any of them. Whatever is done here may be done again, and by several processes at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from oms_es.app.engine import Runtime
from oms_es.app.privacy import elsewhere, erasing, expiring, holding
from oms_es.app.privacy.expiring import BEGINNING, Place
from oms_es.app.privacy.family import Connection
from oms_es.kafka.groups.watermark import Progress
from oms_es.kernel import Refused
from oms_es.processing.readers import NothingToSave, Worker
from oms_es.projections.privacy import forgotten_accounts, forgotten_orders
from oms_es.settings import Settings
from oms_es.store.clock import SYSTEM_TIMING, Timing
from oms_es.store.privacy.subject_keys import KEYS
from oms_es.store.privacy.subjects import ACCOUNT, STATEMENT

ORDERS_MAX = 100
"""Orders that are asked for, or erased, in one step."""
LOOK_SECONDS = 1.0
SWEEP_SECONDS = 3_600.0
"""How often it is looked for orders and dead letters whose period is over."""
LEFT_ALONE_SECONDS = 60.0
"""How long a request of another is left to the command that recorded it: `oms-es privacy forget` erases by itself."""
BACK_OFF_SECONDS = 60.0
"""How long nothing is erased after others held the rows, as a rebuild does."""
FORGOTTEN, FORGOTTEN_ACCOUNTS = forgotten_orders.table.name, forgotten_accounts.table.name
UNFINISHED = f"""
SELECT k.subject, f.forgotten_by, f.forgotten_at, f.position
FROM (
    SELECT order_id AS subject, forgotten_by, forgotten_at, position FROM {FORGOTTEN}
    UNION ALL SELECT '{ACCOUNT}' || account_id, forgotten_by, forgotten_at, position FROM {FORGOTTEN_ACCOUNTS}
    UNION ALL SELECT '{STATEMENT}' || account || '/' || statement_id, forgotten_by, forgotten_at, forgotten_position
        FROM statements WHERE forgotten_position IS NOT NULL
) AS f JOIN {KEYS} AS k USING (subject)
WHERE f.position > %s AND k.wrapped IS NOT NULL ORDER BY f.position LIMIT {ORDERS_MAX}
"""

STATEMENTS_DUE = f"""
SELECT closed_on, account, statement_id FROM statements
WHERE closed_on < %s AND forgotten_at IS NULL AND held_by = '{{}}'
    AND (closed_on, account, statement_id) > (%s, %s, %s)
ORDER BY closed_on, account, statement_id LIMIT {ORDERS_MAX}
"""

log = structlog.get_logger(__name__)


class Periods(NamedTuple):
    """How long data is kept, by kind; None is for ever. `orders`: the people of orders, after these ended.
    `dead_letters`: what came in, after a dead letter was settled. `statements`: what lines of statements say of people,
    after the statement's last day."""

    orders: timedelta | None = None
    dead_letters: timedelta | None = None
    statements: timedelta | None = None

    @classmethod
    def of(cls, settings: Settings) -> Periods:
        return cls(_days(settings.forget_after_days), _days(settings.dead_letter_days), _days(settings.statement_days))


def _days(count: int | None) -> timedelta | None:
    return None if count is None else timedelta(days=count)


FOR_EVER = Periods()


class Forgetter(NothingToSave):
    """A participant of the loop. A step does one thing: erase, ask for more, or empty dead letters."""

    name = "forgetting"
    batch_max = ORDERS_MAX + 1

    def __init__(self, runtime: Runtime, periods: Periods, timing: Timing = SYSTEM_TIMING) -> None:
        self.runtime = runtime
        self.periods = periods
        self.timing = timing
        self._looked = -LOOK_SECONDS
        self.seek()

    def seek(self) -> None:
        """Begin a sweep from the start: all that is remembered is how far the last one came."""
        self._swept = -SWEEP_SECONDS
        self._ended: Place | None = None
        self._letter: int | None = None
        self._statements_after: tuple[str, str, str] | None = None
        self._finished_up_to, self._waiting_up_to = 0, 0
        self._all_gone_up_to = BEGINNING
        self._erases_from = 0.0

    def step(self) -> int:
        if self.timing.monotonic() - self._looked < LOOK_SECONDS:
            return 0
        self._looked = self.timing.monotonic()
        if self._looked - self._swept >= SWEEP_SECONDS:
            self._swept = self._looked
            self._ended, self._letter, self._statements_after = self._all_gone_up_to, 0, ("", "", "")
        with self.runtime.rows.one() as connection:
            return (
                self._finish(connection)
                or self._ask(connection)
                or self._ask_of_statements(connection)
                or self._empty(connection)
            )

    def _finish(self, connection: Connection) -> int:
        """Erase orders and accounts that were forgotten and have their key still: those of a page that every reader has
        passed."""
        if self._looked < self._erases_from:
            return 0
        complete = erasing.folded_up_to(Progress.stored(connection))
        after = max(self._finished_up_to, self._waiting_up_to)
        found = connection.execute(UNFINISHED.encode(), [after]).fetchall()
        if not found and not self._waiting_up_to:
            self._finished_up_to = max(self._finished_up_to, complete)
        self._waiting_up_to = found[-1]["position"] if len(found) == ORDERS_MAX else 0
        left_alone = self.runtime.clock() - timedelta(seconds=LEFT_ALONE_SECONDS)
        orders = [
            row["subject"] for row in found if row["forgotten_by"] == self.name or row["forgotten_at"] <= left_alone
        ]
        if statements := [one for one in orders if one.startswith(STATEMENT)]:
            orders = statements[:1]  # a statement has up to 200,000 rows
        passed = erasing.passed(connection, orders) if orders else []
        if len(passed) < len(orders):
            log.info("forgetting waits for readers", orders=len(orders) - len(passed))
        return self._erase(passed) if passed else 0

    def _erase(self, orders: Sequence[str]) -> int:
        """Try once: the loop, and what else is in it, waits meanwhile."""
        try:
            done = erasing.erase(self.runtime.database_url, orders, self.name, attempts=1)
        except erasing.NotPassed as waiting:
            log.info("forgetting waits", orders=len(orders), reason=str(waiting), seconds=BACK_OFF_SECONDS)
            self._erases_from = self._looked + BACK_OFF_SECONDS
            return 0
        log.info(
            "forgotten",
            orders=len(done.orders),
            accounts=len(done.accounts),
            statements=len(done.statements),
            rows=done.rows,
            dead_letters=done.dead_letters,
        )
        if done.like_theirs:
            log.warning("dead letters may be of people who were forgotten: look at them", ids=done.like_theirs)
        return min(1, len(done.orders) + len(done.accounts) + len(done.statements))

    def _ask(self, connection: Connection) -> int:
        """Record that the next orders whose period is over are to be forgotten."""
        if self.periods.orders is None or self._ended is None:
            return 0
        before, after = self.runtime.clock() - self.periods.orders, self._ended
        asked, reached, had_keys = expiring.ask_some(self.runtime, connection, self.name, before, after, ORDERS_MAX)
        if reached and not had_keys and after == self._all_gone_up_to:
            self._all_gone_up_to = reached
        self._ended = reached
        for one in asked.kept:
            log.info("kept longer than its period", order_id=one.order_id, reason=one.reason)
        return min(1, len(asked.orders) or int(reached is not None))

    def _ask_of_statements(self, connection: Connection) -> int:
        """Record that the next statements whose period is over are to be forgotten."""
        if self.periods.statements is None or self._statements_after is None:
            return 0
        before = (self.runtime.clock() - self.periods.statements).date().isoformat()
        rows = connection.execute(STATEMENTS_DUE.encode(), [before, *self._statements_after]).fetchall()
        last = rows[-1] if len(rows) == ORDERS_MAX else None
        self._statements_after = (last["closed_on"], last["account"], last["statement_id"]) if last else None
        asked = 0
        for row in rows:
            subject = f"{STATEMENT}{row['account']}/{row['statement_id']}"
            try:
                erasing.require_encrypted(connection, [subject])
                asked += len(erasing.ask(self.runtime, self.name, [subject], "retention", None))
            except (Refused, erasing.InTheClear) as error:
                log.warning("kept longer than its period", statement=subject, reason=str(error))
        return min(1, asked + int(last is not None))

    def _empty(self, connection: Connection) -> int:
        """Empty the next dead letters that were settled long ago."""
        if self.periods.dead_letters is None or self._letter is None:
            return 0
        before: datetime = self.runtime.clock() - self.periods.dead_letters
        emptied, self._letter = elsewhere.expire(connection, before, self._letter, holding.held(connection))
        return min(1, len(emptied) or int(self._letter is not None))


def keeping(periods: Periods) -> Callable[[Runtime], Sequence[Worker]]:
    """Return what makes the worker for an engine."""
    return lambda runtime: [Forgetter(runtime, periods)]
