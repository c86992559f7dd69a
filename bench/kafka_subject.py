"""A log with stock, and its topics, on whichever build runs this; `bench/kafka_trips.py` starts it."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    sys.path.pop(0)  # remove this folder, in which `kafka` is a benchmark and not the library
    sys.path.append(__file__.rpartition("/bench/")[0])

from importlib import import_module
from logging import WARNING
from typing import Any

import structlog
from bench.subject import COMMANDS, answer, named

from oms_es import app
from oms_es.app import CONSUMERS, PROJECTIONS, migrate

PARTITIONS = 3
LATER, BEFORE = ("oms_es.app.workers", "oms_es.kafka.client"), ("oms_es.workers", "oms_es.runtime.kafka")
"""The modules of workers and of the Kafka client, in newer and in older builds."""
SKUS = 200


def prepare(url: str, address: str) -> None:
    """Prepare the database and the topics; print the read models that consumers look up, and those for people."""
    migrate(url)
    workers_of, client = map(import_module, LATER if hasattr(app, "__path__") else BEFORE)
    client.create_topics(client.connection(address), workers_of.topics(PARTITIONS), replicas=1)
    with workers_of.Workers(url, {}, ()) as workers:
        named(workers, "submit", "tell")("bench", world())
    looked_up = "lookup_projections" if hasattr(CONSUMERS[0], "lookup_projections") else "wanted_projections"
    facts = frozenset({"deadlines"}).union(*(getattr(consumer, looked_up) for consumer in CONSUMERS))
    names = [projection.name for projection in PROJECTIONS]
    answer([sorted(facts), [name for name in names if name not in facts]])


def world() -> list[Any]:
    stock = {"location": "l", "receipt_id": "first", "quantity": 10**7}
    return [
        COMMANDS["OpenLocation"].model_validate({"location": "l", "country": "DE"}),
        *(COMMANDS["ReceiveStock"].model_validate({**stock, "sku": f"S{n}"}) for n in range(SKUS)),
    ]


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(WARNING))
    prepare(sys.argv[1], sys.argv[2])
