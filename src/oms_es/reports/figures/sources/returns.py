"""The sources of returns by line, and of customers' feedback."""

from __future__ import annotations

from oms_es.projections.facts import feedback as feedback_facts
from oms_es.projections.facts import return_lines
from oms_es.reports.figures.sources.base import (
    KINDS,
    OF_ORDER,
    ONE,
    ORDERS,
    Number,
    Source,
    category,
    m,
    of_items,
    yes,
)

LOW = 2
"""Up to so many stars a rating counts as low."""
back, word = return_lines.projection.table.c, feedback_facts.projection.table.c
returns = Source(
    "Lines of returns: asked back, come, inspected, credited.",
    "returns",
    return_lines.projection.table.outerjoin(ORDERS, m.order_id == back.order_id),
    {
        **OF_ORDER,
        "channel": back.channel,
        "sku": back.sku,
        "category": category,
        "reason": back.reason,
        "resolution": back.resolution,
    },
    {
        "requested_units": Number(back.requested, "units", "units that customers asked to send back"),
        "received_units": Number(back.received, "units", "units that came"),
        "inspected_units": Number(back.inspected, "units", "units that were looked at"),
        "credited_units": Number(back.credited, "units", "units refunded or exchanged"),
    },
    {"requested_at": back.requested_at, "received_at": back.received_at, "placed_at": m.placed_at},
    {**KINDS, "resolution": ("refund", "exchange", "refund_only")},
    joins=of_items(back.sku),
)
feedback = Source(
    "Ratings that customers gave, from one star to five, of orders, SKUs and carriers.",
    "returns",
    feedback_facts.projection.table.outerjoin(ORDERS, m.order_id == word.order_id),
    {**OF_ORDER, "subject": word.subject, "about": word.about},
    {
        "ratings": Number(ONE, "ratings", "ratings"),
        "stars": Number(word.rating, "stars", "from 1 to 5; ask for the mean"),
        "low_ratings": Number(yes(word.rating <= LOW), "ratings", "ratings of one or two stars"),
    },
    {"recorded_at": word.recorded_at, "placed_at": m.placed_at},
    {**KINDS, "subject": ("order", "sku", "carrier")},
)
