"""The dialects of webhooks by sender: the topic in a header selects one, or there is only one.

The header with the topic is not signed: it only selects how the signed body is parsed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from oms_es.channels.signatures import Headers


class Sender(NamedTuple):
    """A sender of webhooks: the `headers` that contain the topic, and the `dialects` by topic ("" without a header).

    `makes_secrets`: the sender makes the secret, and it is entered here. `names_channel`: orders belong to the
    connection's channel.
    """

    headers: tuple[str, ...]
    dialects: Mapping[str, str]
    makes_secrets: bool
    names_channel: bool

    def dialect_of(self, headers: Headers, channel: str | None) -> str | None:
        """Return the dialect of a webhook; None if its topic is not read here."""
        topics = [value.strip().lower() for name, value in headers if name.lower() in self.headers]
        dialect = self.dialects.get(topics[0] if len(topics) == 1 else "")
        return f"{dialect}:{channel}" if dialect and channel and self.names_channel else dialect


SHOPIFY = {
    "orders/create": "shopify",
    "orders/updated": "shopify_updated",
    "orders/paid": "shopify_updated",
    "orders/fulfilled": "shopify_updated",
    "orders/partially_fulfilled": "shopify_updated",
    "orders/cancelled": "shopify_cancelled",
    "fulfillments/create": "shopify_fulfillment",
    "refunds/create": "shopify_refund",
}
WOOCOMMERCE = {
    "order.created": "woocommerce",
    "order.updated": "woocommerce_updated",
    "order.restored": "woocommerce_updated",
    "order.deleted": "woocommerce_deleted",
}
SENDERS: Mapping[str, Sender] = {
    "shopify": Sender(("x-shopify-topic", "shopify-topic"), SHOPIFY, makes_secrets=True, names_channel=False),
    "woocommerce": Sender(("x-wc-webhook-topic",), WOOCOMMERCE, makes_secrets=False, names_channel=True),
    "stripe": Sender((), {"": "stripe"}, makes_secrets=True, names_channel=False),
    "easypost": Sender((), {"": "easypost_tracker"}, makes_secrets=False, names_channel=False),
    "wechatpay": Sender((), {"": "wechatpay"}, makes_secrets=True, names_channel=False),
    "alipay": Sender((), {"": "alipay"}, makes_secrets=True, names_channel=False),
    "kuaidi100": Sender((), {"": "kuaidi100"}, makes_secrets=False, names_channel=False),
    "sfexpress": Sender((), {"": "sfexpress"}, makes_secrets=False, names_channel=False),
    "canonical": Sender((), {"": "canonical"}, makes_secrets=False, names_channel=True),
}
