"""The engine as a process that a test can kill; its arguments: HOME SEED ORDERS.

It opens the embedded database in HOME, reports the engine a seeded workload from the beginning (a repeat decides
nothing), runs it until all is settled, and says "settled" on standard output.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from oms_es.app import engine_on
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.demo.workload import Workload
from oms_es.gateways.simulated.modes import Chaos
from oms_es.processing.logging import configure_logging

BATCH = 20


def main(arguments: Sequence[str]) -> None:
    home, seed, orders = arguments
    configure_logging("console", "warning")
    chaos = Chaos(int(seed), decline=0.05, timeout=0.1, duplicate=0.1, late=0.1)
    with EmbeddedPostgres(Path(home)).open(exclusive=True) as server, engine_on(server.url, chaos=chaos) as engine:
        print("open", flush=True)
        for batch in Workload(int(seed), int(orders)).steps(BATCH):
            engine.submit("channel", batch)  # a cancellation reported again may come too late, and says so
            engine.loop.iterate()
        engine.settle()
    print("settled", flush=True)
