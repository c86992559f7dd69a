"""EasyPost as a carrier: a label is bought for each carton, and refunded when a booking is cancelled.

Invariant: a parcel has one label for each carton, whatever answers were lost. EasyPost has no idempotency keys:
therefore a shipment has the request's id as its reference, only the shipment that this reference leads to is bought,
and EasyPost sells no second label for it. That the reference always leads to the same shipment is assumed, not
documented: it need not be the first, but a shipment that EasyPost creates after another was bought must not take the
reference over. Cartons of one parcel are sent with one service, and all of them or none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_UP, Decimal
from http import HTTPStatus
from typing import NamedTuple, TypeVar
from urllib.parse import quote, urlencode

import structlog
from pydantic import ValidationError

from oms_es.gateways.carrier.asking import NotDone, each
from oms_es.gateways.carrier.easypost.client import Client, EasyPostRefused
from oms_es.gateways.carrier.easypost.senders import Sender
from oms_es.gateways.carrier.easypost.shapes import Bought, Rate
from oms_es.gateways.carrier.port import (
    Booking,
    Cancellation,
    Consent,
    Label,
    Parcel,
    StillAlone,
    TrackedNumber,
    alone,
)
from oms_es.gateways.outgoing import NoAnswer, NothingCertain
from oms_es.kernel import GatewayUnavailable
from oms_es.schemas.problems import problems
from oms_es.schemas.shipment import CARTONS_MAX

log = structlog.get_logger()

BATCH_MAX = 15
"""Parcels of one batch. Each takes 5 requests, and CONCURRENT_MAX parcels are processed at once: that is 15 requests in
sequence, or 30 s if each takes 2 s. This is half of the 60 s for which a worker may be silent (/livez), and a quarter
of the 120 s after which a consumer group takes the worker to be stuck."""
LABEL_ATTEMPTS_MAX = 3
GRAMS_PER_OUNCE = Decimal("28.349523125")
TENTH = Decimal("0.1")
KEY_CHARACTERS = 36
"""Characters of a reference that are the request's id; after them comes the carton's number."""
TRACKERS_MAX = 100
"""Trackers that are read for one tracking number."""
Asked = TypeVar("Asked", Parcel, Cancellation, TrackedNumber)
Answered = TypeVar("Answered")


class Piece(NamedTuple):
    """One box to be shipped. `carton_id` is empty for a parcel of one box."""

    reference: str
    carton_id: str
    weight_grams: int


class EasyPostCarrier:
    """EasyPost as a carrier. `senders`: by location. `currency`: the only currency whose rates are compared; empty if
    all rates have the same."""

    dialect = "easypost_tracker"

    def __init__(self, client: Client, senders: Mapping[str, Sender], *, currency: str, label_format: str) -> None:
        self._client = client
        self._senders = senders
        self._currency = currency
        self._label_format = label_format

    def book(self, parcels: Sequence[Parcel], still_alone: StillAlone = alone) -> Sequence[Booking]:
        """Buy labels for the parcels. Raise GatewayUnavailable."""
        return _each(
            lambda parcel: self._booked(parcel, still_alone),
            parcels,
            lambda why: Booking("unknown", reason=why),
            lambda why: Booking("refused", reason=why),
        )

    def cancel(self, cancellations: Sequence[Cancellation]) -> Sequence[Consent]:
        """Refund the labels of cancelled bookings. Raise GatewayUnavailable."""
        return _each(
            self._cancelled,
            cancellations,
            lambda why: Consent("unknown", why),
            lambda why: Consent("refused", why),
        )

    def track(self, numbers: Sequence[TrackedNumber]) -> Sequence[bytes | None]:
        """Return the newest tracker of each number, in the form of its webhooks. Raise GatewayUnavailable."""
        return _each(self._tracked, numbers, lambda _why: None, lambda _why: b"")

    def _tracked(self, asked: TrackedNumber) -> bytes:
        of_carrier = [
            one
            for one in self._trackers_of(asked.tracking_number)
            if str(one.get("carrier")).casefold() == asked.carrier.casefold()
        ]
        newest = max(of_carrier, key=lambda one: str(one.get("created_at")), default=None)
        return json.dumps(newest).encode() if newest else b""

    def _trackers_of(self, tracking_number: str) -> Sequence[dict[str, object]]:
        query = urlencode({"tracking_code": tracking_number, "page_size": TRACKERS_MAX})
        found = self._client.ask("GET", f"/trackers?{query}").get("trackers")
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise NothingCertain("an answer has no trackers")
        return found

    def _booked(self, parcel: Parcel, still_alone: StillAlone) -> Booking:
        pieces = pieces_of(parcel)
        found = [self._found(piece.reference) for piece in pieces]
        if any(one and one.is_given_back for one in found):
            raise NotDone(self._undone([one for one in found if one], "its label was given back at EasyPost"))
        there = {piece: one for piece, one in zip(pieces, found, strict=True) if one}
        try:
            for piece in pieces:
                there[piece] = there.get(piece) or self._made(piece, parcel)
            rates = chosen([there[piece] for piece in pieces], parcel, self._currency)
            for piece, rate in zip(pieces, rates, strict=True):
                if not there[piece].is_bought:
                    still_alone()
                    there[piece] = self._bought(there[piece], rate)
        except (NotDone, EasyPostRefused) as error:
            if isinstance(error, EasyPostRefused) and error.is_about_the_account:
                raise
            raise NotDone(self._undone(list(there.values()), str(error))) from error
        return self._answer(pieces, [there[piece] for piece in pieces])

    def _found(self, reference: str) -> Bought | None:
        """Return the shipment that the reference leads to, or None. A look-up that is refused leaves the
        outcome open."""
        try:
            return self._read("GET", f"/shipments/{quote(reference, safe='')}")
        except EasyPostRefused as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            if error.is_about_the_account:
                raise
            raise NothingCertain(f"a look-up is refused: {error}") from error

    def _made(self, piece: Piece, parcel: Parcel) -> Bought:
        """Create a shipment, and look it up by its reference before it is bought: if it was created twice, only one is
        bought."""
        sender = self._senders.get(parcel.location)
        if sender is None:
            raise NotDone(f"{parcel.location} has no address in OMS_EASYPOST_SENDERS_FILE; add it, and book again")
        ship_to = {
            "name": parcel.ship_to.name,
            "street1": parcel.ship_to.street,
            "city": parcel.ship_to.city,
            "state": parcel.ship_to.region,
            "zip": parcel.ship_to.postal_code,
            "country": parcel.ship_to.country,
            **({"phone": parcel.ship_to.phone} if parcel.ship_to.phone else {}),
        }
        wanted = {
            "reference": piece.reference,
            "to_address": ship_to,
            "from_address": sender.model_dump(exclude_defaults=True),
            "parcel": {"weight": float(ounces(piece.weight_grams))},
            "options": {"label_format": self._label_format, "print_custom_1": parcel.shipment_id},
        }
        self._read("POST", "/shipments", {"shipment": wanted})
        found = self._found(piece.reference)
        if found is None:
            raise NoAnswer("a shipment that was made is not found yet")
        return found

    def _bought(self, shipment: Bought, rate: Rate) -> Bought:
        """Buy a label. After an error, look at the shipment, since EasyPost may have sold the label before
        the error."""
        try:
            return self._read("POST", f"/shipments/{shipment.id}/buy", {"rate": {"id": rate.id}})
        except EasyPostRefused:
            now = self._read("GET", f"/shipments/{shipment.id}")
            if now.is_bought:
                return now
            raise

    def _undone(self, bought: Sequence[Bought], reason: str) -> str:
        """Refund the labels that were bought, and return the reason, with the labels that EasyPost does not
        take back."""
        kept = [one.tracking_code for one in bought if one.is_bought and self._given_back(one)]
        return f"{reason}; EasyPost does not take back {', '.join(map(str, kept))}" if kept else reason

    def _given_back(self, shipment: Bought) -> str:
        """Refund a label; return why it was not, or an empty string. After an error, look at the shipment: it may be
        refunded."""
        if shipment.is_given_back:
            return ""
        try:
            now = self._read("POST", f"/shipments/{shipment.id}/refund")
        except EasyPostRefused as error:
            if error.is_about_the_account:
                raise
            now = self._read("GET", f"/shipments/{shipment.id}")
            return "" if now.is_given_back else str(error)
        status = (now.refund_status or "no refund").replace("_", " ")
        return "" if now.is_given_back else f"{now.tracking_code} is not taken back: {status}"

    def _answer(self, pieces: Sequence[Piece], bought: Sequence[Bought]) -> Booking:
        """Return the booking; of several tracking numbers, the first is the shipment's."""
        numbers = [str(one.tracking_code) for one in bought]
        labels = [self._label(one, piece.carton_id) for piece, one in zip(pieces, bought, strict=True)]
        rate = bought[0].selected_rate
        assert rate
        return Booking(
            "booked",
            rate.carrier.lower(),
            numbers[0],
            carton_numbers=tuple((p.carton_id, n) for p, n in zip(pieces, numbers, strict=True) if p.carton_id),
            labels=tuple(label for label in labels if label),
        )

    def _label(self, shipment: Bought, carton_id: str) -> Label | None:
        """Return the label, or None if it cannot be downloaded: a person prints it then, and the parcel stays booked
        and paid."""
        place = shipment.postage_label
        content = self._content(place.label_url) if place and place.label_url else None
        if not content or not place:
            log.warning("label cannot be had, print it at EasyPost", shipment=shipment.id)
            return None
        return Label(content, place.label_file_type or "application/octet-stream", carton_id)

    def _content(self, url: str) -> bytes | None:
        for _ in range(LABEL_ATTEMPTS_MAX):
            try:
                return self._client.label(url)
            except NoAnswer as error:
                log.info("no answer where a label lies", error=str(error))
        return None

    def _cancelled(self, asked: Cancellation) -> Consent:
        shipments = self._shipments_of(asked.tracking_number)
        if not shipments:
            raise NotDone(f"EasyPost knows no shipment of {asked.tracking_number}; ask {asked.carrier} itself")
        kept = [why for why in map(self._given_back, shipments) if why]
        if kept:
            raise NotDone("; ".join(kept))
        return Consent("cancelled")

    def _shipments_of(self, tracking_number: str) -> Sequence[Bought]:
        """Return the newest shipment with this number, as carriers reuse numbers, and those of its parcel's other
        cartons."""
        ours = [one for one in self._trackers_of(tracking_number) if one.get("shipment_id")]
        if not ours:
            return ()
        newest = max(ours, key=lambda one: str(one.get("created_at")))
        first = self._read("GET", f"/shipments/{quote(str(newest['shipment_id']), safe='')}")
        reference = first.reference or ""
        if len(reference) <= KEY_CHARACTERS:
            return (first,)
        found: list[Bought] = []
        for number in range(1, CARTONS_MAX + 1):
            other = self._found(f"{reference[:KEY_CHARACTERS]}-{number}")
            if other is None:
                break
            found.append(other)
        return found

    def _read(self, method: str, path: str, wanted: Mapping[str, object] | None = None) -> Bought:
        """Return the shipment in the answer. Raise EasyPostRefused, or NoAnswer, also for an answer that is
        not valid."""
        said = self._client.ask(method, path, wanted if wanted is not None or method == "GET" else {})
        try:
            return Bought.model_validate(said)
        except ValidationError as error:
            raise NothingCertain(f"an answer is not as EasyPost writes it: {problems(error, whole='answer')}") from None


def pieces_of(parcel: Parcel) -> Sequence[Piece]:
    if len(parcel.cartons) <= 1:
        return (Piece(str(parcel.key), "", parcel.weight_grams),)
    return [
        Piece(f"{parcel.key}-{number}", carton.carton_id, carton.weight_grams)
        for number, carton in enumerate(parcel.cartons, start=1)
    ]


def ounces(grams: int) -> Decimal:
    """Return the weight in ounces, rounded up to a tenth as EasyPost takes it, and never zero."""
    return max((Decimal(grams) / GRAMS_PER_OUNCE).quantize(TENTH, ROUND_UP), TENTH)


def chosen(shipments: Sequence[Bought], parcel: Parcel, currency: str) -> Sequence[Rate]:
    """Return one rate per shipment, all of the same service: the one that the engine chose, else the cheapest in total.

    Raise NotDone.
    """
    fixed = next((one.selected_rate for one in shipments if one.is_bought), None)
    tables = [_by_service(one, parcel, fixed) for one in shipments]
    common = set(tables[0]).intersection(*tables[1:])
    currencies = sorted({rate.currency for table in tables for rate in table.values()})
    if not fixed and not currency and len(currencies) > 1:
        raise NotDone(f"there are rates in {', '.join(currencies)}; set OMS_EASYPOST_CURRENCY, and book again")
    offered = {
        service: sum((table[service].rate for table in tables), Decimal())
        for service in common
        if fixed or not currency or tables[0][service].currency == currency
    }
    if not offered:
        asked_for = " ".join(part for part in (parcel.carrier, parcel.service, currency) if part)
        why = "; ".join(dict.fromkeys(one.why_no_rate for one in shipments if one.why_no_rate))
        raise NotDone(f"EasyPost has no rate{asked_for and f' of {asked_for}'}{why and f': {why}'}")
    best = min(offered, key=lambda service: (offered[service], service))
    return [table[best] for table in tables]


def _by_service(shipment: Bought, parcel: Parcel, fixed: Rate | None) -> dict[tuple[str, str, str], Rate]:
    """Return the rates that may be bought, by service. After a label of the parcel was bought, only its service is
    left."""
    if fixed:
        if shipment.is_bought:
            return {_service(fixed): fixed}
        return {_service(rate): rate for rate in shipment.rates if _service(rate) == _service(fixed)}
    wanted = parcel.carrier.casefold(), parcel.service.casefold()
    rates = sorted(shipment.rates, key=lambda rate: (-rate.rate, rate.id))
    return {
        _service(rate): rate
        for rate in rates
        if wanted[0] in ("", rate.carrier.casefold()) and wanted[1] in ("", rate.service.casefold())
    }


def _service(rate: Rate) -> tuple[str, str, str]:
    return rate.carrier, rate.service, rate.currency


def _each(
    question: Callable[[Asked], Answered],
    asked: Sequence[Asked],
    unknown: Callable[[str], Answered],
    refused: Callable[[str], Answered],
) -> Sequence[Answered]:
    """Ask for each, several at once. Raise GatewayUnavailable if no other answer came."""

    def answered(one: Asked) -> Answered:
        try:
            return question(one)
        except EasyPostRefused as error:
            if not error.is_about_the_account:
                raise NotDone(str(error)) from error
            why = f"EasyPost refuses the account: {error}; see OMS_EASYPOST_API_KEY and its balance"
            raise GatewayUnavailable(why) from error

    return each(answered, asked, unknown, refused, name="easypost")
