"""Parcels on their way that carriers are asked about, or asked to report by themselves.

Invariant: an answer is taken in as the same webhook would be; what was known before changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import psycopg

from oms_es.app.engine import Engine
from oms_es.app.registry import PARSERS
from oms_es.gateways.carrier.port import Following, Subscriber, TrackedNumber, Tracking
from oms_es.processing.intake.worker import Arrival, Intake, Outcome

HOURS_MAX = 24 * 365
PARCELS_MAX = 10_000
"""Asked about in one run."""
AT_ONCE = 100
OPEN = """
SELECT n.carrier, n.tracking_number
FROM tracking_numbers n JOIN shipments s USING (shipment_id)
WHERE s.status IN ('booked', 'dispatched', 'partly_delivered') AND n.since >= now() - make_interval(hours => %s)
GROUP BY 1, 2 ORDER BY min(n.since), 1, 2 LIMIT %s
"""


class Polled(NamedTuple):
    """`unknown`: the carrier does not know the number. `unanswered`: no answer came."""

    asked: int = 0
    changed: int = 0
    unknown: int = 0
    unanswered: int = 0
    rejected: int = 0


def open_numbers(database_url: str, hours: int = HOURS_MAX) -> Sequence[TrackedNumber]:
    """Of parcels on their way that were booked in the last hours; those that were booked first come first."""
    with psycopg.connect(database_url) as connection:
        return [TrackedNumber(*row) for row in connection.execute(OPEN, [hours, PARCELS_MAX])]


def subscribe(subscriber: Subscriber, database_url: str, hours: int) -> Mapping[TrackedNumber, Following]:
    """What became of each number. Raises GatewayUnavailable."""
    numbers = open_numbers(database_url, hours)
    return dict(zip(numbers, subscriber.subscribe(numbers), strict=True))


def poll(engine: Engine, tracking: Tracking) -> Polled:
    """Raises GatewayUnavailable; what was taken in before stays."""
    numbers = open_numbers(engine.database_url)
    changed = 0

    def count(outcomes: Sequence[Outcome]) -> None:
        nonlocal changed
        changed += sum(bool(outcome.events) for outcome in outcomes)

    intake = Intake(
        f"poll:{tracking.dialect}",
        tracking.dialect,
        PARSERS[tracking.dialect],
        engine.store,
        engine.log,
        tracked=False,
        screen=engine.screen,
    )
    intake.on_outcomes = count
    polled = Polled()
    for start in range(0, len(numbers), AT_ONCE):
        asked = numbers[start : start + AT_ONCE]
        answers = list(tracking.track(asked))
        arrivals = [Arrival(number, said) for number, said in enumerate(answers, start=1) if said]
        rejected = intake.take(arrivals).dead_letters if arrivals else 0
        polled = Polled(
            polled.asked + len(asked),
            changed,
            polled.unknown + answers.count(b""),
            polled.unanswered + answers.count(None),
            polled.rejected + rejected,
        )
    return polled
