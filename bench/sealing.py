"""The cost of sealing: the same orders and appends with a sealer and without one, by turns, in one process.

All of the sealer's work is counted, also that which would run in another thread: it seals as often as it does in
production, in the same thread.
"""

from __future__ import annotations

import sys
import time

if __name__ == "__main__":
    sys.path.pop(0)  # remove this folder, in which `kafka` is a benchmark and not the library

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.measure import Measure, fresh_database, run
from bench.subject import order, world

from oms_es.app import Engine, migrate
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.processing.sealer import SEAL_SECONDS, Sealer
from oms_es.proof.proofs import written
from oms_es.reports import proving, queries
from oms_es.store.sealing.proving import proof_of

ORDERS = 100
WORK_SECONDS = 22.0
APPENDED = 500
ASKED = 200


def opened(url: str) -> Engine:
    migrate(url)
    engine = Engine(url)
    engine.sealer.step = lambda: 0  # type: ignore[method-assign] # it seals when it is measured
    return engine


def seconds(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


def lived(engine: Engine, numbers: Iterator[int]) -> None:
    engine.submit("bench", [order(next(numbers)) for _ in range(ORDERS)])
    engine.loop.run_until_idle()


def appended(engine: Engine, numbers: Iterator[int]) -> None:
    engine.submit("bench", [order(next(numbers)) for _ in range(APPENDED)])


def beside(
    do: Callable[[Engine, Iterator[int]], None], sealed: Engine, plain: Engine, numbers: Mapping[Engine, Iterator[int]]
) -> tuple[float, float, float]:
    """Return the seconds of equal work with sealing and without it, and of the sealing alone."""
    took = sealing = without = 0.0
    sealed.sealer.seal_all()
    since = 0.0
    while took < WORK_SECONDS:
        one = seconds(lambda: do(sealed, numbers[sealed]))
        took, since = took + one, since + one
        if since >= SEAL_SECONDS:
            sealing, since = sealing + seconds(sealed.sealer.seal_all), 0.0
        without += seconds(lambda: do(plain, numbers[plain]))
    sealing += seconds(sealed.sealer.seal_all)
    return took + sealing, without, sealing


def of_proofs(url: str, engine: Engine) -> Iterator[Measure]:
    with queries.reading(url) as connection:
        orders = [row["order_id"] for row in connection.execute("SELECT order_id FROM order_status LIMIT 20")]

        def proved(order_id: str) -> str:
            return written(proof_of(connection, "", proving.of_order(connection, order_id)))

        def read(order_id: str) -> object:
            query = "SELECT * FROM order_status WHERE order_id = %s"
            return connection.execute(query, [order_id]).fetchone()

        turns = [orders[n % len(orders)] for n in range(ASKED)]
        proofs, reads = [], []
        for order_id in turns:
            proofs.append(seconds(lambda: proved(order_id)))  # noqa: B023 - done at once
            reads.append(seconds(lambda: read(order_id)))  # noqa: B023 - done at once
        yield Measure("proof of an order", median(proofs) * 1_000, "ms", "its row, read", median(reads) * 1_000)
    checkpoints = []
    for number in range(20):
        engine.submit("bench", [order(10_000_000 + number)])
        sealer: Sealer = engine.sealer
        checkpoints.append(seconds(sealer.seal_all))
    yield Measure("checkpoint of a few events", median(checkpoints) * 1_000, "ms")


def measures(_scale: int) -> Iterator[Measure]:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="oms-es-bench-")))
        directory.chmod(0o711)
        server = stack.enter_context(EmbeddedPostgres(directory / "home").open(exclusive=True))
        url = stack.enter_context(fresh_database(server.url))
        sealed = stack.enter_context(opened(url))
        plain = stack.enter_context(opened(stack.enter_context(fresh_database(server.url))))
        numbers = {engine: count() for engine in (sealed, plain)}
        for engine in (sealed, plain):
            engine.submit("bench", world())
            lived(engine, numbers[engine])
        sealed.sealer.seal_all()
        for name, do in (("orders, whole life", lived), ("orders, taken", appended)):
            with_it, without, alone = beside(do, sealed, plain, numbers)
            yield Measure(f"{name}, sealed", with_it, "s", "not sealed", without)
            yield Measure(f"{name}: the sealing alone", 100 * alone / (with_it - alone), "%")
            if do is lived:
                yield from of_proofs(url, sealed)


if __name__ == "__main__":
    run("Sealing", measures)
