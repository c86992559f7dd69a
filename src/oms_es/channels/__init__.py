"""Dialects in which orders, and changes of orders, arrive: bytes in, a command out, or BadInput that says why not."""

from __future__ import annotations

from collections.abc import Callable

from oms_es.channels import canonical, shopify
from oms_es.kernel import Command

DIALECTS: dict[str, Callable[[bytes], Command]] = {
    "canonical": canonical.parse,
    "shopify": shopify.parse,
    "shopify_updated": shopify.parse_updated,
    "shopify_cancelled": shopify.parse_cancelled,
    "shopify_fulfillment": shopify.parse_fulfillment,
    "shopify_refund": shopify.parse_refund,
}
