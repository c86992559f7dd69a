"""Shopify's dialect: the order resource of the Admin API, as the topics `orders/create`, `orders/updated` and
`orders/cancelled` send it. Open: what is not read is ignored.

An update is what the order is now, told as an amendment whose revision is the second of `updated_at`; it may come
before the order. An update of a cancelled order, or of one that has no unit left, is a cancellation.

Invariant: an order's total is Shopify's `total_price`, to the minor unit, or the order is refused. Goods that are not
shipped (gift cards, tips, services) are charged and not stocked: they are part of `shipping_minor`, the charges beside
the goods; duties and fees on top are part of `tax_minor`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from oms_es.channels import canonical
from oms_es.channels.errors import BadInput, bad_input
from oms_es.schemas.currency import to_minor
from oms_es.schemas.order import AmendOrder, CancelOrder, PlaceOrder, order_id_of
from oms_es.schemas.types import TEXT_LENGTH_MAX, Currency, Moment

CHANNEL = "shopify"
NOTHING = Decimal(0)
NOT_IN_A_SKU = re.compile(r"[\s@]+")


class Open(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Money(Open):
    amount: Decimal


class MoneySet(Open):
    """`shop_money` is in the order's `currency`; the shopper's own currency is not read."""

    shop_money: Money


class Item(Open):
    id: int
    sku: str | None = None
    variant_id: int | None = None
    quantity: Annotated[int, Field(ge=0)]
    current_quantity: int | None = None
    price: Decimal
    requires_shipping: bool | None = None

    @property
    def now(self) -> Item:
        return self.model_copy(update={"quantity": self.current_quantity})

    @property
    def shipped(self) -> bool:
        return self.requires_shipping is not False


class ShippingLine(Open):
    price: Decimal


CURRENT = {
    "total_price": "current_total_price",
    "total_tax": "current_total_tax",
    "total_discounts": "current_total_discounts",
    "original_total_duties_set": "current_total_duties_set",
    "original_total_additional_fees_set": "current_total_additional_fees_set",
}
"""Where an order that was changed says what holds now."""
REASON_UNSAID = "cancelled in the shop"


class Place(Open):
    name: str | None = None
    address1: str | None = None
    address2: str | None = None
    city: str | None = None
    province: str | None = None
    zip: str | None = None
    country_code: str | None = None
    latitude: float | None = None
    longitude: float | None = None


class Customer(Open):
    default_address: Place | None = None


class ShopifyOrder(Open):
    id: PositiveInt
    created_at: Moment
    processed_at: Moment | None = None
    currency: Currency
    taxes_included: bool = False
    duties_included: bool | None = None
    total_price: Decimal
    total_tax: Decimal | None = None
    total_discounts: Decimal | None = None
    total_tip_received: Decimal | None = None
    original_total_duties_set: MoneySet | None = None
    original_total_additional_fees_set: MoneySet | None = None
    line_items: tuple[Item, ...]
    shipping_lines: tuple[ShippingLine, ...] = ()
    shipping_address: Place | None = None
    billing_address: Place | None = None
    customer: Customer | None = None
    updated_at: Moment | None = None
    cancelled_at: Moment | None = None
    cancel_reason: str | None = None
    current_total_price: Decimal | None = None
    current_total_tax: Decimal | None = None
    current_total_discounts: Decimal | None = None
    current_total_duties_set: MoneySet | None = None
    current_total_additional_fees_set: MoneySet | None = None
    current_shipping_price_set: MoneySet | None = None

    def as_it_is_now(self) -> ShopifyOrder:
        """Where it says nothing of now, what it was holds still."""
        now: dict[str, object] = {
            was: value for was, name in CURRENT.items() if (value := getattr(self, name)) is not None
        }
        if self.current_shipping_price_set is not None:
            now["shipping_lines"] = (ShippingLine(price=self.current_shipping_price_set.shop_money.amount),)
        left = [item if item.current_quantity is None else item.now for item in self.line_items]
        return self.model_copy(update={**now, "line_items": tuple(left)})


def parse(line: bytes | str) -> PlaceOrder:
    """Raises BadInput."""
    return _placed(_read(line))


def parse_updated(line: bytes | str) -> AmendOrder | CancelOrder:
    """Raises BadInput."""
    order = _read(line)
    now = order.as_it_is_now()
    if order.cancelled_at or not any(item.quantity for item in now.line_items):
        return _cancelled(order)
    if order.updated_at is None:
        raise BadInput("not_dated", f"order {order.id} does not say when it was updated; send updated_at with it")
    placed = _placed(now)
    return AmendOrder(
        order_id=placed.order_id,
        amendment_id=f"{CHANNEL}/{order.updated_at.isoformat()}",
        revision=int(order.updated_at.timestamp()),
        keep=True,
        **{name: getattr(placed, name) for name in TOLD},
    )


TOLD = ("lines", "ship_to", "shipping_minor", "discount_minor", "tax_minor")
"""What an update says of an order; its delivery option is not read."""


def parse_cancelled(line: bytes | str) -> CancelOrder:
    """Raises BadInput."""
    return _cancelled(_read(line))


def _cancelled(order: ShopifyOrder) -> CancelOrder:
    reason = (order.cancel_reason or REASON_UNSAID)[:TEXT_LENGTH_MAX]
    return CancelOrder(order_id=order_id_of(CHANNEL, str(order.id)), reason=reason, keep=True)


def _read(line: bytes | str) -> ShopifyOrder:
    canonical.refuse_nul(line)
    try:
        return ShopifyOrder.model_validate_json(line)
    except ValidationError as error:
        raise bad_input(error) from error


def _placed(order: ShopifyOrder) -> PlaceOrder:
    items = _sold(order)
    shipping, tax = _charges(order, items)
    placed = canonical.order_of(
        {
            "channel": CHANNEL,
            "external_id": str(order.id),
            "placed_at": order.processed_at or order.created_at,
            "currency": order.currency,
            "lines": tuple(_line(item, order.currency) for item in items if item.shipped),
            "shipping_minor": shipping,
            "tax_minor": tax,
            "discount_minor": _minor("total_discounts", order.total_discounts, order.currency),
            "ship_to": _ship_to(order),
            "payment_token": f"shopify-{order.id}",
        }
    )
    return _with_stated_total(placed, order)


def _sold(order: ShopifyOrder) -> list[Item]:
    items = [item for item in order.line_items if item.quantity]
    for item in items:
        if item.current_quantity not in (None, item.quantity):
            raise BadInput(
                "edited_order",
                f"line {item.id}: {item.quantity} were ordered and {item.current_quantity} are left; "
                "send what is left of the order in the canonical dialect",
            )
    if not any(item.shipped for item in items):
        raise BadInput("nothing_to_ship", f"order {order.id} has no line that is shipped; it needs nothing from here")
    return items


def _charges(order: ShopifyOrder, items: Iterable[Item]) -> tuple[int, int]:
    """Shipping and what else is charged beside the goods; taxes on top of the prices."""
    shipping = sum(_minor("shipping_lines.price", line.price, order.currency) for line in order.shipping_lines)
    shipping += sum(item.quantity * _price(item, order.currency) for item in items if not item.shipped)
    tax = 0 if order.taxes_included else _minor("total_tax", order.total_tax, order.currency)
    on_top = {"original_total_additional_fees_set": order.original_total_additional_fees_set}
    if not order.duties_included:
        on_top["original_total_duties_set"] = order.original_total_duties_set
    tax += sum(_minor(field, money.shop_money.amount, order.currency) for field, money in on_top.items() if money)
    return shipping, tax


def _line(item: Item, currency: str) -> dict[str, object]:
    return {
        "line_id": str(item.id),
        "sku": _sku(item),
        "quantity": item.quantity,
        "unit_price_minor": _price(item, currency),
    }


def _sku(item: Item) -> str:
    sku = NOT_IN_A_SKU.sub("-", (item.sku or "").strip())
    if sku:
        return sku
    if item.variant_id is None:
        raise BadInput("no_sku", f"line {item.id} has neither sku nor variant_id; give its product a SKU in the shop")
    return f"variant-{item.variant_id}"


def _ship_to(order: ShopifyOrder) -> dict[str, object]:
    customer = order.customer.default_address if order.customer else None
    place = order.shipping_address or order.billing_address or customer
    if place is None:
        raise BadInput("no_address", f"order {order.id} has no address; add a shipping address and send it again")
    return {
        "name": place.name or "",
        "street": ", ".join(filter(None, (place.address1, place.address2))),
        "city": place.city or "",
        "region": place.province or "",
        "postal_code": place.zip or "",
        "country": place.country_code or "",
        "latitude": place.latitude,
        "longitude": place.longitude,
    }


def _with_stated_total(placed: PlaceOrder, order: ShopifyOrder) -> PlaceOrder:
    """A tip is a line in some orders and stands beside the lines in others; the stated total tells which."""
    stated = _minor("total_price", order.total_price, order.currency)
    tip = _minor("total_tip_received", order.total_tip_received, order.currency)
    if placed.total_minor == stated:
        return placed
    if tip > 0 and placed.total_minor + tip == stated:
        return canonical.order_of({**dict(placed), "shipping_minor": placed.shipping_minor + tip})
    raise BadInput(
        "total_mismatch",
        f"order {order.id}: total_price is {stated} minor units and its parts make {placed.total_minor}; "
        "compare lines, discounts, taxes and shipping in the shop",
    )


def _price(item: Item, currency: str) -> int:
    return _minor(f"line_items.{item.id}.price", item.price, currency)


def _minor(field: str, amount: Decimal | None, currency: str) -> int:
    try:
        return to_minor(amount or NOTHING, currency)
    except ValueError as error:
        raise BadInput("invalid_amount", f"{field}: {error}") from error
