"""The topics: which topic has which stream's events, and what else is published and consumed."""

from __future__ import annotations

from collections.abc import Mapping

CATEGORIES = (
    "order",
    "stock",
    "payment",
    "shipment",
    "location",
    "item",
    "rules",
    "serials",
    "rates",
    "delivery",
    "routes",
    "tracker",
    "rma",
    "policy",
    "feedback",
    "numbering",
    "aside",
    "exception",
    "provider",
    "connection",
    "subscription",
    "statement",
    "reconciliation",
    "account",
    "seller",
    "invoice",
    "document",
    "encryption",
    "report",
)
EVENT_TOPICS: Mapping[str, str] = {category: f"oms.{category}.events.v1" for category in CATEGORIES}
"""Topics by the category of the stream, with which its name begins."""
ORDER_STATUS = "oms.order.status.v1"
STOCK_LEVELS = "oms.stock.levels.v1"
CHANNEL_ORDERS = "oms.channel.orders.v1"
LOG_CHECKPOINTS = "oms.log.checkpoints.v1"


def channel_topic(channel: str) -> str:
    """Return the topic that this channel alone writes to."""
    return f"{CHANNEL_ORDERS}.{channel}"


def dead_letter_topic(topic: str, group: str) -> str:
    return f"{topic}.{group}.dlq"
