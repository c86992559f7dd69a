"""Shopify's dialect: the order, refund and fulfilment resources of the Admin API, as its topics send them.

An order of `orders/create`, or of any export, is placed in its current state: without what was refunded or removed, and
with what was sent already as sent. An order that has ended in the shop is placed as cancelled. An update contains the
current order, and is parsed as an amendment whose revision is the second of `updated_at`; it may come before the order.

Invariant: an order's total is what Shopify says that it costs now, to the minor unit, or the order is refused. Items
that are not shipped (gift cards, tips, services) are charged and not stocked: they are part of `shipping_minor`, the
charges besides the goods; duties and fees on top are part of `tax_minor`.
"""

from __future__ import annotations

from decimal import Decimal
from hashlib import sha256
from typing import Any, TypeVar

from oms_es.channels import canonical
from oms_es.channels.errors import BadInput, or_bad_input
from oms_es.channels.fields import customer_of, metadata_of, minor_of, notes_of, revision_of, sku_of
from oms_es.channels.shopify_order import (
    EXPIRED,
    NOT_SENT,
    NOTHING,
    FulfillmentSent,
    Item,
    Open,
    RefundSent,
    ShopAddress,
    ShopifyOrder,
)
from oms_es.schemas.inputs import Input
from oms_es.schemas.order import (
    NOWHERE,
    AmendOrder,
    CancelOrder,
    HoldOrder,
    LineUnits,
    PlaceOrder,
    RecordChannelRefund,
    RecordFulfilment,
    early_names,
    order_id_of,
)
from oms_es.schemas.sent import check_sent
from oms_es.schemas.values.currency import to_text
from oms_es.schemas.values.types import TEXT_LENGTH_MAX

CHANNEL = "shopify"
PICKUP = "pickup"
DIGEST_CHARACTERS = 16
Shape = TypeVar("Shape", bound=Open)


@or_bad_input
def parse(line: bytes | str) -> PlaceOrder | CancelOrder:
    """Parse a new order. Raise BadInput if it cannot be placed."""
    order = _read(ShopifyOrder, line)
    if order.ended is not None:
        return _over(order, order.ended)
    order.check_real()
    order.check_paid()
    order.check_by_line()
    return _placed(order)


@or_bad_input
def parse_updated(line: bytes | str) -> AmendOrder | CancelOrder | HoldOrder:
    """Parse an update: an amendment, a cancellation, or a hold if the authorisation expired or nothing is left to ship.

    Raise BadInput if it is not valid.
    """
    order = _read(ShopifyOrder, line)
    if order.ended is not None:
        return _cancelled(order)
    order.check_real()
    if order.financial_status == EXPIRED:
        return _held(order, "its authorisation lapsed, or its payment failed, in the shop")
    order.check_paid()
    if order.is_emptied:
        return _held(order, "nothing that is shipped is left of it in the shop; what is left is still charged")
    order.check_by_line()
    if order.updated_at is None:
        raise BadInput(Input.NOT_DATED, f"order {order.id} does not say when it was updated; send updated_at with it")
    revision = revision_of("updated_at", order.updated_at)
    placed = _placed(order)
    said = {name: getattr(placed, name) for name in FIELDS_SENT}
    content = repr(sorted(said.items())).encode()
    return AmendOrder(
        **_named(order.id),
        amendment_id=f"{CHANNEL}/{revision}/{sha256(content).hexdigest()[:DIGEST_CHARACTERS]}",
        revision=revision,
        currency=order.currency,
        **said,
    )


FIELDS_SENT = ("lines", "ship_to", "shipping_minor", "discount_minor", "tax_minor", "fulfilled")
"""The fields of an order that an update contains; its delivery option is not read."""


@or_bad_input
def parse_cancelled(line: bytes | str) -> CancelOrder:
    """Parse a cancellation. Raise BadInput if it is not valid."""
    return _cancelled(_read(ShopifyOrder, line))


@or_bad_input
def parse_fulfillment(line: bytes | str) -> RecordFulfilment:
    """Parse a fulfilment. Raise BadInput if nothing was sent with it, or it is not valid."""
    sent = _read(FulfillmentSent, line)
    if sent.status in NOT_SENT:
        raise BadInput(
            Input.NOT_SENT,
            f"fulfillment {sent.id} is {sent.status}: nothing left with it; look whether it was reported as sent",
        )
    units = tuple(
        LineUnits(line_id=str(item.id), quantity=item.quantity)
        for item in sent.line_items
        if item.quantity and item.requires_shipping is not False
    )
    if not units:
        raise BadInput(
            Input.NOTHING_TO_SHIP, f"fulfillment {sent.id} has no line that is shipped; nothing follows from it"
        )
    return RecordFulfilment(**_named(sent.order_id), fulfilment_id=str(sent.id), lines=units)


@or_bad_input
def parse_refund(line: bytes | str) -> RecordChannelRefund:
    """Parse a refund.

    Returned units had been sent, so they are left out: they can no longer be stopped. Raise BadInput if it is not
    valid.
    """
    refund = _read(RefundSent, line)
    units = tuple(
        LineUnits(line_id=str(item.line_item_id), quantity=item.quantity)
        for item in refund.refund_line_items
        if item.quantity and not item.came_back and not (item.line_item and item.line_item.requires_shipping is False)
    )
    return RecordChannelRefund(
        **_named(refund.order_id),
        refund_id=str(refund.id),
        lines=units,
        reason=(refund.note or "refunded in the shop")[:TEXT_LENGTH_MAX],
        revision=None if refund.created_at is None else revision_of("created_at", refund.created_at),
    )


def _named(number: int) -> dict[str, Any]:
    return early_names(CHANNEL, str(number))


def _read(shape: type[Shape], line: bytes | str) -> Shape:
    check_sent(line)
    return shape.model_validate_json(line)


def _over(order: ShopifyOrder, reason: str) -> PlaceOrder | CancelOrder:
    """Return an ended order as it was placed, and cancelled, for the record.

    If it cannot be placed, return a cancellation.
    """
    as_ordered = {name: None for name in ShopifyOrder.model_fields if name.startswith("current_")}
    items = tuple(item.model_copy(update={"current_quantity": None}) for item in order.line_items)
    before = order.model_copy(update={**as_ordered, "line_items": items, "refunds": (), "fulfillments": ()})
    try:
        placed = _placed(before.model_copy(update={"fulfillment_status": None}))
    except BadInput:
        return _cancelled(order)
    return placed.model_copy(update={"cancelled": reason[:TEXT_LENGTH_MAX], "fulfilled": (), "revision": None})


def _held(order: ShopifyOrder, note: str) -> HoldOrder:
    revision = None if order.updated_at is None else revision_of("updated_at", order.updated_at)
    return HoldOrder(order_id=order_id_of(CHANNEL, str(order.id)), kind="manual", note=note, revision=revision)


def _cancelled(order: ShopifyOrder) -> CancelOrder:
    reason = order.ended or order.cancel_reason or "cancelled in the shop"
    return CancelOrder(**_named(order.id), reason=reason[:TEXT_LENGTH_MAX])


def _placed(order: ShopifyOrder) -> PlaceOrder:
    goods = order.goods
    if not goods:
        raise BadInput(
            Input.NOTHING_TO_SHIP, f"order {order.id} has no line that is shipped; it needs nothing from here"
        )
    sent = ((item, order.sent(item)) for item in goods)
    return canonical.order_of(
        {
            "channel": CHANNEL,
            "external_id": str(order.id),
            "placed_at": order.processed_at or order.created_at,
            "currency": order.currency,
            "lines": tuple(_line(order, item) for item in goods),
            "payment_token": f"shopify-{order.id}",
            "fulfilled": tuple(LineUnits(line_id=str(item.id), quantity=n) for item, n in sent if n),
            "revision": None if order.updated_at is None else revision_of("updated_at", order.updated_at),
            **_charges(order),
            **_where(order),
            **_whose(order),
        }
    )


def _whose(order: ShopifyOrder) -> dict[str, object]:
    whose = customer_of(
        customer_id=order.customer and order.customer.id,
        emails=order.emails,
        phones=order.phones,
        language=order.customer_locale,
    )
    attributes = ((one.name, one.value) for one in order.note_attributes or ())
    return {**whose, **notes_of(order.note), **metadata_of(attributes)}


def _charges(order: ShopifyOrder) -> dict[str, int]:
    """Return shipping with all charges besides the goods, taxes on top of the prices, and the discount, so that the
    parts sum to the total.

    A tip is a line in some orders and listed besides the lines in others, and the price of shipping is stated before or
    after its discount; the stated total shows which. Money that the shop gave back without removing units is not
    charged here: it is a discount.
    """
    currency = order.currency
    lines = sum(order.left(item) * _price(item, currency) for item in order.line_items)
    beside = sum(order.left(item) * _price(item, currency) for item in order.line_items if not item.shipped)
    shipping = minor_of("shipping_lines.price", order.shipping_now, currency)
    tax = 0 if order.taxes_included else minor_of("total_tax", order.tax_now, currency)
    tax += minor_of("total_additional_fees_set", _amount(order.fees_now), currency)
    if not order.duties_included:
        tax += minor_of("total_duties_set", _amount(order.duties_now), currency)
    discount = minor_of("total_discounts", order.discounts_now, currency)
    besides = minor_of("order_adjustments.amount", order.given_back_besides, currency)
    discount, shipping = discount + max(besides, 0), shipping + max(-besides, 0)
    parts = lines + shipping + tax - discount
    stated = parts if order.total_now is None else minor_of("total_price", order.total_now, currency)
    more = (
        minor_of("total_tip_received", order.total_tip_received, currency),
        minor_of("shipping_lines.discount_allocations.amount", order.shipping_discounts, currency),
    )
    unstated = next((sum(some) for some in (more[:1], more[1:], more) if parts + sum(some) == stated), 0)
    if unstated > 0:
        shipping += unstated
    elif order.refunds and discount + parts - stated >= 0:
        discount += parts - stated
    elif parts != stated:
        raise BadInput(
            Input.TOTAL_MISMATCH,
            f"order {order.id}: its total is {to_text(stated, currency)} and "
            f"its parts make {to_text(parts, currency)}; "
            "compare lines, discounts, taxes and shipping in the shop",
        )
    return {"shipping_minor": shipping + beside, "tax_minor": tax, "discount_minor": discount}


def _amount(money: object) -> Decimal:
    shop_money = getattr(money, "shop_money", None)
    return shop_money.amount if shop_money is not None else NOTHING


def _line(order: ShopifyOrder, item: Item) -> dict[str, object]:
    return {
        "line_id": str(item.id),
        "sku": _sku(item),
        "quantity": order.left(item),
        "unit_price_minor": _price(item, order.currency),
    }


def _sku(item: Item) -> str:
    """Return the item's SKU.

    An item without one gets a name of its own; it waits until stock is received under that name.
    """
    sku = sku_of(item.sku)
    if sku:
        return sku
    return f"custom-{item.id}" if item.variant_id is None else f"variant-{item.variant_id}"


def _where(order: ShopifyOrder) -> dict[str, object]:
    if order.is_pickup or order.place is None:
        at = None if order.location_id is None else f"{CHANNEL}-{order.location_id}"
        whole = {"allow_split": at is not None}
        return {"ship_to": NOWHERE, "pickup": True, "pickup_at": at, "delivery_option": PICKUP, **whole}
    return {"ship_to": _address(order.place)}


def _address(place: ShopAddress) -> dict[str, object]:
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


def _price(item: Item, currency: str) -> int:
    return minor_of(f"line_items.{item.id}.price", item.price, currency)
