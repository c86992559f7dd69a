"""Dialects in which orders, and changes of orders, arrive: bytes in, a command out, or BadInput that says why not.

DIALECTS registers each once: `orders import`, topics of channels and the replay of dead letters take them from there.
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
"""Dialects of which one channel alone can be the speaker: `woocommerce:shop-b`."""


class UnknownDialect(OmsError):
    """No dialect of orders has this name."""

    code = "unknown_dialect"
    exit_code = Code.USAGE
    status = HTTPStatus.BAD_REQUEST


def dialect_of(channel: str, dialect: str = canonical.DIALECT) -> str:
    """The name of the dialect on the channel's own topic. Raises UnknownDialect.

    The canonical dialect names the channel in every message: a reader by the name that is given here checks
    that. An order of WooCommerce's is of the channel that is named here. Shopify's dialects name only a shop.
    """
    if dialect not in DIALECTS:
        raise UnknownDialect(f"channel {channel}: there is no dialect {dialect}; there are {', '.join(DIALECTS)}")
    return f"{dialect}:{channel}" if dialect in OF_CHANNEL else dialect


def parser_of(dialect: str) -> Callable[[bytes], Command] | None:
    """Of any dialect of orders."""
    name, apart, channel = dialect.partition(":")
    return OF_CHANNEL[name](channel) if apart and name in OF_CHANNEL else DIALECTS.get(dialect)
