"""One order alone, on whichever build of the program runs this: it uses only what every build has.

`bench/alone.py` starts it, once for this build and once for the one to compare with.
"""

from __future__ import annotations

import json
import sys
import time

if __name__ == "__main__":
    sys.path.pop(0)  # remove this folder, in which `kafka` is a benchmark and not the library

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count, islice
from logging import WARNING
from typing import Any

import structlog

from oms_es.app import DECIDERS, Engine, migrate

COMMANDS = {command.__name__: command for decider in DECIDERS for command in decider.accepts}
EVENTS = {event.__name__: event for decider in DECIDERS for event in decider.emits}
WARM_ORDERS = 30
"""Orders before the measurement, which warm up plans, connections and caches."""


class Instant:
    """A payment provider that authorises at once."""

    name = "payment_provider"
    intents = frozenset({EVENTS["PaymentRequested"]})
    batch_max = 500

    def perform(self, intents: Sequence[Any]) -> Sequence[Sequence[Any]]:
        return [[authorized(intent)] for intent in intents]


def authorized(intent: Any) -> Any:
    record = COMMANDS["RecordAuthorization"]
    said = {"payment_id": intent.event.payment_id, "reference": str(intent.event_id)}
    said |= {"amount_minor": intent.event.amount_minor, "currency": intent.event.currency}
    return record.model_validate({name: value for name, value in said.items() if name in record.model_fields})


def order(number: int) -> Any:
    return COMMANDS["PlaceOrder"].model_validate(
        {
            "channel": "web",
            "external_id": str(number),
            "placed_at": datetime(2026, 1, 1, tzinfo=UTC),
            "currency": "EUR",
            "lines": [
                {"line_id": "1", "sku": f"S{number % 50}", "quantity": 1, "unit_price_minor": 1_995},
                {"line_id": "2", "sku": f"S{(number + 1) % 50}", "quantity": 2, "unit_price_minor": 1_995},
            ],
            "ship_to": {"country": "DE", "latitude": 52.5, "longitude": 13.4},
        }
    )


def world() -> list[Any]:
    place = {"location": "berlin", "country": "DE", "latitude": 52.0, "longitude": 13.0}
    stock = {"location": "berlin", "receipt_id": "first", "quantity": 100_000}
    return [
        COMMANDS["OpenLocation"].model_validate(place),
        *(COMMANDS["ReceiveStock"].model_validate({**stock, "sku": f"S{n}"}) for n in range(50)),
    ]


def answer(reported: Any) -> None:
    print(json.dumps(reported), flush=True)


def take_orders(url: str) -> None:
    """For each line of standard input, take as many orders, one after the other, and print a line of
    figures for each."""
    migrate(url)
    with Engine(url, gateways=(Instant(),)) as engine:
        named(engine, "submit", "tell")("bench", world())
        engine.settle()
        numbers = count()
        for number in islice(numbers, WARM_ORDERS):
            take(engine, number)
        answer("ready")
        for line in sys.stdin:
            cpu = time.process_time()
            seconds = [take(engine, number) for number in islice(numbers, int(line))]
            answer({"seconds": seconds, "cpu_seconds": (time.process_time() - cpu) / len(seconds)})


def named(of: Any, *names: str) -> Any:
    """Return the attribute by its current or former name."""
    return next(found for name in names if (found := getattr(of, name, None)))


def take(engine: Any, number: int) -> float:
    """Return the seconds from placing an order until nothing is left to do: it is released, and no warehouse is
    connected."""
    placed = order(number)
    started = time.perf_counter()
    named(engine, "submit", "tell")("bench", [placed])
    named(engine.loop, "run_until_idle", "run_until_quiet")()
    return time.perf_counter() - started


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(WARNING))
    take_orders(sys.argv[1])
