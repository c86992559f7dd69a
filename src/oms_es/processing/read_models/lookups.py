"""Rows that reactions ask for, looked up for a whole batch at once."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Protocol

from sqlalchemy import (
    ARRAY,
    Table,
    bindparam,
    cast,
    column,
    func,
    literal_column,
    select,
    true,
)

from oms_es.kernel import Lookup, LookupResults, Row
from oms_es.processing.read_models.connections import Connections
from oms_es.processing.read_models.rows import written


class Finder(Protocol):
    """Looks up rows of read models for reactions."""

    def fetch(self, lookups: Mapping[Lookup, Iterable[Hashable]]) -> LookupResults: ...


class LookupSource:
    """Looks up rows for a whole batch of reactions: one query per lookup."""

    def __init__(self, tables: Mapping[str, Table], connections: Connections) -> None:
        self.tables = tables
        self.connections = connections
        self._statements: dict[Lookup, bytes] = {}

    def fetch(self, lookups: Mapping[Lookup, Iterable[Hashable]]) -> LookupResults:
        """Rows as `results[projection][key]`; a key without rows has an empty list."""
        results: dict[str, dict[Hashable, list[Row]]] = {}
        with self.connections.one() as connection:
            for lookup, keys in lookups.items():
                found = results.setdefault(lookup.projection, {})
                asked = list(dict.fromkeys(keys))
                found.update((key, []) for key in asked)
                for row in connection.execute(self._statement(lookup), {"keys": asked}, prepare=True):
                    found[row[lookup.by]].append(row)
        return results

    def _statement(self, lookup: Lookup) -> bytes:
        if lookup not in self._statements:
            self._statements[lookup] = written(self._select(lookup)).encode()
        return self._statements[lookup]

    def _select(self, lookup: Lookup) -> Any:
        table = self.tables[lookup.projection]
        by = table.c[lookup.by]
        order = [*([table.c[lookup.order_by]] if lookup.order_by else []), *table.primary_key]  # a tie is no lottery
        keys = cast(bindparam("keys"), ARRAY(by.type))
        if lookup.limit is None:
            return select(table).where(by == func.any(keys)).order_by(*order)
        key = func.unnest(keys).table_valued(column("key", by.type)).render_derived("asked")
        newest = (
            select(table)
            .where(by == key.c.key)
            .order_by(*order)
            .limit(literal_column(str(lookup.limit)))
            .lateral("found")
        )
        return select(newest).select_from(key.join(newest, true()))
