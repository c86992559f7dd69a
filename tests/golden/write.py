"""Writes the golden file of every event version that has none yet: `python tests/golden/write.py`.

A golden file is what an event looked like when it was first stored. It is never edited and never written over: history
is full of it. `whole` has every field, `required` only those without a default.
"""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from oms_es.kernel import Event
from oms_es.schemas.vocabulary import EVENTS

HERE = Path(__file__).parent
ORDER = "7b2f8f5e-2f0c-5d43-9a55-6d2f3c1f0a11"
MOMENT = "2026-01-02T03:04:05Z"
ASKED = 'AddNote {"note_text":"sha256:0123456789abcdef"}'
"""Of what a command said; elsewhere it is whether one did."""
EXAMPLES: dict[str, Any] = {
    "entity_id": "o-1",
    "keep_until": "2036-12-31",
    "basis_points": 140,
    "fixed_minor": 25,
    "customer_id": "C-1",
    "email": "ada@example.com",
    "phone": "+49 30 1234567",
    "language": "de",
    "note_id": "n-1",
    "note_text": "Ada called: please leave it with the neighbour",
    "notes": "please ring twice",
    "metadata": {"campaign": "spring"},
    "secret_id": "sec_0123456789abcdef01234567",
    "previous_secret_id": "sec_abcdef0123456789abcdef01",
    "previous_until": MOMENT,
    "dialect": "shopify",
    "url": "https://crm.example.com/oms",
    "types": ["OrderShipped"],
    "because": "its receiver said 410",
    "failed": True,
    "exception_id": f"duplicate_conflict/{ORDER}",
    "raised_at": MOMENT,
    "assignee": "ada",
    "number": 1001,
    "first": 1,
    "digits": 6,
    "prefix": "W-",
    "split_id": "s-1",
    "source_id": ORDER,
    "to_be_asked": [ORDER],
    "merge_id": "m-1",
    "from_order_ids": [ORDER],
    "bundles": {"GIFT-SET": {"TEA-250G": 2}},
    "about": "TEA-250G",
    "about_order": ORDER,
    "position": 17,
    "fact": "OrderSourced",
    "fact_id": "0c6d7a0e-93b1-5c5e-8f5e-3f0a6a5c7b11",
    "reader": "stock_allocator",
    "adjustment_id": "adj-1",
    "fulfilled": [{"line_id": "1", "quantity": 1}],
    "fulfilment": None,
    "fulfilment_id": "f-1",
    "further_tenders": [],
    "pickup": False,
    "pickup_at": None,
    "refund": None,
    "told": [{"line_id": "1", "quantity": 1}],
    "unanswered": [],
    "whole": False,
    "again": True,
    "effect": "refund/re_1",
    "allow_split": True,
    "amendment_id": "a-1",
    "amount_minor": 1999,
    "approve_at_once": True,
    "arrives_at": MOMENT,
    "attempt": 1,
    "authorization": "auth-1",
    "account": "bank-eur",
    "account_id": "ACME-1",
    "entry_id": "in-1",
    "hold_id": "h-1",
    "balance_minor": 11_999,
    "held_minor": 1999,
    "available_minor": 10_000,
    "top_up_below_minor": 20_000,
    "balance_max_minor": 100_000,
    "to_account": "ACME-1",
    "match_id": "0a1b2c3d4e5f60718293a4b5",
    "break_id": "amount/0a1b2c3d4e5f60718293a4b5",
    "break_ids": ["amount/0a1b2c3d4e5f60718293a4b5"],
    "day": "2026-01-31",
    "adjusts": "2026-01-31",
    "through": "2026-01-31",
    "resolution": "written_off",
    "movements": ["capture/17"],
    "lines": ["2026-01-31/1/2"],
    "kind": "qr_code",
    "confidence": 100,
    "content": "weixin://wxpay/bizpayurl?pr=abc",
    "account_number": "DE02120300000000202051",
    "statement_id": "2026-01-31/1",
    "format": "camt.053",
    "opened_on": "2026-01-01",
    "closed_on": "2026-01-31",
    "opening_minor": 100_000,
    "closing_minor": 101_999,
    "booked_minor": 1999,
    "line_count": 1,
    "document_sha256": "ab" * 32,
    "booked_on": "2026-01-31",
    "value_on": "2026-01-31",
    "happened_at": MOMENT,
    "sent_time": "2026-01-02 11:04:05",
    "fee_minor": 59,
    "fee_exact": "0.59000",
    "pending": True,
    "reversal": True,
    "batch": "po_1",
    "foreign_minor": 2199,
    "foreign_currency": "USD",
    "available": 1,
    "available_by": None,
    "backordered": {"TEA-250G": 1},
    "balance_due_seconds": None,
    "bands": [{"weight_grams_max": 1000, "price_minor": 490}],
    "bin": "A-01-3",
    "box": "small",
    "broken": True,
    "byte_count": 20480,
    "called": "web/1001",
    "cancellation_id": "c-1",
    "capture_id": f"{ORDER}.1",
    "capture_now": True,
    "carrier": "dhl",
    "carrier_status": "arrived_at_facility",
    "carton_id": "1",
    "carton_ids": ["1"],
    "carton_numbers": {"1": "T-1-1"},
    "carton_rule": "1/exact",
    "change_id": "c-1",
    "channel": "web",
    "channels": ["web"],
    "city": "Berlin",
    "complete": True,
    "components": {"TEA-250G": 2, "MUG": 1},
    "cost_minor": 490,
    "count_id": "count-1",
    "countries": ["DE"],
    "country": "DE",
    "covers_units": 2,
    "credit_id": "r-1/i-1",
    "credit_minor": 0,
    "credited": True,
    "credited_units": {"1": 2},
    "currency": "EUR",
    "days": 2,
    "delivered_at": MOMENT,
    "delivery_option": "express",
    "delivery_options": ["express"],
    "demand": {"TEA-250G": 1},
    "deposit_kept": False,
    "deposit_minor": 0,
    "detail": "left with a neighbour",
    "discount_minor": 100,
    "dispatched_at": MOMENT,
    "dispute_id": "dp-1",
    "distance_km": 12,
    "distance_km_max": 200,
    "due_seconds": 604_800,
    "elsewhere": "paris",
    "exchange_of": None,
    "exchange_order_id": ORDER,
    "excluded": {"TEA-250G": ["berlin"]},
    "expected": 3,
    "expires_at": MOMENT,
    "external_id": "1001",
    "feedback_id": "f-1",
    "final": True,
    "fingerprint": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "from_location": "paris",
    "handling_minor": 150,
    "held": ["berlin"],
    "held_counts": True,
    "in_time": True,
    "inbound_id": "po-1",
    "inspection_id": "i-1",
    "keep": True,
    "key": "2f1c7a52-7c3e-5f0e-9d0c-0b6f5f5b9a01",
    "late_days": 0,
    "latitude": 52.5,
    "left": 1,
    "line_id": "1",
    "location": "berlin",
    "location_countries": ["DE"],
    "location_kinds": ["warehouse"],
    "location_regions": ["BE"],
    "locations": ["berlin"],
    "longitude": 13.4,
    "lot": "L-7",
    "lot_expires_at": MOMENT,
    "media_type": "application/pdf",
    "method": "card",
    "milestone_id": "m-1",
    "more": True,
    "more_minor": -795,
    "more_units": -1,
    "move_id": "m-1",
    "name": "Ada Lovelace",
    "no_longer_backordered": {"TEA-250G": 1},
    "no_longer_sought": {"TEA-250G": 1},
    "note": "the address looks odd",
    "objective": [{"shipments": 1}, {"cost_minor": 1, "late_days": 500}],
    "occasion": 1,
    "occurred_at": MOMENT,
    "open_minor": 0,
    "operation": "capture",
    "option": "express",
    "order_id": ORDER,
    "order_kinds": ["standard"],
    "outstanding": 1,
    "over_capacity": 0,
    "override_id": "o-1",
    "part": f"{ORDER}.1",
    "payment_id": f"{ORDER}.1",
    "payment_ids": [f"{ORDER}.1", f"{ORDER}.2"],
    "payment_token": "tok-1",
    "payments_cancelled": [f"{ORDER}.1"],
    "placed_at": MOMENT,
    "postal_code": "10115",
    "presale": True,
    "price_minor": 490,
    "priority": 1,
    "promised_at": MOMENT,
    "promised_days": {"express": 1},
    "quantity": 2,
    "quoted_minor": 490,
    "rating": 4,
    "reason": "changed their mind",
    "reasons": ["damaged"],
    "receipt_id": "r-1",
    "reference": "ref-1",
    "report_id": "5f1c0b8e9d7a4c3b2a1908f7e6d5c4b3",
    "kept_id": "5f1c0b8e9d7a4c3b2a1908f7e6d5c4b3",
    "waiting": ["amendment", "cancellation"],
    "why": "EUR 1.00 is held, where EUR 19.99 was asked for",
    "references": ["ch_1", "pi_1"],
    "provider": "stripe",
    "cumulative": True,
    "expired": True,
    "asked": True,
    "refund_id": f"{ORDER}.1",
    "refunded_units": {"1": 1},
    "region": "Berlin",
    "release_id": "line-2",
    "remaining": 1,
    "reorder_point": 5,
    "replaces": f"{ORDER}.1",
    "report": "m-1",
    "request_id": "low/1",
    "requested_at": MOMENT,
    "reservation_id": f"{ORDER}/1",
    "retriable": True,
    "return_days": 21,
    "return_id": "rma-1/1",
    "returned_at": MOMENT,
    "revision": 2,
    "rma_id": "r-1",
    "rule_id": "stores-serve-pos-only",
    "rule_version": "1",
    "ruled_out": {"paris": "does not serve channel web"},
    "same_country": True,
    "saving_minor_min": 300,
    "score": [1, 0, 490, 12],
    "seen_at": MOMENT,
    "serial_tracked": True,
    "serials": ["SN-1", "SN-2"],
    "service": "parcel",
    "sha256": "ab" * 32,
    "share_percent": 50,
    "ship_to_countries": ["DE"],
    "ship_to_regions": ["BE"],
    "shipment_id": f"{ORDER}.1",
    "shipment_ids": [f"{ORDER}.1"],
    "shipments": 1,
    "shipments_max": 2,
    "shipping_minor": 490,
    "since": MOMENT,
    "sku": "TEA-250G",
    "street": "Main Street 1",
    "supersedes": "1",
    "tax_minor": 19,
    "text": "lovely",
    "to_bin": "A-01-4",
    "to_location": "paris",
    "to_order_id": "0d9ef6a6-7f2f-5c7d-8a53-0d4b7b1b7d22",
    "to_reservation_id": "0d9ef6a6-7f2f-5c7d-8a53-0d4b7b1b7d22/1",
    "total_minor": 1999,
    "tracking_number": "T-1",
    "transit_days": 2,
    "transit_days_max": 1,
    "unit_price_minor": 795,
    "units": 2,
    "units_gained_min": 1,
    "until": MOMENT,
    "up_to": 20,
    "version": "2",
    "void_id": f"{ORDER}.1",
    "volume_ml": 1200,
    "weight_grams": 950,
    "weight_grams_max": 1000,
    "window_days": 30,
    "within_km": 200,
    "write_off_id": "w-1",
    "written_off_minor": 0,
}
"""A value for every plain field, by its name."""


def path_of(event: type[Event], version: int) -> Path:
    return HERE / f"{event.__name__}.v{version}.json"


def example(shape: type[BaseModel], *, whole: bool) -> dict[str, Any]:
    fields = shape.model_fields.items()
    return {name: _value(name, f.annotation, whole=whole) for name, f in fields if whole or f.is_required()}


def _value(name: str, annotation: Any, *, whole: bool) -> Any:
    """By type where the type says it all, by name where it is a plain word or number."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    inner = [part for part in get_args(annotation) if part not in (type(None), Ellipsis)]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return example(annotation, whole=whole)
    if get_origin(annotation) is Literal:
        return inner[0]
    if get_origin(annotation) in (Union, types.UnionType) and (isinstance(inner[0], type) or get_origin(inner[0])):
        return _value(name, inner[0], whole=whole)
    if get_origin(annotation) is tuple and isinstance(inner[0], type) and issubclass(inner[0], BaseModel):
        return [example(inner[0], whole=whole)]
    if (name, annotation) == ("asked", str):
        return ASKED
    if name not in EXAMPLES:
        raise SystemExit(f"no example for the field {name}: add one to EXAMPLES in {__file__}")
    return EXAMPLES[name]


def write_missing(events: Mapping[str, type[Event]] = EVENTS) -> list[Path]:
    """The files that were missing; those that exist are left as they are."""
    written = []
    for event in events.values():
        path = path_of(event, event.schema_version)
        if not path.exists():
            golden = {"whole": example(event, whole=True), "required": example(event, whole=False)}
            path.write_text(json.dumps(golden, indent=2, ensure_ascii=False) + "\n")
            written.append(path)
    return written


if __name__ == "__main__":
    for path in write_missing():
        print(path)
