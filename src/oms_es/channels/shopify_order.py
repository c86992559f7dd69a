"""The shapes of Shopify's messages, as far as they are read, and what is still to be done of an order.

Fields that are not read are ignored. Newer versions of the API state the current values of an order (`current_…`);
otherwise they are the ordered ones without what `refunds` removed.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from oms_es.channels.errors import BadInput
from oms_es.schemas.inputs import Input
from oms_es.schemas.values.types import Currency, Moment

NOTHING = Decimal(0)
NOT_SENT = frozenset({"cancelled", "error", "failure"})
"""Statuses of a fulfilment with which nothing was sent."""
PICKUPS = frozenset({"pickup", "pick_up", "pick-up", "local_pickup", "local-pickup", "local pickup"})
SHIPPING_REFUND = "shipping_refund"
EXPIRED = "expired"
"""Nothing was captured by the payment provider's deadline; some providers report a failed payment in this way."""
REASON_UNSAID = "cancelled in the shop"


class Open(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Money(Open):
    amount: Decimal


class MoneySet(Open):
    """An amount in `shop_money`, in the order's `currency`; the shopper's own currency is not read."""

    shop_money: Money


class Item(Open):
    id: int
    sku: str | None = None
    variant_id: int | None = None
    quantity: Annotated[int, Field(ge=0)]
    current_quantity: Annotated[int, Field(ge=0)] | None = None
    fulfillable_quantity: int | None = None
    fulfillment_status: str | None = None
    price: Decimal
    gift_card: bool | None = None
    requires_shipping: bool | None = None

    @property
    def shipped(self) -> bool:
        needed = not self.gift_card if self.requires_shipping is None else self.requires_shipping
        return needed and self.fulfillment_status != "not_eligible"


class Allocation(Open):
    """A part of a discount, of one line."""

    amount: Decimal


class ShippingLine(Open):
    price: Decimal
    discount_allocations: tuple[Allocation, ...] = ()
    code: str | None = None
    delivery_category: str | None = None
    is_removed: bool = False

    @property
    def is_pickup(self) -> bool:
        return any((word or "").strip().lower() in PICKUPS for word in (self.code, self.delivery_category))


class SentItem(Open):
    id: int
    quantity: Annotated[int, Field(ge=0)]
    requires_shipping: bool | None = None


class Fulfillment(Open):
    status: str | None = None
    line_items: tuple[SentItem, ...] = ()


class FulfillmentSent(Fulfillment):
    """A fulfilment as its own topic sends it."""

    id: int
    order_id: PositiveInt
    line_items: tuple[SentItem, ...]


class RefundedItem(Open):
    line_item_id: int
    quantity: Annotated[int, Field(ge=0)]
    restock_type: str | None = None
    subtotal: Decimal | None = None
    total_tax: Decimal | None = None
    line_item: SentItem | None = None

    @property
    def came_back(self) -> bool:
        """Return whether the units had been sent before they were refunded."""
        return self.restock_type == "return"


class Adjustment(Open):
    """What a refund changes besides units, without its tax; negative if it is given back."""

    kind: str | None = None
    amount: Decimal = NOTHING
    tax_amount: Decimal | None = None


class Transaction(Open):
    kind: str | None = None
    status: str | None = None
    amount: Decimal = NOTHING
    currency: str | None = None


class Refund(Open):
    refund_line_items: tuple[RefundedItem, ...] = ()
    order_adjustments: tuple[Adjustment, ...] = ()
    transactions: tuple[Transaction, ...] = ()

    @property
    def is_money_alone(self) -> bool:
        return not self.refund_line_items and not self.order_adjustments

    def money(self, currency: str) -> Decimal:
        """Return what the provider gave back."""
        done = (one for one in self.transactions if (one.kind, one.status) == ("refund", "success"))
        return sum((one.amount for one in done if one.currency in (None, currency)), NOTHING)


class RefundSent(Refund):
    """A refund as its own topic sends it."""

    id: int
    order_id: PositiveInt
    created_at: Moment | None = None
    note: str | None = None
    refund_line_items: tuple[RefundedItem, ...]


class ShopAddress(Open):
    name: str | None = None
    address1: str | None = None
    address2: str | None = None
    city: str | None = None
    province: str | None = None
    zip: str | None = None
    country_code: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    phone: Any = None


class Customer(Open):
    id: Any = None
    email: Any = None
    phone: Any = None
    default_address: ShopAddress | None = None


class Attribute(Open):
    name: Any = None
    value: Any = None


class ShopifyOrder(Open):
    id: PositiveInt
    test: bool | None = None
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
    shipping_address: ShopAddress | None = None
    billing_address: ShopAddress | None = None
    customer: Customer | None = None
    email: Any = None
    contact_email: Any = None
    phone: Any = None
    customer_locale: Any = None
    note: Any = None
    note_attributes: tuple[Attribute, ...] | None = None
    source_name: str | None = None
    location_id: int | None = None
    financial_status: str | None = None
    fulfillment_status: str | None = None
    fulfillments: tuple[Fulfillment, ...] = ()
    refunds: tuple[Refund, ...] = ()
    updated_at: Moment | None = None
    cancelled_at: Moment | None = None
    closed_at: Moment | None = None
    cancel_reason: str | None = None
    current_total_price: Decimal | None = None
    current_total_tax: Decimal | None = None
    current_total_discounts: Decimal | None = None
    current_total_duties_set: MoneySet | None = None
    current_total_additional_fees_set: MoneySet | None = None
    current_shipping_price_set: MoneySet | None = None

    @property
    def total_now(self) -> Decimal | None:
        """The current total; None if units were removed and the price of the rest is not stated."""
        if self.current_total_price is not None:
            return self.current_total_price
        return None if self.refunds else self.total_price

    @property
    def duties_now(self) -> MoneySet | None:
        return self.current_total_duties_set or self.original_total_duties_set

    @property
    def fees_now(self) -> MoneySet | None:
        return self.current_total_additional_fees_set or self.original_total_additional_fees_set

    @property
    def tax_now(self) -> Decimal:
        if self.current_total_tax is not None:
            return self.current_total_tax
        left = (self.total_tax or NOTHING) - sum((item.total_tax or NOTHING for item in self.refunded_items), NOTHING)
        return left + sum((one.tax_amount or NOTHING for one in self.adjustments), NOTHING)

    @property
    def discounts_now(self) -> Decimal:
        """The current discounts. A refund's subtotal is the price of the units after their discount."""
        if self.current_total_discounts is not None:
            return self.current_total_discounts
        prices = {item.id: item.price for item in self.line_items}
        off = NOTHING
        for item in self.refunded_items:
            if item.subtotal is not None:
                off += prices.get(item.line_item_id, NOTHING) * item.quantity - item.subtotal
        return max((self.total_discounts or NOTHING) - off, NOTHING)

    @property
    def shipping_now(self) -> Decimal:
        if self.current_shipping_price_set is not None:
            return self.current_shipping_price_set.shop_money.amount
        asked = sum((line.price for line in self.shipping_lines if not line.is_removed), NOTHING)
        return max(asked - abs(self._adjusted(of_shipping=True)), NOTHING)

    @property
    def shipping_discounts(self) -> Decimal:
        """The discounts of shipping, which newer versions take from its current price and count as discounts, too."""
        lines = (line for line in self.shipping_lines if not line.is_removed)
        return sum((part.amount for line in lines for part in line.discount_allocations), NOTHING)

    @property
    def given_back_besides(self) -> Decimal:
        """What was given back besides units and shipping, where the current total does not say it; negative if it was
        less than the price of the units.
        """
        if self.current_total_price is not None:
            return NOTHING
        money = sum((refund.money(self.currency) for refund in self.refunds if refund.is_money_alone), NOTHING)
        return money - self._adjusted(of_shipping=False)

    def _adjusted(self, *, of_shipping: bool) -> Decimal:
        found = [one for one in self.adjustments if (one.kind == SHIPPING_REFUND) is of_shipping]
        taxes = sum((one.tax_amount or NOTHING for one in found), NOTHING) if self.taxes_included else NOTHING
        return taxes + sum((one.amount for one in found), NOTHING)

    @property
    def adjustments(self) -> Iterator[Adjustment]:
        for refund in self.refunds:
            yield from refund.order_adjustments

    @property
    def refunded_items(self) -> Iterator[RefundedItem]:
        for refund in self.refunds:
            yield from refund.refund_line_items

    def left(self, item: Item) -> int:
        """Return the units of a line that were neither refunded nor removed."""
        if item.current_quantity is not None:
            return item.current_quantity
        return max(item.quantity - sum(r.quantity for r in self.refunded_items if r.line_item_id == item.id), 0)

    def sent(self, item: Item) -> int:
        """Return the remaining units of a line that were shipped by anyone, or that are about to ship."""
        left = self.left(item)
        if "fulfilled" in (self.fulfillment_status, item.fulfillment_status):
            return left
        refunded = [r for r in self.refunded_items if r.line_item_id == item.id]
        listed = sum(self._listed(item)) - sum(r.quantity for r in refunded if r.came_back)
        if item.fulfillable_quantity is None:
            return min(max(listed, 0), left)
        unable = max(left - max(item.fulfillable_quantity, 0), 0)
        return unable if refunded else min(max(listed, unable), left)

    def _listed(self, item: Item) -> Iterator[int]:
        for fulfillment in self.fulfillments:
            if fulfillment.status not in NOT_SENT:
                yield from (sent.quantity for sent in fulfillment.line_items if sent.id == item.id)

    @property
    def goods(self) -> list[Item]:
        """The lines that are shipped and have units left."""
        return [item for item in self.line_items if item.shipped and self.left(item)]

    @property
    def is_emptied(self) -> bool:
        """Return whether the order had lines that are shipped, and none of them has units left."""
        return not self.goods and any(item.shipped and item.quantity for item in self.line_items)

    @property
    def ended(self) -> str | None:
        """Why nothing more is to be done for the order although not everything was sent; None if it goes on."""
        if self.cancelled_at is not None:
            return self.cancel_reason or REASON_UNSAID
        if self.financial_status == "voided":
            return "its payment was voided in the shop"
        emptied = any(item.quantity for item in self.line_items) and not any(map(self.left, self.line_items))
        if self.financial_status == "refunded" or emptied:
            return "refunded in the shop" if self.refunds or self.financial_status == "refunded" else REASON_UNSAID
        if self.fulfillment_status == "restocked":
            return "restocked in the shop"
        if self.closed_at is not None and any(self.left(item) > self.sent(item) for item in self.goods):
            return "closed in the shop before all of it was sent"
        return None

    def check_real(self) -> None:
        """Raise BadInput if the order is a test order."""
        if self.test:
            raise BadInput(
                Input.TEST_ORDER, f"order {self.id} is a test of the shop's: nothing is done for it; place a real order"
            )

    def check_paid(self) -> None:
        """Raise BadInput if the order is not paid, or partly refunded without details.

        `confirmed` is not read: it concerns the shop's own stock.
        """
        if self.financial_status == EXPIRED:
            raise BadInput(
                Input.PAYMENT_FAILED,
                f"order {self.id} was not paid for: its authorisation lapsed in the shop, or its payment failed; "
                "collect the money in the shop, and send the order again",
            )
        if self.financial_status == "partially_refunded" and not (self.refunds or self._is_reduced):
            raise BadInput(
                Input.PARTLY_REFUNDED,
                f"order {self.id} was refunded in part and does not say which part; send it with its refunds",
            )

    @property
    def _is_reduced(self) -> bool:
        """Return whether the order itself states that it was reduced."""
        return self.current_total_price is not None and self.current_total_price < self.total_price

    def check_by_line(self) -> None:
        """Raise BadInput if the order was sent in part and does not say which part."""
        if self.fulfillment_status == "partial" and not any(map(self.sent, self.goods)):
            raise BadInput(
                Input.PARTLY_FULFILLED,
                f"order {self.id} was sent in part and does not say which part; send it with its fulfillments, or with "
                "fulfillable_quantity of each line",
            )

    @property
    def is_pickup(self) -> bool:
        """Return whether the order was not to be sent to an address."""
        if any(line.is_pickup for line in self.shipping_lines):
            return True
        if self.shipping_address is not None:
            return False
        return self.source_name == "pos" or self.place is None

    @property
    def place(self) -> ShopAddress | None:
        customers = self.customer.default_address if self.customer else None
        return self.shipping_address or self.billing_address or customers

    @property
    def emails(self) -> tuple[Any, ...]:
        """The e-mail addresses, those of the order before the customer's."""
        return (self.email, self.contact_email, self.customer and self.customer.email)

    @property
    def phones(self) -> tuple[Any, ...]:
        places = (self.shipping_address, self.billing_address)
        return (self.phone, self.customer and self.customer.phone, *(place and place.phone for place in places))
