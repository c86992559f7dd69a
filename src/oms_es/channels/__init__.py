"""Dialects in which orders arrive: bytes in, the command PlaceOrder out, or BadInput that says why not."""

from __future__ import annotations

from collections.abc import Callable

from oms_es.channels import canonical, shopify
from oms_es.schemas.order import PlaceOrder

DIALECTS: dict[str, Callable[[bytes], PlaceOrder]] = {"canonical": canonical.parse, "shopify": shopify.parse}
