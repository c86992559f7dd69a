"""Why an order ships from its locations, read from its own stream: a decision keeps the data that it was based on.

Only the log is read, so that the answer never changes, whatever happens to rules and stock later.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import psycopg

from oms_es.kernel import Recorded
from oms_es.schemas import order as o
from oms_es.schemas.values.sentences import with_reason
from oms_es.store.encoding.codec import Codec
from oms_es.store.recorder import EVENTS, event_row

STEPS_MAX = 1_000
EXPLAINED: tuple[type[o.OrderEvent], ...] = (
    o.OrderBundlesExploded,
    o.OrderSourcingRequested,
    o.OrderAssigned,
    o.OrderLocationFailed,
    o.OrderSourced,
    o.OrderBackordered,
)
"""The events that explain where an order's units come from."""


class Step(NamedTuple):
    """One step of the explanation: an event, and its description in words."""

    position: int
    recorded_at: datetime
    actor: str
    what: str
    event: o.OrderEvent

    def as_json(self) -> dict[str, Any]:
        name = type(self.event).__name__
        return {**self._asdict(), "name": name, "event": self.event.model_dump(mode="json", exclude={"ship_to"})}


def sourcing_of(connection: psycopg.Connection[dict[str, Any]], codec: Codec, order_id: str) -> list[Step]:
    """Return every sourcing attempt, the oldest first; empty for an order that was not sourced yet."""
    query = f"SELECT * FROM {EVENTS} WHERE originator_id = %s AND topic = ANY(%s) ORDER BY originator_version LIMIT %s"
    names = [event.__name__ for event in EXPLAINED]
    rows = connection.execute(query, [f"order-{order_id}", names, STEPS_MAX]).fetchall()
    return [_step(codec.decode(event_row(row), row["notification_id"])) for row in rows]


def _step(recorded: Recorded) -> Step:
    event = recorded.event
    assert isinstance(event, o.OrderEvent)
    return Step(recorded.position, recorded.recorded_at, recorded.actor, "; ".join(_words(event)), event)


def _words(event: o.OrderEvent) -> Iterator[str]:
    match event:
        case o.OrderBundlesExploded(bundles=bundles):
            yield from (f"{bundle} is {_units(made_of.items())}" for bundle, made_of in bundles.items())
        case o.OrderSourcingRequested(short=short, attempt=attempt, demand=demand):
            if short:
                yield f"{short.location} came up short of {short.quantity} x {short.sku}"
            yield f"attempt {attempt} looks for {_units(demand.items())}"
            for sku, locations in event.excluded.items():
                yield f"not {sku} from {', '.join(locations)}"
        case o.OrderAssigned(reason=reason):
            yield with_reason("assigned by hand", reason)
            yield from _released(event.released)
        case o.OrderLocationFailed(location=location, reason=reason):
            yield with_reason(f"{location} failed", reason)
            yield from _released(event.released)
        case o.OrderSourced(attempt=attempt, rule_version=version, assignments=assignments):
            yield f"attempt {attempt}, by rules version {version}"
            yield from (f"{a.quantity} x {a.sku} from {a.location}" for a in assignments)
            yield from (f"not {location}: {why}" for location, why in event.ruled_out.items())
        case o.OrderBackordered(demand=demand, promised_at=promised_at):
            expected = f", expected {promised_at:%Y-%m-%d}" if promised_at else ""
            yield f"waits for {_units(demand.items())}{expected}"


def _units(units: Any) -> str:
    return ", ".join(f"{quantity} x {sku}" for sku, quantity in units)


def _released(cuts: Sequence[o.Cut]) -> Iterator[str]:
    if cuts:
        yield "released " + ", ".join(f"{cut.quantity} x {cut.sku} at {cut.location}" for cut in cuts)
