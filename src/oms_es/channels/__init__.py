"""Dialects in which orders, and changes of orders, arrive: bytes in, a command out, or BadInput that says why not."""

from __future__ import annotations

from collections.abc import Callable

from oms_es.channels import canonical, shopify
from oms_es.kernel import Command

DIALECTS: dict[str, Callable[[bytes], Command]] = {
    canonical.DIALECT: canonical.parse,
    "shopify": shopify.parse,
    "shopify_updated": shopify.parse_updated,
    "shopify_cancelled": shopify.parse_cancelled,
    "shopify_fulfillment": shopify.parse_fulfillment,
    "shopify_refund": shopify.parse_refund,
}


def dialect_of(channel: str) -> str:
    """The name of the canonical dialect where only this channel speaks: whoever reads it by its name checks that."""
    return f"{canonical.DIALECT}:{channel}"


def parser_of(dialect: str) -> Callable[[bytes], Command] | None:
    """Of any dialect of orders."""
    name, apart, channel = dialect.partition(":")
    return canonical.of_channel(channel) if apart and name == canonical.DIALECT else DIALECTS.get(dialect)
