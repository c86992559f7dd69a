"""Queries to carriers about parcels on their way, and subscriptions to their reports.

Invariant: an answer is processed like the webhook with the same content; what was known before changes nothing.
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
"""Parcels that one run asks about. Of more, a random sample is drawn, so that each has its turn whatever its age."""
AT_ONCE = 100
OPEN = """
SELECT n.carrier, n.tracking_number, count(*) OVER ()
FROM tracking_numbers n JOIN shipments s USING (shipment_id)
WHERE s.status IN ('booked', 'dispatched', 'partly_delivered') AND n.since >= now() - make_interval(hours => %s)
GROUP BY 1, 2 ORDER BY random() LIMIT %s
"""


class Polled(NamedTuple):
    """Counts of one run. `unknown`: the carrier does not know the number. `unanswered`: no answer came. `left_out`: for
    another run."""

    asked: int = 0
    changed: int = 0
    unknown: int = 0
    unanswered: int = 0
    rejected: int = 0
    left_out: int = 0


class Numbers(NamedTuple):
    drawn: Sequence[TrackedNumber]
    left_out: int


def open_numbers(database_url: str, hours: int = HOURS_MAX, limit: int = PARCELS_MAX) -> Numbers:
    """Return the tracking numbers of parcels on their way that were booked in the last hours."""
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(OPEN, [hours, limit]).fetchall()
    return Numbers([TrackedNumber(*row[:2]) for row in rows], rows[0][2] - len(rows) if rows else 0)


def subscribe(subscriber: Subscriber, database_url: str, hours: int) -> Mapping[TrackedNumber, Following]:
    """Subscribe to open numbers and return the answer for each. Raise GatewayUnavailable."""
    numbers = open_numbers(database_url, hours).drawn
    return dict(zip(numbers, subscriber.subscribe(numbers), strict=True))


def poll(engine: Engine, trackings: Sequence[Tracking]) -> Polled:
    """Ask each carrier about the numbers that none before it knows. Raise GatewayUnavailable; what was recorded before
    stays."""
    numbers, left_out = open_numbers(engine.database_url)
    polled = Polled(left_out=left_out)
    for start in range(0, len(numbers), AT_ONCE):
        asked = numbers[start : start + AT_ONCE]
        polled = polled._replace(asked=polled.asked + len(asked))
        for tracking in trackings:
            answers = dict(zip(asked, tracking.track(asked), strict=True))
            changed, rejected = _taken_in(engine, tracking.dialect, [said for said in answers.values() if said])
            polled = polled._replace(
                changed=polled.changed + changed,
                unanswered=polled.unanswered + list(answers.values()).count(None),
                rejected=polled.rejected + rejected,
            )
            asked = [number for number, said in answers.items() if said == b""]
            if not asked:
                break
        polled = polled._replace(unknown=polled.unknown + len(asked))
    return polled


def _taken_in(engine: Engine, dialect: str, answers: Sequence[bytes]) -> tuple[int, int]:
    """Record the answers; return how many of them changed anything, and how many cannot be used."""
    changed = 0

    def count(outcomes: Sequence[Outcome]) -> None:
        nonlocal changed
        changed += sum(bool(outcome.events) for outcome in outcomes)

    intake = Intake(
        f"poll:{dialect}", dialect, PARSERS[dialect], engine.store, engine.log, tracked=False, screen=engine.screen
    )
    intake.on_outcomes = count
    arrivals = [Arrival(number, said) for number, said in enumerate(answers, start=1)]
    rejected = intake.take(arrivals).dead_letters if arrivals else 0
    return changed, rejected
