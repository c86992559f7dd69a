"""Parquet files: written under a temporary name and then renamed. Integers are int64, and times are in UTC."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.reports.exporting.manifest import File, described, moved

COMPRESSION = "zstd"
ROWS_AT_ONCE = 20_000
"""How many rows of a file are in memory at once."""
Columns = Mapping[str, type]


class NoArrow(OmsError):
    """The package that writes Parquet is not installed."""

    code = "no_arrow"
    exit_code = Code.USAGE
    status = HTTPStatus.INTERNAL_SERVER_ERROR


def arrow() -> Any:
    """Return the module pyarrow.

    Raise NoArrow if it is not installed. It is imported late, as it is large and used here only.
    """
    try:
        import_module("pyarrow.parquet")
        return import_module("pyarrow")
    except ImportError:
        raise NoArrow("the package pyarrow is not installed; run: pip install 'oms-es[analytics]'") from None


def schema_of(columns: Columns) -> Any:
    pa = arrow()
    kinds = {str: pa.string(), int: pa.int64(), bool: pa.bool_(), datetime: pa.timestamp("us", tz="UTC")}
    return pa.schema([(name, kinds[kind]) for name, kind in columns.items()])


def written(directory: Path, path: Path, columns: Columns, rows: Iterable[Sequence[Any]], digest: str = "") -> File:
    """Write a file, with the values of each row in the order of the columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    schema, count, each = schema_of(columns), 0, iter(rows)
    with arrow().parquet.ParquetWriter(temporary, schema, compression=COMPRESSION) as writer:
        while some := list(islice(each, ROWS_AT_ONCE)):
            count += len(some)
            writer.write_table(_table(schema, some))
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    moved(temporary, path)
    return described(directory, path, count, digest)


def _table(schema: Any, rows: Sequence[Sequence[Any]]) -> Any:
    pa = arrow()
    columns = zip(zip(*rows, strict=True), schema, strict=True)
    return pa.table([pa.array(values, type=kind.type) for values, kind in columns], schema=schema)
