"""What archived events cost and bring: bytes of the database before and after, bytes of the files, and the time of
`verify`, `rebuild --all` and `order show` over a history whose events are all in files, beside the same in the log.

Both are copies of one database on one server, and are asked by turns, through the command line.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time

if __name__ == "__main__":
    sys.path.pop(0)  # remove this folder, in which `kafka` is a benchmark and not the library
    sys.path.append(__file__.rpartition("/bench/")[0])

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from statistics import median

import psycopg
from bench.bulk_subject import take_orders
from bench.measure import Measure, fresh_database, printed
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier

from oms_es.app import migrate
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.store.privacy.wrapping import KEY_BYTES
from oms_es.store.recorder import EVENTS

ORDERS = 1_000
ROUNDS = 5
PLAIN, ARCHIVED = "all events in the database", "all events in files"
KEY = bytes(range(KEY_BYTES))
ASKED: Mapping[str, Sequence[str]] = {
    "verify": ("verify", "--processes", "1", "--json"),
    "rebuild --all": ("rebuild", "--all", "--processes", "1", "--json"),
    "order show": ("order", "show"),
}


def asked(url: str, folder: Path, command: Sequence[str]) -> float:
    """Return the seconds from the start of the command to its end."""
    environment = {
        **os.environ,
        "OMS_DATABASE_URL": url,
        "OMS_ARCHIVE_FOLDER": str(folder),
        "OMS_DATA_KEY": b64encode(KEY).decode(),
    }
    program = Path(sys.executable).with_name("oms-es")
    started = time.perf_counter()
    subprocess.run([str(program), *command], check=True, stdout=subprocess.DEVNULL, env=environment, cwd="/")
    return time.perf_counter() - started


def number(url: str, query: str) -> float:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row
    return float(row[0])


def log_bytes(url: str) -> float:
    return number(url, f"SELECT pg_total_relation_size('{EVENTS}')")


def database_bytes(url: str) -> float:
    return number(url, "SELECT pg_database_size(current_database())")


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def copy_of(server_url: str, url: str, name: str) -> str:
    with psycopg.connect(server_url, autocommit=True) as connection:
        source = str(conninfo_to_dict(url)["dbname"])
        connection.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(source)))
    return make_conninfo(server_url, dbname=name)


def measures(orders: int, rounds: int, *, encrypted: bool) -> Iterator[Measure]:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="oms-es-bench-")))
        directory.chmod(0o711)
        folder = directory / "archive"
        folder.mkdir()
        server = stack.enter_context(EmbeddedPostgres(directory / "home").open(exclusive=True))
        plain = stack.enter_context(fresh_database(server.url))
        migrate(plain, data_keys=[KEY] if encrypted else [])
        with redirect_stdout(sys.stderr):
            take_orders(plain, orders)
        execute(plain, f"VACUUM (FULL, ANALYZE) {EVENTS}")
        archived = copy_of(server.url, plain, "archived")
        events = number(plain, f"SELECT count(*) FROM {EVENTS}")
        said = number(plain, f"SELECT sum(length(state)) FROM {EVENTS}")
        yield Measure("events of an order", events / orders, "")
        yield Measure("an event", said / events, "B")
        took = asked(archived, folder, ["archive", "--older-than", "0"])
        files = sum(file.stat().st_size for file in folder.iterdir())
        yield Measure("archive", events / took, "events/s")
        yield Measure("files", files / orders, "B per order", "what the events were", said / orders)
        execute(archived, f"VACUUM {EVENTS}")
        log, whole = log_bytes(plain) / orders, database_bytes(plain) / orders
        yield Measure("log, after VACUUM", log_bytes(archived) / orders, "B per order", "before", log)
        asked(archived, folder, ["archive", "--give-back"])
        yield Measure("log, after --give-back", log_bytes(archived) / orders, "B per order", "before", log)
        yield Measure("database, after --give-back", database_bytes(archived) / orders, "B per order", "before", whole)
        with psycopg.connect(plain) as connection:
            order = connection.execute("SELECT order_id FROM order_status LIMIT 1").fetchone()
        assert order
        for name, command in ASKED.items():
            one = [*command, order[0]] if name == "order show" else command
            seconds: dict[str, list[float]] = {PLAIN: [], ARCHIVED: []}
            for _ in range(rounds):
                seconds[PLAIN].append(asked(plain, folder, one))
                seconds[ARCHIVED].append(asked(archived, folder, one))
            yield Measure(f"{name}, {ARCHIVED}", median(seconds[ARCHIVED]), "s", PLAIN, median(seconds[PLAIN]))
        took = asked(archived, folder, ["archive", "--restore"])
        yield Measure("archive --restore", events / took, "events/s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--orders", type=int, default=ORDERS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--encrypted", action="store_true", help="with a key for personal data")
    options = parser.parse_args()
    with printed("Archived events", as_json=options.json) as found:
        found.extend(measures(options.orders, options.rounds, encrypted=options.encrypted))
