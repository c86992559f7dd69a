"""The commands that settle each kind of exception, filled in from the exception, and pages that show more about it.

Pure: a row of the inbox to names of commands and pages. An exception that the engine settles by itself once its cause
is mended has a page instead of commands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

HELD = "held"
"""The prefix of the kinds for holds: all kinds of hold are settled by the same commands."""


class Look(NamedTuple):
    """A page of the console that shows more. `key`: of its name in the texts."""

    key: str
    scope: str
    path: tuple[str, ...]
    query: Mapping[str, str]


SETTLES: Mapping[str, tuple[str, ...]] = {
    "backordered": ("order.retry-sourcing", "order.assign", "order.cancel-lines", "order.cancel"),
    HELD: ("order.release-hold", "order.hold", "order.cancel"),
    "hold_overdue": ("order.release-hold", "order.hold", "order.cancel"),
    "duplicate_conflict": ("order.amend", "order.cancel"),
    "cancellation_refused": ("order.request-return", "order.refund"),
    "amendment_refused": ("order.amend", "order.cancel"),
    "channel_contradiction": ("order.amend", "order.record-fulfilment", "order.override"),
    "credit_refused": ("order.refund",),
    "order_missing": ("order.place",),
    "exchange_unpaid": ("order.retry-payment", "order.request-return"),
    "payment_refused": ("order.retry-payment", "order.cancel"),
    "capture_refused": ("order.retry-payment", "order.hold", "order.cancel"),
    "capture_failed": ("order.retry-payment", "order.hold", "order.cancel"),
    "reauthorization_declined": ("order.retry-payment", "order.hold", "order.cancel"),
    "captured_short": ("order.retry-payment", "order.cancel-lines"),
    "void_failed": ("order.refund",),
    "refund_refused": ("order.refund",),
    "refund_failed": ("order.refund",),
    "refunded_short": ("order.refund",),
    "refunded_elsewhere": ("order.release-hold", "order.cancel", "order.request-return"),
    "let_go_elsewhere": ("order.retry-payment", "order.cancel"),
    "dispute": ("order.hold", "order.cancel", "order.request-return"),
    "payment_unanswered": ("order.hold", "order.retry-payment"),
    "payment_contradiction": ("order.hold", "order.refund"),
    "unmatched_report": (),
    "not_picked": ("order.cancel-lines", "shipment.pack", "stock.count", "order.cancel"),
    "booking_failed": ("shipment.book", "order.cancel"),
    "dispatch_overdue": ("shipment.pack", "shipment.book", "shipment.declare-lost"),
    "parcel_silent": ("shipment.declare-lost", "shipment.record-collection"),
    "delivery_exception": ("shipment.declare-lost", "shipment.record-collection"),
    "cancellation_unanswered": ("shipment.cancel-booking", "shipment.book"),
    "warehouse_contradiction": ("shipment.pack", "stock.count", "order.cancel"),
    "carrier_contradiction": ("shipment.record-collection", "shipment.declare-lost"),
    "returned_to_sender": ("order.refund", "order.cancel"),
    "number_shared": (),
    "return_review": ("return.approve", "return.refuse"),
    "return_surplus": ("order.request-return", "order.refund"),
    "serial_conflict": ("stock.count", "stock.write-off-stock"),
    "promise_broken": ("stock.count", "stock.receive", "order.cancel-lines"),
    "put_aside": (),
    "subscription_disabled": ("subscriptions.enable", "subscriptions.change"),
    "noticed": ("order.hold", "order.cancel", "order.amend"),
    "odd_day": (),
}
"""Commands that usually settle a kind of exception, the likeliest first: `GROUP.VERB`."""
ENDS: Mapping[str, str] = {
    "no_location": "location.open",
    "no_stock": "stock.receive",
    "stock_closed": "location.open",
    "stock_too_little": "order.assign",
    "stock_ruled_out": "order.assign",
    "unpaid": "order.retry-payment",
    "held": "order.release-hold",
    "held_with_note": "order.release-hold",
    "parcel_to_pack": "shipment.pack",
    "parcel_refused": "shipment.book",
    "parcel_without_rate": "shipment.book",
    "parcel_given_back": "shipment.book",
}
"""The command that ends an order's wait, where a person can give one: `GROUP.VERB`."""
SHAPES: Mapping[str, re.Pattern[str]] = {
    **{
        kind: re.compile(r"[^/]+/(?P<shipment>.+)", re.DOTALL)
        for kind in (
            "not_picked",
            "warehouse_contradiction",
            "booking_failed",
            "dispatch_overdue",
            "parcel_silent",
            "cancellation_unanswered",
        )
    },
    "carrier_contradiction": re.compile(r"[^/]+/(?P<shipment>.+)", re.DOTALL),
    "delivery_exception": re.compile(r"[^/]+/(?P<shipment>[^/]+)(?:/.*)?", re.DOTALL),
    "return_review": re.compile(r"[^/]+/(?P<return>.+)", re.DOTALL),
    "serial_conflict": re.compile(r"[^/]+/(?P<sku>[^/]+)/(?P<location>[^/]+)/[^/]+", re.DOTALL),
    "promise_broken": re.compile(r"[^/]+/(?P<sku>[^@]+)@(?P<location>[^/]+)/.+", re.DOTALL),
    "number_shared": re.compile(r"[^/]+/[^/]+/(?P<q>.+)", re.DOTALL),
    "unmatched_report": re.compile(r"[^/]+/[^/]+/(?P<q>.+)", re.DOTALL),
    "subscription_disabled": re.compile(r"[^/]+/(?P<name>.+)", re.DOTALL),
}
"""Patterns of exception ids, as the read model writes them, with the values they hold beside the order. An id that can
be split in two ways matches none."""
HOLDS_FOR = frozenset(
    {"capture_refused", "capture_failed", "reauthorization_declined", "dispute", "payment_unanswered"}
    | {"payment_contradiction", "refunded_elsewhere"}
)
"""Kinds of exceptions about money, for which the order is held."""


def kind_of(row: Mapping[str, Any]) -> str:
    kind: str = row["kind"]
    return HELD if kind.startswith(f"{HELD}_") else kind


def commands_for(row: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the group and verb of each command that settles the exception; commands on an order only if the order is
    known."""
    named = (one.partition(".") for one in SETTLES.get(kind_of(row), ()))
    return tuple((group, verb) for group, _, verb in named if group != "order" or row["order_id"] or verb == "place")


def values_of(row: Mapping[str, Any]) -> dict[str, str]:
    """Return values for the command's form that the exception gives."""
    exception_id: str = row["exception_id"]
    shape = SHAPES.get(row["kind"])
    found = shape.fullmatch(exception_id) if shape else None
    values = {"order": row["order_id"], **(found.groupdict() if found else {})}
    if exception_id.startswith(f"{HELD}_"):
        values["kind"] = exception_id.partition("/")[0].removeprefix(f"{HELD}_")
    elif row["kind"] in HOLDS_FOR:
        values["kind"] = "payment"
    return {name: value for name, value in values.items() if value}


def looks_at(row: Mapping[str, Any]) -> Look | None:
    """Return the page of the console that shows more about the exception, or None."""
    values = values_of(row)
    match row["kind"]:
        case "put_aside" | "order_missing":
            return Look("nav.dead_letters", "operations:read", ("console", "dead-letters"), {})
        case "odd_day":
            return Look("nav.reports", "operations:read", ("console", "reports"), {})
        case "number_shared" | "unmatched_report" if "q" in values:
            return Look("search.go", "orders:read", ("console", "search"), {"q": values["q"]})
        case "serial_conflict" | "promise_broken" if "sku" in values:
            return Look("nav.stock", "stock:read", ("console", "stock", values["sku"]), {})
    return None
