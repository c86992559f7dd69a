"""QUERIES: what reports should say, in DuckDB's SQL over the events of an export, in UTC.

Written beside the reports, not from them: what a report counts from facts by windows is here counted from the bodies of
events by joins. `$now` is the moment of the question. Which exceptions are open no single event says: that report
alone is left to the oracle in Python.
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
CREATE TABLE content AS SELECT position, event, body->>'order_id' AS id, body->'lines' AS lines,
  coalesce((body->>'more_minor')::BIGINT, 0) AS more_minor, coalesce((body->>'more_units')::BIGINT, 0) AS more_units,
  (body->>'total_minor')::BIGINT AS total_minor, (body->>'units')::BIGINT AS units,
  coalesce((body->>'shipping_minor')::BIGINT, 0) + coalesce((body->>'tax_minor')::BIGINT, 0)
    - coalesce((body->>'discount_minor')::BIGINT, 0) AS extra
FROM e WHERE event IN ('OrderPlaced', 'OrderAmended', 'OrderSplit', 'OrderLinesCancelled', 'OrderFulfilledElsewhere');
CREATE TABLE line AS SELECT position, id, l->>'line_id' AS line, l->>'sku' AS sku,
  (l->>'quantity')::BIGINT AS quantity, (l->>'unit_price_minor')::BIGINT AS price
FROM (SELECT position, id, unnest(lines::JSON[]) AS l FROM content WHERE json_type(lines) = 'ARRAY');
CREATE TABLE first AS SELECT c.id, sum(quantity) AS units, sum(quantity * price) + any_value(c.extra) AS gross
FROM content c JOIN line USING (position) WHERE c.event = 'OrderPlaced' GROUP BY 1;
CREATE TABLE refund AS SELECT body->>'payment_id' AS payment, body->>'refund_id' AS id,
  any_value(body->>'order_id') AS order_id, any_value(body->>'currency') AS currency,
  CASE WHEN NOT bool_or(event = 'PaymentRefundRequested') THEN 'at the provider'
    WHEN any_value(list_sum(list_transform((body->'allocations')::JSON[], lambda a: (a->>'amount_minor')::BIGINT)))
      FILTER (event = 'PaymentRefundRequested') > 0 THEN 'asked for' ELSE 'payment undone' END AS cause,
  CASE arg_max(event, position) WHEN 'PaymentRefundRequested' THEN 'requested' WHEN 'PaymentRefunded' THEN 'refunded'
    WHEN 'PaymentRefundFailed' THEN 'failed' WHEN 'PaymentRefundRefused' THEN 'refused' ELSE 'reversed' END AS status,
  coalesce(max(recorded_at) FILTER (event = 'PaymentRefundRequested'),
    max(recorded_at) FILTER (event = 'PaymentRefunded')) AS moment,
  max(recorded_at) FILTER (event = 'PaymentRefunded') AS answered,
  coalesce(sum((body->>'amount_minor')::BIGINT) FILTER (event = 'PaymentRefundRequested'), 0) AS requested,
  coalesce(sum((body->>'amount_minor')::BIGINT) FILTER (event = 'PaymentRefunded'), 0)
    - coalesce(sum((body->>'amount_minor')::BIGINT) FILTER (event = 'PaymentRefundReversed'), 0) AS refunded
FROM e WHERE event IN ('PaymentRefundRequested', 'PaymentRefundRefused', 'PaymentRefundFailed', 'PaymentRefunded',
  'PaymentRefundReversed') GROUP BY 1, 2;
CREATE TABLE share AS SELECT payment, id, sum(minor) FILTER (kind = 'line') AS goods,
  sum(minor) FILTER (kind = 'shipping') AS shipping, sum(minor) FILTER (kind = 'goodwill') AS goodwill
FROM (SELECT payment, id, a->>'kind' AS kind, (a->>'amount_minor')::BIGINT AS minor
  FROM (SELECT body->>'payment_id' AS payment, body->>'refund_id' AS id, unnest((body->'allocations')::JSON[]) AS a
    FROM e WHERE event = 'PaymentRefundRequested')) GROUP BY ALL;
CREATE TABLE ended AS SELECT body->>'order_id' AS id, event, position FROM e
WHERE event IN ('OrderCancelled', 'OrderMergedInto');
CREATE TABLE ord AS SELECT p.id, p.channel, p.day, date_trunc('week', p.day)::DATE AS week,
  coalesce(x.event = 'OrderMergedInto', false) AS merged, coalesce(x.event = 'OrderCancelled', false) AS cancelled,
  o.body->>'currency' AS currency, coalesce((o.body->>'credit_minor')::BIGINT, 0) AS granted,
  f.units + c.placed_units - CASE WHEN merged THEN c.now_units ELSE 0 END AS units,
  f.gross + c.placed_minor - CASE WHEN merged THEN c.now_minor ELSE 0 END AS gross,
  c.gone_units + CASE WHEN cancelled THEN c.now_units ELSE 0 END AS off_units,
  c.gone_minor + CASE WHEN cancelled THEN c.now_minor ELSE 0 END AS off,
  coalesce(r.refunded, 0) AS refunded,
  greatest(least(granted, greatest(gross - off, 0)), 0) AS credit
FROM placed p JOIN e o ON o.event = 'OrderPlaced' AND o.body->>'order_id' = p.id JOIN first f ON f.id = p.id
JOIN (SELECT c.id, coalesce(sum(more_units) FILTER (event IN ('OrderAmended', 'OrderSplit')), 0) AS placed_units,
    coalesce(sum(more_minor) FILTER (event IN ('OrderAmended', 'OrderSplit')), 0) AS placed_minor,
    coalesce(-sum(more_units) FILTER (event = 'OrderLinesCancelled'), 0) AS gone_units,
    coalesce(-sum(more_minor) FILTER (event = 'OrderLinesCancelled'), 0) AS gone_minor,
    coalesce(arg_max(c.total_minor, position), any_value(f.gross)) AS now_minor,
    coalesce(arg_max(c.units, position), any_value(f.units)) AS now_units
  FROM content c JOIN first f USING (id) GROUP BY 1) c ON c.id = p.id
LEFT JOIN ended x ON x.id = p.id
LEFT JOIN (SELECT order_id, sum(refunded) AS refunded FROM refund WHERE cause <> 'payment undone' GROUP BY 1) r
  ON r.order_id = p.id;
CREATE TABLE less AS SELECT b.id, b.line, sum(b.quantity) FILTER (b.event = 'OrderLinesCancelled') AS gone,
  sum(b.quantity) FILTER (b.event = 'OrderFulfilledElsewhere') AS elsewhere,
  sum(b.quantity * (SELECT arg_max(price, l.position) FROM line l
    WHERE l.id = b.id AND l.line = b.line AND l.position < b.position)) FILTER (b.event = 'OrderFulfilledElsewhere')
    AS elsewhere_minor,
  sum(b.quantity) FILTER (b.event = 'RmaReceived') AS returned
FROM (SELECT position, event, body->>'order_id' AS id, u->>'line_id' AS line, (u->>'quantity')::BIGINT AS quantity
  FROM (SELECT position, event, body, unnest((CASE event WHEN 'OrderLinesCancelled' THEN body->'cancelled'
      WHEN 'RmaReceived' THEN body->'lines' ELSE body->'fulfilled' END)::JSON[]) AS u FROM e
    WHERE event = 'RmaReceived' OR event IN ('OrderLinesCancelled', 'OrderFulfilledElsewhere')
      AND json_type(body->'lines') = 'ARRAY')) b GROUP BY ALL;
CREATE TABLE sold AS SELECT o.id, o.week, o.currency, n.sku, o.cancelled,
  CASE WHEN o.merged OR n.position < last.position THEN 0 ELSE n.quantity END AS now, n.price,
  coalesce(s.gone, 0) AS gone, coalesce(s.elsewhere, 0) AS elsewhere,
  coalesce(s.elsewhere_minor, 0) AS elsewhere_minor, coalesce(s.returned, 0) AS returned,
  now + coalesce(s.gone, 0) + coalesce(s.elsewhere, 0) AS units,
  coalesce(s.elsewhere_minor, 0) + CASE WHEN o.cancelled THEN 0 ELSE now * n.price END AS worth
FROM ord o JOIN (SELECT id, line, max(position) AS position, arg_max(sku, position) AS sku,
    arg_max(price, position) AS price, arg_max(quantity, position) AS quantity FROM line GROUP BY ALL) n ON n.id = o.id
JOIN (SELECT id, max(position) AS position FROM content WHERE json_type(lines) = 'ARRAY' GROUP BY 1) last
  ON last.id = o.id
LEFT JOIN less s ON s.id = n.id AND s.line = n.line;
CREATE TABLE booking AS SELECT q.carrier, q.service, q.currency, q.minor, q.days, p.departed, p.came,
  p.departed + to_days(q.days) AS due, bill.minor AS billed
FROM (SELECT body->>'shipment_id' AS id, arg_max(body->>'carrier', position) AS carrier,
    arg_max(body->>'service', position) AS service, arg_max(body->>'currency', position) AS currency,
    arg_max((body->>'quoted_minor')::BIGINT, position) AS minor,
    arg_max(coalesce((body->>'transit_days')::INT, 0), position) AS days
  FROM e WHERE event = 'ShipmentBookingRequested' GROUP BY 1) q JOIN parcel p USING (id)
LEFT JOIN (SELECT body->>'shipment_id' AS id, body->>'currency' AS currency,
    sum((body->>'amount_minor')::BIGINT) AS minor
  FROM e WHERE event = 'ShipmentFreightBilled' GROUP BY 1, 2) bill ON bill.id = q.id AND bill.currency = q.currency
WHERE q.currency <> '' AND p.departed IS NOT NULL;
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
SELECT p.week, p.channel, count(s.id) FILTER (NOT merged) AS n,
  count(*) FILTER (NOT merged AND had IS NOT NULL AND waited IS NULL) AS filled, percent(filled, n),
  quantile_cont(CASE WHEN had >= waited THEN hours(waited, had) END, 0.5),
  quantile_cont(CASE WHEN had >= waited THEN hours(waited, had) END, 0.9)
FROM ord p JOIN e ON e.event = 'OrderPlaced' AND e.body->>'order_id' = p.id AND e.body->>'kind' <> 'presale'
LEFT JOIN stock s ON s.id = p.id GROUP BY ALL""",
    "payment-success": """
SELECT day, method, count(*), count(*) FILTER (held OR last IN ('PaymentDeclined', 'PaymentFailed')) AS answered,
  count(*) FILTER (held), count(*) FILTER (last = 'PaymentDeclined'), count(*) FILTER (last = 'PaymentFailed'),
  percent(count(*) FILTER (held), answered) FROM payment GROUP BY ALL""",
    "feedback": """
SELECT body->>'subject', body->>'about', count(*), avg((body->>'rating')::INT),
  count(*) FILTER ((body->>'rating')::INT <= 2) FROM e WHERE event = 'FeedbackRecorded' GROUP BY ALL""",
    "order-volume": "SELECT day, channel, count(*) FILTER (NOT merged), sum(units) FROM ord GROUP BY ALL",
    "sales": """
SELECT day, channel, currency, count(*) FILTER (NOT merged), sum(gross), sum(off), sum(credit), sum(refunded),
  sum(gross - off - credit - refunded) FROM ord GROUP BY ALL""",
    "average-order-value": """
SELECT day, currency, sum(gross) AS whole, count(*) FILTER (NOT merged) AS n,
  CASE WHEN n > 0 THEN (2 * whole + n) // (2 * n) END FROM ord GROUP BY ALL""",
    "cancellation-rate": """
SELECT week, channel, count(*) FILTER (NOT merged) AS n, count(*) FILTER (cancelled) AS ended, percent(ended, n),
  sum(units), sum(off_units), percent(sum(off_units), sum(units)) FROM ord GROUP BY ALL""",
    "units-by-sku": """
SELECT sku, currency, sum(units), sum(gone + CASE WHEN cancelled THEN now ELSE 0 END) AS off, sum(units) - off,
  sum(worth) FROM sold GROUP BY ALL""",
    "return-rate": """
SELECT week, sum(elsewhere + CASE WHEN cancelled THEN 0 ELSE now END) AS n, sum(returned), percent(sum(returned), n)
FROM sold GROUP BY ALL""",
    "refunds": """
SELECT moment::DATE, cause, status, currency, count(DISTINCT (payment, id)), sum(requested), sum(refunded),
  coalesce(sum(goods), 0), coalesce(sum(shipping), 0), coalesce(sum(goodwill), 0)
FROM refund LEFT JOIN share USING (payment, id) WHERE moment IS NOT NULL GROUP BY ALL""",
    "refund-times": """
SELECT date_trunc('week', moment)::DATE, count(*), quantile_cont(hours(moment, answered), 0.5),
  quantile_cont(hours(moment, answered), 0.9), quantile_cont(hours(moment, answered), 0.99),
  percent(count(*) FILTER (hours(moment, answered) <= 24), count(answered))
FROM refund WHERE cause = 'asked for' GROUP BY 1""",
    "on-time": """
SELECT carrier, service, count(*), count(*) FILTER (days > 0 AND (came IS NOT NULL OR due < $now)) AS owed,
  count(*) FILTER (days > 0 AND came <= due) AS kept, percent(kept, owed),
  quantile_cont(hours(due, came), 0.5) FILTER (days > 0 AND came > due),
  quantile_cont(hours(due, came), 0.9) FILTER (days > 0 AND came > due) FROM booking GROUP BY ALL""",
    "freight": """
SELECT carrier, service, currency, count(*) AS n, sum(minor) AS whole, (2 * whole + n) // (2 * n),
  count(billed), coalesce(sum(billed), 0), coalesce(sum(billed - minor), 0)
FROM booking GROUP BY ALL""",
    "backorder-age": """
WITH change AS (SELECT position, recorded_at, id, w.key AS sku, w.units, w.promised, w.ends FROM (
      SELECT position, recorded_at, body->>'order_id' AS id, unnest(CASE event
        WHEN 'OrderBackordered' THEN [{'key': k, 'units': (body->'demand'->>k)::BIGINT,
          'promised': (body->>'promised_at')::TIMESTAMPTZ, 'ends': false} FOR k IN json_keys(body->'demand')]
        WHEN 'OrderSourcingRequested' THEN [{'key': k, 'units': 0::BIGINT, 'promised': NULL::TIMESTAMPTZ, 'ends': true}
          FOR k IN json_keys(body->'demand')]
        ELSE [{'key': k, 'units': -(body->'no_longer_backordered'->>k)::BIGINT, 'promised': NULL::TIMESTAMPTZ,
          'ends': false} FOR k IN json_keys(body->'no_longer_backordered')] END) AS w
      FROM e WHERE event IN ('OrderBackordered', 'OrderAmended', 'OrderFulfilledElsewhere', 'OrderLinesCancelled',
          'OrderSplit') OR event = 'OrderSourcingRequested' AND body->>'short' IS NULL)),
  wanted AS (SELECT c.id, c.sku, sum(units) AS units,
      arg_max(c.promised, position) FILTER (units > 0) AS promised FROM change c
    LEFT JOIN (SELECT id, sku, max(position) AS ended FROM change WHERE ends GROUP BY ALL) x USING (id, sku)
    WHERE position > coalesce(ended, 0) AND c.id NOT IN (SELECT id FROM ended) GROUP BY ALL),
  waits AS (SELECT body->>'order_id' AS id, min(recorded_at) AS since FROM e WHERE event = 'OrderBackordered'
    GROUP BY 1)
SELECT sku, CASE WHEN hours(since, $now) < 1 THEN '1: under an hour' WHEN hours(since, $now) < 24 THEN '2: under a day'
    WHEN hours(since, $now) < 168 THEN '3: under a week' ELSE '4: a week and more' END AS age, sum(units),
  coalesce(sum(units) FILTER (promised < $now), 0), max(hours(since, $now))
FROM wanted JOIN waits USING (id) WHERE units > 0 GROUP BY ALL""",
    "abc-xyz": """
WITH weekly AS (SELECT sku, currency, week, sum(units) AS units, sum(worth) AS worth FROM sold GROUP BY ALL),
  span AS (SELECT date_diff('day', min(week), max(week)) // 7 + 1 AS weeks FROM weekly),
  each AS (SELECT sku, currency, sum(units) AS total, sum(units * units) AS squares, sum(worth) AS brought
    FROM weekly GROUP BY ALL),
  ranked AS (SELECT *, sum(greatest(brought, 0)) OVER (PARTITION BY currency) AS whole,
    coalesce(sum(greatest(brought, 0)) OVER (PARTITION BY currency ORDER BY brought DESC, sku
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before FROM each)
SELECT CASE WHEN brought <= 0 THEN 'C' WHEN 5 * before < 4 * whole THEN 'A' WHEN 20 * before < 19 * whole THEN 'B'
    ELSE 'C' END AS abc, CASE WHEN 4 * (squares * weeks - total * total) <= total * total THEN 'X'
    WHEN squares * weeks - total * total <= total * total THEN 'Y' ELSE 'Z' END AS xyz, currency, count(*),
  sum(total), sum(brought) FROM ranked, span GROUP BY ALL""",
}


def expected(directory: Path, now: datetime) -> dict[str, list[tuple[Any, ...]]]:
    """Return the expected rows of each report, unordered."""
    at = f"TIMESTAMPTZ '{now.astimezone(UTC).isoformat()}'"
    with duckdb.connect() as connection:
        connection.execute(BEGIN.replace("{directory}", str(directory)).replace("$now", at))
        return {name: connection.execute(query.replace("$now", at)).fetchall() for name, query in QUERIES.items()}
