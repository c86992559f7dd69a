"""The laws of every decider, under commands that nobody would send in that order.

After every step: the invariants hold, only declared events happen and they survive being stored, the same command again
decides nothing, what was refused is refused again in the same words, and no decision follows the order of a map.
"""

from __future__ import annotations

import ast
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import cache, reduce
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import from_json, to_json

from oms_es.aggregates.catalog import delivery, item, location, numbering, rates, routes, rules, serial
from oms_es.aggregates.catalog.versions import Versions
from oms_es.aggregates.operations import aside, connection, document, encryption, exception, report, subscription
from oms_es.aggregates.order import decider as order
from oms_es.aggregates.order import money as order_money
from oms_es.aggregates.order.state import OTHERWISE
from oms_es.aggregates.payment import decider as payment
from oms_es.aggregates.payment import provider
from oms_es.aggregates.payment import state as payment_state
from oms_es.aggregates.repeats import FREE, IMPLIED, OWN_IDS
from oms_es.aggregates.returns import rma
from oms_es.aggregates.shipment import decider as shipment
from oms_es.aggregates.shipment import state as shipment_state
from oms_es.aggregates.shipment import tracker
from oms_es.aggregates.stock import decider as stock
from oms_es.app import DECIDERS
from oms_es.kernel import Command, Decider, Event, Refused, SystemCommand, stream_fields
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas import shipment as sh
from oms_es.schemas import stock as s
from oms_es.schemas.catalog import numbering as n
from oms_es.schemas.catalog import rates as ra
from oms_es.schemas.catalog import serial as se
from oms_es.schemas.catalog.item import DefineBundle, DescribeItem
from oms_es.schemas.catalog.location import CloseLocation, OpenLocation
from oms_es.schemas.catalog.routes import (
    CARRIER_GATEWAYS,
    WAREHOUSE_GATEWAYS,
    CarrierRoute,
    GatewayRoutes,
    GatewayRoutesPublished,
    PaymentRoute,
    PublishGatewayRoutes,
    WarehouseRoute,
)
from oms_es.schemas.catalog.rules import BUILT_IN_VERSION, PublishSourcingRules, SourcingRulesPublished
from oms_es.schemas.operations import aside as a
from oms_es.schemas.operations import connection as con
from oms_es.schemas.operations import document as d
from oms_es.schemas.operations import encryption as e
from oms_es.schemas.operations import exception as c
from oms_es.schemas.operations import report as ready
from oms_es.schemas.operations import subscription as sub
from oms_es.schemas.order import returns as x
from oms_es.schemas.payment import provider as v
from oms_es.schemas.payment import references as ref
from oms_es.schemas.returns import rma as r
from oms_es.schemas.shipment import tracker as t
from oms_es.schemas.values.parts import without_personal
from oms_es.verification.stock_checks import StockCounts
from reordering import assert_in_any_order
from repository import ROOT
from stock_life import STOCK_REFUSALS, stock_commands

STEPS_MAX = 30
EXAMPLES = int(os.environ.get("OMS_TEST_LAWS", 2 * settings().max_examples))
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
Strategy = st.SearchStrategy[Any]
quantities = st.integers(1, 4)
moments = st.sampled_from([NOON + timedelta(hours=hour) for hour in range(3)])
words = st.sampled_from(["x", "y"])
chances = st.integers(0, 5)  # 0: off the usual way


class Law(NamedTuple):
    """`commands` gives a state's next command; `holds` asserts of a state and its history; `refusals` may occur."""

    decider: Decider[Any]
    commands: Callable[[Any], Strategy]
    holds: Callable[[Any, Sequence[Event]], None]
    refusals: frozenset[str] = frozenset()


def always(commands: Strategy) -> Callable[[Any], Strategy]:
    """Return a strategy that is the same in every state."""
    return lambda _: commands


def mostly(onwards: Strategy, astray: Strategy) -> Strategy:
    """Draw mostly from the first, so that histories get far."""
    return chances.flatmap(lambda chance: onwards if chance else astray)


def happened(history: Sequence[Event], *types: type[Event]) -> int:
    return sum(isinstance(event, types) for event in history)


def total(history: Sequence[Event], *types: type[Any]) -> int:
    return sum(event.amount_minor for event in history if isinstance(event, types))


# --- stock


def stock_holds(state: stock.Stock, history: Sequence[Event]) -> None:
    assert 0 <= state.promised <= state.sellable <= state.on_hand
    for presale, units in ((False, state.promised), (True, state.presold)):
        assert units == sum(held.quantity for held in state.reserved.values() if held.presale is presale)
    counts = StockCounts()
    for event in history:
        assert isinstance(event, s.StockEvent)
        counts = counts.note(event)
        assert counts.keeps_its_promises, "a promise was broken between two versions"
    assert (counts.on_hand, counts.aside, counts.open) == (state.on_hand, state.physical.aside, state.promised)
    places = state.physical.places
    assert all(units.quantity > 0 for units in places.values())
    assert state.on_hand == sum(units.quantity for units in places.values())
    numbered = Counter(state.physical.serials.values())
    assert all(numbers <= state.physical.quantity_at(place) for place, numbers in numbered.items())
    assert state.supply.inbound == sum(expected.quantity for expected in state.supply.inbounds.values())
    ends = (s.StockReleased, s.StockShipped, s.StockReservationExpired, s.StockReservationBroken, s.StockShort)
    ended = Counter(
        event.reservation_id
        for event in history
        if isinstance(event, ends) and not getattr(event, "release_id", None) and not getattr(event, "broken", False)
    )
    assert all(times == 1 for times in ended.values())
    assert stock.restore(from_json(to_json(stock.dump(state)))) == state


# --- payment


def payment_commands() -> Callable[[payment_state.Payment], Strategy]:
    of: Any = {"payment_id": st.just("o.1")}
    captures = {**of, "capture_id": st.sampled_from(["s1", "s2", "o.1"])}
    refunds = {**of, "refund_id": st.sampled_from(["s1", "r1", "r2"])}
    references = {"reference": st.sampled_from([f"ref{n}" for n in range(8)])}
    disputes = {**of, "dispute_id": st.sampled_from(["d1", "d2"]), "amount_minor": st.sampled_from([1, 1, 2])}
    requests = st.builds(
        p.RequestPayment,
        **of,
        order_id=st.just("o"),
        amount_minor=st.sampled_from([5, 5, 5, 6]),
        currency=st.just("EUR"),
        payment_token=st.just("tok"),
        capture_now=st.sampled_from([False, False, False, True]),
        gateway=st.sampled_from(["", "stripe", "alipay"]),
    )
    authorizations = st.builds(
        p.RecordAuthorization,
        **of,
        reference=st.sampled_from(["ref0", "ref0", "ref1"]),
        expires_at=st.none() | moments,
    )
    takings = st.one_of(
        payment_reports(),
        st.builds(p.CapturePayment, **captures, amount_minor=quantities),
        st.builds(p.RecordCapture, **captures, **references),
        st.builds(p.RecordCaptureFailure, **captures, reason=words, expired=st.booleans()),
        st.builds(p.RecordReauthorization, **captures, **references),
        st.builds(p.RecordReauthorizationDecline, **captures, reason=words),
    )
    returns = st.one_of(
        st.builds(p.RefundPayment, **refunds, amount_minor=quantities),
        st.builds(p.RecordRefund, **refunds, **references),
        st.builds(p.RecordRefundFailure, **refunds, reason=words),
        st.builds(p.CancelPayment, **of),
        st.builds(p.RecordVoid, **of, **references, void_id=st.sampled_from(["", "", "s1"])),
        st.builds(p.RecordVoidFailure, **of, reason=words),
        st.builds(p.ExpireAuthorization, **of, now=moments),
        st.builds(p.RecordExpiry, **of),
        *(st.builds(shape, **disputes) for shape in (p.RecordDisputeOpened, p.RecordDisputeWon, p.RecordDisputeLost)),
    )
    questions: Any = {
        **of,
        "operation": st.sampled_from(["authorize", "reauthorize", "capture", "void", "refund"]),
        "part": st.sampled_from(["", "s1", "r1"]),
    }
    failures = st.one_of(
        st.builds(p.RecordDecline, **of, reason=words),
        st.builds(p.RecordFailure, **of, reason=words),
        st.builds(p.RecordPaymentAction, **of, kind=st.just("qr_code"), content=st.just("weixin://1"), **references),
        st.builds(
            p.RecordSilence,
            **of,
            operation=st.sampled_from(["reauthorize", "capture", "void", "refund"]),
            part=st.sampled_from(["", "s1", "r1"]),
        ),
        st.builds(p.ChaseAnswer, **questions),
        st.builds(
            p.RecordAnswerPending,
            **questions,
            key=st.just("k"),
            amount_minor=quantities,
            currency=st.just("EUR"),
        ),
    )
    reports = payment_reports()
    anything = st.one_of(requests, authorizations, failures, takings, returns, reports, st.builds(p.VoidPayment, **of))
    onwards = {"new": requests, "pending": authorizations, "authorized": mostly(takings, returns)}
    mixed = {status: mostly(commands, anything) for status, commands in onwards.items()}
    return lambda state: mixed.get(state.status, anything)


def payment_reports() -> Strategy:
    """Draw reports that fit and reports that do not, with references that the commands know and with others."""
    said: Any = {
        "payment_id": st.just("o.1"),
        "reference": st.sampled_from([f"ref{n}" for n in range(8)]),
        "amount_minor": st.sampled_from([None, 1, 2, 3, 5, 6]),
        "currency": st.sampled_from(["EUR", "EUR", "USD"]),
        "reason": words,
    }
    answers = st.builds(
        p.RecordReport,
        operation=st.sampled_from(["authorize", "capture", "capture", "void", "refund", "expire", "reauthorize"]),
        outcome=st.sampled_from(["succeeded", "succeeded", "declined"]),
        part=st.sampled_from(["s1", "r1", "re"]),
        final=st.booleans(),
        retriable=st.booleans(),
        cumulative=st.booleans(),
        **said,
    )
    at_once = st.builds(
        p.RecordReport, operation=st.sampled_from(["capture", "void"]), outcome=st.just("succeeded"), **said
    )
    disputes = st.builds(
        p.RecordReport,
        operation=st.just("dispute"),
        outcome=st.sampled_from(["opened", "won", "lost"]),
        part=st.sampled_from(["d1", "d2"]),
        **said | {"amount_minor": st.sampled_from([1, 2])},
    )
    return st.one_of(answers, at_once, disputes)


def payment_holds(state: payment_state.Payment, history: Sequence[Event]) -> None:
    authorized = total(history, p.PaymentAuthorized, p.PaymentReauthorized)
    captured = total(history, p.PaymentCaptured)
    reversed_ = total(history, p.PaymentRefundReversed)
    refunded = total(history, p.PaymentRefunded) - reversed_
    taking = dict.fromkeys(("waiting", "in_flight", "captured", "failed"), 0)
    for capture in state.captures.values():
        taking[capture.status] += capture.amount_minor
    assert captured == taking["captured"] == state.captured
    assert state.taken == captured + taking["in_flight"] + taking["waiting"]
    assert not state.requested or state.taken <= state.requested.amount_minor
    unasked = [event for event in history if getattr(event, "asked", True) is False]
    let_go = total(history, p.PaymentVoidRequested, p.PaymentExpired) + total(unasked, p.PaymentVoided)
    assert captured + taking["in_flight"] + let_go <= authorized
    assert total(history, p.PaymentVoided) + total(history, p.PaymentVoidFailed) <= let_go
    not_returned = total(history, p.PaymentRefundFailed, p.PaymentRefundShort) + reversed_
    being_returned = total(history, p.PaymentRefundRequested) + total(unasked, p.PaymentRefunded) - not_returned
    assert refunded <= being_returned == state.returned <= captured
    lost = total(history, p.PaymentDisputeLost)
    assert refunded + lost == state.gone <= state.asked
    assert lost <= state.disputed
    assert total(history, p.PaymentDepositApplied) == state.applied
    assert not state.applied or state.applied <= total(history, p.PaymentRequested)
    done = (p.PaymentAuthorized, p.PaymentReauthorized, p.PaymentCaptured, p.PaymentVoided, p.PaymentRefunded)
    references = Counter(event.reference for event in history if isinstance(event, done))
    assert all(times == 1 for times in references.values())
    asked = [event for event in history if isinstance(event, p.GatewayIntent)]
    assert {event.gateway for event in asked} == {event.gateway for event in asked[:1]}, "it was asked of two gateways"
    assert sum(isinstance(event, p.PaymentRequested) for event in asked) <= 1


# --- shipment


CARTONED = tuple(
    sh.Carton(
        carton_id=carton_id,
        box="small",
        items=(o.Reservation(reservation_id="o/1", sku="A", location="berlin", quantity=1),),
        weight_grams=1,
    )
    for carton_id in ("1", "2")
)


PICKED = tuple(
    tuple(sh.PickedUnits(sku=sku, quantity=quantity) for sku, quantity in units.items())
    for units in ({}, {}, {"A": 2}, {"A": 1}, {"A": 3}, {"B": 1})
)
ANSWERED = (
    sh.ShipmentPacked,
    sh.ShipmentPickedShort,
    sh.ShipmentPickRejected,
    sh.ShipmentPickDisputed,
    sh.ShipmentPickAnsweredLate,
)


def shipment_commands() -> Callable[[shipment_state.Shipment], Strategy]:
    of: Any = {"shipment_id": st.just("o.1")}
    requests = st.builds(
        sh.RequestShipment,
        **of,
        order_id=st.just("o"),
        payment_id=st.just("o.1"),
        location=st.just("berlin"),
        items=st.just((o.Reservation(reservation_id="o/1", sku="A", location="berlin", quantity=2),)),
        amount_minor=st.sampled_from([5, 5, 5, 6]),
        ship_to=st.just(o.Address(country="DE")),
        cartons=st.sampled_from([(), CARTONED, CARTONED, CARTONED[:1]]),
    )
    numbers = st.sampled_from(["", "x", "y", "x-1", "y-2"])
    cartons = st.sampled_from(["", "", "1", "2"])
    sightings = st.builds(
        sh.RecordMilestone,
        **of,
        milestone_id=st.sampled_from([f"m{n}" for n in range(9)]),
        status=st.sampled_from(get_args(sh.MilestoneStatus)),
        occurred_at=moments,
        carton_id=cartons,
        tracking_number=numbers,
    )
    bookings = st.one_of(
        st.builds(sh.PackShipment, **of, weight_grams=quantities),
        st.builds(
            sh.AnswerPick,
            **of,
            answer_id=st.sampled_from(["a1", "a2", "a3"]),
            outcome=st.sampled_from(["packed", "packed", "short", "rejected"]),
            answered_at=moments,
            picked=st.sampled_from(PICKED),
            weight_grams=st.sampled_from([None, 500, 500, 700]),
            reason=st.sampled_from(["", "not there", "not there"]),
            location=st.sampled_from([None, None, "berlin", "paris"]),
            now=st.sampled_from([NOON, *[NOON + timedelta(hours=2)] * 5]),
        ),
        st.builds(sh.RequestPickAgain, **of, repeat_id=words),
        st.builds(sh.BookShipment, **of, carrier_gateway=st.sampled_from([None, None, *CARRIER_GATEWAYS])),
        st.builds(sh.DeferBooking, **of, rule_version=words),
        st.builds(
            sh.RecordBooking,
            **of,
            carrier=words,
            tracking_number=words,
            carton_numbers=st.sampled_from([{}, {"1": "x-1"}, {"2": "y-2"}]),
            carrier_gateway=st.sampled_from([None, None, *CARRIER_GATEWAYS]),
        ),
        st.builds(sh.RecordBookingFailure, **of, reason=words),
        st.builds(sh.CancelBooking, **of),
        st.builds(sh.ChaseCancellation, **of),
        st.builds(sh.ChaseDispatch, **of),
        st.builds(sh.SuspectLoss, **of, now=moments),
        st.builds(sh.RecordCollection, **of, collected_at=moments),
        st.builds(sh.RecordBookingCancelled, **of),
        st.builds(sh.RecordBookingCancellationRefused, **of, reason=words),
        st.builds(sh.RecordDispatch, **of, dispatched_at=moments),
        st.builds(
            sh.AttachLabel,
            **of,
            carton_id=cartons,
            document=st.sampled_from([sh.LabelDocument(sha256=c * 64, byte_count=1) for c in "ab"]),
        ),
        st.builds(
            sh.RecordFreightBill,
            **of,
            bill_id=st.sampled_from(["b1", "b2"]),
            amount_minor=st.sampled_from([0, 500, 700]),
            currency=st.sampled_from(["EUR", "EUR", "USD"]),
        ),
    )
    steps = st.one_of(bookings, sightings)
    anything = st.one_of(requests, steps, st.builds(sh.CancelShipment, **of))
    first, then = mostly(requests, anything), mostly(steps, anything)
    return lambda state: then if state.requested else first


def shipment_holds(state: shipment_state.Shipment, history: Sequence[Event]) -> None:
    steps = (sh.ShipmentRequested, sh.ShipmentPacked, sh.ShipmentBookingRequested)
    places = [[type(event) for event in history].index(step) for step in steps if happened(history, step)]
    assert places == sorted(places)
    once = (*steps[:2], sh.ShipmentDispatched, sh.ShipmentDelivered, sh.ShipmentCancelled)
    assert all(happened(history, step) <= 1 for step in once)
    assert happened(history, sh.ShipmentBooked) <= 1 + happened(history, sh.ShipmentBookingCancelled)
    assert happened(history, sh.ShipmentCancelled) + happened(history, sh.ShipmentDispatched) <= 1
    assert happened(history, sh.ShipmentDispatched) <= happened(history, sh.ShipmentBookingRequested)
    given = [event.answer for event in history if isinstance(event, ANSWERED) and event.answer]
    answers = [shipment_state.located(answer, state.requested) for answer in given]
    assert len(answers) == len({*answers}) == len(state.answers), "an answer counts once, with its location or without"
    assert state.answered is None or state.answered in given
    repeats = [event.repeat_id for event in history if isinstance(event, sh.ShipmentPickRequestRepeated)]
    assert sorted(repeats) == sorted(state.repeats), "each repeat counts once"
    carrier_gateways_hold(history)
    for event in history:
        if isinstance(event, sh.ShipmentCancelled) and state.requested:
            assert event.warehouse_gateway == state.requested.warehouse_gateway
    bills = [event for event in history if isinstance(event, sh.ShipmentFreightBilled)]
    assert {bill.bill_id: (bill.amount_minor, bill.currency) for bill in bills} == dict(state.bills)
    assert len(bills) == len(state.bills)
    assert len({bill.currency for bill in bills}) <= 1
    arrivals = (sh.ShipmentDelivered, sh.ShipmentPartlyDelivered, sh.ShipmentReturnedToSender)
    assert not happened(history, *arrivals) or state.dispatched
    assert happened(history, sh.ShipmentMilestoneReached) == len(state.milestones)
    assert not (state.cancelled and state.with_carrier), "what was given back is not with the carrier"
    back = [item for event in history if isinstance(event, sh.ShipmentReturnedToSender) for item in event.items]
    assert sum(item.quantity for item in back) <= 2, "more came back than left"
    assert {c for c, outcome in state.outcomes.items() if outcome == "returned"} == set(state.returned)
    assert "open" in state.outcomes.values() or state.delivered or len(state.returned) == len(state.carton_ids)


def carrier_gateways_hold(history: Sequence[Event]) -> None:
    """A booking is cancelled by the gateway that gave its number and by no other, or by a person: said of each
    cancellation by all that was asked before it."""
    asked: list[str | None] = []
    for number, event in enumerate(history):
        if isinstance(event, sh.ShipmentBookingRequested):
            assert event.carrier_gateway or not (asked and asked[-1]), "the one that was asked before is asked again"
            asked.append(event.carrier_gateway)
        if isinstance(event, sh.ShipmentBookingCancellationRequested):
            booked = [one for one in history[:number] if isinstance(one, sh.ShipmentBooked)][-1]
            assert booked.tracking_number == event.tracking_number
            if booked.carrier_gateway:
                assert event.carrier_gateway == booked.carrier_gateway
            else:
                assert event.carrier_gateway == "commands" or {*asked} == {event.carrier_gateway}


# --- order

PLACE = o.PlaceOrder(
    channel="web",
    external_id="1",
    placed_at=NOON,
    currency="EUR",
    lines=(
        o.OrderLine(line_id="1", sku="A", quantity=2, unit_price_minor=3),
        o.OrderLine(line_id="2", sku="B", quantity=1, unit_price_minor=5),
        o.OrderLine(line_id="3", sku="A", quantity=1, unit_price_minor=2),
    ),
    ship_to=o.Address(country="DE"),
    customer=o.Customer(customer_id="C-1"),
)
ORDER: Any = {"order_id": PLACE.order_id}
PAID_IN_PARTS: Any = {
    "tenders": (o.Tender(method="gift_card", payment_token="g", amount_minor=4),),
    "shipping_minor": 1,
    "tax_minor": 2,
    "discount_minor": 2,
}
PRESALE: Any = {"kind": "presale", "deposit_minor": 2, "available_by": NOON, "deposit_kept": True}
EXCHANGE: Any = {"kind": "exchange", "exchange_of": "rma-1", "credit_minor": 6}
places = st.sampled_from(
    [
        PLACE,
        PLACE.model_copy(update={"shipping_minor": 1}),
        PLACE.without_customer,
        PLACE.model_copy(update={"fulfilled": (o.LineUnits(line_id="1", quantity=1),), "revision": 2}),
        *(
            o.PlaceOrder(**{**PLACE.content, **more})
            for more in (PAID_IN_PARTS, PRESALE, PRESALE | {"deposit_minor": 13})
        ),
        o.PlaceExchange(**ORDER, content=o.OrderContent(**{**PLACE.content, **EXCHANGE})),
    ]
)
cities = st.sampled_from(["berlin", "paris"])


def answer(draw: st.DrawFn, state: order.Order) -> Command:
    """Draw an answer for what is to be sourced, split at random between two locations and the backorder; sometimes of
    another attempt."""
    assignments: list[o.Assignment] = []
    lacking: dict[str, int] = {}
    for sku, quantity in sorted(state.to_source.items()):
        there = draw(st.integers(0, quantity))
        if there:
            assignments.append(o.Assignment(sku=sku, location=draw(cities), quantity=there))
        if there < quantity and draw(st.booleans()):
            assignments.append(o.Assignment(sku=sku, location=draw(cities), quantity=quantity - there))
        elif there < quantity:
            lacking[sku] = quantity - there
    attempt = state.attempt + (draw(chances) == 0)
    return o.SourceOrder(
        **ORDER, attempt=attempt, assignments=tuple(assignments), backordered=lacking, rule_version="1"
    )


def answer_or_explode(draw: st.DrawFn, state: order.Order) -> Command:
    return answer(draw, state) if draw(chances) else explosion(draw, state)


def explosion(draw: st.DrawFn, state: order.Order) -> Command:
    """Draw the replacement of B, which is sold as a set."""
    return o.ExplodeBundles(**ORDER, attempt=state.attempt, bundles={"B": {"A": 1, "C": 2}})


def needed_by(state: order.Order) -> dict[str, int]:
    """Return the units of the order's content, with bundles replaced by their components."""
    return order_money.exploded(state.content.demand, dict(state.bundles.items())) if state.content else {}


def by_hand(draw: st.DrawFn, state: order.Order) -> Command:
    """Draw assignments of every unit that the order needs, or of all but some, from anywhere; sometimes of more."""
    needed = needed_by(state) or {"A": 1}
    parts = [(sku, draw(st.integers(0, n)), n) for sku, n in sorted(needed.items())]
    wished = [(sku, city, n) for sku, k, n in parts for city, n in (("berlin", k), (draw(cities), n - k)) if n]
    left = wished[draw(st.integers(0, len(wished) - 1)) :] if draw(st.booleans()) else wished
    more = [("A", "paris", 9)] if draw(chances) == 0 else []
    assignments = tuple(o.Assignment(sku=sku, location=city, quantity=n) for sku, city, n in (*left, *more))
    return o.AssignOrder(**ORDER, assignments=assignments, reason="reported so")


def failure(draw: st.DrawFn, _: order.Order) -> Command:
    return o.RecordLocationFailed(**ORDER, location=draw(cities))


def stock_report(draw: st.DrawFn, state: order.Order) -> Command:
    """Draw a report about a requested reservation; about another one if none is requested."""
    asked = (
        sorted(state.requested.items())
        or sorted(state.allocated.items())
        or [((f"{PLACE.order_id}/1", "A", "berlin"), 1)]
    )
    (key, sku, place), quantity = asked[draw(st.integers(0, len(asked) - 1))]
    shape: type[Any] = o.RecordReservation if draw(chances) else o.RecordShortage
    reported: dict[str, Any] = {"reservation_id": key, "sku": sku, "location": place, "quantity": quantity}
    if shape is o.RecordReservation and state.content and state.content.kind == "presale":
        reported["presale"] = draw(chances) > 0
    report: Command = shape(**ORDER, **reported)
    return report


def shipment_report(draw: st.DrawFn, _: order.Order) -> Command:
    report: Command = draw(shipment_shapes)(**ORDER, shipment_id=f"{PLACE.order_id}.{draw(st.integers(1, 5))}")
    return report


shipment_shapes: Strategy = st.sampled_from(
    [o.RecordShipmentDispatched, o.RecordShipmentDelivered, o.RecordShipmentCancelled, o.RecordShipmentKept]
)
RETRY = o.RetrySourcing(**ORDER)
CANCEL = o.CancelOrder(**ORDER, reason="changed their mind")
REPORTS = (answer, explosion, by_hand, failure, stock_report, shipment_report)
ids = st.sampled_from(["i1", "i2", "i3", "i4", "i5"])
kinds = st.sampled_from(["fraud", "payment"])
whys: st.SearchStrategy[o.MoneyGone] = st.sampled_from(["refunded", "disputed", "not_captured"])


def lost(draw: st.DrawFn, state: order.Order) -> Command:
    """Draw a report that money of one of its payments is lost, or secured again."""
    payment_id = draw(st.sampled_from(sorted(state.payments) or [f"{PLACE.order_id}.9"]))
    known = [*sorted(state.gone), (payment_id, "refund/1")]
    effect = draw(st.sampled_from(["refund/1", "dispute/1"]))
    if draw(chances) < 2:
        payment_id, effect = draw(st.sampled_from(known))
        return o.RecordMoneyBack(**ORDER, payment_id=payment_id, effect=effect)
    amount_minor, of_credit = draw(st.integers(1, 14)), draw(st.booleans())
    return o.RecordMoneyGone(
        **ORDER,
        payment_id="another" if of_credit else payment_id,
        effect=effect,
        why=draw(whys),
        amount_minor=amount_minor,
        of_credit=of_credit,
    )


def paid(draw: st.DrawFn, state: order.Order) -> Command:
    """Draw a report about one of its payments; about an unknown one if it has none."""
    payments = sorted(state.payments) or [f"{PLACE.order_id}.9"]
    payment_id = payments[draw(st.integers(0, len(payments) - 1))]
    if draw(chances):
        return o.RecordPaymentAuthorized(**ORDER, payment_id=payment_id)
    if draw(st.booleans()):
        return o.RecordPaymentWithdrawn(**ORDER, payment_id=payment_id, reason="let go")
    if draw(chances) == 0:
        return lost(draw, state)
    return o.RecordPaymentFailed(**ORDER, payment_id=payment_id, reason="declined", retriable=draw(chances) > 0)


def covered(draw: st.DrawFn, state: order.Order) -> Command:
    held = sorted(state.presale_pending) or [(f"{PLACE.order_id}/1", "A", "berlin")]
    key, sku, place = held[draw(st.integers(0, len(held) - 1))]
    return o.RecordPresaleCovered(**ORDER, reservation_id=key, sku=sku, location=place)


order_lines = st.lists(
    st.builds(
        o.OrderLine,
        line_id=st.sampled_from("123"),
        sku=st.sampled_from("AB"),
        quantity=st.integers(1, 3),
        unit_price_minor=st.integers(0, 5),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda line: line.line_id,
).map(tuple)
line_units = st.builds(o.LineUnits, line_id=st.sampled_from("123"), quantity=st.integers(1, 2))
CHANGES = st.one_of(
    st.builds(
        o.AmendOrder, **{name: st.just(value) for name, value in ORDER.items()}, amendment_id=ids, lines=order_lines
    ),
    st.builds(
        o.AmendOrder,
        order_id=st.just(PLACE.order_id),
        amendment_id=ids,
        shipping_minor=st.integers(0, 3),
        discount_minor=st.integers(0, 9) | st.none(),
        revision=st.integers(1, 3) | st.none(),
        keep=st.booleans(),
    ),
    st.builds(
        o.CancelOrderLines,
        order_id=st.just(PLACE.order_id),
        cancellation_id=ids,
        lines=st.lists(line_units, min_size=1, max_size=2).map(tuple),
        reason=words,
    ),
)
OUTSIDE = st.one_of(
    st.builds(
        o.RecordFulfilment,
        order_id=st.just(PLACE.order_id),
        fulfilment_id=ids,
        lines=st.lists(line_units, min_size=1, max_size=2).map(tuple),
        keep=st.booleans(),
    ),
    st.builds(
        o.RecordChannelRefund,
        order_id=st.just(PLACE.order_id),
        refund_id=ids,
        lines=st.lists(line_units, max_size=2).map(tuple),
        revision=st.integers(1, 3) | st.none(),
        keep=st.booleans(),
    ),
    st.builds(
        o.AmendOrder,
        order_id=st.just(PLACE.order_id),
        amendment_id=ids,
        lines=order_lines | st.none(),
        fulfilled=st.lists(line_units, max_size=2).map(tuple),
        revision=st.integers(1, 3) | st.none(),
        keep=st.booleans(),
    ),
)
SPLITS = st.builds(
    o.SplitOrder,
    order_id=st.just(PLACE.order_id),
    split_id=ids,
    lines=st.lists(line_units, min_size=1, max_size=2).map(tuple),
)
UNHOLDS = st.builds(o.ReleaseHold, order_id=st.just(PLACE.order_id), kind=kinds)
UNDER_WAY: tuple[Callable[[st.DrawFn, order.Order], Command], ...] = (
    shipment_report,
    shipment_report,
    lost,
    lambda draw, _: draw(CHANGES | UNHOLDS),
)
ONWARDS: dict[str, Callable[[st.DrawFn, order.Order], Command]] = {
    "new": lambda draw, _: draw(places),
    "sourcing": answer_or_explode,
    "allocating": stock_report,
    "backordered": lambda *_: RETRY,
    "awaiting_payment": paid,
    "awaiting_stock": covered,
    "held": lambda draw, _: o.ReleaseHold(**ORDER, kind=draw(kinds)),
    "fulfilling": lambda draw, state: draw(st.sampled_from(UNDER_WAY))(draw, state),
    "cancelling": shipment_report,
    "shipped": shipment_report,
}
"""What would follow in each phase."""
ASTRAY = st.one_of(
    places,
    st.just(RETRY),
    st.just(CANCEL),
    st.just(o.CancelOrder(**ORDER, reason="early", keep=True)),
    st.just(o.ChasePlacement(**ORDER)),
    CHANGES,
    CHANGES,
    OUTSIDE,
    SPLITS,
    st.builds(o.LapseOrder, order_id=st.just(PLACE.order_id), payment_id=st.just(f"{PLACE.order_id}.1") | st.none()),
    st.just(o.LapsePresale(**ORDER)),
    st.builds(o.HoldOrder, order_id=st.just(PLACE.order_id), kind=kinds),
    st.builds(o.AddNote, order_id=st.just(PLACE.order_id), note_id=ids, note_text=words.filter(bool)),
    st.builds(o.ForgetOrder, order_id=st.just(PLACE.order_id), reason=st.just("request")),
    st.builds(o.PlaceLegalHold, order_id=st.just(PLACE.order_id), case_id=ids, reason=st.just("dispute")),
    st.builds(o.LiftLegalHold, order_id=st.just(PLACE.order_id), case_id=ids),
    st.builds(o.ChaseHold, order_id=st.just(PLACE.order_id), kind=kinds, now=moments),
    UNHOLDS,
    st.builds(o.RetryPayment, order_id=st.just(PLACE.order_id), payment_token=st.just("another") | st.none()),
    st.builds(
        o.RepeatPayment,
        order_id=st.just(PLACE.order_id),
        payment_id=st.sampled_from([f"{PLACE.order_id}.{n}" for n in range(1, 5)]),
    ),
    st.builds(
        o.RefundOrder,
        order_id=st.just(PLACE.order_id),
        refund_id=ids,
        lines=st.lists(
            st.builds(o.RefundLine, line_id=st.sampled_from("123"), quantity=st.integers(1, 2))
            | st.builds(o.RefundLine, line_id=st.sampled_from("123"), amount_minor=st.integers(1, 4)),
            max_size=2,
        ).map(tuple),
        shipping_minor=st.integers(0, 1),
        goodwill_minor=st.integers(0, 1),
    ),
    st.builds(
        o.OverrideOrder,
        order_id=st.just(PLACE.order_id),
        override_id=ids,
        to=st.sampled_from(["sourcing", "released", "completed"]),
        reason=words,
    ),
    st.builds(
        x.RecordFeedbackGiven,
        order_id=st.just(PLACE.order_id),
        feedback_id=ids,
        subject=st.just("order"),
        rating=st.integers(1, 5),
    ),
)


@st.composite
def order_commands(draw: st.DrawFn, state: order.Order) -> Command:
    """Draw mostly commands that advance the order, otherwise others."""
    if state.phase in ONWARDS and draw(chances):
        return ONWARDS[state.phase](draw, state)
    if draw(st.booleans()):
        return draw(st.sampled_from((*REPORTS, paid, lost, covered)))(draw, state)
    astray: Command = draw(ASTRAY)
    return astray


def order_holds(state: order.Order, history: Sequence[Event]) -> None:
    units: Counter[str] = Counter(dict(state.to_source.items()))
    units.update(dict(state.backordered.items()))
    for held in (state.requested, state.allocated):
        for (_, sku, _), quantity in held.items():
            units[sku] += quantity
    whole = any(isinstance(event, o.OrderFulfilledElsewhere) and event.whole for event in history)
    assert units == ({} if whole else needed_by(state)), "units were lost or invented"
    held_holds(state)
    forgotten_holds(state, history)
    for once in (o.OrderPlaced, o.OrderReleased, o.OrderShipped):
        assert happened(history, once) <= 1
    assert happened(history, o.OrderCompleted, o.OrderCancelled) == (state.phase in o.FINAL_PHASES)
    attempts = [event.attempt for event in history if isinstance(event, o.OrderSourced)]
    assert len(set(attempts)) == len(attempts), "two answers to one attempt would share a reservation id"
    phase_holds(state)
    money_holds(state, history)


def forgotten_holds(state: order.Order, history: Sequence[Event]) -> None:
    """Assert that a forgotten order's state is as if its events had always had placeholders."""
    if state.phase in o.FINAL_PHASES:
        forgotten = o.OrderForgotten(order_id=PLACE.order_id, reason="request")
        of_placeholders: order.Order = reduce(order.decider.evolve, map(without_personal, history), order.Order())
        assert order.evolve(state, forgotten) == order.evolve(of_placeholders, forgotten)
    if state.forgotten:
        begun = next(n for n, event in enumerate(history) if isinstance(event, o.OrderForgotten))
        assert all(without_personal(event) == event for event in history[begun:])


def held_holds(state: order.Order) -> None:
    """Assert that what an order is held for is gone, and that only parcels that have not left are stopped."""
    assert ("payment" in state.holds) == bool(state.held_for)
    assert {effect for effect in state.held_for if effect != OTHERWISE} <= set(state.gone)
    assert all(state.shipments[key] == "open" for key in state.stopping)


def phase_holds(state: order.Order) -> None:
    """Assert that whatever the order waits for can still come."""
    lacking = {"sourcing": state.to_source, "allocating": state.requested, "backordered": state.backordered}
    if state.phase in lacking:
        assert next(phase for phase, units in lacking.items() if units) == state.phase
    elif state.phase != "cancelled":
        assert not any(lacking.values()), "money was asked for before every unit was locked"
    if state.phase == "awaiting_payment":
        assert state.is_unpaid
    if state.phase == "held":
        assert state.holds
        assert not state.is_unpaid
    if state.phase == "awaiting_stock":
        assert state.presale_pending
    if state.phase in ("fulfilling", "cancelling"):
        assert state.in_status("open", "held")
        assert state.holds or not state.in_status("held"), "what is held would never be requested"
    else:
        assert not state.in_status("held")
    if state.phase == "shipped":
        assert "dispatched" in state.shipments.values()


def money_holds(state: order.Order, history: Sequence[Event]) -> None:
    """Assert that the shares of the parcels sum to the total, and that no more than that is charged or refunded."""
    dues = [payment.due.payment_id for payment in state.payments.values()]
    assert len(set(dues)) == len(dues)
    if state.content is None:
        return
    live = sum(payment.due.amount_minor for payment in state.live_payments.values())
    owed = max(state.content.total_minor - state.content.credit_minor, 0) - state.written_off
    if state.phase == "awaiting_payment":
        deposit = state.content.deposit_minor if state.presale_pending or waits_for_its_deposit(state) else owed
        sourced_anew = happened(history, o.OrderAssigned, o.OrderLocationFailed, o.OrderOverridden)
        assert live == deposit or (sourced_anew and live == owed), "a balance that was asked for stays asked"
    if happened(history, o.OrderReleased):
        whole = {
            event.shipment_id for event in history if isinstance(event, o.OrderShipmentCancelled) and event.released
        }
        plans = [plan for key, plan in state.plans.items() if state.shipments[key] != "cancelled" or key in whole]
        assert sum(plan.worth_minor for plan in plans) == state.content.total_minor
        assert sum(item.quantity for plan in plans for item in plan.items) == sum(needed_by(state).values())
        assert sum(share.quantity for plan in plans for share in plan.lines) == sum(needed_by(state).values())
        assert all(share.amount_minor >= 0 for plan in plans for share in plan.lines)
        assert sum(plan.amount_minor for plan in plans) <= live
        borne: dict[str, int] = {}
        for plan in plans:
            assert not plan.charges or order_money.to_capture(state, plan.charges) == plan.amount_minor
            for charge in order_money.charges_of(state, plan):
                borne[charge.payment_id] = borne.get(charge.payment_id, 0) + charge.amount_minor
        assert all(n <= state.payments[key].due.amount_minor for key, n in borne.items())
    refunded = total(history, o.OrderRefundRequested)
    assert refunded <= sum(order_money.taken_by_payment(state).values()) + state.content.credit_minor
    assert state.credit_left + state.credit_back <= state.content.credit_minor
    for event in history:
        if isinstance(event, o.OrderRefundRequested):
            credit = event.credit.amount_minor if event.credit else 0
            assert event.amount_minor == sum(part.amount_minor for part in event.parts) + credit
            for part in event.parts:
                assert part.amount_minor == sum(allocation.amount_minor for allocation in part.allocations)


def waits_for_its_deposit(state: order.Order) -> bool:
    """Its goods may all have come before: the balance is asked for when the deposit is there."""
    return any(payment.due.capture_now and payment.status == "asked" for payment in state.live_payments.values())


# --- location


def location_commands() -> Strategy:
    at: Any = {"location": st.just("berlin")}
    opening = st.builds(OpenLocation, **at, country=st.sampled_from(["DE", "FR"]), priority=st.integers(0, 1))
    return opening | st.builds(CloseLocation, **at, reason=words)


def location_holds(state: location.Location, history: Sequence[Event]) -> None:
    assert state == (history[-1] if history else None)
    assert all(before != after for before, after in pairwise(history))


# --- numbering


def numbering_commands() -> Strategy:
    sets = st.builds(
        n.SetOrderNumbering, channel=st.just("web"), prefix=words, digits=quantities, first=st.integers(1, 9)
    )
    asks = st.builds(n.AssignOrderNumber, channel=st.just("web"), order_id=st.sampled_from("abcdefgh"))
    return sets | asks | asks


def numbering_holds(state: numbering.Numbering, history: Sequence[Event]) -> None:
    given = [event for event in history if isinstance(event, n.OrderNumbered)]
    assert len({event.order_id for event in given}) == len(given)
    assert all(before.number < after.number for before, after in pairwise(given))
    restored = numbering.restore(from_json(to_json(numbering.dump(state))))
    assert restored == state


# --- item


def item_commands() -> Strategy:
    sku: Any = st.just("SET")
    components = st.dictionaries(st.sampled_from(["A", "B", "SET"]), quantities, max_size=2)
    described = st.builds(DescribeItem, sku=sku, weight_grams=quantities, serial_tracked=st.booleans())
    return described | st.builds(DefineBundle, sku=sku, components=components)


def item_holds(state: item.Item, history: Sequence[Event]) -> None:
    assert "SET" not in state.components
    assert all(before != after for before, after in pairwise(history))


# --- rules


def rules_commands() -> Strategy:
    objectives = st.sampled_from([({"cost_minor": 1},), ({"shipments": 1}, {"distance_km": 2})])
    return st.builds(PublishSourcingRules, version=st.sampled_from(["1", "2", "3"]), objective=objectives)


def routes_commands() -> Strategy:
    payments = st.sampled_from([(), (PaymentRoute(gateway="stripe"),), (PaymentRoute(gateway="alipay"),)])
    carriers = st.sampled_from([(), tuple(CarrierRoute(gateway=name) for name in CARRIER_GATEWAYS)])
    warehouses = st.sampled_from([(), tuple(WarehouseRoute(gateway=name) for name in WAREHOUSE_GATEWAYS)])
    versions = st.sampled_from(["1", "2", "3"])
    return st.builds(
        PublishGatewayRoutes, version=versions, payments=payments, carriers=carriers, warehouses=warehouses
    )


def rules_hold(state: Versions, history: Sequence[Event]) -> None:
    said: dict[str, Any] = {}
    versions = [BUILT_IN_VERSION]
    for event in history:
        assert isinstance(event, SourcingRulesPublished | GatewayRoutesPublished)
        content = (
            event.objective
            if isinstance(event, SourcingRulesPublished)
            else GatewayRoutes.model_validate({name: getattr(event, name) for name in GatewayRoutes.model_fields})
        )
        assert said.setdefault(event.version, content) == content, "a version changed its meaning"
        versions.append(event.version)
    assert state.current == versions[-1]
    assert all(before != after for before, after in pairwise(versions))


# --- serials


def serial_commands() -> Strategy:
    numbers = st.sampled_from([("1",), ("2",), ("1", "2"), ("2", "3")])
    of: Any = {"sku": st.just("A"), "location": cities, "serials": numbers}
    return st.one_of(
        st.builds(se.ReceiveSerials, **of, receipt_id=words),
        st.builds(se.RecordSerialsSeen, **of, from_location=st.none() | cities),
        st.builds(se.RecordSerialsLeft, **of),
    )


def serials_hold(state: serial.Registry, history: Sequence[Event]) -> None:
    at: dict[str, str] = {}
    for event in history:
        assert isinstance(event, se.SerialEvent)
        for number in event.serials:
            if isinstance(event, se.SerialsClaimed):
                assert number not in at, "received while it was elsewhere"
            if isinstance(event, se.SerialsLeft):
                if at.get(number) == event.location:
                    del at[number]
            elif not isinstance(event, se.SerialConflictFound):
                at[number] = event.location
    assert dict(state.at.items()) == at
    assert serial.restore(from_json(to_json(serial.dump(state)))) == state


# --- rates, delivery options, trackers


def rates_commands() -> Strategy:
    band = ra.Band(weight_grams_max=1, price_minor=1)
    beyond = ra.Beyond(step_grams=1, step_minor=1, weight_grams_max=9)
    zones = (ra.Zone(regions=("广东",), transit_days=1, bands=(band,), beyond=beyond),)
    publish = st.builds(
        ra.PublishRates,
        carrier=st.just("dhl"),
        version=words,
        currency=st.sampled_from(["EUR", "EUR", "USD"]),
        services=st.just((ra.Service(service="parcel", zones=zones),)),
    )
    return publish | st.just(ra.WithdrawRates(carrier="dhl"))


def rates_hold(state: rates.Rates, history: Sequence[Event]) -> None:
    published = [event for event in history if isinstance(event, ra.RatesPublished)]
    assert len({(event.version, event.currency) for event in published}) == len({event.version for event in published})
    assert state.current == (history[-1] if isinstance(history[-1], ra.RatesPublished) else None) if history else True


def delivery_commands() -> Strategy:
    return st.builds(ra.DefineDeliveryOption, option=st.just("express"), transit_days_max=st.none() | st.integers(0, 1))


def delivery_holds(state: delivery.Option, history: Sequence[Event]) -> None:
    assert state == history[-1]
    assert all(before != after for before, after in pairwise(history))


def tracker_commands() -> Strategy:
    sighting = st.builds(t.Sighting, milestone_id=words, status=st.just("unknown"), occurred_at=moments)
    sightings = st.lists(sighting, max_size=3).map(tuple)
    of: Any = {"carrier": st.just("ups"), "tracking_number": st.just("T")}
    shared = st.lists(st.sampled_from(["o.1", "o.2", "o.3"]), min_size=2, max_size=3, unique=True).map(tuple)
    return st.one_of(
        st.builds(t.RecordTracking, **of, sightings=sightings),
        st.builds(t.RecordSharedNumber, **of, shipment_ids=shared),
    )


def tracker_holds(state: tracker.Tracker, history: Sequence[Event]) -> None:
    reported = [
        sight.milestone_id for event in history if isinstance(event, t.TrackingReported) for sight in event.sightings
    ]
    assert len(reported) == len(set(reported)) == len(state.known)
    shared = {key for event in history if isinstance(event, t.TrackingNumberShared) for key in event.shipment_ids}
    assert shared == set(state.shared_by)


# --- what is put aside


def aside_commands() -> Strategy:
    of: Any = {"reader": st.sampled_from(["sourcing", "carrier"]), "fact_id": words}
    put = st.builds(
        a.PutReactionAside, **of, fact=st.just("OrderPlaced"), position=st.integers(1, 9), reason=st.just("invalid")
    )
    return put | st.builds(a.SettleReaction, **of)


def aside_holds(state: aside.Aside, history: Sequence[Event]) -> None:
    kinds = [type(event) for event in history]
    assert all(one is not other for one, other in pairwise(kinds))
    assert state.open == (kinds[-1:] == [a.ReactionPutAside])


# --- what was encrypted where it stood


def encryption_commands() -> Strategy:
    places = st.integers(0, 9)
    of: Any = {"events": st.just(()), "checkpoint": st.just("log")}
    return st.builds(e.RecordEncryption, previous=places, reached=places, through=st.integers(5, 9), **of)


def encryption_holds(state: encryption.Encryption, history: Sequence[Event]) -> None:
    records = [event for event in history if isinstance(event, e.EventsEncrypted)]
    assert all(one.reached <= other.previous < other.reached for one, other in pairwise(records))
    assert all(one.reached <= one.through == records[0].through for one in records)
    assert state.reached == (records[-1].reached if records else 0)


# --- what was made of reports by their schedules


def report_commands() -> Strategy:
    of: Any = {
        "name": st.just("sales"),
        "every": st.sampled_from(["day", "week"]),
        "first_day": st.sampled_from(["2026-01-05", "2026-01-06"]),
    }
    file = st.builds(ready.ReportFile, format=st.just("csv"), sha256=st.just("0" * 64), byte_count=st.just(1))
    return st.one_of(
        st.builds(
            ready.RecordReportFiles,
            **of,
            title=words,
            last_day=of["first_day"],
            timezone=st.just("UTC"),
            made_at=moments,
            files=st.tuples(file),
            deliver_to=st.sampled_from([(), ("folder",), ("folder", "mail")]),
        ),
        st.builds(ready.RecordReportDelivery, **of, to=st.sampled_from(ready.DESTINATIONS)),
    )


def report_holds(state: report.Report, history: Sequence[Event]) -> None:
    """A period is made once, and put once into each place that it was to be put into, in this order."""
    left: dict[tuple[str, str], set[str]] = {}
    for event in history:
        match event:
            case ready.ReportReady():
                assert (event.every, event.first_day) not in left
                left[event.every, event.first_day] = set(event.deliver_to)
            case ready.ReportDelivered():
                left[event.every, event.first_day].remove(event.to)
    assert set(state.made) == set(left)
    assert {period: set(one.deliver_to) for period, one in state.waiting.items()} == {
        period: places for period, places in left.items() if places
    }


# --- what people do about exceptions


def exception_commands() -> Strategy:
    of: Any = {"exception_id": st.just("dispute/d"), "raised_at": moments}
    given = st.builds(c.AssignException, **of, assignee=words)
    put_off = st.builds(c.SnoozeException, **of, until=moments, now=moments)
    opened = st.builds(c.OpenException, exception_id=st.sampled_from(["noticed/n", "odd_day/n"]), detail=words)
    return given | put_off | opened | st.builds(c.ResolveException, **of, note=words, now=moments)


def exception_holds(_: exception.Handling, history: Sequence[Event]) -> None:
    resolved = [event.raised_at for event in history if isinstance(event, c.ExceptionResolved)]
    assert all(one < other for one, other in pairwise(resolved))


# --- who is connected by webhooks

secret_ids = st.sampled_from(["sec_" + letter * 24 for letter in "ab"])


def subscription_commands() -> Strategy:
    of: Any = {"name": st.just("crm")}
    facts: Any = {**of, "url": st.sampled_from(["https://a.example", "https://b.example"])}
    types = {"types": st.sampled_from([("OrderShipped",), ("OrderPlaced", "OrderShipped")])}
    return st.one_of(
        st.builds(sub.OpenSubscription, **facts, **types, secret_id=secret_ids),
        st.builds(sub.ChangeSubscription, **facts, **types),
        st.builds(sub.RotateSubscription, **of, secret_id=secret_ids, now=moments),
        st.builds(sub.DisableSubscription, **of, because=words, failed=st.booleans()),
        st.builds(sub.EnableSubscription, **of),
    )


def subscription_holds(state: subscription.Subscription, history: Sequence[Event]) -> None:
    kinds = [type(one) for one in history if isinstance(one, sub.SubscriptionDisabled | sub.SubscriptionEnabled)]
    assert all(one is not other for one, other in pairwise(kinds))
    assert (state.disabled is not None) == (kinds[-1:] == [sub.SubscriptionDisabled])
    assert happened(history, sub.SubscriptionOpened) == bool(history)
    assert not state.secret_id or state.secret_id != state.previous_secret_id


def document_commands() -> Strategy:
    of: Any = {
        "sha256": st.just("0" * 64),
        "entity": st.sampled_from(["order", "payment"]),
        "entity_id": st.sampled_from(["o", "o.1"]),
    }
    until = st.none() | st.sampled_from(["2026-01-01", "2025-12-31", "2000-01-01"])
    return st.one_of(
        st.builds(d.AttachDocument, **of, kind=st.sampled_from(["invoice", "other"]), keep_until=until),
        st.builds(d.DetachDocument, **of),
        st.builds(d.RemoveDocument, sha256=of["sha256"], reason=words, now=moments),
        st.builds(
            d.RecordDocumentFields,
            sha256=of["sha256"],
            **dict.fromkeys(("net_minor", "tax_minor"), st.just(1)),
            total_minor=st.integers(1, 2),
            **dict.fromkeys(("format", "invoice_number"), words),
            currency=st.just("EUR"),
            issued_on=st.just("2026-01-01"),
            kind=st.just("invoice"),
        ),
    )


def document_holds(state: document.Document, history: Sequence[Event]) -> None:
    """Attached is what was attached more often than detached; nothing is once it was removed, and never too early."""
    counts = Counter[tuple[str, str]]()
    latest = ""
    for event in history:
        match event:
            case d.DocumentAttached():
                counts[event.entity, event.entity_id] += 1
                latest = max(latest, event.keep_until or "")
            case d.DocumentDetached():
                counts[event.entity, event.entity_id] -= 1
            case d.DocumentRemoved():
                assert event is history[-1]
                assert latest < NOON.date().isoformat()
                assert not +counts
    assert set(counts.values()) <= {0, 1}
    assert set(+counts) == set(state.attached)
    assert state.keep_until == latest


def connection_commands() -> Strategy:
    of: Any = {"name": st.just("shop")}
    return st.one_of(
        st.builds(
            con.OpenConnection,
            **of,
            dialect=st.sampled_from(["shopify", "woocommerce", "canonical"]),
            channel=st.sampled_from([None, "web"]),
            secret_id=secret_ids,
        ),
        st.builds(con.RotateConnection, **of, secret_id=secret_ids, now=moments),
        st.builds(con.DisableConnection, **of),
        st.builds(con.EnableConnection, **of),
    )


def connection_holds(state: connection.Connection, history: Sequence[Event]) -> None:
    kinds = [type(one) for one in history if isinstance(one, con.ConnectionDisabled | con.ConnectionEnabled)]
    assert all(one is not other for one, other in pairwise(kinds))
    assert state.is_disabled == (kinds[-1:] == [con.ConnectionDisabled])
    assert (state.channel is None) or state.dialect in ("woocommerce", "canonical")


# --- what a provider reports under a name of its own


def provider_commands() -> Strategy:
    said = p.Report(operation="dispute", outcome="opened", part="dp_1", amount_minor=1)
    report = v.RecordProviderReport(provider="stripe", references=("ch_1",), report=said)
    match = st.builds(v.MatchReport, provider=st.just("stripe"), report_id=st.just(report.report_id), payment_id=words)
    claim = st.builds(ref.ClaimReference, reference=st.just("ch_1"), payment_id=words)
    return st.just(report) | match | claim


def provider_holds(state: provider.ProviderReport, history: Sequence[Event]) -> None:
    assert happened(history, v.ProviderReported) == state.is_known
    assert happened(history, v.ProviderReportMatched) == bool(state.payment_id)
    assert happened(history, ref.ReferenceClaimed) == bool(state.held_by)


# --- return


def rma_commands(state: rma.Rma) -> Strategy:
    opening, steps = rma_strategies(tuple(sorted(state.expected)) if state.opened else ("1", "2"))
    return mostly(steps, opening) if state.opened else mostly(opening, steps)


@cache
def rma_strategies(inspected: tuple[str, ...]) -> tuple[Strategy, Strategy]:
    """An opening, and the steps after it. Kept: hypothesis takes longer to look at a new strategy than to draw."""
    of: Any = {"rma_id": st.just("r")}
    lines = st.sampled_from(["1", "2"])
    counts = st.lists(st.builds(o.LineUnits, line_id=lines, quantity=quantities), min_size=1, max_size=2).map(tuple)
    expected = st.builds(r.ExpectedLine, line_id=lines, sku=st.just("A"), quantity=quantities, reason=st.just("other"))
    seen = st.builds(
        r.InspectedLine,
        line_id=st.sampled_from(inspected),
        quantity=quantities,
        grade=st.just("opened"),
        disposition=st.sampled_from(["sellable", "written_off"]),
        credited=st.booleans(),
    )
    opening = st.builds(
        r.OpenRma,
        **of,
        order_id=st.just("o"),
        channel=st.just("web"),
        resolution=st.sampled_from(["refund", "exchange", "refund_only"]),
        lines=st.lists(expected, min_size=1, max_size=2).map(tuple),
        requested_at=moments,
        terms=st.builds(r.Terms, approve_at_once=st.booleans()),
    )
    steps = st.one_of(
        st.builds(r.ApproveRma, **of),
        st.builds(r.RefuseRma, **of, reason=words),
        st.builds(r.ReceiveRma, **of, receipt_id=st.sampled_from("abc"), location=st.just("berlin"), lines=counts),
        st.builds(
            r.InspectRma,
            **of,
            inspection_id=st.sampled_from("ijk"),
            location=st.just("berlin"),
            lines=st.lists(seen, min_size=1, max_size=2).map(tuple),
        ),
        st.builds(r.CloseRma, **of),
        st.builds(r.LapseRma, **of),
        st.builds(r.RecordCreditLeft, **of, exchange_order_id=words, amount_minor=quantities),
    )
    return opening, steps


def rma_holds(state: rma.Rma, history: Sequence[Event]) -> None:
    def units(*types: type[Any]) -> Counter[str]:
        counted: Counter[str] = Counter()
        for event in history:
            if isinstance(event, types):
                for line in event.lines:
                    counted[line.line_id] += line.quantity
        return counted

    opened, received, inspected = units(r.RmaOpened), units(r.RmaReceived), units(r.RmaInspected)
    kept = state.opened is not None and state.opened.resolution == "refund_only"
    assert inspected <= received <= opened
    assert units(r.RmaCreditDue) <= (opened if kept else inspected)
    assert happened(history, r.RmaClosed) + happened(history, r.RmaRefused) <= 1
    assert happened(history, r.RmaApproved) <= 1


LAWS = (
    Law(
        exception.decider,
        always(exception_commands()),
        exception_holds,
        frozenset({"already_resolved", "raised_in_future", "snooze_out_of_range"}),
    ),
    Law(aside.decider, always(aside_commands()), aside_holds),
    Law(
        encryption.decider,
        always(encryption_commands()),
        encryption_holds,
        frozenset({"encrypted_meanwhile"}),
    ),
    Law(report.decider, always(report_commands()), report_holds, frozenset({"report_not_made"})),
    Law(
        subscription.decider,
        always(subscription_commands()),
        subscription_holds,
        frozenset({"unknown_subscription", "subscription_exists"}),
    ),
    Law(
        document.decider,
        always(document_commands()),
        document_holds,
        frozenset({"attached_otherwise", "document_removed", "document_retained"}),
    ),
    Law(
        connection.decider,
        always(connection_commands()),
        connection_holds,
        frozenset({"unknown_connection", "connection_exists", "channel_needed"}),
    ),
    Law(
        rma.decider,
        rma_commands,
        rma_holds,
        frozenset({"id_reused", "unknown_return", "refused", "arrived", "not_received", "not_inspected"}),
    ),
    Law(serial.decider, always(serial_commands()), serials_hold, frozenset({"id_reused", "serial_elsewhere"})),
    Law(stock.decider, always(stock_commands()), stock_holds, STOCK_REFUSALS),
    Law(
        payment.decider,
        payment_commands(),
        payment_holds,
        frozenset(
            {
                "unknown_payment",
                "second_authorization",
                "second_reauthorization",
                "unknown_reauthorization",
                "contradicts",
                "not_authorized",
                "unknown_capture",
                "second_capture",
                "reference_reused",
                "unknown_void",
                "second_void",
                "unknown_refund",
                "second_refund",
            }
        ),
    ),
    Law(
        shipment.decider,
        shipment_commands(),
        shipment_holds,
        frozenset(
            {
                "unknown_shipment",
                "already_requested",
                "cartons_do_not_match",
                "not_packed",
                "not_booked",
                "not_answered",
                "already_booked",
                "already_left",
                "not_a_pickup",
                "cancelled",
                "unknown_carton",
                "other_number",
                "answer_incomplete",
                "answered_ahead",
                "pick_answered",
                "billed_otherwise",
            }
        ),
    ),
    Law(
        order.decider,
        order_commands,
        order_holds,
        frozenset(
            {
                "id_reused",
                "unknown_order",
                "already_shipped",
                "merged",
                "with_carrier",
                "already_released",
                "invalid_amendment",
                "below_deposit",
                "too_many_units",
                "no_such_units",
                "nothing_to_pay",
                "nothing_to_refund",
                "exceeds_payment",
                "exceeds_shipped",
                "not_locked",
                "being_sourced",
                "not_standard",
                "nothing_left",
                "not_shipped",
                "still_running",
                "forgotten",
                "legal_hold",
                "no_legal_hold",
                "legal_hold_lifted",
            }
        ),
    ),
    Law(rates.decider, always(rates_commands()), rates_hold, frozenset({"version_reused"})),
    Law(delivery.decider, always(delivery_commands()), delivery_holds),
    Law(tracker.decider, always(tracker_commands()), tracker_holds),
    Law(
        provider.decider, always(provider_commands()), provider_holds, frozenset({"unknown_report", "reference_reused"})
    ),
    Law(rules.decider, always(rules_commands()), rules_hold, frozenset({"version_taken"})),
    Law(routes.decider, always(routes_commands()), rules_hold, frozenset({"version_taken"})),
    Law(location.decider, always(location_commands()), location_holds, frozenset({"unknown_location"})),
    Law(numbering.decider, always(numbering_commands()), numbering_holds),
    Law(item.decider, always(item_commands()), item_holds, frozenset({"made_of_itself"})),
)


def outcome(decider: Decider[Any], state: Any, command: Command) -> tuple[tuple[Event, ...], str | None]:
    try:
        return tuple(decider.decide(state, command)), None
    except Refused as refused:
        return (), str(refused)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.decider.category)
def test_the_laws_hold_whatever_is_asked(law: Law) -> None:
    drawn: set[type[Command]] = set()

    @settings(deadline=None, max_examples=EXAMPLES)  # a machine that is busy with other things breaks no law
    @given(data=st.data())
    def lived(data: st.DataObject) -> None:
        live_by(law, data, drawn)

    lived()
    require_all_tried(law, drawn)


def live_by(law: Law, data: st.DataObject, drawn: set[type[Command]]) -> None:
    decider, state = law.decider, law.decider.initial
    history: list[Event] = []
    for _ in range(data.draw(st.integers(1, STEPS_MAX))):
        command = data.draw(law.commands(state))
        drawn.add(type(command))
        events, refusal = outcome(decider, state, command)
        assert type(command) in decider.accepts
        assert command.stream.startswith(f"{decider.category}-")
        assert_in_any_order(decider, state, command, events)
        for event in events:
            assert type(event) in decider.emits
            assert type(event).model_validate_json(event.model_dump_json()) == event
            state = decider.evolve(state, event)
        history += events
        assert refusal is None or refusal.partition(":")[0] in law.refusals
        assert outcome(decider, state, command) == ((), refusal)
        if type(command) in OWN_IDS and any(getattr(event, "asked", "") for event in events):
            assert_its_name_is_taken(decider, state, command)
        law.holds(state, history)


NEWER_HOLDS = (s.ExpectInbound,)
"""Sent again under their own id, the newer content holds."""


def assert_its_name_is_taken(decider: Decider[Any], state: Any, command: Command) -> None:
    """With any field changed, the same id is refused, unless only when and how it is informed has changed."""
    for name in type(command).model_fields.keys() - {OWN_IDS[type(command)]}:
        another = command.model_copy(update={name: other_than(getattr(command, name))})
        if another.stream != command.stream or isinstance(command, (*NEWER_HOLDS, s.AdmitSerials)):
            continue
        events, refusal = outcome(decider, state, another)
        if isinstance(another, o.AmendOrder) and name == "currency":
            assert {type(event) for event in events} <= {o.OrderReportDisputed}, "left to a person, beside the other"
            continue
        assert events == ()
        is_free = name in FREE or name in IMPLIED.get(type(command), ())
        assert (refusal is None) == is_free, f"{name} of {command!r}"


def other_than(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str():
            return f"{value}x"
        case datetime():
            return value + timedelta(days=1)
        case tuple():
            return (*value, *(value[:1] or ("x",)))
        case _:
            return "x"


REFERENCES = {
    "AnswerPick.answer_id": "its whole content is in the event, and the state compares it",
    "RequestPickAgain.repeat_id": "it says nothing else that could be otherwise",
    "RecordFreightBill.bill_id": "its whole content is in the event, and the state compares it",
    "CancelInbound.inbound_id": "names what is expected",
    "ReceiveInbound.inbound_id": "names what has come",
    "ExpectInbound.request_id": "names the request that it answers",
    "ReserveStock.order_id": "names whose it is",
    "ReleaseStock.reservation_id": "names what is let go",
    "ReleaseStock.order_id": "names whose it was",
    "ReceiveSerials.inbound_id": "names what has come",
    "PlaceOrder.external_id": "names the order; another content is a conflict that a person sees",
    "RecordFeedback.feedback_id": "the feedback is kept whole, and compared",
    "SetSeller.vat_id": "stands on paper",
    "OpenAccount.customer_id": "names whose account it is",
    "ApplyAccountHold.hold_id": "names what is taken",
    "ReleaseAccountHold.hold_id": "names what is released, once",
    "AttachDocument.entity_id": "names what it is about; attached there otherwise is refused",
    "DetachDocument.entity_id": "names what it is not about any more",
    "OpenException.order_id": "names whose exception it is",
    "AssignException.order_id": "names whose exception it is",
    "OpenConnection.secret_id": "names the secret that is kept apart",
    "RotateConnection.secret_id": "names the secret that is kept apart",
    "OpenSubscription.secret_id": "names the secret that is kept apart",
    "RotateSubscription.secret_id": "names the secret that is kept apart",
    "SnoozeException.order_id": "names whose exception it is",
    "ResolveException.order_id": "names whose exception it is",
}
"""Ids in commands of people and channels that name something else than the act itself."""


TRIED_ELSEWHERE = {
    "DeclareLost": "tests/unit/aggregates/shipment/test_shipment.py",
    "RecordShipmentLost": "tests/unit/aggregates/order/test_order_losses.py",
    "RecordShipmentReturned": "tests/unit/aggregates/order/test_order_returns.py",
    "RequestReturn": "tests/unit/aggregates/order/test_order_returns.py",
    "CreditReturn": "tests/unit/aggregates/order/test_order_returns.py",
    "RecordReturnEnded": "tests/unit/aggregates/order/test_order_returns.py",
    "RefundCredit": "tests/unit/aggregates/order/test_order_returns.py",
    "MergeOrders": "tests/unit/aggregates/order/test_order_parts.py",
    "YieldToMerge": "tests/unit/aggregates/order/test_order_parts.py",
    "RecordMergeAnswer": "tests/unit/aggregates/order/test_order_parts.py",
    "PlaceJoined": "tests/unit/aggregates/order/test_order_parts.py",
}
"""What no law draws, because its units come from or go to another order: there each is decided again on its result."""


def require_all_tried(law: Law, drawn: set[type[Command]]) -> None:
    """A command that is neither drawn nor named here would be subject to no law, and no one would notice.

    Those that are named may be drawn too rarely to be seen every time.
    """
    tree = ast.parse(Path(__file__).read_text())
    named = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    named |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    untried = {command.__name__ for command in law.decider.accepts if command not in drawn} - named
    assert untried <= TRIED_ELSEWHERE.keys(), "draw it here, or say which test tries it again on its result"


@pytest.mark.parametrize("command", TRIED_ELSEWHERE)
def test_what_no_law_draws_is_tried_where_it_is_said(command: str) -> None:
    assert re.search(rf"\b{command}\b", (ROOT / TRIED_ELSEWHERE[command]).read_text())


def test_every_command_that_names_its_own_act_is_known() -> None:
    ids = {
        f"{command.__name__}.{name}"
        for decider in DECIDERS
        for command in decider.accepts
        if not issubclass(command, SystemCommand)
        for name in command.model_fields.keys() - set(stream_fields(command))
        if name.endswith("_id")
    }
    own = {f"{command.__name__}.{name}" for command, name in OWN_IDS.items()}
    assert ids - own == REFERENCES.keys()


def test_what_was_asked_before_it_was_kept_counts_as_the_same() -> None:
    before = s.StockReceived(sku="A", location="berlin", receipt_id="r", quantity=2)
    state = stock.decider.evolve(stock.decider.initial, before)
    receive = s.ReceiveStock(sku="A", location="berlin", receipt_id="r", quantity=3)
    assert outcome(stock.decider, state, receive) == ((), None)


def test_a_refusal_of_a_taken_name_says_what_differs() -> None:
    receive = s.ReceiveStock(sku="A", location="berlin", receipt_id="r", quantity=2, lot_expires_at=NOON)
    state = reduce(stock.decider.evolve, stock.decider.decide(stock.decider.initial, receive), stock.decider.initial)
    elsewhere = NOON.astimezone(timezone(timedelta(hours=1)))
    assert outcome(stock.decider, state, receive.model_copy(update={"lot_expires_at": elsewhere})) == ((), None)
    _, refusal = outcome(stock.decider, state, receive.model_copy(update={"quantity": 3, "bin": "b"}))
    assert refusal is not None
    assert 'bin was left out and is "b" now, quantity was 2 and is 3 now' in refusal
    inbound = s.ReceiveInbound(sku="A", location="berlin", inbound_id="i", receipt_id="r")
    assert "it names what ReceiveStock did" in str(outcome(stock.decider, state, inbound)[1])


CONSUMED = (
    p.RequestPayment,
    p.CapturePayment,
    p.VoidPayment,
    p.CancelPayment,
    p.RefundPayment,
    p.ExpireAuthorization,
    p.RecordSilence,
    p.RecordReport,
)
"""What consumers, the gateway's silence and the ticker ask of a payment: a refusal would stop them for ever."""


@settings(deadline=None, max_examples=EXAMPLES)
@given(data=st.data())
def test_what_consumers_ask_of_a_payment_is_never_refused(data: st.DataObject) -> None:
    state, commands = payment.decider.initial, payment_commands()
    for _ in range(data.draw(st.integers(1, STEPS_MAX))):
        command = data.draw(commands(state))
        events, refusal = outcome(payment.decider, state, command)
        of_none = isinstance(command, p.RecordReport) and state.requested is None  # no reference leads there
        assert refusal is None or of_none or not isinstance(command, CONSUMED)
        state = reduce(payment.decider.evolve, events, state)
