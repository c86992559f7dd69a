"""Pages and reports with a million orders: response times beside those with ten thousand, with the bare query behind
each page, and with DuckDB.

Both databases are filled by `bench/grown.py`, which takes about 15 GB and a quarter of an hour for a million. With
--keep they stay in a folder and are used again.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

if __name__ == "__main__":
    sys.path.pop(0)  # remove this folder, in which `http` is a benchmark and not the library

import psycopg
from bench import pages, reports
from bench.grown import counted, grown
from bench.measure import Measure, printed
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier, Literal

from oms_es.database.embedded import EmbeddedPostgres

FEW, MANY = 10_000, 1_000_000
PARTS = ("pages", "reports")
FILLED = "filled by bench/grown.py"


def main() -> None:
    parser = argparse.ArgumentParser(description="With a million orders")
    parser.add_argument("--json", action="store_true", help="one object per measure on standard output")
    parser.add_argument("--orders", type=int, default=MANY, help="how many orders there are at least")
    parser.add_argument("--few", type=int, default=FEW, help="how many there are where there are few")
    parser.add_argument("--keep", type=Path, help="keep the databases in this folder, and use those that are there")
    parser.add_argument("--only", choices=PARTS, help="measure these only")
    parser.add_argument("--asked", type=int, default=200, help="how often each page is asked for")
    parser.add_argument("--rounds", type=int, default=3, help="how often each report is asked for")
    options = parser.parse_args()
    with printed("With many orders", as_json=options.json) as found, ExitStack() as stack:
        folder = stack.enter_context(folder_of(options.keep))
        server = stack.enter_context(EmbeddedPostgres(folder / "home").open(exclusive=True))
        few, many = (filled(server.url, orders) for orders in (options.few, options.orders))
        if options.only != "reports":
            found.extend(of_pages(few, many, options.asked))
        if options.only != "pages":
            shutil.rmtree(folder / "export", ignore_errors=True)
            found.extend(reports.measures(many, folder / "export", options.rounds))


def of_pages(few: str, many: str, asked: int) -> Iterator[Measure]:
    with pages.opened(few) as of_few, pages.opened(many) as of_many:
        yield from pages.measures(of_few, of_many, asked)


@contextmanager
def folder_of(kept: Path | None) -> Iterator[Path]:
    """Yield the folder of the databases, which is removed afterwards unless it is to be kept."""
    with ExitStack() as stack:
        folder = kept or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="oms-es-bench-")))
        folder.mkdir(exist_ok=True)
        folder.chmod(0o711)
        yield folder


def filled(server_url: str, orders: int) -> str:
    """Return the URL of the database with so many orders. It is filled unless it is there: its tables are not logged,
    and therefore empty after a crash."""
    name = f"year_{orders}"
    url = make_conninfo(server_url, dbname=name)
    with psycopg.connect(server_url, autocommit=True) as connection:
        known = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
        if connection.execute(known.encode(), [name]).fetchone() == (FILLED,):
            with psycopg.connect(url) as there:
                if counted(there) >= orders:
                    return url
        connection.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        grown(url, orders)
        connection.execute(SQL("COMMENT ON DATABASE {} IS {}").format(Identifier(name), Literal(FILLED)))
    return url


if __name__ == "__main__":
    main()
