"""Dialects in which orders, and changes of orders, arrive: each parses bytes to a command, or raises BadInput.

DIALECTS registers each dialect once: `orders import`, channel topics and the replay of dead letters look it up there.
Imports: schemas, kernel and below.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from oms_es.channels import canonical, shopify, woocommerce
from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.kernel import Command

DIALECTS: dict[str, Callable[[bytes], Command]] = {
    canonical.DIALECT: canonical.parse,
    "shopify": shopify.parse,
    "shopify_updated": shopify.parse_updated,
    "shopify_cancelled": shopify.parse_cancelled,
    "shopify_fulfillment": shopify.parse_fulfillment,
    "shopify_refund": shopify.parse_refund,
    **{name: parser_for(woocommerce.CHANNEL) for name, parser_for in woocommerce.PARSERS.items()},
}
OF_CHANNEL: dict[str, Callable[[str], Callable[[bytes], Command]]] = {
    canonical.DIALECT: canonical.of_channel,
    **woocommerce.PARSERS,
}
"""Dialects whose name may include the only channel that uses them: `woocommerce:shop-b`."""


class UnknownDialect(OmsError):
    """No dialect of orders has this name."""

    code = "unknown_dialect"
    exit_code = Code.USAGE
    status = HTTPStatus.BAD_REQUEST


def dialect_of(channel: str, dialect: str = canonical.DIALECT) -> str:
    """Return the name of the dialect on the channel's own topic. Raise UnknownDialect if there is no such dialect.

    Messages of the canonical dialect name their channel; a parser under the returned name checks it. Orders of
    WooCommerce belong to the channel in the returned name. Shopify's dialects belong to one shop and take no channel.
    """
    if dialect not in DIALECTS:
        raise UnknownDialect(f"channel {channel}: there is no dialect {dialect}; there are {', '.join(DIALECTS)}")
    return f"{dialect}:{channel}" if dialect in OF_CHANNEL else dialect


def parser_of(dialect: str) -> Callable[[bytes], Command] | None:
    """Return the parser of a dialect, with or without a channel in its name; None if there is none."""
    name, apart, channel = dialect.partition(":")
    return OF_CHANNEL[name](channel) if apart and name in OF_CHANNEL else DIALECTS.get(dialect)
