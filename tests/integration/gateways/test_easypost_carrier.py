"""Parcels booked at EasyPost over HTTP, with a server that keeps accounts and fails as EasyPost does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID, uuid5

import pytest
from easypost.easypost_client import EasyPostClient
from easypost.errors.api.invalid_request_error import InvalidRequestError

from oms_es.channels.signatures import verify_easypost
from oms_es.gateways.carrier.easypost import dialect
from oms_es.gateways.carrier.easypost.client import Client
from oms_es.gateways.carrier.easypost.provider import LABEL_ATTEMPTS_MAX, EasyPostCarrier, ounces
from oms_es.gateways.carrier.easypost.senders import SENDERS
from oms_es.gateways.carrier.port import Booking, Cancellation, CarrierGateway, Consent, Parcel
from oms_es.gateways.loopback.carriers.easypost_books import NOWHERE, EasyPostBooks
from oms_es.gateways.loopback.carriers.easypost_server import EasyPostServer, Mishap
from oms_es.gateways.outgoing import BYTES_MAX
from oms_es.kernel import Command, GatewayUnavailable, Recorded, Refused
from oms_es.schemas import order as o
from oms_es.schemas import shipment as sh
from oms_es.schemas.catalog.item import DescribeItem
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.stock import ReceiveStock
from outside import Outside
from shop import an_order
from whole_engine import START, WholeEngine, failed

KEY, SECRET = "EZTK_loopback", "sécret"
SENDER = {"company": "Shop", "street1": "417 Montgomery St", "city": "San Francisco", "state": "CA", "country": "US"}
TO = o.Address(name="Ann", street="1 Main St", city="Austin", region="TX", postal_code="78701", country="US")
MISHAPS: tuple[Mishap, ...] = ("lost", "dropped", "busy", "broken", "denied", "twice", "strange")
STEPS = ("look-up", "create", "look-up again", "buy", "label")
"""The requests of a booking to which nothing happens."""


class Account:
    """EasyPost as one account sees it, with our carrier client."""

    def __init__(self) -> None:
        self.now = START.timestamp()
        self.books = EasyPostBooks(lambda: self.now)
        self.mishaps: list[Mishap] = []
        self.server = EasyPostServer(self.books, KEY, self._mishap)
        self.address = ""
        self.denied_labels: set[str] = set()

    def _mishap(self, _method: str, path: str) -> Mishap:
        mishap = self.mishaps.pop(0) if self.mishaps else ""
        if mishap == "denied" and path.startswith("/labels/"):
            name = path.removeprefix("/labels/").split(".")[0]
            self.denied_labels.add(self.books.shipments[name]["options"]["print_custom_1"])
        return mishap

    def carrier(self, key: str = KEY, currency: str = "") -> EasyPostCarrier:
        senders = SENDERS.validate_python({"berlin": SENDER})
        return EasyPostCarrier(Client(key, base=self.address), senders, currency=currency, label_format="PDF")

    def standing(self) -> list[str]:
        return [one["tracking_code"] for one in self.books.standing()]


@pytest.fixture
def account() -> Iterator[Account]:
    account = Account()
    with account.server.listening() as account.address:
        yield account


def quiet(requests: int) -> Iterator[Mishap]:
    """Yield no mishap for so many requests."""
    for _ in range(requests):
        yield ""


def parcel(number: int = 1, *cartons: int, **more: Any) -> Parcel:
    boxes = tuple(sh.CartonWeight(carton_id=f"c{n}", weight_grams=grams) for n, grams in enumerate(cartons, start=1))
    usual: dict[str, Any] = {
        "location": "berlin",
        "weight_grams": sum(cartons) or 500,
        "ship_to": TO,
        "asked_at": START,
    }
    return Parcel(uuid5(UUID(int=0), str(number)), f"s{number}", cartons=boxes, **{**usual, **more})


def booked(carrier: EasyPostCarrier, *parcels: Parcel) -> Booking:
    answers = carrier.book(parcels)
    return answers[0]


def until_answered(carrier: EasyPostCarrier, wanted: Parcel) -> Booking:
    for _ in range(4):
        if (answer := booked(carrier, wanted)).outcome != "unknown":
            return answer
    raise AssertionError("it stays unanswered")


@pytest.mark.parametrize("mishap", MISHAPS)
@pytest.mark.parametrize("step", range(len(STEPS)), ids=STEPS)
def test_whatever_happens_to_a_request_a_parcel_has_one_label_or_none(
    account: Account, mishap: Mishap, step: int
) -> None:
    carrier = account.carrier()
    account.mishaps = [*quiet(step), mishap]
    answer = until_answered(carrier, parcel())
    assert not account.mishaps, "it has happened"
    if answer.outcome == "refused":
        assert (STEPS[step], mishap) == ("create", "denied")
        assert account.standing() == []
        return
    assert account.standing() == [answer.tracking_number]
    assert booked(carrier, parcel())._replace(labels=()) == answer._replace(labels=()), "asked again it is the same"
    assert account.standing() == [answer.tracking_number]
    assert answer.carrier == "usps"
    labels = [] if (STEPS[step], mishap) == ("label", "denied") else ["application/pdf"]
    assert [label.media_type for label in answer.labels] == labels


@pytest.mark.parametrize(
    ("status", "length", "asked"),
    [(404, 0, 1), (400, 0, 1), (302, 0, 1), (200, BYTES_MAX + 1, 1), (500, 0, LABEL_ATTEMPTS_MAX)],
)
def test_a_parcel_is_booked_also_where_its_label_cannot_be_had(
    account: Account, status: int, length: int, asked: int
) -> None:
    account.server.label_status, account.server.label_bytes = status, length
    answer = booked(account.carrier(), parcel())
    assert (answer.outcome, answer.labels, account.standing()) == ("booked", (), [answer.tracking_number])
    assert sum("/labels/" in request for request in account.server.requests) == asked


def requested(*parcels: Parcel) -> list[Recorded]:
    return [
        Recorded(
            position=number,
            event_id=one.key,
            event=sh.ShipmentBookingRequested(
                shipment_id=one.shipment_id,
                order_id="o",
                location=one.location,
                weight_grams=one.weight_grams,
                ship_to=one.ship_to,
            ),
            recorded_at=START,
            caused_by=None,
            stream=f"shipment-{one.shipment_id}",
            version=1,
            correlation_id="",
            actor="test",
        )
        for number, one in enumerate(parcels, start=1)
    ]


def kept(content: bytes, media_type: str) -> sh.LabelDocument:
    return sh.LabelDocument(sha256="0" * 64, media_type=media_type, byte_count=len(content))


def test_one_without_an_answer_does_not_lose_what_others_were_answered(account: Account) -> None:
    silent = str(parcel(2).key)
    account.server.mishap_of = lambda _method, path: "dropped" if silent in path else ""
    gateway = CarrierGateway(account.carrier(), kept)
    with pytest.raises(GatewayUnavailable, match="without an answer") as raised:
        gateway.perform(requested(parcel(1), parcel(2), parcel(3)))
    said = [[type(c).__name__ for c in commands or ()] for commands in raised.value.answered]
    assert said == [["RecordBooking", "AttachLabel"], [], ["RecordBooking", "AttachLabel"]]
    assert raised.value.answered[1] is None, "it is held, and asked again"
    account.server.mishap_of = lambda *_: ""
    account.books.balance = Decimal(6)
    with pytest.raises(GatewayUnavailable, match="Insufficient funds") as raised:
        gateway.perform(requested(parcel(1), parcel(2), parcel(4, weight_grams=9_000)))
    assert len(raised.value.answered) >= 1, "what is paid for is recorded, though the balance is used up"


@pytest.mark.parametrize("mishap", ["denied", "strange"])
def test_what_never_says_anything_certain_of_one_is_for_a_person_and_of_all_an_outage(
    account: Account, mishap: Mishap
) -> None:
    odd = str(parcel(1).key)
    account.server.mishap_of = lambda _method, path: mishap if odd in path else ""
    gateway = CarrierGateway(account.carrier(), kept)
    with pytest.raises(GatewayUnavailable) as raised:
        gateway.perform(requested(parcel(1)))
    assert not raised.value.answered
    (failed_one,), (booked_one, _) = gateway.perform(requested(parcel(1), parcel(2)))
    assert isinstance(failed_one, sh.RecordBookingFailure)
    assert f"look at the carrier's for {odd} before you do it again" in failed_one.reason
    assert isinstance(booked_one, sh.RecordBooking)


@pytest.mark.parametrize("mishap", MISHAPS)
def test_a_label_is_given_back_once(account: Account, mishap: Mishap) -> None:
    carrier = account.carrier()
    answer = booked(carrier, parcel(1, 300, 400))
    assert answer.carton_numbers == (("c1", answer.tracking_number), ("c2", account.standing()[1]))
    cancellation = Cancellation(UUID(int=9), "s1", answer.carrier, answer.tracking_number)
    outcomes = []
    for step in range(8):
        account.mishaps = [*quiet(step), mishap]
        outcomes += [one.outcome for one in carrier.cancel([cancellation])]
        account.mishaps = []
    assert "cancelled" in outcomes
    assert set(outcomes) <= {"cancelled", "unknown", "refused"}
    assert carrier.cancel([cancellation]) == [Consent("cancelled")]
    assert (account.standing(), account.books.paid) == ([], Decimal())
    assert booked(carrier, parcel(1, 300, 400)).outcome == "refused", "the booking is not made again under its old id"
    assert account.standing() == []


def test_a_parcel_that_the_carrier_has_seen_is_not_given_back(account: Account) -> None:
    carrier = account.carrier()
    number = booked(carrier, parcel()).tracking_number
    account.books.scan(number, "in_transit", "Accepted")
    (consent,) = carrier.cancel([Cancellation(UUID(int=9), "s1", "usps", number)])
    assert consent == Consent("refused", f"{number} is not taken back: rejected")
    (unknown,) = carrier.cancel([Cancellation(UUID(int=9), "s1", "usps", "000")])
    assert unknown == Consent("refused", "EasyPost knows no shipment of 000; ask usps itself")


def test_of_several_cartons_all_go_by_one_service_or_none(account: Account) -> None:
    carrier = account.carrier()
    answer = booked(carrier, parcel(1, 100, 9_000))
    services = {(one["selected_rate"]["carrier"], one["selected_rate"]["service"]) for one in account.books.standing()}
    assert services == {("UPS", "Ground")}, "the cheapest for both together, though not for the first"
    assert [label.carton_id for label in answer.labels] == ["c1", "c2"]
    account.books.labels_left = 1
    before = account.standing()
    refused = booked(carrier, parcel(2, 100, 200))
    assert refused == Booking(
        "refused", reason="The carrier sells no label.; ask the carrier (SHIPMENT.POSTAGE.FAILURE)"
    )
    assert account.standing() == before, "the first is given back"
    account.books.labels_left = None
    assert booked(carrier, parcel(2, 100, 200)).reason == "its label was given back at EasyPost"
    account.books.stubborn, account.books.labels_left = True, 1
    assert "EasyPost does not take back 94" in booked(carrier, parcel(3, 100, 200)).reason, "a person sees what it cost"


def test_what_was_bought_before_a_crash_decides_for_the_cartons_beside_it(account: Account) -> None:
    carrier = account.carrier()
    account.mishaps = [*quiet(7), "dropped"]  # when the second is bought
    assert booked(carrier, parcel(1, 100, 200)).outcome == "unknown"
    assert len(account.standing()) == 1
    for one in account.books.shipments.values():
        for rate in one["rates"]:
            rate["rate"] = "0.01" if rate["service"] == "Express" else rate["rate"]
    assert booked(carrier, parcel(1, 100, 200)).outcome == "booked"
    assert {one["selected_rate"]["service"] for one in account.books.standing()} == {"GroundAdvantage"}


def test_what_was_bought_before_is_given_back_where_a_carton_beside_it_is_refused(account: Account) -> None:
    carrier = account.carrier()
    account.mishaps = [*quiet(7), "dropped"]  # when the second is bought
    assert booked(carrier, parcel(1, 100, 200)).outcome == "unknown"
    assert len(account.standing()) == 1
    for one in account.books.shipments.values():
        if not one["selected_rate"]:
            one["rates"] = []
    assert booked(carrier, parcel(1, 100, 200)).reason == "EasyPost has no rate"
    assert account.standing() == []
    account.mishaps = [*quiet(5), "dropped"]  # when the second is looked up again
    assert booked(carrier, parcel(2, 100, 200)).outcome == "unknown"
    (first, second) = [one for one in account.books.shipments.values() if str(parcel(2).key) in one["reference"]]
    account.books.buy(first["id"], {"rate": first["rates"][0]})
    del account.books.shipments[second["id"]]
    beyond = parcel(2, 100, 200, ship_to=TO.model_copy(update={"street": ""}))
    assert "to_address cannot be used" in booked(carrier, beyond).reason
    assert account.standing() == []


def test_nothing_is_bought_once_the_lock_may_be_lost(account: Account) -> None:
    def lost() -> None:
        raise GatewayUnavailable("the lock is lost")

    with pytest.raises(GatewayUnavailable, match="the lock is lost"):
        account.carrier().book([parcel()], lost)
    assert account.standing() == []


def test_the_engine_s_choice_is_bought_and_else_the_cheapest_in_one_currency(account: Account) -> None:
    carrier = account.carrier()
    heavy = {"weight_grams": 5_000}
    assert booked(carrier, parcel(1, **heavy)).carrier == "ups"
    assert booked(carrier, parcel(2, carrier="usps", service="priority", **heavy)).carrier == "usps"
    (bought,) = [one for one in account.books.standing() if one["selected_rate"]["carrier"] == "USPS"]
    assert bought["selected_rate"]["service"] == "Priority"
    none = booked(carrier, parcel(3, carrier="dhl"))
    assert none == Booking("refused", reason="EasyPost has no rate of dhl")
    account.books.currencies = {"UPS": "CAD"}
    assert "set OMS_EASYPOST_CURRENCY" in booked(carrier, parcel(4)).reason
    assert booked(account.carrier(currency="CAD"), parcel(5)).carrier == "ups"


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"location": "paris"}, "paris has no address in OMS_EASYPOST_SENDERS_FILE; add it, and book again"),
        ({"ship_to": TO.model_copy(update={"street": ""})}, "to_address cannot be used; street1: is required"),
        (
            {"ship_to": TO.model_copy(update={"postal_code": NOWHERE})},
            "EasyPost has no rate: USPS: No service goes there",
        ),
        ({"ship_to": TO.model_copy(update={"country": "CA"})}, "Customs information is required"),
        ({"weight_grams": 60_000}, "Too heavy"),
    ],
)
def test_what_easypost_does_not_carry_is_refused_in_words_and_costs_nothing(
    account: Account, more: dict[str, Any], reason: str
) -> None:
    answer = booked(account.carrier(), parcel(1, **more))
    assert answer.outcome == "refused"
    assert reason in answer.reason
    assert account.books.paid == 0


def test_an_account_that_is_wrong_or_empty_turns_no_parcel_away(account: Account) -> None:
    with pytest.raises(GatewayUnavailable, match="OMS_EASYPOST_API_KEY"):
        account.carrier("EZTK_wrong").book([parcel()])
    account.books.balance = Decimal(1)
    with pytest.raises(GatewayUnavailable, match="Insufficient funds"):
        account.carrier().book([parcel()])
    account.books.balance = Decimal(100)
    assert booked(account.carrier(), parcel()).outcome == "booked"
    assert len(account.standing()) == 1


@pytest.mark.parametrize(("grams", "wanted"), [(1, "0.1"), (28, "1.0"), (29, "1.1"), (500, "17.7"), (1_000, "35.3")])
def test_weights_are_asked_for_in_tenths_of_an_ounce_and_never_too_light(grams: int, wanted: str) -> None:
    assert str(ounces(grams)) == wanted


def test_easypost_s_own_client_reads_what_we_made_and_chooses_as_we_do(account: Account) -> None:
    answer = booked(account.carrier(), parcel())
    client = EasyPostClient(KEY, api_base=f"{account.address}/v2")
    theirs = client.shipment.retrieve(str(parcel().key))
    assert (theirs.tracking_code, theirs.tracker.carrier.lower()) == (answer.tracking_number, answer.carrier)
    assert theirs.lowest_rate().id == theirs.selected_rate.id
    assert theirs.to_address.street1 == TO.street
    made = client.shipment.create(
        reference="theirs", to_address=dict(SENDER), from_address=dict(SENDER), parcel={"weight": 17.7}
    )
    bought = client.shipment.buy(made.id, rate=made.lowest_rate())
    assert client.shipment.refund(bought.id).refund_status == "submitted"
    with pytest.raises(InvalidRequestError, match="Postage already exists"):
        client.shipment.buy(made.id, rate=made.lowest_rate())


class EasyPostOutside(Outside):
    """An outside world whose parcels go by EasyPost; money and warehouse answer as usual."""

    def __init__(self, engine: WholeEngine, account: Account) -> None:
        super().__init__(engine)
        self.documents: dict[str, bytes] = {}
        self.gateway = CarrierGateway(account.carrier(), self.keep)

    def keep(self, content: bytes, media_type: str) -> sh.LabelDocument:
        name = f"{len(self.documents):064x}"
        self.documents[name] = content
        return sh.LabelDocument(sha256=name, media_type=media_type, byte_count=len(content))

    def answers(self, intent: Recorded) -> list[list[Command]]:
        if type(intent.event) not in CarrierGateway.intents:
            return super().answers(intent)
        (commands,) = self.gateway.perform([intent])
        return [list(commands)]


class Story:
    """Orders of one shop, with a sequence of incidents that a seed draws."""

    def __init__(self, account: Account, seed: int) -> None:
        self.random = Random(seed)
        self.account = account
        self.engine = WholeEngine()
        self.outside = EasyPostOutside(self.engine, account)
        self.read = 0
        self.waiting: list[int] = []
        self.engine.submit(OpenLocation(location="berlin", country="US"))
        self.engine.submit(ReceiveStock(sku="A", location="berlin", receipt_id="r", quantity=90))
        if seed % 2:
            self.engine.submit(DescribeItem(sku="A", weight_grams=9_000, volume_ml=30_000))

    def order(self, number: int) -> None:
        order = an_order(str(number), ("A", self.random.randint(1, 4)))
        self.engine.submit(order.model_copy(update={"ship_to": TO}))

    def something(self) -> None:
        """Take one step: an answer, a mishap, a scan, a report, a lapse of time, or a change of mind."""
        chance = self.random.random()
        if chance < 0.2:
            self.account.mishaps += [*quiet(self.random.randint(0, 3)), self.random.choice(MISHAPS)]
        elif chance < 0.35:
            self.scan()
        elif chance < 0.55:
            self.hear()
        elif chance < 0.59:
            self.change_of_mind()
        elif chance < 0.64:
            self.pass_time(7_200)
        elif chance < 0.68:
            self.account.books.labels_left = self.random.choice([0, 1, None])
        self.answer()
        self.engine.settle()

    def pass_time(self, seconds: int) -> None:
        self.account.now += seconds
        self.engine.pass_time(seconds)

    def scan(self, *, all_the_way: bool = False) -> None:
        """Scan some parcels whose booking is known here, or each to its delivery: only one with a label can be
        scanned."""
        known = {number for row in self.on_their_way() for number in row}
        for number in sorted(known.intersection(self.account.standing())):
            if all_the_way or self.random.random() < 0.5:
                status = "delivered" if all_the_way else self.random.choice(["in_transit", "out_for_delivery"])
                self.account.books.scan(number, status, "scanned")

    def on_their_way(self) -> Sequence[Sequence[str]]:
        states = [state for state, _ in self.engine.states.values() if getattr(state, "tracking", None)]
        events = [row.event for row in self.engine.log if isinstance(row.event, sh.ShipmentBooked)]
        open_now = {state.tracking[1] for state in states if state.booking == "booked" and not state.stopping}
        return [
            (event.tracking_number, *event.carton_numbers.values())
            for event in events
            if event.tracking_number in open_now
        ]

    def answer(self) -> None:
        self.outside.answer_one(self.random)

    def hear(self) -> None:
        """Process a report, possibly late or twice."""
        self.waiting += range(self.read, len(self.account.books.events))
        self.read = len(self.account.books.events)
        if not self.waiting:
            return
        number = self.random.choice(self.waiting)
        headers, body = self.account.server.report(number, SECRET)
        verify_easypost(tuple(headers.items()), body, [SECRET], self.account.now)
        self.engine.submit(dialect.parse_tracker(body))
        if self.random.random() < 0.8:
            self.waiting.remove(number)

    def change_of_mind(self) -> None:
        """Let a customer cancel, or a person book a parcel again that no carrier accepted."""
        row = self.random.choice(self.engine.open_rows("order_status"))
        with suppress(Refused):
            self.engine.submit(o.CancelOrder(order_id=row["order_id"], reason="changed my mind"))
        self.book_again()

    def book_again(self) -> None:
        for row in self.engine.open_rows("shipments"):
            if row["status"] == "to_be_booked":
                with suppress(Refused):
                    self.engine.submit(sh.BookShipment(shipment_id=row["shipment_id"]))

    def finish(self) -> None:
        self.account.mishaps.clear()
        self.account.books.labels_left = None
        for _ in range(6):
            self.book_again()
            while self.outside.look():
                self.answer()
                self.engine.settle()
            self.scan(all_the_way=True)
            while self.waiting or self.read < len(self.account.books.events):
                self.hear()
                self.engine.settle()
            self.pass_time(3_600)
            self.engine.settle()


@pytest.mark.parametrize("seed", range(8))
def test_whatever_gets_lost_each_parcel_that_left_has_its_labels_and_no_other_label_is_paid_for(
    account: Account, seed: int
) -> None:
    account.books.leads_to = "newest" if seed // 2 % 2 else "first"
    story = Story(account, seed)
    for number in range(8):
        story.order(number)
        for _ in range(story.random.randint(3, 16)):
            story.something()
    story.finish()
    assert not failed(story.engine.history)
    shipments = {row["shipment_id"]: row for row in story.engine.open_rows("shipments")}
    assert {row["status"] for row in shipments.values()} <= {"delivered", "cancelled"}
    ours: list[str] = []
    for row in (recorded.event for recorded in story.engine.log):
        if isinstance(row, sh.ShipmentBooked) and shipments[row.shipment_id]["tracking_number"] == row.tracking_number:
            ours += row.carton_numbers.values() or [row.tracking_number]
    left = {row["shipment_id"] for row in shipments.values() if row["status"] == "delivered"}
    assert left
    paid = {one["options"]["print_custom_1"] for one in account.books.standing()}
    assert paid == left
    assert sorted(account.standing()) == sorted(number for number in ours if number in account.standing())
    labels = [row.event for row in story.engine.log if isinstance(row.event, sh.ShipmentLabelAttached)]
    assert {label.shipment_id for label in labels} >= left - account.denied_labels
    assert all(content.startswith(b"label ") for content in story.outside.documents.values())
    assert json.loads(json.dumps(account.books.events)), "as they are sent"
