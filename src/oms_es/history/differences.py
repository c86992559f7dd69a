"""Differences between two positions: rows of a read model that were added, removed or changed.

Invariant: only rows that an event between the two positions touched are compared, because no other can differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from psycopg.sql import SQL, Identifier

from oms_es.history.rows_then import row as row_then
from oms_es.history.states import Reached, lay_out, unseen
from oms_es.kernel import Key, Projection, Row
from oms_es.processing.read_models.history_pages import pages
from oms_es.reports.queries import Connection, readable

DIFFERENCES_MAX = 10_000
"""How many differing rows are shown; if there are more, this is stated."""
DIRECT_MAX = 500
"""Up to so many touched rows are folded one by one; for more, the whole read model is folded as of both positions."""


class Difference(NamedTuple):
    """A differing row.

    `before` is None if it was added, `after` if it was removed; `fields` names the changed columns.
    """

    key: Mapping[str, Any]
    before: Row | None
    after: Row | None
    fields: Sequence[str]

    @property
    def what(self) -> str:
        if self.before is None:
            return "came"
        return "went" if self.after is None else "changed"

    def as_json(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "key": self.key,
            "before": self.before and readable(self.before),
            "after": self.after and readable(self.after),
            "fields": self.fields,
        }


def of_read_model(
    connection: Connection, projection: Projection, since: int, until: int, reached: Reached = unseen
) -> Iterator[Difference]:
    """Yield the differences in the order of keys; `since` is not after `until`. Temporary tables are left behind."""
    touched = _touched(connection, projection, since, until)
    if len(touched) <= DIRECT_MAX and projection.fed_by:
        for key in sorted(touched, key=_sortable):
            before = row_then(connection, projection, key, since)
            yield from compared(projection, key, before, row_then(connection, projection, key, until))
        return
    lay_out(connection, [projection], since, reached)
    before_table = f"{projection.name}_before"
    connection.execute("SET default_transaction_read_only = off")
    connection.execute(
        SQL("ALTER TABLE {} RENAME TO {}").format(Identifier("pg_temp", projection.name), Identifier(before_table))
    )
    lay_out(connection, [projection], until, reached)
    same = SQL(" AND ").join(SQL("b.{0} = a.{0}").format(Identifier(name)) for name in projection.key_columns)
    query = SQL("SELECT to_jsonb(b) AS before, to_jsonb(a) AS after FROM {} b FULL JOIN {} a ON {} WHERE {}").format(
        Identifier("pg_temp", before_table),
        Identifier("pg_temp", projection.name),
        same,
        SQL("b IS DISTINCT FROM a"),
    )
    keys = SQL(", ").join(SQL("coalesce(b.{0}, a.{0})").format(Identifier(name)) for name in projection.key_columns)
    bounded = SQL("{} ORDER BY {} LIMIT {}").format(query, keys, DIFFERENCES_MAX + 1)
    found = connection.execute(bounded).fetchall()
    for row in sorted(found, key=lambda one: _sortable(tuple(_key_of(projection, one)))):
        yield from compared(projection, tuple(_key_of(projection, row)), row["before"], row["after"])


def compared(projection: Projection, key: Key, before: Row | None, after: Row | None) -> Iterator[Difference]:
    """Yield the difference of a row, if there is one."""
    if before != after:
        named = dict(zip(projection.key_columns, key, strict=True))
        names = sorted(name for name in before if before[name] != after[name]) if before and after else ()
        yield Difference(named, before, after, names)


def _touched(connection: Connection, projection: Projection, since: int, until: int) -> set[Key]:
    """Return the touched keys; reading stops once there are more than DIRECT_MAX."""
    found: set[Key] = set()
    for page in pages(connection, [event.__name__ for event in projection.folds], until, since):
        for recorded in page:
            found.update(projection.folds[type(recorded.event)].keys(recorded))
        if len(found) > DIRECT_MAX:
            break
    return found


def _key_of(projection: Projection, row: Mapping[str, Any]) -> Iterator[Any]:
    there = row["after"] or row["before"]
    yield from (there[name] for name in projection.key_columns)


def _sortable(key: Key) -> tuple[str, ...]:
    return tuple(str(part).rjust(20) if isinstance(part, int) else str(part) for part in key)


def of_named(
    connection: Connection, projections: Sequence[Projection], column: str, value: str, since: int, until: int
) -> Iterator[tuple[Projection, Difference]]:
    """Yield the differences in every read model whose key names the order, or the SKU.

    Rows that never change, such as a timeline's, can only have been added.
    """
    for projection in projections:
        if column not in projection.key_columns:
            continue
        keys = sorted(_keys_named(connection, projection, column, value, since, until), key=_sortable)
        for key in keys:
            before = row_then(connection, projection, key, since)
            after = row_then(connection, projection, key, until)
            yield from ((projection, one) for one in compared(projection, key, before, after))


def _keys_named(
    connection: Connection, projection: Projection, column: str, value: str, since: int, until: int
) -> set[Key]:
    """Return the keys of this value that events between the two positions touched."""
    place = projection.key_columns.index(column)
    topics = [event.__name__ for event in projection.folds]
    read = (recorded for page in pages(connection, topics, until, since) for recorded in page)
    return {
        key for recorded in read for key in projection.folds[type(recorded.event)].keys(recorded) if key[place] == value
    }
