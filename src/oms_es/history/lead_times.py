"""Lead times of a location's newest inbounds, read from the log.

A lead time lasts from the replenishment request that an inbound answers, or from when it was expected, to the arrival
of its first units. Moves between our own locations have none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from oms_es.reports.queries import Connection
from oms_es.schemas import stock as s
from oms_es.store.encoding.codec import Codec
from oms_es.store.recorder import EVENTS, event_row

EVENTS_MAX = 100_000
"""How many events are read, the newest."""
NAMES = [event.__name__ for event in (s.ReplenishmentRequested, s.StockInboundExpected, s.StockReceived)]
QUERY = (
    f"SELECT * FROM (SELECT * FROM {EVENTS} WHERE topic = ANY(%s) AND originator_id LIKE %s "
    f"ORDER BY notification_id DESC LIMIT {EVENTS_MAX}) AS newest ORDER BY notification_id"
)


def days_at(connection: Connection, codec: Codec, location: str, until: datetime) -> Mapping[str, Sequence[float]]:
    """Return the lead times in days by SKU."""
    asked: dict[tuple[str, str], datetime] = {}
    expected: dict[tuple[str, str], datetime] = {}
    found: dict[str, list[float]] = defaultdict(list)
    for row in connection.execute(QUERY.encode(), [NAMES, f"stock-%@{_literally(location)}"]):
        recorded = codec.decode(event_row(row), row["notification_id"])
        if recorded.recorded_at > until:
            continue
        match recorded.event:
            case s.ReplenishmentRequested(sku=sku, request_id=name):
                asked.setdefault((sku, name), recorded.recorded_at)
            case s.StockInboundExpected(sku=sku, inbound_id=name, from_location=None, request_id=request):
                since = asked.get((sku, request)) if request is not None else None
                expected.setdefault((sku, name), since or recorded.recorded_at)
            case s.StockReceived(sku=sku, inbound_id=str(name)) if (sku, name) in expected:
                found[sku].append((recorded.recorded_at - expected.pop((sku, name))) / timedelta(days=1))
    return found


def _literally(name: str) -> str:
    """Return the name with the wildcards of LIKE escaped."""
    return name.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
