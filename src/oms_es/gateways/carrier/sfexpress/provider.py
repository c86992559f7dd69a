"""SF Express as a carrier: an order with a waybill number for each carton, and its cancellation.

Invariant: a parcel has one order at SF, whatever answers were lost. The request's id is the order's (`orderId`), which
SF takes once: a repeated order is refused, and what is there is looked up by the same id; until it is found, nothing is
certain. Whatever else SF answers to
an order, it is looked up before its refusal is believed. An order that SF does not deliver is cancelled before it is
refused here, as it would be collected otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

import structlog
from pydantic import ValidationError

from oms_es.gateways.carrier.asking import NotDone, each
from oms_es.gateways.carrier.port import (
    Booking,
    Cancellation,
    Consent,
    Parcel,
    StillAlone,
    TrackedNumber,
    alone,
)
from oms_es.gateways.carrier.sfexpress.client import Client, SfRefused
from oms_es.gateways.carrier.sfexpress.dialect import CARRIER
from oms_es.gateways.carrier.sfexpress.shapes import BY_HAND, OUT_OF_REACH, Order, Sender, Withdrawal
from oms_es.gateways.outgoing import NoAnswer, NothingCertain
from oms_es.schemas.problems import problems
from oms_es.schemas.values.cards import digits_of

log = structlog.get_logger()

CREATE, SEARCH, UPDATE = "EXP_RECE_CREATE_ORDER", "EXP_RECE_SEARCH_ORDER_RESP", "EXP_RECE_UPDATE_ORDER"
ROUTES = "EXP_RECE_SEARCH_ROUTES"
REPEATED = frozenset({"8016", "A1007"})
"""Codes of an order whose id was taken before."""
NOT_FOUND = frozenset({"6150", "8018", "8024"})
CANCELLED = "8037"
CANCEL = 2
WITHDRAWN, OF_ANOTHER = "2", "1"
"""Results of a cancellation: done, or the waybill is another order's."""
CANCEL_ATTEMPTS = 2
"""How often a cancellation is asked for until its refusal is believed: of one that was done, SF says so then."""
NUMBERS_MAX = 10
"""How many numbers one query may have."""
BATCH_MAX = 15
"""Parcels of one batch. Each takes at most 4 requests, and 5 parcels are processed at once: that is 12 requests in
sequence, well below the 60 s for which a worker may be silent (/livez)."""
CHINA = "86"
MOBILE_DIGITS = 11
Read = TypeVar("Read", Order, Withdrawal)


class AlreadyCancelled(NotDone):
    """The order was cancelled before."""


class Terms(NamedTuple):
    """What all orders of the account have in common. `product`: SF's number of the service (expressTypeId)."""

    monthly_card: str
    product: int
    cargo: str


class SfExpressCarrier:
    """SF Express as a carrier. `senders`: by location."""

    dialect = "sfexpress"

    def __init__(self, client: Client, senders: Mapping[str, Sender], terms: Terms) -> None:
        self._client = client
        self._senders = senders
        self._terms = terms

    def book(self, parcels: Sequence[Parcel], still_alone: StillAlone = alone) -> Sequence[Booking]:  # noqa: ARG002 - SF takes an order's id once
        """Place an order for each parcel. Raise GatewayUnavailable."""
        return each(
            self._booked,
            parcels,
            lambda why: Booking("unknown", reason=why),
            lambda why: Booking("refused", reason=why),
            name="sfexpress",
        )

    def cancel(self, cancellations: Sequence[Cancellation]) -> Sequence[Consent]:
        """Cancel the orders of bookings. Raise GatewayUnavailable."""
        return each(
            self._cancelled,
            cancellations,
            lambda why: Consent("unknown", why),
            lambda why: Consent("refused", why),
            name="sfexpress",
        )

    def track(self, numbers: Sequence[TrackedNumber]) -> Sequence[bytes | None]:
        """Return the routes of each number of SF's, in the form of its pushes. Raise GatewayUnavailable."""
        ours = [one.tracking_number for one in numbers if one.carrier == CARRIER]
        found: dict[str, bytes | None] = {}
        for start in range(0, len(ours), NUMBERS_MAX):
            found |= self._routes_of(ours[start : start + NUMBERS_MAX])
        return [found[one.tracking_number] if one.carrier == CARRIER else b"" for one in numbers]

    def _booked(self, parcel: Parcel) -> Booking:
        order_id = str(parcel.key)
        try:
            order = self._order(CREATE, self._wanted(parcel))
        except SfRefused as error:
            found = self._found({"orderId": order_id})
            if found is None and error.code in REPEATED:
                raise NothingCertain(f"SF says that it has the order, and does not find it: {error}") from error
            if found is None:
                raise NotDone(f"SF Express: {error}") from error
            order = found
        if order.orderId != order_id:
            raise NothingCertain(f"an answer is about the order {order.orderId}")
        return self._answer(parcel, order)

    def _wanted(self, parcel: Parcel) -> Mapping[str, Any]:
        sender = self._senders.get(parcel.location)
        if sender is None:
            raise NotDone(f"{parcel.location} has no address in OMS_SFEXPRESS_SENDERS_FILE; add it, and book again")
        if parcel.carrier.casefold() not in ("", CARRIER):
            raise NotDone(f"the parcel is to go by {parcel.carrier}, and not by {CARRIER}; book it elsewhere")
        to = parcel.ship_to
        if not to.phone or not to.name:
            lacking = "name" if not to.name else "telephone number"
            raise NotDone(f"the address has no {lacking}, which SF Express needs; correct the address, and book again")
        receiver = {
            "contactType": 2,
            "contact": to.name,
            **_reached_at(to.phone),
            "country": to.country,
            "province": to.region,
            "city": to.city,
            "address": to.street,
            "postCode": to.postal_code,
        }
        return {
            "language": "zh-CN",
            "orderId": str(parcel.key),
            "contactInfoList": [{"contactType": 1, **sender.model_dump(exclude_defaults=True)}, receiver],
            "cargoDetails": [{"name": self._terms.cargo}],
            "monthlyCard": self._terms.monthly_card,
            "payMethod": 1,
            "expressTypeId": self._product(parcel.service),
            "parcelQty": max(len(parcel.cartons), 1),
            "totalWeight": float(Decimal(parcel.weight_grams) / 1_000),
            "isGenWaybillNo": 1,
            "isReturnRoutelabel": 0,
            "remark": parcel.shipment_id,
        }

    def _product(self, service: str) -> int:
        if not service:
            return self._terms.product
        if not (service.isascii() and service.isdigit()):
            raise NotDone(f"{service} is no product of SF's; publish rates with SF's number of it (expressTypeId)")
        return int(service)

    def _answer(self, parcel: Parcel, order: Order) -> Booking:
        """Return the booking: the main waybill is the shipment's number."""
        if order.filterResult == OUT_OF_REACH:
            self._withdraw(order)
            raise NotDone(f"SF Express does not deliver to this address (remark {order.remark or 'none'})")
        if order.filterResult == BY_HAND:
            raise NothingCertain("people of SF's are to say whether they deliver to this address")
        numbers, cartons = order.numbers, [carton.carton_id for carton in parcel.cartons]
        if len(numbers) != max(len(cartons), 1):
            raise NothingCertain(f"an answer has {len(numbers)} waybills for {max(len(cartons), 1)} cartons")
        by_carton = tuple(zip(cartons, numbers, strict=True)) if len(cartons) > 1 else ()
        return Booking("booked", CARRIER, numbers[0], carton_numbers=by_carton)

    def _cancelled(self, asked: Cancellation) -> Consent:
        try:
            order = self._found({"mainWaybillNo": asked.tracking_number})
        except AlreadyCancelled:
            return Consent("cancelled")
        if order is None:
            raise NotDone(f"SF Express knows no order of {asked.tracking_number}; ask SF Express itself")
        if asked.tracking_number not in order.numbers:
            raise NothingCertain(f"an answer is about the waybills {', '.join(order.numbers)}")
        self._withdraw(order)
        return Consent("cancelled")

    def _withdraw(self, order: Order) -> None:
        """Cancel the order. Raise NotDone, NoAnswer or GatewayUnavailable."""
        waybills = [one.model_dump() for one in order.waybillNoInfoList]
        wanted = {"orderId": order.orderId, "dealType": CANCEL, "waybillNoInfoList": waybills}
        why = ""
        for _ in range(CANCEL_ATTEMPTS):
            try:
                status = _read(Withdrawal, self._client.ask(UPDATE, wanted)).resStatus
            except SfRefused as error:
                if error.code == CANCELLED:
                    return
                why = str(error)
                continue
            if status == WITHDRAWN:
                return
            if status != OF_ANOTHER:
                raise NothingCertain(f"a cancellation has the result {status}")
            why = "the waybills are another order's"
        raise NotDone(f"SF Express does not cancel the order {order.orderId}: {why}")

    def _found(self, named: Mapping[str, str]) -> Order | None:
        """Return the order with this name, or None. A look-up that is refused leaves the outcome open."""
        try:
            return self._order(SEARCH, {**named, "searchType": "1", "language": "zh-CN"})
        except SfRefused as error:
            if error.code in NOT_FOUND:
                return None
            if error.code == CANCELLED:
                raise AlreadyCancelled("its order was cancelled at SF Express") from error
            raise NothingCertain(f"a look-up is refused: {error}") from error

    def _order(self, service: str, wanted: Mapping[str, Any]) -> Order:
        return _read(Order, self._client.ask(service, wanted))

    def _routes_of(self, numbers: Sequence[str]) -> Mapping[str, bytes | None]:
        """Return the routes of the numbers. If SF refuses several at once, ask for each, as one may not be ours."""
        wanted = {"language": "zh-CN", "trackingType": "1", "methodType": "1", "trackingNumber": list(numbers)}
        try:
            said = self._client.ask(ROUTES, wanted).get("routeResps")
        except NoAnswer as error:
            log.warning("no answer from SF Express", error=str(error))
            return dict.fromkeys(numbers)
        except SfRefused as error:
            if len(numbers) > 1:
                return {number: said for one in numbers for number, said in self._routes_of([one]).items()}
            log.info("SF Express has no routes", tracking_number=numbers[0], why=str(error))
            return {numbers[0]: b""}
        if not isinstance(said, list) or not all(isinstance(one, dict) for one in said):
            log.warning("no answer from SF Express", error="an answer has no routes")
            return dict.fromkeys(numbers)
        routes = {str(one.get("mailNo")): one for one in said if one.get("routes")}
        return {
            number: json.dumps(routes[number], ensure_ascii=False).encode() if number in routes else b""
            for number in numbers
        }


def _reached_at(phone: str) -> Mapping[str, str]:
    """Return the number in the field that SF has for its kind."""
    digits = digits_of(phone)
    at_home = digits.removeprefix(CHINA) if len(digits) > MOBILE_DIGITS else digits
    is_mobile = len(at_home) == MOBILE_DIGITS and at_home.startswith("1")
    return {"mobile": at_home} if is_mobile else {"tel": digits}


def _read(shape: type[Read], said: Mapping[str, Any]) -> Read:
    try:
        return shape.model_validate(said)
    except ValidationError as error:
        raise NothingCertain(f"an answer is not as SF writes it: {problems(error, whole='answer')}") from None
