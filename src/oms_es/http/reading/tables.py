"""Every read model as a resource: pages of rows, and one row by its key.

Invariant: a page costs what it shows. A page is read by one index: the filters fix its first columns, and the rows come
in the order of its other columns, from the end of the page before. A query that no index serves is refused. A key of
some channels sees their rows, and nothing of a table whose rows name no channel.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from hashlib import sha256
from typing import Any, NamedTuple

from psycopg.sql import SQL, Composed, Identifier
from sqlalchemy import ARRAY, Column, Table
from sqlalchemy.dialects.postgresql import JSONB
from starlette.responses import Response

from oms_es.app import PROJECTIONS
from oms_es.http.access import PERSONAL, Caller
from oms_es.http.errors import BadCursor, BadParameter, Forbidden, NoIndex, NoResource
from oms_es.http.reading.dated import AT, one_then
from oms_es.http.reading.families import family_of, without_people
from oms_es.http.requests import PAGE, PAGE_MAX, Asked, moment_in
from oms_es.http.routing import Parameter, Route
from oms_es.kernel import Projection
from oms_es.projections.base import indexes_of_all
from oms_es.reports.queries import Connection, Row, readable
from oms_es.schemas.values.personal import PERSONAL_COLUMN

PATHS: Mapping[str, str] = {"stock_levels": "stock"}
"""Path names of read models that differ from their tables' names."""
WHOLE = frozenset({"payments", "shipments", "returns", "locations", "customers"})
"""Tables whose single rows pages.py shows with more than the row."""
OF_PEOPLE = frozenset(p.name for p in PROJECTIONS if any(c.info == PERSONAL_COLUMN for c in p.table.columns))
"""Tables of people. Of others a caller who may not see people gets the rows without what is personal of them."""
SHARED = frozenset({"stock_levels", "locations", "items", "delivery_options"})
"""Tables that a key of some channels may read although their rows name no channel."""
CURSOR_LENGTH_MAX = 2_000
INTEGER_MAX = 2**63 - 1
DIGITS_MAX = 20
SINCE, UNTIL = "[gte]", "[lt]"
LIMIT = Parameter(
    "limit", f"Rows of a page; without it, {PAGE}.", {"type": "integer", "minimum": 1, "maximum": PAGE_MAX}
)
CURSOR: Mapping[str, Any] = {"type": "string", "pattern": "^[A-Za-z0-9_-]+$", "maxLength": CURSOR_LENGTH_MAX}
AFTER = Parameter("after", "The cursor that the previous page ended with: its `next`.", CURSOR)
DESCENDING = Parameter("descending", "The last rows first.", {"type": "boolean"})


class Way(NamedTuple):
    """One way to read a table by an index: the columns that filters fix, and the columns that order the rows."""

    fixed: tuple[str, ...]
    ordered: tuple[str, ...]


@dataclass(frozen=True)
class Listing:
    table: Table
    ways: tuple[Way, ...]

    @property
    def filters(self) -> list[str]:
        """Return the columns that a request may filter by."""
        return list(dict.fromkeys(name for way in self.ways for name in way.fixed))

    @property
    def ranges(self) -> list[str]:
        found = dict.fromkeys(way.ordered[0] for way in self.ways if way.ordered)
        return [name for name in found if kind_of(self.table.columns[name]) in (datetime, date, int)]

    def way(self, fixed: frozenset[str], ranged: str | None) -> Way:
        """Return the way to read for these filters. Raise NoIndex if there is none."""
        for way in self.ways:
            if frozenset(way.fixed) == fixed and (ranged is None or way.ordered[:1] == (ranged,)):
                return way
        known = sorted({" and ".join(way.fixed) for way in self.ways if way.fixed})
        raise NoIndex("query", f"these filters have no index together; there are {'; '.join(known) or 'none'}")


def listing_of(table: Table) -> Listing:
    keys = tuple(column.name for column in table.primary_key.columns)
    columns = [keys, *(tuple(column.name for column in index.columns) for index in indexes_of_all(table))]
    return Listing(table, tuple(dict.fromkeys(way for names in columns for way in _ways(table, names, keys))))


def _ways(table: Table, names: Sequence[str], keys: Sequence[str]) -> Iterator[Way]:
    for count in range(len(names) + 1):
        fixed = tuple(names[:count])
        if any(kind_of(table.columns[name]) is None for name in fixed):
            return
        rest = list(names[count:])
        if any(table.columns[name].nullable for name in rest):
            continue
        ordered = [*rest, *(key for key in keys if key not in names)]
        if all(kind_of(table.columns[name]) for name in ordered):
            yield Way(fixed, tuple(ordered))


def kind_of(column: Column[Any]) -> type | None:
    """Return the Python type of the column's values, or None if a request cannot filter by them."""
    if isinstance(column.type, ARRAY | JSONB):
        return None
    kind = column.type.python_type
    return kind if kind in (str, int, bool, datetime, date) else None


def value_in(column: Column[Any], name: str, text: str) -> Any:
    """Parse a value of the column. Raise BadParameter."""
    kind = kind_of(column)
    if kind is str:
        return text
    if kind is datetime:
        return moment_in(name, text)
    try:
        if kind is bool:
            return {"true": True, "false": False}[text]
        if kind is date:
            return date.fromisoformat(text)
        number = int(text) if len(text) <= DIGITS_MAX and text.isascii() else INTEGER_MAX + 1
    except (ValueError, KeyError):
        number = INTEGER_MAX + 1
    if kind is not int or abs(number) > INTEGER_MAX:
        said = {bool: "true or false", date: "a day such as 2026-01-05", int: "a whole number"}
        raise BadParameter(name, f"write {said.get(kind or str, 'a text')}")
    return number


async def listed(listing: Listing, asked: Asked) -> Response:
    require_visible(listing.table, asked.caller)
    if listing.table.name in OF_PEOPLE:
        await asked.note_personal(listing.table.name)
    query = Query.of(listing, asked)
    rows = await asked.read(query.rows)
    last = query.cursor(rows[query.limit - 1]) if len(rows) > query.limit else None
    return page_of(asked, [without_people(listing.table, row, asked) for row in rows[: query.limit]], last)


async def one(listing: Listing, asked: Asked) -> Response:
    table = listing.table
    require_visible(table, asked.caller)
    keys = keys_of(table, asked)
    if table.name in OF_PEOPLE:
        await asked.note_personal("/".join(map(str, keys.values())))
    statement = SQL("SELECT t.* FROM {} t WHERE {}{}").format(
        Identifier(table.name), _equal(keys), visible(table, asked.caller)
    )
    values = {**keys, "channels": sorted(asked.caller.channels or ())}
    row = await (one_then(asked, at, keys) if (at := asked.at()) is not None else _found(asked, statement, values))
    if row is None:
        raise NoResource("there is no such row")
    return asked.json(without_people(table, row, asked))


def keys_of(table: Table, asked: Asked) -> dict[str, Any]:
    """Return the key that the path names, column by column. Raise BadParameter."""
    return {
        column.name: value_in(column, column.name, asked.values[column.name]) for column in table.primary_key.columns
    }


async def _found(asked: Asked, statement: Composed, values: Mapping[str, Any]) -> Row | None:
    return await asked.read(lambda connection: connection.execute(statement, values).fetchone())


def page_of(asked: Asked, items: Sequence[Any], after: str | None) -> Response:
    """Answer with a page. `after`: the cursor of the next page, None on the last."""
    headers = {}
    if after is not None:
        url = asked.request.url.include_query_params(after=after)
        headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
    return asked.json({"items": items, "next": after}, headers=headers)


@dataclass(frozen=True)
class Query:
    listing: Listing
    way: Way
    fixed: Mapping[str, Any]
    since: Any
    until: Any
    after: Sequence[Any] | None
    limit: int
    descending: bool
    caller: Caller
    at: str | None = None

    @classmethod
    def of(cls, listing: Listing, asked: Asked) -> Query:
        """Build the query that the request's parameters describe. Raise BadParameter."""
        columns = listing.table.columns
        given = asked.given()
        fixed = {name: value_in(columns[name], name, given[name]) for name in listing.filters if name in given}
        ranged = [name for name in listing.ranges if given.keys() & {name + SINCE, name + UNTIL}]
        if len(ranged) > 1:
            raise BadParameter("query", "only one column has bounds at a time")
        name = ranged[0] if ranged else None
        way = listing.way(frozenset(fixed), name)
        since, until = (
            value_in(columns[name], name + end, given[name + end]) if name and name + end in given else None
            for end in (SINCE, UNTIL)
        )
        descending, at = asked.flag("descending"), asked.one("at")
        query = cls(listing, way, fixed, since, until, None, asked.limit(), descending, asked.caller, at)
        return query if "after" not in given else query.going_on(given["after"])

    @property
    def mark(self) -> str:
        """Return a hash of the query: a cursor is valid only for the query that it came from."""
        asked = [self.listing.table.name, self.way, sorted(self.fixed.items()), self.since, self.until, self.descending]
        asked += [self.at] if self.at is not None else []
        return sha256(json.dumps(asked, default=str).encode()).hexdigest()[:16]

    def cursor(self, row: Row) -> str:
        known = readable(row)
        values = [value.isoformat() if isinstance(value := known[name], date) else value for name in self.way.ordered]
        return base64.urlsafe_b64encode(json.dumps([self.mark, *values]).encode()).rstrip(b"=").decode()

    def going_on(self, cursor: str) -> Query:
        """Return the query, continued after the cursor. Raise BadCursor."""
        wrong = BadCursor("after", "copy the cursor that the page before ended with, and keep the same filters")
        if len(cursor) > CURSOR_LENGTH_MAX:
            raise wrong
        try:
            mark, *values = json.loads(
                base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), b"-_", validate=True)
            )
            columns = [self.listing.table.columns[name] for name in self.way.ordered]
            texts = [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
            after = [value_in(column, "after", text) for column, text in zip(columns, texts, strict=True)]
        except (ValueError, TypeError, RecursionError, BadParameter):
            raise wrong from None
        if mark != self.mark or any("\0" in text for text in texts):
            raise wrong
        return Query(**{**{name: getattr(self, name) for name in self.__dataclass_fields__}, "after": after})

    def rows(self, connection: Connection) -> list[Row]:
        """Return the rows of the page, and one more if another page follows."""
        values = {**self.fixed, "since": self.since, "until": self.until, "limit": self.limit + 1}
        values |= {f"after{number}": value for number, value in enumerate(self.after or ())}
        values["channels"] = sorted(self.caller.channels or ())
        return connection.execute(self._statement(), values).fetchall()

    def _statement(self) -> Composed:
        names = [Identifier("t", name) for name in self.way.ordered]
        tests = [_equal(self.fixed)]
        if self.since is not None:
            tests.append(SQL("{} >= %(since)s").format(names[0]))
        if self.until is not None:
            tests.append(SQL("{} < %(until)s").format(names[0]))
        if self.after is not None and names:
            marks = SQL(", ").join(SQL(f"%(after{number})s") for number in range(len(names)))
            compare = SQL("<") if self.descending else SQL(">")
            tests.append(SQL("({}) {} ({})").format(SQL(", ").join(names), compare, marks))
        way = SQL(" DESC") if self.descending else SQL("")
        order = SQL(", ").join(SQL("{}{}").format(name, way) for name in names) if names else SQL("1")
        return SQL("SELECT t.* FROM {} t WHERE {}{} ORDER BY {} LIMIT %(limit)s").format(
            Identifier(self.listing.table.name),
            SQL(" AND ").join(tests),
            visible(self.listing.table, self.caller),
            order,
        )


def _equal(fixed: Mapping[str, Any]) -> Composed:
    tests = [SQL("{} = {}").format(Identifier("t", name), SQL(f"%({name})s")) for name in fixed]
    return SQL(" AND ").join(tests) if tests else SQL("{}").format(SQL("true"))


def require_visible(table: Table, caller: Caller) -> None:
    """Raise Forbidden if the caller is of some channels and the table's rows name none."""
    own = {"channel", "order_id"} & {column.name for column in table.columns}
    if caller.channels is not None and not own and table.name not in SHARED:
        raise Forbidden("this has no channel, and the key is limited to some channels; ask for a key of all channels")


def visible(table: Table, caller: Caller) -> Composed:
    """Return the SQL condition that limits the table to rows that the caller may see."""
    columns = {column.name for column in table.columns}
    if caller.channels is None or (table.name in SHARED and not columns & {"channel", "order_id"}):
        return SQL("{}").format(SQL(""))
    if "channel" in columns:
        return SQL("{}").format(SQL(" AND t.channel = ANY(%(channels)s)"))
    return SQL("{}").format(
        SQL(" AND EXISTS (SELECT FROM order_status s WHERE s.order_id = t.order_id AND s.channel = ANY(%(channels)s))")
    )


def path_of(table: Table) -> str:
    return f"/v1/{PATHS.get(table.name, table.name.replace('_', '-'))}"


SHAPES: Mapping[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    Decimal: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    datetime: {"type": "string", "format": "date-time"},
    date: {"type": "string", "format": "date"},
}
"""JSON Schemas of the columns' Python types."""


def _schema(column: Column[Any]) -> dict[str, Any]:
    kind = kind_of(column)
    if kind is None:
        kind = None if isinstance(column.type, ARRAY | JSONB) else column.type.python_type
    shape = {"type": "array", "items": {"type": "string"}} if isinstance(column.type, ARRAY) else SHAPES.get(kind, {})
    return {"anyOf": [shape, {"type": "null"}]} if column.nullable and shape else shape


def asked_for(column: Column[Any]) -> dict[str, Any]:
    """Return the JSON Schema of a filter's value, as `value_in` accepts it."""
    bounds: Mapping[Any, dict[str, Any]] = {
        int: {"minimum": -INTEGER_MAX, "maximum": INTEGER_MAX},
        str: {"pattern": r"^[^\x00]*$"},
    }
    kind = kind_of(column)
    return {**SHAPES[kind], **bounds.get(kind, {})}


def row_schema(table: Table) -> dict[str, Any]:
    """Return the JSON Schema of a row; it is open, since columns may be added."""
    return {"type": "object", "properties": {column.name: _schema(column) for column in table.columns}}


def page_schema(item: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": item},
            "next": {
                "anyOf": [{"type": "string"}, {"type": "null"}],
                "description": "For `after`; null after the last page.",
            },
        },
        "required": ["items", "next"],
    }


def routes() -> Iterator[Route]:
    for projection in PROJECTIONS:
        yield from _routes(projection)


def _routes(projection: Projection) -> Iterator[Route]:
    table, listing = projection.table, listing_of(projection.table)
    family = family_of(projection)
    scope = PERSONAL if table.name in OF_PEOPLE else f"{family}:read"
    filters = tuple(
        Parameter(name, "Only rows with this value.", asked_for(table.columns[name])) for name in listing.filters
    )
    bounds = tuple(
        Parameter(name + end, what, asked_for(table.columns[name]))
        for name in listing.ranges
        for end, what in ((SINCE, "Rows from this value on."), (UNTIL, "Rows before this value."))
    )
    name, path = table.name.replace("_", "-"), path_of(table)
    row = row_schema(table)
    yield Route(
        "GET",
        path,
        f"list-{name}",
        f"Rows of the read model {table.name}, a page at a time.",
        scope,
        partial(listed, listing),
        (*filters, *bounds, LIMIT, AFTER, DESCENDING, AT),
        is_dated=True,
        answer=page_schema(row),
        tag=family,
        reads=(table.name,),
    )
    keys = "/".join(f"{{{column.name}}}" for column in table.primary_key.columns)
    if table.name not in WHOLE and all(kind_of(column) for column in table.primary_key.columns):
        yield Route(
            "GET",
            f"{path}/{keys}",
            f"get-{name}",
            f"One row of {table.name}.",
            scope,
            partial(one, listing),
            (AT,),
            answers={200: "It is this.", 404: "There is none."},
            answer=row,
            tag=family,
            reads=(table.name,),
            path_schemas={column.name: asked_for(column) for column in table.primary_key.columns},
        )
