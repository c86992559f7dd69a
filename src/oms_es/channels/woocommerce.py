"""WooCommerce's dialect: orders and refunds of its REST API, as its webhooks send them.

An order of `order.created`, or of any export, is placed in its current state. `order.updated` contains the current
order, and is parsed as an amendment whose revision is the second of its change; it may come before the order.

Invariant: an order's total is what WooCommerce says, to the minor unit, or the order is refused. An order that has
ended in the shop is neither charged nor shipped; one that was completed there is not shipped again. A price that is no
whole number of minor units is rounded up, and the discount takes that back. Ids belong to one site: each shop is a
channel.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_CEILING, Decimal
from hashlib import sha256
from typing import TypeVar

from oms_es.channels import canonical
from oms_es.channels.errors import BadInput, or_bad_input
from oms_es.channels.fields import customer_of, metadata_of, minor_of, notes_of, revision_of, sku_of
from oms_es.channels.woocommerce_order import (
    COMPLETED,
    DRAFTS,
    FAILED,
    NOTHING,
    OVER,
    Deleted,
    Item,
    Open,
    ShopAddress,
    WooOrder,
    WooRefund,
)
from oms_es.kernel import Command, Skipped
from oms_es.schemas.inputs import Input
from oms_es.schemas.order import (
    NOWHERE,
    AmendOrder,
    CancelOrder,
    HoldOrder,
    LineUnits,
    PlaceOrder,
    RecordChannelRefund,
    early_names,
    order_id_of,
)
from oms_es.schemas.sent import check_sent
from oms_es.schemas.values.currency import exponent_of
from oms_es.schemas.values.types import TEXT_LENGTH_MAX

CHANNEL = "woocommerce"
PICKUP = "pickup"
DIGEST_CHARACTERS = 16
CHANGED = ("lines", "ship_to", "shipping_minor", "discount_minor", "tax_minor", "fulfilled")
"""The fields of an order that an update contains."""
Shape = TypeVar("Shape", bound=Open)
Parsed = Callable[[bytes | str], Command]


def order_parser(channel: str) -> Parsed:
    """Return the parser of `order.created` and of exports."""

    @or_bad_input
    def parse(line: bytes | str) -> Command:
        order = _read_order(line)
        if order.status == FAILED:
            raise BadInput(
                Input.PAYMENT_FAILED,
                f"order {order.id} was not paid for in the shop; send it again once it is processing",
            )
        if order.status in OVER:
            return _over(order, channel)
        order.check_units_known()
        return _placed(order, channel)

    return parse


def update_parser(channel: str) -> Parsed:
    """Return the parser of `order.updated`."""

    @or_bad_input
    def parse(line: bytes | str) -> Command:
        order = _read_order(line)
        if order.status in OVER:
            return _cancelled(order, channel)
        if order.status == FAILED:
            return _held(order, channel, "its payment failed in the shop")
        order.check_units_known()
        if not order.goods:
            return _held(order, channel, "no line with units is left of it in the shop")
        if order.modified is None:
            raise BadInput(
                Input.NOT_DATED, f"order {order.id} does not say when it changed; send date_modified_gmt with it"
            )
        return _amended(order, revision_of("date_modified_gmt", order.modified), channel)

    return parse


def refund_parser(channel: str) -> Parsed:
    """Return the parser of refunds with the units that they are for; WooCommerce leaves these out of its orders."""

    @or_bad_input
    def parse(line: bytes | str) -> Command:
        refund = _read(WooRefund, line)
        if refund.order_id is None:
            raise BadInput(
                Input.INVALID_ORDER, f"refund {refund.id} names no order; send it with parent_id or with _links"
            )
        return RecordChannelRefund(
            **early_names(channel, str(refund.order_id)),
            refund_id=str(refund.id),
            lines=_refunded(refund),
            reason=(refund.reason or "refunded in the shop")[:TEXT_LENGTH_MAX],
            revision=None if refund.created is None else revision_of("date_created_gmt", refund.created) + 1,
        )

    return parse


def deletion_parser(channel: str) -> Parsed:
    """Return the parser of `order.deleted`, which contains the id and nothing else."""

    @or_bad_input
    def parse(line: bytes | str) -> Command:
        return CancelOrder(**early_names(channel, str(_read(Deleted, line).id)), reason="deleted in the shop")

    return parse


PARSERS: dict[str, Callable[[str], Parsed]] = {
    "woocommerce": order_parser,
    "woocommerce_updated": update_parser,
    "woocommerce_deleted": deletion_parser,
    "woocommerce_refund": refund_parser,
}


def _read(shape: type[Shape], line: bytes | str) -> Shape:
    check_sent(line)
    return shape.model_validate_json(line)


def _read_order(line: bytes | str) -> WooOrder:
    """Return an order. Raise BadInput if it is not valid, and Skipped if it is a draft."""
    order = _read(WooOrder, line)
    if order.status in DRAFTS:
        raise Skipped(f"order {order.id} is a draft")
    order.check_known()
    return order


def _over(order: WooOrder, channel: str) -> PlaceOrder | CancelOrder:
    """Return an ended order as it was placed, and cancelled, for the record.

    If it cannot be placed, return a cancellation.
    """
    try:
        placed = _placed(order, channel)
    except BadInput:
        return _cancelled(order, channel)
    return placed.model_copy(update={"cancelled": _reason(order), "fulfilled": (), "revision": None})


def _held(order: WooOrder, channel: str, note: str) -> HoldOrder:
    revision = None if order.modified is None else revision_of("date_modified_gmt", order.modified)
    return HoldOrder(order_id=order_id_of(channel, str(order.id)), kind="manual", note=note, revision=revision)


def _cancelled(order: WooOrder, channel: str) -> CancelOrder:
    return CancelOrder(**early_names(channel, str(order.id)), reason=_reason(order))


def _reason(order: WooOrder) -> str:
    return {"refunded": "refunded in the shop", "trash": "deleted in the shop"}.get(
        order.status, "cancelled in the shop"
    )


def _amended(order: WooOrder, revision: int, channel: str) -> AmendOrder:
    """Return the amendment.

    Of an order that was refunded in part and is completed it is known only that it was sent.
    """
    placed = _placed(order, channel)
    changed = {name: getattr(placed, name) for name in (("fulfilled",) if order.refunds else CHANGED)}
    digest = sha256(repr(sorted(changed.items())).encode()).hexdigest()[:DIGEST_CHARACTERS]
    return AmendOrder(
        **early_names(channel, str(order.id)),
        amendment_id=f"{CHANNEL}/{revision}/{digest}",
        revision=revision,
        currency=order.currency,
        **changed,
    )


def _refunded(refund: WooRefund) -> tuple[LineUnits, ...]:
    """Return the refunded units by line of the order. Lines without units are refunds of money."""
    units: dict[str, int] = {}
    for item in refund.line_items:
        if not item.quantity:
            continue
        if item.line_id is None:
            raise BadInput(
                Input.INVALID_ORDER,
                f"line {item.id} of refund {refund.id} does not say of which line of the order it is; send its "
                "meta_data, with _refunded_item_id",
            )
        units[item.line_id] = units.get(item.line_id, 0) + abs(item.quantity)
    return tuple(LineUnits(line_id=line_id, quantity=quantity) for line_id, quantity in units.items())


def _placed(order: WooOrder, channel: str) -> PlaceOrder:
    goods = order.goods
    if not goods:
        raise BadInput(Input.NOTHING_TO_SHIP, f"order {order.id} has no line with units; it needs nothing from here")
    is_sent = order.status == COMPLETED
    return canonical.order_of(
        {
            "channel": channel,
            "external_id": str(order.id),
            "placed_at": order.created,
            "currency": order.currency,
            "lines": tuple(_line(order, item) for item in goods),
            "payment_token": f"{CHANNEL}-{order.id}",
            "fulfilled": tuple(LineUnits(line_id=str(i.id), quantity=i.quantity) for i in goods if is_sent),
            "revision": None if order.modified is None else revision_of("date_modified_gmt", order.modified),
            **_charges(order),
            **_where(order),
            **_whose(order),
        }
    )


def _whose(order: WooOrder) -> dict[str, object]:
    """Return the customer's fields. A guest has customer_id 0; an order has no language."""
    whose = customer_of(
        customer_id=order.customer_id,
        emails=(order.billing and order.billing.email,),
        phones=order.phones,
        language=None,
    )
    return {**whose, **notes_of(order.note), **metadata_of((one.key, one.value) for one in order.public_metadata)}


def _line(order: WooOrder, item: Item) -> dict[str, object]:
    return {
        "line_id": str(item.id),
        "sku": sku_of(item.sku) or _made_sku(item),
        "quantity": item.quantity,
        "unit_price_minor": _unit_price(order, item),
    }


def _made_sku(item: Item) -> str:
    """Return a SKU for a product without one: by its number or, if the item was made for this order, by the item's."""
    if item.variation_id:
        return f"variation-{item.variation_id}"
    return f"product-{item.product_id}" if item.product_id else f"custom-{item.id}"


def _unit_price(order: WooOrder, item: Item) -> int:
    """Return the unit price before coupons; a person may have raised the price of a line by hand."""
    return _rounded_up(f"line_items.{item.id}.subtotal", max(item.subtotal, item.total), order.currency, item.quantity)


def _rounded_up(field: str, amount: Decimal, currency: str, units: int = 1) -> int:
    try:
        each = amount.scaleb(exponent_of(currency)) / units
        return minor_of(field, each.to_integral_value(ROUND_CEILING).scaleb(-exponent_of(currency)), currency)
    except ArithmeticError as error:
        raise BadInput(Input.INVALID_AMOUNT, f"{field}: an amount is expected, such as 12.50") from error


def _charges(order: WooOrder) -> dict[str, int]:
    """Return the charges.

    Each part may have been rounded by itself, so the total may differ by one minor unit for each.
    """
    currency = order.currency
    total = minor_of("total", order.total, currency)
    fees = sum((fee.total for fee in order.fee_lines if fee.total > 0), NOTHING)
    shipping = _rounded_up("shipping_total", order.shipping_total + fees, currency)
    tax = _rounded_up("total_tax", order.total_tax, currency)
    parts = [item.total for item in order.line_items] + [fee.total for fee in order.fee_lines]
    exact = (sum(parts, order.shipping_total + order.total_tax)).scaleb(exponent_of(currency))
    if abs(exact - total) > len(parts) + 1:
        raise BadInput(
            Input.TOTAL_MISMATCH,
            f"order {order.id}: its total is {total} minor units and its parts make {exact.normalize():f}; "
            "compare lines, discounts, taxes and shipping in the shop",
        )
    over = sum(_unit_price(order, item) * item.quantity for item in order.goods) + shipping + tax - total
    return {
        "shipping_minor": shipping,
        "tax_minor": tax + max(-over, 0),
        "discount_minor": max(over, 0),
    }


def _where(order: WooOrder) -> dict[str, object]:
    if order.is_pickup:
        return {"ship_to": NOWHERE, "pickup": True, "delivery_option": PICKUP, "allow_split": False}
    if order.place is None:
        raise BadInput(
            Input.NOTHING_TO_SHIP,
            f"order {order.id} has neither a shipping method nor a shipping address: it needs nothing from here",
        )
    return {"ship_to": _address(order.place)}


def _address(place: ShopAddress) -> dict[str, object]:
    return {
        "name": " ".join(filter(None, (place.first_name, place.last_name))),
        "street": ", ".join(filter(None, (place.company, place.address_1, place.address_2))),
        "city": place.city or "",
        "region": place.state or "",
        "postal_code": place.postcode or "",
        "country": place.country or "",
    }
