"""What reports are made of: each source is one select over facts, with its dimensions, its numbers and its times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    DateTime,
    FromClause,
    Integer,
    Numeric,
    Table,
    and_,
    bindparam,
    case,
    cast,
    exists,
    extract,
    func,
    literal,
    literal_column,
    select,
)
from sqlalchemy.sql.visitors import iterate

from oms_es.projections.facts import (
    order_lines,
    order_milestones,
    parcel_lines,
    refunds,
    return_lines,
    stock_movements,
)
from oms_es.projections.operations import exception_history, open_exceptions
from oms_es.projections.shipment import shipments

Unit = Literal["orders", "parcels", "returns", "refunds", "movements", "exceptions", "units", "minor", "hours"]
CURRENCY = "currency"
NOW = "now"
SECONDS_PER_HOUR = 3_600
Columns = Mapping[str, ColumnElement[Any]]


@dataclass(frozen=True)
class Number:
    """What can be summed, or of which a mean or a percentile is asked."""

    column: ColumnElement[Any]
    unit: Unit
    says: str


@dataclass(frozen=True)
class Source:
    """`times`: moments by which a period is chosen; the first is what is meant if nothing is said. `family`: whose
    facts they are, as the way in over HTTP names it. `values`: of a dimension that has few."""

    about: str
    family: str
    rows: FromClause
    dimensions: Columns
    numbers: Mapping[str, Number]
    times: Columns
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def tables(self) -> tuple[str, ...]:
        """The read models that it reads."""
        return tuple(dict.fromkeys(part.name for part in iterate(self.rows) if isinstance(part, Table)))


m, line, parcel, share = (one.projection.table.c for one in (order_milestones, order_lines, shipments, parcel_lines))
back, refund, moved, open_ = (
    one.projection.table.c for one in (return_lines, refunds, stock_movements, open_exceptions)
)
ORDERS = order_milestones.projection.table


def _hours(since: ColumnElement[Any], until: ColumnElement[Any]) -> ColumnElement[Any]:
    return cast(extract("epoch", until - since), Numeric) / SECONDS_PER_HOUR


def _is(condition: ColumnElement[Any]) -> ColumnElement[int]:
    return case((condition, literal_column("1", Integer)), else_=literal_column("0", Integer))


_undone = and_(
    refund.requested_at.is_not(None),
    refund.line_minor + refund.shipping_minor + refund.goodwill_minor + refund.credit_minor == 0,
)
"""All of a payment, which another takes the place of or whose order was cancelled: nothing was sold by it."""


def _refunded() -> Any:
    given = select(refund.order_id, func.sum(refund.refunded_minor).label("minor")).where(~_undone)
    return given.group_by(refund.order_id).subquery("given_back")


def _returned() -> Any:
    counted = select(back.order_id, back.line_id, func.sum(back.received).label("units"))
    return counted.group_by(back.order_id, back.line_id).subquery("came_back")


_given, _came = _refunded(), _returned()
_of_order = {"channel": m.channel, "kind": m.kind, "country": m.country, "region": m.region}
_KINDS: Mapping[str, tuple[str, ...]] = {"kind": ("standard", "presale", "exchange")}
_counted = case((m.merged_at.is_(None), literal_column("1", Integer)), else_=literal_column("0", Integer))

_credit = func.least(m.credit_minor, func.greatest(m.gross_minor - m.cancelled_minor, 0))
_given_back = func.coalesce(_given.c.minor, 0)

_orders = Source(
    "Orders, with what they come to and when each step was reached; an order that was merged counts where it went.",
    "orders",
    ORDERS.outerjoin(_given, _given.c.order_id == m.order_id),
    {**_of_order, CURRENCY: m.currency, "delivery_option": m.delivery_option},
    {
        "orders": Number(_counted, "orders", "orders"),
        "cancelled_orders": Number(_is(m.cancelled_at.is_not(None)), "orders", "orders that were cancelled whole"),
        "backordered_orders": Number(_is(m.backordered_at.is_not(None)), "orders", "orders that waited for stock"),
        "released_orders": Number(_is(m.released_at.is_not(None)), "orders", "orders that went to fulfilment"),
        "shipped_orders": Number(_is(m.shipped_at.is_not(None)), "orders", "orders of which everything left"),
        "split_orders": Number(_is(m.parcels > 1), "orders", "orders released in several parcels"),
        "parcels": Number(m.parcels, "parcels", "parcels that orders were released in"),
        "units": Number(m.units, "units", "units ordered, also those cancelled since"),
        "cancelled_units": Number(m.cancelled_units, "units", "units cancelled, whole orders and single lines"),
        "gross_minor": Number(m.gross_minor, "minor", "what orders came to, also what was cancelled since"),
        "cancelled_minor": Number(m.cancelled_minor, "minor", "what of that was cancelled"),
        "credit_minor": Number(_credit, "minor", "what of that is paid by the goods that it is exchanged for"),
        "refunded_minor": Number(_given_back, "minor", "what of that was given back"),
        "net_minor": Number(
            m.gross_minor - m.cancelled_minor - _credit - _given_back,
            "minor",
            "what is left without what was cancelled, paid by other goods, or given back",
        ),
        "placed_to_ship_hours": Number(
            _hours(m.placed_at, m.first_dispatched_at), "hours", "from placing, by the channel, to the first parcel"
        ),
        "accepted_to_ship_hours": Number(
            _hours(m.accepted_at, m.first_dispatched_at), "hours", "from when it came here to the first parcel"
        ),
        "accepted_to_door_hours": Number(
            _hours(m.accepted_at, m.last_delivered_at), "hours", "from when it came here to the last delivery"
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
    _KINDS,
)
_here = and_(line.said_version == m.lines_version, m.merged_at.is_(None))
_now = case((_here, line.quantity), else_=0)
_stopped = case((and_(_here, m.cancelled_at.is_not(None)), line.quantity), else_=0)
_units = _now + line.cancelled + line.elsewhere
_goods = _now * line.unit_price_minor + line.cancelled_minor + line.elsewhere_minor
_off = line.cancelled + _stopped
_off_minor = line.cancelled_minor + _stopped * line.unit_price_minor
_lines = Source(
    "Lines of orders, by SKU: goods at their prices, without discounts, shipping and tax on top.",
    "orders",
    order_lines.projection.table.join(ORDERS, m.order_id == line.order_id).outerjoin(
        _came, and_(_came.c.order_id == line.order_id, _came.c.line_id == line.line_id)
    ),
    {**_of_order, CURRENCY: line.currency, "sku": line.sku},
    {
        "units": Number(_units, "units", "units ordered, also those cancelled since"),
        "cancelled_units": Number(_off, "units", "units of that which were cancelled"),
        "net_units": Number(_units - _off, "units", "units that were not cancelled"),
        "returned_units": Number(func.coalesce(_came.c.units, 0), "units", "units that came back"),
        "gross_minor": Number(_goods, "minor", "goods ordered, also those cancelled since"),
        "cancelled_minor": Number(_off_minor, "minor", "goods of that which were cancelled"),
        "net_minor": Number(_goods - _off_minor, "minor", "goods that were not cancelled"),
    },
    {"placed_at": line.placed_at},
    _KINDS,
)
_parcels = Source(
    "Parcels, from the request to the door.",
    "shipments",
    shipments.projection.table.outerjoin(ORDERS, m.order_id == parcel.order_id),
    {**_of_order, "location": parcel.location, "carrier": parcel.carrier, "status": parcel.status},
    {
        "parcels": Number(literal_column("1", Integer), "parcels", "parcels"),
        "dispatched_parcels": Number(_is(parcel.dispatched_at.is_not(None)), "parcels", "parcels that left"),
        "delivered_parcels": Number(_is(parcel.delivered_at.is_not(None)), "parcels", "parcels that arrived"),
        "lost_parcels": Number(_is(parcel.status == "lost"), "parcels", "parcels that were given up"),
        "returned_parcels": Number(_is(parcel.status == "returned"), "parcels", "parcels that came back undelivered"),
        "units": Number(parcel.units, "units", "units in them"),
        "asked_to_ship_hours": Number(
            _hours(parcel.requested_at, parcel.dispatched_at), "hours", "from the request to when it left"
        ),
        "ship_to_door_hours": Number(
            _hours(parcel.dispatched_at, parcel.delivered_at), "hours", "from when it left to when it arrived"
        ),
    },
    {"dispatched_at": parcel.dispatched_at, "requested_at": parcel.requested_at, "delivered_at": parcel.delivered_at},
    {**_KINDS, "status": shipments.STATUSES},
)
_shipped = Source(
    "Units that left, by SKU and location, with their share of what their orders came to; bundles by component.",
    "shipments",
    parcel_lines.projection.table.join(
        shipments.projection.table,
        and_(parcel.shipment_id == share.shipment_id, parcel.dispatched_at.is_not(None)),
    ).join(ORDERS, m.order_id == share.order_id),
    {
        **_of_order,
        CURRENCY: m.currency,
        "sku": share.sku,
        "location": share.location,
        "carrier": parcel.carrier,
    },
    {
        "units": Number(share.quantity, "units", "units that left"),
        "amount_minor": Number(share.amount_minor, "minor", "their share of the total, tax included"),
        "tax_minor": Number(share.tax_minor, "minor", "of that, tax on top of the prices"),
    },
    {"dispatched_at": parcel.dispatched_at, "placed_at": m.placed_at},
    _KINDS,
)
_returns = Source(
    "Lines of returns: asked back, come, inspected, credited.",
    "returns",
    return_lines.projection.table.outerjoin(ORDERS, m.order_id == back.order_id),
    {**_of_order, "channel": back.channel, "sku": back.sku, "reason": back.reason, "resolution": back.resolution},
    {
        "requested_units": Number(back.requested, "units", "units that customers asked to send back"),
        "received_units": Number(back.received, "units", "units that came"),
        "inspected_units": Number(back.inspected, "units", "units that were looked at"),
        "credited_units": Number(back.credited, "units", "units refunded or exchanged"),
    },
    {"requested_at": back.requested_at, "received_at": back.received_at, "placed_at": m.placed_at},
    {**_KINDS, "resolution": ("refund", "exchange", "refund_only")},
)
CAUSES = ("asked for", "payment undone", "at the provider")
_cause = case((refund.requested_at.is_(None), CAUSES[2]), (_undone, CAUSES[1]), else_=CAUSES[0])
_begun = func.coalesce(refund.requested_at, refund.refunded_at)
_refunds = Source(
    "Refunds, each part that one payment bears; what is given back at the provider counts when it did.",
    "payments",
    refunds.projection.table.outerjoin(ORDERS, m.order_id == refund.order_id),
    {**_of_order, CURRENCY: refund.currency, "status": refund.status, "reason": refund.reason, "cause": _cause},
    {
        "refunds": Number(literal_column("1", Integer), "refunds", "parts of refunds"),
        "requested_minor": Number(refund.requested_minor, "minor", "asked for"),
        "refunded_minor": Number(refund.refunded_minor, "minor", "given back"),
        "line_minor": Number(refund.line_minor, "minor", "asked for, for lines"),
        "shipping_minor": Number(refund.shipping_minor, "minor", "asked for, for shipping"),
        "goodwill_minor": Number(refund.goodwill_minor, "minor", "asked for, as goodwill"),
        "credit_minor": Number(refund.credit_minor, "minor", "asked for, left of an exchange"),
        "refund_hours": Number(
            _hours(refund.requested_at, refund.refunded_at), "hours", "from the request to the provider's answer"
        ),
    },
    {"requested_at": _begun, "refunded_at": refund.refunded_at, "placed_at": m.placed_at},
    {**_KINDS, "status": refunds.STATUSES, "cause": CAUSES},
)
_movements = Source(
    "Every change of what is on hand.",
    "stock",
    stock_movements.projection.table,
    {
        "sku": moved.sku,
        "location": moved.location,
        "kind": moved.kind,
        "condition": moved.condition,
        "reason": moved.reason,
    },
    {
        "movements": Number(literal_column("1", Integer), "movements", "movements"),
        "units": Number(moved.quantity, "units", "units that came, less those that went"),
        "units_in": Number(func.greatest(moved.quantity, 0), "units", "units that came"),
        "units_out": Number(func.greatest(-moved.quantity, 0), "units", "units that went"),
    },
    {"recorded_at": moved.recorded_at},
    {"kind": stock_movements.KINDS},
)
_past = exception_history.projection.table.c
_settled = exists().where(
    _past.exception_id == open_.exception_id,
    _past.what == exception_history.RESOLVED,
    _past.raised_at >= open_.last_raised_at,
)
_age = _hours(
    literal_column("still_open.raised_at", DateTime(timezone=True)), bindparam(NOW, type_=DateTime(timezone=True))
)
AGES = ("1: under an hour", "2: under a day", "3: under a week", "4: a week and more")
HOURS_OF_AGES = (1, 24, 24 * 7)
_aged = case(*((_age < hours, literal(age)) for hours, age in zip(HOURS_OF_AGES, AGES, strict=False)), else_=AGES[-1])
_open = select(open_exceptions.projection.table).where(~_settled).subquery("still_open")
_exceptions = Source(
    "Exceptions that are open now, and how long they have been.",
    "operations",
    _open.outerjoin(ORDERS, m.order_id == _open.c.order_id),
    {**_of_order, "exception": _open.c.kind, "age": _aged},
    {
        "exceptions": Number(literal_column("1", Integer), "exceptions", "open exceptions"),
        "age_hours": Number(_age, "hours", "since it was raised"),
    },
    {"raised_at": _open.c.raised_at},
    {**_KINDS, "age": AGES},
)
SOURCES: Mapping[str, Source] = {
    "orders": _orders,
    "lines": _lines,
    "parcels": _parcels,
    "shipped": _shipped,
    "returns": _returns,
    "refunds": _refunds,
    "movements": _movements,
    "exceptions": _exceptions,
}
