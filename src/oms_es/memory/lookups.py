"""Rows that reactions look up in the database in memory."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence

import psycopg

from oms_es.kernel import Lookup, LookupResults, Row
from oms_es.memory.client import Client
from oms_es.memory.database import Database


class MemoryLookups:
    """The lookups of all reactions."""

    def __init__(self, client: Client, database: Database) -> None:
        self.database = database
        self.touch = database.touching(client, psycopg.OperationalError)

    def fetch(self, wanted: Mapping[Lookup, Iterable[Hashable]]) -> LookupResults:
        self.touch()
        facts: dict[str, dict[Hashable, Sequence[Row]]] = {}
        for want, keys in wanted.items():
            rows, found = self.database.tables[want.projection], facts.setdefault(want.projection, {})
            for key in keys:
                if key not in found:
                    found[key] = rows.found(want.by, key, want.order_by, want.limit)
        return facts
