"""QUERIES: what reports should say, in DuckDB's SQL over the events of an export, in UTC.

Written beside the reports, not from them: what a report counts from facts by windows is here counted from the bodies of
events by joins. `$now` is the moment of the question. Reports that follow an order's content are counted in Python
alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

BEGIN = """
SET TimeZone = 'UTC';
CREATE MACRO hours(since, til) AS epoch_us(til - since) / 3600e6;
CREATE MACRO percent(part, whole) AS CASE WHEN whole > 0 THEN 100.0 * part / whole END;
CREATE VIEW e AS SELECT position, event, recorded_at, body::JSON AS body
FROM read_parquet('{directory}/events/**/*.parquet', hive_partitioning = true);
CREATE TABLE moved AS SELECT position, recorded_at, recorded_at::DATE AS day, event, body->>'sku' AS sku,
  body->>'location' AS location,
  CASE WHEN event = 'StockCounted' THEN (body->>'quantity')::BIGINT - (body->>'expected')::BIGINT
       WHEN event IN ('StockMovedOut', 'StockWrittenOff', 'StockShipped') THEN -(body->>'quantity')::BIGINT
       ELSE (body->>'quantity')::BIGINT END AS change
FROM e WHERE event IN ('StockReceived', 'StockReturned', 'StockMovedIn', 'StockMovedOut', 'StockCounted',
  'StockAdjusted', 'StockWrittenOff', 'StockShipped');
CREATE TABLE place AS SELECT sku, location, min(day) AS began, max(day) AS ended FROM moved GROUP BY ALL;
CREATE TABLE days AS SELECT p.sku, p.location, d.day::DATE AS day,
  coalesce(sum(m.change) FILTER (m.day <= d.day), 0) AS on_hand,
  coalesce(sum(-m.change) FILTER (m.day = d.day AND m.event = 'StockShipped'), 0) AS shipped
FROM place p, unnest(generate_series(p.began::TIMESTAMP, greatest(p.ended, $now::DATE)::TIMESTAMP, INTERVAL 1 DAY))
  AS d(day)
JOIN moved m ON m.sku = p.sku AND m.location = p.location GROUP BY ALL;
CREATE TABLE parcel AS SELECT body->>'shipment_id' AS id,
  coalesce(arg_max(CASE event WHEN 'ShipmentBooked' THEN body->>'carrier' ELSE '' END, position)
    FILTER (event IN ('ShipmentBooked', 'ShipmentBookingCancelled')), '') AS carrier,
  arg_max((body->>'dispatched_at')::TIMESTAMPTZ, position) FILTER (event = 'ShipmentDispatched') AS departed,
  arg_max((body->>'delivered_at')::TIMESTAMPTZ, position) FILTER (event = 'ShipmentDelivered') AS came
FROM e WHERE event LIKE 'Shipment%' GROUP BY 1 HAVING bool_or(event = 'ShipmentRequested');
CREATE TABLE placed AS SELECT body->>'order_id' AS id, body->>'channel' AS channel,
  (body->>'placed_at')::TIMESTAMPTZ::DATE AS day, recorded_at AS accepted FROM e WHERE event = 'OrderPlaced';
CREATE TABLE payment AS SELECT body->>'payment_id' AS id,
  (min(recorded_at) FILTER (event = 'PaymentRequested'))::DATE AS day,
  any_value(body->>'method') FILTER (event = 'PaymentRequested') AS method,
  bool_or(event = 'PaymentAuthorized') AS held,
  arg_max(event, position) FILTER (event IN ('PaymentAuthorized', 'PaymentDeclined', 'PaymentFailed',
    'PaymentExpired', 'PaymentVoided')) AS last
FROM e WHERE event LIKE 'Payment%' GROUP BY 1 HAVING day IS NOT NULL;
"""
QUERIES: Mapping[str, str] = {
    "stock-movements": """
SELECT location, CASE event WHEN 'StockReceived' THEN 'received' WHEN 'StockReturned' THEN 'returned'
  WHEN 'StockMovedIn' THEN 'moved_in' WHEN 'StockMovedOut' THEN 'moved_out' WHEN 'StockCounted' THEN 'counted'
  WHEN 'StockAdjusted' THEN 'adjusted' WHEN 'StockWrittenOff' THEN 'written_off' ELSE 'shipped' END AS kind,
  sum(greatest(change, 0)), sum(greatest(-change, 0)), sum(change) FROM moved GROUP BY ALL""",
    "stock-turn": """
SELECT location, sum(shipped), sum(on_hand), CASE WHEN sum(on_hand) > 0 THEN 365.0 * sum(shipped) / sum(on_hand) END
FROM days GROUP BY ALL""",
    "days-of-cover": """
SELECT sku, sum(shipped), sum(on_hand), CASE WHEN sum(shipped) > 0 THEN sum(on_hand)::DOUBLE / sum(shipped) END
FROM days GROUP BY ALL""",
    "stock-outs": """
SELECT sku, location, count(*) AS n, count(*) FILTER (on_hand <= 0 AND shipped = 0) AS out, percent(out, n),
  out * round(coalesce(sum(shipped) / nullif(n - out, 0)::DOUBLE, 0), 2) FROM days GROUP BY ALL""",
    "stock-age": """
SELECT location, CASE WHEN hours(recorded_at, $now) < 720 THEN '1: under 30 days'
  WHEN hours(recorded_at, $now) < 2160 THEN '2: under 90 days'
  WHEN hours(recorded_at, $now) < 4320 THEN '3: under 180 days' ELSE '4: 180 days and more' END AS age,
  sum(here) FILTER (here > 0), max(hours(recorded_at, $now)) FILTER (here > 0) FROM (
    SELECT m.location, m.recorded_at,
      greatest(sum(n.change) FILTER (n.change > 0 AND n.position <= m.position) - greatest(
        coalesce(sum(n.change) FILTER (n.change > 0 AND n.position < m.position), 0),
        coalesce(-sum(n.change) FILTER (n.change < 0), 0)), 0) AS here
    FROM moved m JOIN moved n USING (sku, location) WHERE m.change > 0 GROUP BY m.position, m.location, m.recorded_at)
WHERE here > 0 GROUP BY ALL""",
    "dead-stock": """
SELECT sku, location, sum(change) AS here,
  hours(coalesce(max(recorded_at) FILTER (event = 'StockShipped'), min(recorded_at)), $now) AS idle
FROM moved GROUP BY ALL HAVING here > 0 AND idle >= 4320""",
    "ship-to-door": """
SELECT carrier, count(came), quantile_cont(hours(departed, came), 0.5), quantile_cont(hours(departed, came), 0.9),
  quantile_cont(hours(departed, came), 0.99) FROM parcel GROUP BY ALL""",
    "split-rate": """
SELECT moment::DATE, count(*), count(*) FILTER (parcels > 1), percent(count(*) FILTER (parcels > 1), count(*)),
  sum(parcels)
FROM (SELECT body->>'order_id' AS id, min(recorded_at) AS moment,
        arg_min(json_array_length(body->'shipments'), position) AS parcels
      FROM e WHERE event = 'OrderReleased' GROUP BY 1) GROUP BY 1""",
    "order-to-ship": """
WITH gone AS (SELECT body->>'order_id' AS id, min(recorded_at) FILTER (event = 'OrderShipmentDispatched') AS first,
    bool_or(event = 'OrderShipped') AS whole
  FROM e WHERE event IN ('OrderShipmentDispatched', 'OrderShipped') GROUP BY 1)
SELECT day, count(*) FILTER (whole), quantile_cont(hours(accepted, first), 0.5),
  quantile_cont(hours(accepted, first), 0.9), quantile_cont(hours(accepted, first), 0.99),
  percent(count(*) FILTER (hours(accepted, first) <= 24), count(first))
FROM placed LEFT JOIN gone USING (id) GROUP BY 1""",
    "fill-rate": """
WITH stock AS (SELECT body->>'order_id' AS id, min(recorded_at) FILTER (event = 'OrderBackordered') AS waited,
    min(recorded_at) FILTER (event = 'OrderAllocated') AS had FROM e
    WHERE event IN ('OrderBackordered', 'OrderAllocated') GROUP BY 1)
SELECT date_trunc('week', p.day)::DATE, p.channel, count(s.id), count(*) FILTER (had IS NOT NULL AND waited IS NULL),
  percent(count(*) FILTER (had IS NOT NULL AND waited IS NULL), count(s.id)),
  quantile_cont(CASE WHEN had >= waited THEN hours(waited, had) END, 0.5),
  quantile_cont(CASE WHEN had >= waited THEN hours(waited, had) END, 0.9)
FROM placed p JOIN e ON e.event = 'OrderPlaced' AND e.body->>'order_id' = p.id AND e.body->>'kind' <> 'presale'
LEFT JOIN stock s ON s.id = p.id GROUP BY ALL""",
    "payment-success": """
SELECT day, method, count(*), count(*) FILTER (held OR last IN ('PaymentDeclined', 'PaymentFailed')) AS answered,
  count(*) FILTER (held), count(*) FILTER (last = 'PaymentDeclined'), count(*) FILTER (last = 'PaymentFailed'),
  percent(count(*) FILTER (held), answered) FROM payment GROUP BY ALL""",
    "feedback": """
SELECT body->>'subject', body->>'about', count(*), avg((body->>'rating')::INT),
  count(*) FILTER ((body->>'rating')::INT <= 2) FROM e WHERE event = 'FeedbackRecorded' GROUP BY ALL""",
}


def expected(directory: Path, now: datetime) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of each report, in no order."""
    at = f"TIMESTAMPTZ '{now.astimezone(UTC).isoformat()}'"
    with duckdb.connect() as connection:
        connection.execute(BEGIN.replace("{directory}", str(directory)).replace("$now", at))
        return {name: connection.execute(query.replace("$now", at)).fetchall() for name, query in QUERIES.items()}
