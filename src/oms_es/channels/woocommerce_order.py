"""The shapes of WooCommerce's messages, as far as they are read: its REST API, versions 1 to 3.

Fields that are not read are ignored, and of `meta_data`, into which extensions write anything, all but plain public
values. Amounts are text; times without a zone are read only from the fields that are in UTC.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from oms_es.channels.errors import BadInput
from oms_es.schemas.inputs import Input
from oms_es.schemas.values.types import Currency, Moment

NOTHING = Decimal(0)
DRAFTS = frozenset({"auto-draft", "draft", "new", "checkout-draft"})
"""Statuses of orders that are still being written; WooCommerce sends such an order again, as created, once it is
one."""
OPEN = frozenset({"pending", "on-hold", "processing"})
OVER = frozenset({"cancelled", "refunded", "trash"})
FAILED = "failed"
COMPLETED = "completed"
PICKUPS = frozenset({"local_pickup", "pickup_location"})
REFUNDED_ITEM = "_refunded_item_id"
ZONELESS = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?", re.ASCII)
ORDER_IN_LINK = re.compile(r"/orders/([1-9][0-9]{0,18})/?", re.ASCII)


def _in_utc(value: Any) -> Any:
    return f"{value}Z" if isinstance(value, str) and ZONELESS.fullmatch(value) else value


def _amount(value: Any) -> Any:
    """Read an empty text as no amount."""
    return NOTHING if value in ("", None) else value


InUtc = Annotated[Moment, BeforeValidator(_in_utc)]
DIGITS_MAX = 30
Amount = Annotated[Decimal, BeforeValidator(_amount), Field(max_digits=DIGITS_MAX, decimal_places=DIGITS_MAX // 2)]


class Open(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Item(Open):
    """A line: `subtotal` is before coupons and `total` after them, both for all its units and without tax."""

    id: PositiveInt
    sku: str | None = None
    product_id: int | None = None
    variation_id: int | None = None
    quantity: Annotated[int, Field(ge=0)]
    subtotal: Amount = NOTHING
    total: Amount


class ShippingLine(Open):
    method_id: str | None = None

    @property
    def is_pickup(self) -> bool:
        """Return whether the method is a pickup; its name may be followed by a colon and a number."""
        return (self.method_id or "").partition(":")[0].strip().lower() in PICKUPS


class FeeLine(Open):
    """A fee; it is negative if it is a discount."""

    total: Amount


class RefundNamed(Open):
    """A refund as an order lists it: that it took place, without its units."""

    id: int


class ShopAddress(Open):
    first_name: str | None = None
    last_name: str | None = None
    company: str | None = None
    address_1: str | None = None
    address_2: str | None = None
    city: str | None = None
    state: str | None = None
    postcode: str | None = None
    country: str | None = None
    email: Any = None
    phone: Any = None

    @property
    def is_blank(self) -> bool:
        return not any((self.address_1, self.address_2, self.city, self.postcode, self.country))


class Meta(Open):
    key: Any = None
    value: Any = None

    @property
    def is_public(self) -> bool:
        """Return whether the name is public: names with a leading underscore are internal to WooCommerce or an
        extension."""
        return isinstance(self.key, str) and not self.key.startswith("_")


METADATA = TypeAdapter(tuple[Meta, ...])


class WooOrder(Open):
    """An order. The further aliases of a field are its names in the API before WooCommerce 2.6."""

    id: PositiveInt
    status: str
    currency: Currency
    created: InUtc = Field(validation_alias=AliasChoices("date_created_gmt", "created_at"))
    modified: InUtc | None = Field(default=None, validation_alias=AliasChoices("date_modified_gmt", "updated_at"))
    total: Amount
    total_tax: Amount = NOTHING
    shipping_total: Amount = Field(default=NOTHING, validation_alias=AliasChoices("shipping_total", "total_shipping"))
    line_items: tuple[Item, ...]
    shipping_lines: tuple[ShippingLine, ...] = ()
    fee_lines: tuple[FeeLine, ...] = ()
    refunds: tuple[RefundNamed, ...] = ()
    shipping: ShopAddress | None = Field(default=None, validation_alias=AliasChoices("shipping", "shipping_address"))
    billing: ShopAddress | None = Field(default=None, validation_alias=AliasChoices("billing", "billing_address"))
    customer_id: Any = None
    note: Any = Field(default=None, validation_alias=AliasChoices("customer_note", "note"))
    meta_data: Any = None

    @model_validator(mode="before")
    @classmethod
    def _unwrapped(cls, payload: Any) -> Any:
        """Unwrap the order from the outer object that versions before 2.6 send."""
        return (
            payload["order"] if isinstance(payload, Mapping) and isinstance(payload.get("order"), Mapping) else payload
        )

    @property
    def goods(self) -> list[Item]:
        return [item for item in self.line_items if item.quantity]

    @property
    def is_pickup(self) -> bool:
        return any(line.is_pickup for line in self.shipping_lines)

    @property
    def place(self) -> ShopAddress | None:
        """The shipping address. The shop leaves it empty if the billing address is meant, or if nothing is shipped."""
        if self.shipping is not None and not self.shipping.is_blank:
            return self.shipping
        return self.billing if self.shipping_lines else None

    @property
    def phones(self) -> tuple[Any, ...]:
        return tuple(place and place.phone for place in (self.billing, self.shipping))

    @property
    def public_metadata(self) -> list[Meta]:
        """The public metadata; anything that is not a list of names and values is not read."""
        try:
            return [meta for meta in METADATA.validate_python(self.meta_data or ()) if meta.is_public]
        except ValidationError:
            return []

    def check_known(self) -> None:
        """Raise BadInput if the status is not one of WooCommerce's own."""
        if self.status not in {*OPEN, *OVER, FAILED, COMPLETED}:
            raise BadInput(
                Input.UNKNOWN_STATUS,
                f"order {self.id} has a status that WooCommerce itself does not have: whether it was shipped is not "
                "known; send it once it is processing or completed",
            )

    def check_units_known(self) -> None:
        """Raise BadInput if the order was refunded in part: it does not say which units."""
        if self.refunds and self.status in OPEN:
            raise BadInput(
                Input.PARTLY_REFUNDED,
                f"order {self.id} was refunded in part, and an order of WooCommerce's does not say of which units; "
                "send it as it was created, and its refunds as woocommerce_refund",
            )


class RefundedItem(Open):
    """A line of a refund has an id of its own; the metadata names the line of the order."""

    id: int
    quantity: int = 0
    meta_data: tuple[Meta, ...] = ()

    @property
    def line_id(self) -> str | None:
        found = next((str(meta.value) for meta in self.meta_data if meta.key == REFUNDED_ITEM), "")
        return found if found.isascii() and found.isdecimal() else None


class Link(Open):
    href: str


class Links(Open):
    up: tuple[Link, ...] = ()


class WooRefund(Open):
    id: PositiveInt
    parent_id: int | None = None
    created: InUtc | None = Field(default=None, validation_alias=AliasChoices("date_created_gmt", "created_at"))
    reason: str | None = None
    line_items: tuple[RefundedItem, ...] = ()
    links: Links | None = Field(default=None, validation_alias="_links")

    @property
    def order_id(self) -> int | None:
        """The id of the refund's order; versions of the API before 9.0 name it only in a link."""
        if self.parent_id:
            return self.parent_id
        found = (match for link in (self.links.up if self.links else ()) if (match := ORDER_IN_LINK.search(link.href)))
        return next((int(match[1]) for match in found), None)


class Deleted(Open):
    id: PositiveInt
