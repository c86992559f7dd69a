"""The sources of orders, their lines, and backorders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import and_, case, func, or_, select

from oms_es.projections.facts import order_lines, return_lines
from oms_es.projections.order import backorder_queue, order_recipients
from oms_es.reports.figures.sources.base import (
    AGES,
    CURRENCY,
    HOURS_OF_AGES,
    KINDS,
    NOUGHT,
    OF_ORDER,
    ORDERS,
    Join,
    Number,
    Source,
    band,
    category,
    hours,
    m,
    now,
    of_items,
    yes,
)
from oms_es.reports.figures.sources.money import refund, undone

line, back = order_lines.projection.table.c, return_lines.projection.table.c
queue = backorder_queue.projection.table.c
RECIPIENTS = order_recipients.projection.table


def _refunded() -> Any:
    given = select(refund.order_id, func.sum(refund.refunded_minor).label("minor")).where(~undone)
    return given.group_by(refund.order_id).subquery("given_back")


def _returned() -> Any:
    counted = select(back.order_id, back.line_id, func.sum(back.received).label("units"))
    return counted.group_by(back.order_id, back.line_id).subquery("came_back")


def _customer_kind() -> Any:
    """Return whether the customer had ordered on the channel before; forgotten customers count as guests.

    A split or merged order has the placing time of its origin, so that the origin does not count as earlier.
    """
    whose, earlier = RECIPIENTS.c, RECIPIENTS.alias("earlier").c
    before = earlier.placed_at < whose.placed_at
    same = and_(earlier.channel == whose.channel, earlier.customer_id == whose.customer_id)
    is_guest = func.coalesce(whose.customer_id, "") == ""
    return case((is_guest, "guest"), (select(earlier.order_id).where(same, before).exists(), "returning"), else_="new")


_given, _came = _refunded(), _returned()
_counted = yes(m.merged_at.is_(None))
_is_of_order = RECIPIENTS.c.order_id == m.order_id

_credit = func.least(m.credit_minor, func.greatest(m.gross_minor - m.cancelled_minor, 0))
_tried = or_(m.allocated_at.is_not(None), m.backordered_at.is_not(None))
_given_back = func.coalesce(_given.c.minor, 0)
_stands = and_(m.merged_at.is_(None), m.cancelled_at.is_(None))
_of_customer = {"customer_kind": _customer_kind()}
_who: Mapping[str, Join] = {"customer_kind": (RECIPIENTS, _is_of_order)}
CUSTOMER_KINDS = {"customer_kind": ("guest", "new", "returning")}

orders = Source(
    "Orders, with what they come to and when each step was reached; an order that was merged counts where it went.",
    "orders",
    ORDERS.outerjoin(_given, _given.c.order_id == m.order_id),
    {**OF_ORDER, CURRENCY: m.currency, "delivery_option": m.delivery_option, **_of_customer},
    {
        "orders": Number(_counted, "orders", "orders"),
        "cancelled_orders": Number(yes(m.cancelled_at.is_not(None)), "orders", "orders that were cancelled whole"),
        "backordered_orders": Number(yes(m.backordered_at.is_not(None)), "orders", "orders that waited for stock"),
        "tried_orders": Number(
            _counted * yes(_tried), "orders", "orders for which stock was sought, whether it was found or not"
        ),
        "filled_orders": Number(
            _counted * yes(and_(m.allocated_at.is_not(None), m.backordered_at.is_(None))),
            "orders",
            "orders that never waited for stock",
        ),
        "released_orders": Number(yes(m.released_at.is_not(None)), "orders", "orders that went to fulfilment"),
        "shipped_orders": Number(yes(m.shipped_at.is_not(None)), "orders", "orders shipped completely"),
        "split_orders": Number(yes(m.parcels > 1), "orders", "orders released in several parcels"),
        "parcels": Number(m.parcels, "parcels", "parcels that orders were released in"),
        "units": Number(m.units, "units", "units ordered, also those cancelled since"),
        "cancelled_units": Number(m.cancelled_units, "units", "units cancelled, whole orders and single lines"),
        "gross_minor": Number(
            m.gross_minor, "minor", "the totals of orders; amounts that were cancelled later are included"
        ),
        "cancelled_minor": Number(m.cancelled_minor, "minor", "the part of gross_minor that was cancelled"),
        "credit_minor": Number(
            _credit, "minor", "the part of gross_minor of exchanges that the returned goods pay for"
        ),
        "refunded_minor": Number(_given_back, "minor", "what was refunded, without refunds that undo a payment"),
        "net_minor": Number(
            m.gross_minor - m.cancelled_minor - _credit - _given_back,
            "minor",
            "gross_minor less cancelled_minor, credit_minor and refunded_minor",
        ),
        "shipping_minor": Number(
            case((_stands, m.shipping_minor), else_=NOUGHT), "minor", "for shipping, of orders that were not cancelled"
        ),
        "tax_minor": Number(
            case((_stands, m.tax_minor), else_=NOUGHT),
            "minor",
            "tax on top of the prices, of orders that were not cancelled; refunds take nothing off it",
        ),
        "discount_minor": Number(
            case((_stands, m.discount_minor), else_=NOUGHT), "minor", "discounts of orders that were not cancelled"
        ),
        "standing_minor": Number(
            case((_stands, m.gross_minor - m.cancelled_minor), else_=NOUGHT),
            "minor",
            "gross_minor less cancelled_minor, of orders that were not cancelled whole",
        ),
        "undiscounted_minor": Number(
            case((_stands, m.gross_minor - m.cancelled_minor + m.discount_minor), else_=NOUGHT),
            "minor",
            "standing_minor with the discounts added again",
        ),
        "placed_to_ship_hours": Number(
            hours(m.placed_at, m.first_dispatched_at), "hours", "from placing, by the channel, to the first parcel"
        ),
        "accepted_to_ship_hours": Number(
            hours(m.accepted_at, m.first_dispatched_at),
            "hours",
            "from when the order was accepted here to its first parcel",
        ),
        "backorder_hours": Number(
            case((m.allocated_at >= m.backordered_at, hours(m.backordered_at, m.allocated_at))),
            "hours",
            "from when the order first waited for stock to when all its units were allocated",
        ),
        "accepted_to_door_hours": Number(
            hours(m.accepted_at, m.last_delivered_at),
            "hours",
            "from when the order was accepted here to its last delivery",
        ),
    },
    {
        "placed_at": m.placed_at,
        "accepted_at": m.accepted_at,
        "released_at": m.released_at,
        "first_dispatched_at": m.first_dispatched_at,
        "completed_at": m.completed_at,
        "cancelled_at": m.cancelled_at,
    },
    {**KINDS, **CUSTOMER_KINDS},
    joins=_who,
)
_here = and_(line.said_version == m.lines_version, m.merged_at.is_(None))
_now = case((_here, line.quantity), else_=0)
_stopped = case((and_(_here, m.cancelled_at.is_not(None)), line.quantity), else_=0)
_units = _now + line.cancelled + line.elsewhere
_goods = _now * line.unit_price_minor + line.cancelled_minor + line.elsewhere_minor
_off = line.cancelled + _stopped
_off_minor = line.cancelled_minor + _stopped * line.unit_price_minor
lines = Source(
    "Lines of orders, by SKU: goods at their prices, without discounts, shipping and tax on top.",
    "orders",
    order_lines.projection.table.join(ORDERS, m.order_id == line.order_id).outerjoin(
        _came, and_(_came.c.order_id == line.order_id, _came.c.line_id == line.line_id)
    ),
    {**OF_ORDER, CURRENCY: line.currency, **_of_customer, "sku": line.sku, "category": category},
    {
        "units": Number(_units, "units", "units ordered, also those cancelled since"),
        "cancelled_units": Number(_off, "units", "the part of units that was cancelled"),
        "net_units": Number(_units - _off, "units", "units that were not cancelled"),
        "returned_units": Number(func.coalesce(_came.c.units, 0), "units", "units that came back"),
        "gross_minor": Number(_goods, "minor", "goods ordered, also those cancelled since"),
        "cancelled_minor": Number(_off_minor, "minor", "the part of gross_minor that was cancelled"),
        "net_minor": Number(_goods - _off_minor, "minor", "goods that were not cancelled"),
    },
    {"placed_at": line.placed_at},
    {**KINDS, **CUSTOMER_KINDS},
    joins={**_who, **of_items(line.sku)},
)
_began = func.coalesce(m.backordered_at, queue.waiting_since)
_waited = hours(_began, now)
backorders = Source(
    "Units that orders wait for now, by SKU, and how long ago each order first waited for stock.",
    "orders",
    backorder_queue.projection.table.outerjoin(ORDERS, m.order_id == queue.order_id),
    {**OF_ORDER, "sku": queue.sku, "category": category, "age": band(_waited, HOURS_OF_AGES, AGES)},
    {
        "units": Number(queue.quantity, "units", "units that orders wait for"),
        "age_hours": Number(_waited, "hours", "since the order first waited for stock"),
        "overdue_units": Number(
            case((queue.promised_at < now, queue.quantity), else_=NOUGHT),
            "units",
            "units that were promised for an earlier time than now",
        ),
    },
    {"backordered_at": _began, "promised_at": queue.promised_at},
    {**KINDS, "age": AGES},
    joins=of_items(queue.sku),
)
