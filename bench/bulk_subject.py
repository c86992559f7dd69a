"""Orders through their whole life, on whichever build runs this; `bench/bulk.py` starts it."""

from __future__ import annotations

import gc
import resource
import sys
import time

if __name__ == "__main__":
    sys.path.pop(0)  # remove this folder, in which `kafka` is a benchmark and not the library
    sys.path.append(__file__.rpartition("/bench/")[0])

from logging import WARNING

import structlog
from bench.subject import answer, named, order, world

from oms_es.app import Engine, migrate

BATCH = 500


def take_orders(url: str, orders: int) -> None:
    migrate(url)
    with Engine(url) as engine:
        named(engine, "submit", "tell")("bench", world())
        engine.settle()
        started, used = time.perf_counter(), time.process_time()
        for first in range(0, orders, BATCH):
            named(engine, "submit", "tell")("bench", [order(n) for n in range(first, min(first + BATCH, orders))])
            named(engine.loop, "iterate", "turn")()
        engine.settle()
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - used
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    answer({"peak_mib": peak_mib, "seconds": seconds, "cpu_seconds": cpu_seconds})


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(WARNING))
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)  # the program's own settings
    take_orders(sys.argv[1], int(sys.argv[2]))
