"""One `orders import` from the command line: every order is completed when it returns, and the cost per order does not
grow.

The engine is alone on an embedded database, and the simulated providers answer at once. CPU time is measured, of the
command and of PostgreSQL together, so that other load changes little. The reference is the same import of a tenth of
the orders, measured in the same run.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile

if __name__ == "__main__":
    sys.path.pop(0)  # remove this folder, in which `kafka` is a benchmark and not the library

from collections.abc import Iterator
from pathlib import Path

from bench.measure import Measure, run

from oms_es.app import engine_on
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.kernel import Command
from oms_es.processing.readers import FeedReader
from oms_es.reports import queries
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.stock import ReceiveStock

FEW, MANY = 2_000, 20_000
SKUS = 50
REFERENCE = f"the same of {FEW:,} orders"
TICKS = os.sysconf("SC_CLK_TCK")


def measures(scale: int) -> Iterator[Measure]:
    few, many = imported(FEW), imported(MANY * scale)
    yield Measure(
        f"import of {MANY * scale:,} orders, all completed", many * 1_000, "ms CPU/order", REFERENCE, few * 1_000
    )


def imported(orders: int) -> float:
    """Return CPU seconds per order, of the command and of the database."""
    with tempfile.TemporaryDirectory(prefix="oms-es-bench-") as directory:
        Path(directory).chmod(0o711)
        home, file = Path(directory) / "home", Path(directory) / "orders.jsonl"
        file.write_text("".join(f"{json.dumps(order(number))}\n" for number in range(orders)))
        with EmbeddedPostgres(home).open(exclusive=False) as server:
            with engine_on(server.url) as engine:
                engine.submit("bench", world(orders))
                engine.settle()
            before = used(server.cluster)
            command = [str(Path(sys.executable).with_name("oms-es")), "orders", "import", str(file), "--json"]
            environment = {**os.environ, "OMS_HOME": str(home), "OMS_GATEWAYS": "simulated"}
            reported = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
            seconds = used(server.cluster) - before
            assert json.loads(reported.stdout)["placed"] == orders
            assert_at_rest(server.url, orders)
    return seconds / orders


def assert_at_rest(url: str, orders: int) -> None:
    with queries.reading(url) as connection:
        assert queries.phases(connection) == {"completed": orders}, "not every order was completed"
    with engine_on(url) as engine:
        readers = [p for p in engine.loop.workers if isinstance(p, FeedReader)]
        assert {reader.saved for reader in readers} == {engine.last_position()}, "somebody had more to do"


def used(cluster: Path) -> float:
    """Return CPU seconds of the commands that have ended, and of the server with its processes, including
    ended ones."""
    commands = resource.getrusage(resource.RUSAGE_CHILDREN)
    server = int((cluster / "postmaster.pid").read_text().split()[0])
    ticks = sum(processor_ticks(server)[:4]) + sum(sum(processor_ticks(child)[:2]) for child in children_of(server))
    return commands.ru_utime + commands.ru_stime + ticks / TICKS


def processor_ticks(process: int) -> list[int]:
    """Return a process's ticks in user mode and in the kernel, then those of its children that have ended."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return [int(field) for field in fields[11:15]]


def children_of(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def world(orders: int) -> list[Command]:
    received = [ReceiveStock(sku=f"S{n}", location="berlin", receipt_id="first", quantity=orders) for n in range(SKUS)]
    return [OpenLocation(location="berlin", country="DE"), *received]


def order(number: int) -> dict[str, object]:
    return {
        "channel": "web",
        "external_id": f"B-{number:05d}",
        "placed_at": "2026-01-05T09:30:00+01:00",
        "currency": "EUR",
        "lines": [{"line_id": "1", "sku": f"S{number % SKUS}", "quantity": 1, "unit_price_minor": 1_000}],
        "ship_to": {"country": "DE"},
        "payment_token": "tok-1",
    }


if __name__ == "__main__":
    run("Imports", measures)
