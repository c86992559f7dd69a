"""The state of an EasyPost account: shipments, their labels, trackers and a balance, with EasyPost's rules.

Invariant: a shipment is paid for once, and refunded once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

Thing = dict[str, Any]
SERVICES = (
    ("USPS", "Express", "31.00", "1.10"),
    ("USPS", "Priority", "8.00", "0.20"),
    ("USPS", "GroundAdvantage", "5.00", "0.15"),
    ("UPS", "Ground", "9.50", "0.05"),
)
"""Carrier, service, price of a parcel, and price of each ounce."""
NOWHERE = "00000"
"""A postal code that no carrier serves."""
OUNCES_MAX = 1_120


class ApiError(Exception):
    def __init__(self, status: int, code: str, message: str, errors: list[Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body: Thing = {"error": {"code": code, "message": message, "errors": errors or []}}


class EasyPostBooks:
    """The account. `clock`: seconds since 1970. `currencies`: of carriers that are not paid in dollars. `balance`: None
    for unlimited. `labels_left`: labels that carriers still sell; None for unlimited. `stubborn`: carriers refund
    nothing. `leads_to`: which of several shipments with the same reference is found; EasyPost does not document this.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.currencies: dict[str, str] = {}
        self.balance: Decimal | None = None
        self.labels_left: int | None = None
        self.stubborn = False
        self.leads_to: Literal["first", "newest"] = "first"
        self.shipments: dict[str, Thing] = {}
        self.trackers: dict[str, Thing] = {}
        self.events: list[Thing] = []
        self.paid = Decimal()

    def create(self, wanted: Thing) -> Thing:
        shipment = wanted.get("shipment") or {}
        for name in ("to_address", "from_address"):
            _require_address(shipment.get(name) or {}, name)
        weight = (shipment.get("parcel") or {}).get("weight")
        if not isinstance(weight, int | float) or weight <= 0:
            raise ApiError(
                422, "SHIPMENT.INVALID_PARAMS", "Unable to create shipment", [_field("weight", "is invalid")]
            )
        name = f"shp_{len(self.shipments) + 1:032x}"
        made: Thing = {
            "id": name,
            "object": "Shipment",
            "mode": "test",
            "created_at": self._now(),
            "updated_at": self._now(),
            "reference": shipment.get("reference"),
            "to_address": shipment["to_address"],
            "from_address": shipment["from_address"],
            "parcel": {"object": "Parcel", "weight": weight},
            "options": {"currency": "USD", **(shipment.get("options") or {})},
            "messages": [],
            "rates": [],
            "selected_rate": None,
            "postage_label": None,
            "tracking_code": None,
            "tracker": None,
            "refund_status": None,
            "status": "unknown",
        }
        reason = _no_rate(made)
        if reason:
            made["messages"] = [{"carrier": "USPS", "type": "rate_error", "message": reason}]
        else:
            made["rates"] = list(self._rates(name, weight))
        self.shipments[name] = made
        return made

    def _rates(self, name: str, weight: float) -> Iterator[Thing]:
        for number, (carrier, service, base, an_ounce) in enumerate(SERVICES):
            price = Decimal(base) + Decimal(an_ounce) * Decimal(str(weight))
            yield {
                "id": f"rate_{name[-8:]}{number}",
                "object": "Rate",
                "carrier": carrier,
                "service": service,
                "rate": f"{price:.2f}",
                "currency": self.currencies.get(carrier, "USD"),
                "delivery_days": number + 1,
                "shipment_id": name,
            }

    def shipment(self, name: str) -> Thing:
        """Return the shipment with this id or reference."""
        found = [one for one in self.shipments.values() if name in (one["id"], one["reference"])]
        if not found:
            raise ApiError(404, "NOT_FOUND", "The requested resource could not be found.")
        return found[0] if self.leads_to == "first" else found[-1]

    def buy(self, name: str, wanted: Thing) -> Thing:
        shipment = self.shipment(name)
        if shipment["selected_rate"]:
            raise ApiError(422, "SHIPMENT.POSTAGE.EXISTS", "Postage already exists for this shipment.")
        rate = next((r for r in shipment["rates"] if r["id"] == (wanted.get("rate") or {}).get("id")), None)
        if rate is None:
            raise ApiError(404, "RATE.NOT_FOUND", "The requested resource could not be found.")
        price = Decimal(rate["rate"])
        if self.balance is not None and self.balance < price:
            raise ApiError(402, "PAYMENT_REQUIRED", "Insufficient funds.")
        if self.labels_left is not None:
            if not self.labels_left:
                raise ApiError(422, "SHIPMENT.POSTAGE.FAILURE", "The carrier sells no label.", ["ask the carrier"])
            self.labels_left -= 1
        if self.balance is not None:
            self.balance -= price
        self.paid += price
        number = f"94{len(self.trackers) + 1:020d}"
        kind = {"PDF": "application/pdf", "PNG": "image/png", "ZPL": "application/zpl"}
        wants = shipment["options"].get("label_format", "PNG")
        shipment["selected_rate"] = rate
        shipment["tracking_code"] = number
        shipment["postage_label"] = {
            "object": "PostageLabel",
            "label_file_type": kind[wants],
            "label_url": f"/labels/{name}.{wants.lower()}",
        }
        shipment["tracker"] = self.trackers[number] = {
            "id": f"trk_{len(self.trackers) + 1:032x}",
            "object": "Tracker",
            "mode": "test",
            "tracking_code": number,
            "status": "pre_transit",
            "status_detail": "status_update",
            "created_at": self._now(),
            "updated_at": self._now(),
            "shipment_id": shipment["id"],
            "carrier": rate["carrier"],
            "tracking_details": [],
        }
        self._seen(number, "pre_transit", "Pre-Shipment Info Sent", "tracker.created")
        return shipment

    def refund(self, name: str) -> Thing:
        """Refund a shipment. A repeated request changes nothing; a rejected refund may be requested again."""
        shipment = self.shipment(name)
        if not shipment["selected_rate"]:
            raise ApiError(422, "SHIPMENT.REFUND.NO_POSTAGE", "There is no postage to refund.")
        if shipment["refund_status"] in ("submitted", "refunded"):
            return shipment
        used = self.trackers[shipment["tracking_code"]]["status"] != "pre_transit"
        shipment["refund_status"] = "rejected" if used or self.stubborn else "submitted"
        if shipment["refund_status"] == "submitted":
            self.paid -= Decimal(shipment["selected_rate"]["rate"])
        return shipment

    def trackers_of(self, number: str, carrier: str = "") -> Thing:
        found = [t for t in self.trackers.values() if t["tracking_code"] == number and carrier in ("", t["carrier"])]
        return {"trackers": found, "has_more": False}

    def scan(self, number: str, status: str, message: str, detail: str = "status_update") -> None:
        """Record a carrier's scan of a parcel."""
        self._seen(number, status, message, "tracker.updated", detail)

    def _seen(self, number: str, status: str, message: str, kind: str, detail: str = "status_update") -> None:
        tracker = self.trackers[number]
        line = {
            "object": "TrackingDetail",
            "message": message,
            "status": status,
            "status_detail": detail,
            "datetime": self._now(),
            "tracking_location": {"object": "TrackingLocation", "city": "HOUSTON", "state": "TX", "country": "US"},
        }
        tracker |= {"status": status, "status_detail": detail, "updated_at": self._now()}
        tracker["tracking_details"] = [*tracker["tracking_details"], line]
        self.events.append({"object": "Event", "description": kind, "mode": "test", "result": dict(tracker)})

    def standing(self) -> list[Thing]:
        """Return the shipments that are paid for and not refunded."""
        return [
            one
            for one in self.shipments.values()
            if one["selected_rate"] and one["refund_status"] not in ("submitted", "refunded")
        ]

    def _now(self) -> str:
        return datetime.fromtimestamp(self.clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _field(name: str, message: str) -> Thing:
    return {"field": name, "message": message, "suggestion": None}


def _require_address(address: Thing, name: str) -> None:
    missing = [_field(part, "is required") for part in ("street1", "country") if not address.get(part)]
    if missing:
        raise ApiError(422, "ADDRESS.PARAMETERS.INVALID", f"{name} cannot be used", missing)


def _no_rate(shipment: Thing) -> str:
    if shipment["to_address"]["country"] != shipment["from_address"]["country"]:
        return "Customs information is required for international shipments"
    if shipment["to_address"].get("zip") == NOWHERE:
        return "No service goes there"
    return "Too heavy" if shipment["parcel"]["weight"] > OUNCES_MAX else ""
