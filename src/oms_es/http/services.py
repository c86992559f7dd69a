"""What handlers share: the committer, connections for reading, keys, rates, and the filter for personal data."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, TypeVar

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool
from pydantic import BaseModel

from oms_es.app import PROJECTIONS, Runtime
from oms_es.app.verbs import plain
from oms_es.app.workers import INTERESTS
from oms_es.gateways.notices import Openers
from oms_es.history import moments, states
from oms_es.http.access import PERSONAL, Caller, Keys, Rates
from oms_es.http.background import Background
from oms_es.http.logins import Logins
from oms_es.http.reading.dated import FOLDED_MAX
from oms_es.http.reading.tail import Tail
from oms_es.http.tokens import Tokens
from oms_es.http.turns import turn
from oms_es.http.writing.checks import Checks
from oms_es.kernel import Projection
from oms_es.processing.committer import Answering, Busy, Committer
from oms_es.reports.operations.readers import Interests
from oms_es.reports.order_list import SHOWN_OF_PEOPLE
from oms_es.reports.queries import Connection
from oms_es.reports.streams import At
from oms_es.schemas.values.personal import PERSONAL_COLUMN, personal_fields, personal_here
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.documents import table as documents
from oms_es.store.documents.places import FolderUnavailable
from oms_es.store.http import api_keys, sessions
from oms_es.store.http import tables as http_tables
from oms_es.store.store import OUTAGES
from oms_es.whatif.history import EVENTS_MAX

READERS_MAX = 8
WRONG_CODES_PER_SECOND = 0.2
WRONG_CODES_BURST = 30
"""How many wrong codes of gift cards a caller may give at once, and how many a second after that. A caller is a shop
with many customers, who mistype; a code that is made here has 80 bits."""
WAIT_SECONDS_MAX = 2.0
STATEMENT_MS_MAX = 2_000
READ_ONLY = f"-c default_transaction_read_only=on -c statement_timeout={STATEMENT_MS_MAX} -c timezone=UTC"
PERSONAL_FIELDS = personal_fields(EVENTS.values()).union(
    SHOWN_OF_PEOPLE,
    (column.name for one in PROJECTIONS for column in one.table.columns if column.info == PERSONAL_COLUMN),
)
"""Fields that are left out, at any depth, for callers who may not see personal data."""
OF_CHANNELS = frozenset({"channels", "reserved_by_channel", "channel_atp"})
"""Fields with an entry for each channel: a key of some channels sees their entries only."""

STATES_TRIED = 3
KEEPERS_WAITING_MAX = 4
"""Requests that make a past state, or wait for another that makes one."""
VERIFIED_KEPT_SECONDS = 86_400.0
"""How long a server keeps the result of its last verification."""
TRIED_KEPT_SECONDS = 7_200.0
"""How long a what-if run is kept after its end, to be read or to be named as the reason of a publication."""

T = TypeVar("T")


class Services:
    """What all handlers share; the server opens and closes it.

    `not_ready`: further reasons why this process is not ready. `interests`: the events that each role takes. `openers`:
    decoders for providers whose reports are encrypted, and not only signed.
    """

    def __init__(
        self,
        parts: Runtime,
        per_second: float,
        not_ready: Callable[[], Iterable[str]] = lambda: (),
        tokens: Tokens | None = None,
        logins: Logins | None = None,
        interests: Interests = INTERESTS,
        openers: Openers = MappingProxyType({}),
        what_if_events_max: int = EVENTS_MAX,
    ) -> None:
        self.parts = parts
        self.codec = parts.store.codec
        self.checks = Checks(parts.database_url, parts.store)
        keys = http_tables.KeptAnswers(parts.recorder.datastore)
        self.committer = Committer(Answering(parts.store, parts.screen, keys))
        self.tokens = tokens
        self.logins = logins
        self.interests = interests
        self.openers = openers
        self.keys = Keys(self._key, self._is_anybody_known)
        self.rates = Rates(per_second)
        self.code_attempts = Rates(WRONG_CODES_PER_SECOND, burst_seconds=WRONG_CODES_BURST / WRONG_CODES_PER_SECOND)
        self.stopping = asyncio.Event()
        self.background = Background("finance")
        self.verifying = Background("verify", VERIFIED_KEPT_SECONDS)
        self.trying = Background("what-if", TRIED_KEPT_SECONDS)
        self.what_if_events_max = what_if_events_max
        self.not_ready = not_ready
        self.tail = Tail(parts, self.codec, self.stopping)
        self._keeping = threading.BoundedSemaphore(1)
        self._waiting = threading.BoundedSemaphore(KEEPERS_WAITING_MAX)
        self._readers = _pool(parts.database_url, READERS_MAX, READ_ONLY)
        self._writer = _pool(
            parts.database_url, 2, f"-c synchronous_commit=off -c statement_timeout={STATEMENT_MS_MAX}"
        )

    def close(self) -> None:
        self.background.close()
        self.verifying.close()
        self.trying.close()
        self.tail.close()
        self.checks.close()
        for pool in (self._readers, self._writer):
            pool.close(timeout=1.0)

    def read(self, question: Callable[[Connection], T]) -> T:
        with self.reading() as connection:
            return question(connection)

    def read_at(self, names: Collection[str], at: At, question: Callable[[Connection], T]) -> T:
        """Run a query on these read models as they were then. Raise StillToCome, NoStateNear or Busy."""
        models = [one for one in PROJECTIONS if one.name in names]
        position = self.read(lambda connection: moments.position_of(connection, at))
        for _ in range(STATES_TRIED):
            with suppress(states.NotKept), self.reading() as connection:
                return states.asked_of(connection, models, position, question)
            with suppress(states.NotKept):
                self._keep(models, position)
        raise Busy("too many past states are requested at once; send the request again in a moment")

    def _keep(self, models: Collection[Projection], position: int) -> None:
        """Make a past state, one at a time since it takes a core. Few wait: they hold threads that all
        readers share."""
        what = "another state of the past is being made"
        with turn(self._waiting, what), turn(self._keeping, what, WAIT_SECONDS_MAX):
            states.keep(self.parts.database_url, models, position, "asked", events_max=FOLDED_MAX)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._readers.connection(timeout=WAIT_SECONDS_MAX) as connection:
            yield connection

    def note_access(self, actor: str, resource: str, subject: str, request_id: str) -> None:
        with self._writer.connection(timeout=WAIT_SECONDS_MAX) as connection:
            http_tables.note_access(connection, datetime.now(UTC), actor, resource, subject, request_id)

    def write(self, do: Callable[[Connection], T]) -> T:
        """Write rows that are not events, in a transaction that is durable once this returns."""
        with self._writer.connection(timeout=WAIT_SECONDS_MAX) as connection, connection.transaction():
            connection.execute("SET LOCAL synchronous_commit = on")
            return do(connection)

    def sweep(self) -> None:
        """Delete rows and documents whose retention has passed; what cannot be deleted now is deleted next time."""
        with suppress(*OUTAGES), self._writer.connection(timeout=WAIT_SECONDS_MAX) as connection:
            sessions.sweep(connection, datetime.now(UTC))
            while http_tables.sweep(connection, datetime.now(UTC)):
                pass
            with suppress(FolderUnavailable):
                while documents.sweep(connection, datetime.now(UTC)):
                    pass

    def shown(self, value: Any, caller: Caller) -> Any:
        hides_people = PERSONAL not in caller.scopes
        if caller.channels is None and not hides_people:
            return value
        return _shown(value, PERSONAL_FIELDS if hides_people else frozenset(), caller.channels)

    def _key(self, key_id: str) -> api_keys.ApiKey | None:
        return self.read(lambda connection: api_keys.named(connection, key_id))

    def _is_anybody_known(self) -> bool:
        return self.tokens is not None or self.read(api_keys.is_any_made)


def _shown(value: Any, hidden: frozenset[str], channels: frozenset[str] | None) -> Any:
    if isinstance(value, BaseModel):
        hidden_here = personal_here(type(value)) if hidden else frozenset()
        value = {name: part for name, part in value if name not in hidden_here}
    if isinstance(value, Mapping):
        return {
            name: _of_channels(part, channels) if name in OF_CHANNELS else _shown(part, hidden, channels)
            for name, part in value.items()
            if name not in hidden
        }
    if isinstance(value, list | tuple):
        return [_shown(part, hidden, channels) for part in value]
    return value if isinstance(value, str | int | float | bytes | datetime | None) else plain(value)


def _of_channels(value: Any, channels: frozenset[str] | None) -> Any:
    if channels is None:
        return value
    if isinstance(value, Mapping):
        return {name: part for name, part in value.items() if name in channels}
    return [name for name in value if name in channels] if isinstance(value, list | tuple) else value


def _pool(database_url: str, connections_max: int, options: str) -> ConnectionPool[psycopg.Connection[dict[str, Any]]]:
    given = psycopg.conninfo.conninfo_to_dict(database_url).get("options") or ""
    return ConnectionPool(
        database_url,
        connection_class=psycopg.Connection[dict[str, Any]],
        kwargs={"row_factory": dict_row, "autocommit": True, "options": f"{given} {options}".strip()},
        min_size=1,
        max_size=connections_max,
        timeout=WAIT_SECONDS_MAX,
        check=ConnectionPool.check_connection,
        open=True,
    )
