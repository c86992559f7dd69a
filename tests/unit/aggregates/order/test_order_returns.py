"""No more comes back than was shipped, and no unit is credited twice; three tests per rule: it happens, nothing
happens when it is repeated, it is refused.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from oms_es.consumers.returns import return_progress
from oms_es.kernel import Command, Refused
from oms_es.schemas import order as o
from oms_es.schemas.order import returns as x
from oms_es.schemas.payment import RefundAllocation
from oms_es.schemas.returns import rma as r
from order_story import BERLIN, DUE, FULFILLING, GONE, ID, NOON, OF, OrderScenario, Units, dispatched, placed, units

LATER = NOON + timedelta(days=3)
TEA = o.OrderLine(line_id="1", sku="TEA", quantity=1, unit_price_minor=250)


def want(line_id: str, quantity: int, reason: r.ReturnReason = "damaged") -> r.ReturnLine:
    return r.ReturnLine(line_id=line_id, quantity=quantity, reason=reason)


def request(*lines: r.ReturnLine, rma_id: str = "r1", **more: Any) -> x.RequestReturn:
    return x.RequestReturn(**OF, rma_id=rma_id, lines=lines, now=LATER, **more)


def credit(rma_id: str = "r1", name: str = "i1", resolution: r.Resolution = "refund", **by_line: int) -> x.CreditReturn:
    credit_id = f"return/{rma_id}/{name}"
    return x.CreditReturn(**OF, rma_id=rma_id, credit_id=credit_id, resolution=resolution, lines=units(**by_line))


def ended(rma_id: str = "r1", **by_line: int) -> x.RecordReturnEnded:
    return x.RecordReturnEnded(**OF, rma_id=rma_id, lines=units(**by_line))


def refund(refund_id: str = "f", **by_line: int) -> o.RefundOrder:
    lines = tuple(o.RefundLine(line_id=line_id[1:], quantity=n) for line_id, n in by_line.items())
    return o.RefundOrder(**OF, refund_id=refund_id, lines=lines)


def came_back(number: int, *back: Units, carton: str, complete: bool = False) -> o.RecordShipmentReturned:
    items = tuple(o.Reservation(reservation_id=f"{ID}/1", sku=sku, location=at, quantity=n) for sku, at, n in back)
    shipment_id = f"{ID}.{number}"
    return o.RecordShipmentReturned(
        **OF,
        shipment_id=shipment_id,
        return_id=f"{shipment_id}/{carton}",
        location="berlin",
        items=items,
        complete=complete,
    )


def refusal(*commands: Command) -> Refused:
    scenario = OrderScenario(*commands[:-1])
    with pytest.raises(Refused) as refused:
        scenario.submit(commands[-1])
    return refused.value


BOTH = request(want("1", 1), want("2", 1, "changed_mind"))
REFUNDED = (*GONE, request(want("1", 2)), credit(_1=1))
EXCHANGE = request(want("1", 2), resolution="exchange", replacement=(TEA,))
EXCHANGED = (*GONE, EXCHANGE, credit(resolution="exchange", name="closed", _1=2))


# --- asked for


def test_a_return_says_which_units_of_what_are_expected_and_why() -> None:
    scenario = OrderScenario(*GONE, BOTH)
    assert scenario.last == [
        x.OrderReturnRequested(
            **OF,
            rma_id="r1",
            channel="web",
            resolution="refund",
            lines=(
                r.ExpectedLine(line_id="1", quantity=1, reason="damaged", sku="A"),
                r.ExpectedLine(line_id="2", quantity=1, reason="changed_mind", sku="B"),
            ),
            requested_at=LATER,
        )
    ]
    assert scenario.submit(BOTH) == []


def test_it_says_when_the_last_parcel_arrived_before() -> None:
    arrived = [
        o.RecordShipmentDelivered(**OF, shipment_id=f"{ID}.{number}", delivered_at=NOON + timedelta(days=day))
        for number, day in ((1, 2), (2, 1))
    ]
    scenario = OrderScenario(*GONE, *arrived, BOTH)
    assert scenario.only(x.OrderReturnRequested).delivered_at == NOON + timedelta(days=2)


def test_of_a_bundle_its_components_are_expected() -> None:
    a_set = placed(lines=(o.OrderLine(line_id="1", sku="SET", quantity=2, unit_price_minor=500),))
    parts: tuple[Units, ...] = (("CUP", "berlin", 4), ("POT", "berlin", 2))
    exploded = o.ExplodeBundles(**OF, attempt=1, bundles={"SET": {"CUP": 2, "POT": 1}})
    assigned = tuple(o.Assignment(sku=sku, location=at, quantity=n) for sku, at, n in parts)
    story = [a_set, exploded, o.SourceOrder(**OF, attempt=2, assignments=assigned, backordered={}, rule_version="1")]
    story += [
        o.RecordReservation(**OF, reservation_id=f"{ID}/2", sku=sku, location=at, quantity=n) for sku, at, n in parts
    ]
    story += [o.RecordPaymentAuthorized(**OF, payment_id=f"{ID}.1"), dispatched(1)]
    (line,) = OrderScenario(*story, request(want("1", 2))).only(x.OrderReturnRequested).lines
    assert (line.sku, line.components) == ("SET", {"CUP": 2, "POT": 1})
    assert refusal(*story, request(want("1", 3))).reason == "over_return"
    one_pot_lost = came_back(1, ("POT", "berlin", 1), carton="c1")
    assert refusal(*story, one_pot_lost, request(want("1", 2))).reason == "over_return"
    assert OrderScenario(*story, one_pot_lost, request(want("1", 1))).last


def test_a_line_named_twice_is_asked_for_twice() -> None:
    twice = request(want("1", 1), want("1", 1, "changed_mind"))
    scenario = OrderScenario(*GONE, twice)
    assert [line.quantity for line in scenario.only(x.OrderReturnRequested).lines] == [1, 1]
    assert scenario.submit(twice) == []
    assert refusal(*GONE, twice, request(want("1", 2))).reason == "id_reused"
    assert refusal(*GONE, request(want("1", 2), want("1", 1))).reason == "over_return"
    assert refusal(*GONE, twice, request(want("1", 1), rma_id="r2")).reason == "over_return"


def test_the_same_return_is_not_asked_for_with_other_units() -> None:
    assert refusal(*GONE, BOTH, request(want("1", 1))).reason == "already_requested"


def test_p20_no_more_comes_back_than_was_shipped() -> None:
    assert refusal(*GONE, request(want("1", 3))).reason == "over_return"
    assert refusal(*FULFILLING, dispatched(1), request(want("2", 1))).reason == "over_return"
    assert refusal(*FULFILLING, request(want("1", 1))).reason == "over_return"
    assert refusal(*GONE, request(want("9", 1))).reason == "over_return"
    assert OrderScenario(*FULFILLING, dispatched(1), request(want("1", 2))).last


def test_units_in_one_return_are_in_no_other_until_it_ends_without_them() -> None:
    one = request(want("1", 1))
    assert refusal(*GONE, one, request(want("1", 2), rma_id="r2")).reason == "over_return"
    assert OrderScenario(*GONE, one, request(want("1", 1), rma_id="r2")).last
    never_came = OrderScenario(*GONE, request(want("1", 2)), ended(_1=1))
    assert never_came.only(x.OrderReturnEnded).lines == units(_1=1)
    assert never_came.submit(ended(_1=1)) == []
    assert never_came.submit(request(want("1", 1), rma_id="r2"))
    assert refusal(*GONE, request(want("1", 2)), ended(_1=1), request(want("1", 2), rma_id="r2")).reason == (
        "over_return"
    )


def test_what_was_refunded_does_not_come_back_and_what_came_back_undelivered_is_not_returned() -> None:
    assert refusal(*GONE, refund(_1=1), request(want("1", 2))).reason == "over_return"
    assert OrderScenario(*GONE, refund(_1=1), request(want("1", 1))).last
    undelivered = came_back(1, ("A", "berlin", 1), carton="c1")
    assert refusal(*GONE, undelivered, request(want("1", 2))).reason == "over_return"
    assert OrderScenario(*GONE, undelivered, request(want("1", 1))).last
    again = request(want("1", 1), rma_id="r2")
    assert refusal(*GONE, undelivered, request(want("1", 1)), again).reason == "over_return"


def test_what_was_credited_may_not_come_back_again_and_the_rest_may() -> None:
    three = placed(lines=(o.OrderLine(line_id="1", sku="A", quantity=3, unit_price_minor=100),))
    held: Units = ("A", "berlin", 3)
    assigned = (o.Assignment(sku="A", location="berlin", quantity=3),)
    story: tuple[Command, ...] = (
        three,
        o.SourceOrder(**OF, attempt=1, assignments=assigned, backordered={}, rule_version="1"),
        o.RecordReservation(**OF, reservation_id=f"{ID}/1", sku=held[0], location=held[1], quantity=held[2]),
        o.RecordPaymentAuthorized(**OF, payment_id=f"{ID}.1"),
        dispatched(1),
        request(want("1", 1)),
        credit(_1=1),
    )
    assert OrderScenario(*story, request(want("1", 2), rma_id="r2")).last
    assert refusal(*story, request(want("1", 3), rma_id="r2")).reason == "over_return"


def test_a_return_of_nothing_that_is_known_has_no_end() -> None:
    assert OrderScenario(*GONE, ended(_1=1)).last == []


# --- credited


def test_accepted_units_are_refunded_at_what_was_paid_once() -> None:
    scenario = OrderScenario(*REFUNDED)
    due = scenario.only(o.OrderRefundRequested)
    assert (due.refund_id, due.rma_id, due.amount_minor, due.reason) == ("return/r1/i1", "r1", 300, "return r1")
    assert due.refunded_units == {"1": 1}
    assert scenario.submit(credit(_1=1)) == []
    scenario.submit(credit(name="i2", _1=1))
    assert scenario.only(o.OrderRefundRequested).amount_minor == 300


def test_no_unit_is_credited_by_a_return_and_by_a_refund() -> None:
    story = (*GONE, request(want("1", 2)), refund(_1=1), credit(_1=2))
    scenario = OrderScenario(*story)
    refused = scenario.only(x.OrderCreditRefused)
    assert (refused.rma_id, refused.credit_id) == ("r1", "return/r1/i1")
    assert "exceeds_shipped" in refused.reason or "refunded" in refused.reason
    assert scenario.submit(credit(_1=2)) == [], "a person was informed already"
    assert scenario.submit(credit(name="i2", _1=1))


def test_a_return_that_the_order_never_heard_of_is_not_credited() -> None:
    assert OrderScenario(*GONE, credit(_1=1)).last == []


# --- exchanged


def test_an_exchange_names_what_is_sent_and_nothing_else_does() -> None:
    assert refusal(*GONE, request(want("1", 1), resolution="exchange")).reason == "unclear_resolution"
    assert refusal(*GONE, request(want("1", 1), replacement=(TEA,))).reason == "unclear_resolution"
    requested = OrderScenario(*GONE, EXCHANGE).only(x.OrderReturnRequested)
    assert (requested.resolution, requested.replacement) == ("exchange", (TEA,))


def test_a_replacement_that_could_not_be_ordered_is_refused_at_once() -> None:
    twice = request(want("1", 1), resolution="exchange", replacement=(TEA, TEA))
    assert refusal(*GONE, twice).reason == "invalid_replacement"


def test_what_was_accepted_pays_for_the_order_that_is_sent_instead() -> None:
    scenario = OrderScenario(*EXCHANGED)
    assert scenario.last == [
        x.OrderExchangeCredited(
            **OF,
            rma_id="r1",
            credit_id="return/r1/closed",
            allocations=(RefundAllocation(kind="line", line_id="1", amount_minor=600),),
            credited_units={"1": 2},
            content=o.OrderContent(
                channel="web",
                external_id="exchange/r1",
                placed_at=LATER,
                currency="EUR",
                lines=(TEA,),
                ship_to=BERLIN,
                payment_token="on-file",
                kind="exchange",
                exchange_of="r1",
                credit_minor=600,
            ),
        )
    ]
    assert scenario.submit(EXCHANGED[-1]) == []


def test_what_pays_for_an_exchange_is_not_given_back_as_well() -> None:
    scenario = OrderScenario(*EXCHANGED)
    with pytest.raises(Refused, match="exceeds_shipped"):
        scenario.submit(refund(_1=1))
    for goodwill, refused in ((451, True), (450, False)):  # 1050 were paid, 600 of them pay for the exchange
        command = o.RefundOrder(**OF, refund_id="g", goodwill_minor=goodwill)
        if refused:
            with pytest.raises(Refused, match="exceeds_payment"):
                scenario.submit(command)
        else:
            scenario.submit(command)
    assert scenario.only(o.OrderRefundRequested).amount_minor == 450


def left(amount_minor: int, exchange: str = "x") -> x.RefundCredit:
    return x.RefundCredit(**OF, rma_id="r1", exchange_order_id=exchange, amount_minor=amount_minor)


def test_what_an_exchange_does_not_use_goes_back_once_and_never_more_than_was_credited() -> None:
    scenario = OrderScenario(*EXCHANGED, left(350))
    due = scenario.only(o.OrderRefundRequested)
    assert (due.refund_id, due.amount_minor, due.reason, due.rma_id) == (
        "return/r1/left/x",
        350,
        "left of exchange r1",
        None,
    )
    assert due.refunded_units == {}
    (part,) = due.parts
    assert (part.payment_id, part.amount_minor) == (f"{ID}.1", 350)
    assert part.allocations == (RefundAllocation(kind="credit", amount_minor=350),)
    assert scenario.submit(left(350)) == []
    scenario.submit(left(251, "y"))
    refused = scenario.only(x.OrderCreditRefused)
    assert (refused.rma_id, refused.credit_id) == ("r1", "return/r1/left/y")
    assert scenario.submit(left(251, "y")) == []
    scenario.submit(left(250, "z"))
    assert scenario.only(o.OrderRefundRequested).amount_minor == 250


def test_of_a_credit_of_which_some_is_gone_what_is_there_goes_back_and_a_person_hears_of_the_rest() -> None:
    gone = o.RecordMoneyGone(**OF, payment_id=f"{ID}.1", effect="dispute/1", why="disputed", amount_minor=700)
    scenario = OrderScenario(*EXCHANGED, gone, left(350))  # 350 of 1050 are there, and the exchange costs 250 of them
    refund, refused = scenario.last
    assert isinstance(refund, o.OrderRefundRequested)
    assert (refund.amount_minor, refund.refund_id) == (100, "return/r1/left/x")
    assert isinstance(refused, x.OrderCreditRefused)
    assert refused.reason.startswith("1.00 EUR of the 3.50 EUR left of exchange r1 is given back; the rest went")
    assert scenario.submit(left(350)) == []
    more = OrderScenario(*EXCHANGED, gone.model_copy(update={"amount_minor": 800}), left(350))
    assert more.shapes() == ["OrderCreditRefused"], "nothing of it is there"


def test_an_exchange_is_placed_once_as_its_return_says() -> None:
    sent = of_exchange(OrderScenario(*EXCHANGED))
    begun = OrderScenario(sent)
    assert begun.shapes() == ["OrderPlaced"]
    assert (begun.state.order_id, begun.state.phase) == (o.order_id_of("web", "exchange/r1"), "sourcing")
    assert begun.submit(sent) == []


def of_exchange(scenario: OrderScenario) -> o.PlaceExchange:
    (sent,) = return_progress.consumer.react(scenario.only(x.OrderExchangeCredited))
    assert isinstance(sent, o.PlaceExchange)
    return sent


def test_content_of_another_order_is_not_placed_under_this_ones_name() -> None:
    sent = of_exchange(OrderScenario(*EXCHANGED))
    assert OrderScenario().submit(sent)
    wrong: Any = {"order_id": o.order_id_of("web", "none"), "content": sent.content}
    for command in (o.PlaceExchange(**wrong), o.PlaceJoined(**wrong, from_order_id="x", transfers=())):
        with pytest.raises(Refused, match="not_its_content"):
            OrderScenario().submit(command)


def test_an_exchange_whose_name_was_taken_is_not_sent_and_its_credit_goes_back() -> None:
    sent = of_exchange(OrderScenario(*EXCHANGED))
    other = sent.content.model_copy(update={"kind": "standard", "exchange_of": None, "credit_minor": 0})
    taken = OrderScenario(o.PlaceExchange(order_id=sent.order_id, content=other))  # as a channel could place it once
    conflict, credit_left = taken.submit(sent)
    assert isinstance(conflict, o.DuplicateConflictFound)
    assert isinstance(credit_left, o.OrderCreditLeft)
    assert (credit_left.exchange_of, credit_left.amount_minor) == ("r1", 600)
    assert taken.submit(sent) == []


@pytest.mark.parametrize("name", ["exchange/r1", "merge/m", "split/s1/1", "lost/x.1", "return/r1/kept"])
def test_what_only_the_engine_names_so_no_one_sends(name: str) -> None:
    assert refusal(placed(external_id=name)).reason == "reserved_name"
    assert refusal(*GONE, request(want("1", 1), rma_id=name)).reason == "reserved_name"
    assert refusal(*GONE, o.RefundOrder(**OF, refund_id=name, goodwill_minor=1)).reason == "reserved_name"
    for fine in (name.replace("/", "-"), f"1/{name}", "1/s1", "2026/1", "exchanges/1"):
        assert OrderScenario(placed(external_id=fine)).shapes() == ["OrderPlaced"]
        assert OrderScenario(*GONE, request(want("1", 1), rma_id=fine)).shapes() == ["OrderReturnRequested"]


def test_an_exchange_that_no_return_granted_is_refused() -> None:
    of_nothing = placed(kind="exchange", exchange_of="never", credit_minor=1_050)
    assert refusal(of_nothing).reason == "not_granted"
    assert refusal(placed(kind="exchange", exchange_of="never")).reason == "not_granted"


def test_without_an_exchange_there_is_no_credit_to_give_back() -> None:
    assert OrderScenario(*GONE, left(1)).shapes() == ["OrderCreditRefused"]
    assert OrderScenario(*DUE, left(1)).shapes() == ["OrderCreditRefused"]


# --- money that is gone


def gone(n: int, why: o.MoneyGone = "refunded", effect: str = "refund/re_1") -> o.RecordMoneyGone:
    return o.RecordMoneyGone(**OF, payment_id=f"{ID}.1", effect=effect, why=why, amount_minor=n)


BACK = o.RecordMoneyBack(**OF, payment_id=f"{ID}.1", effect="refund/re_1")


def test_money_that_is_gone_is_counted_once_and_no_more_is_given_back_than_is_left() -> None:
    scenario = OrderScenario(*GONE)
    said = {"payment_id": f"{ID}.1", "effect": "refund/re_1", "why": "refunded", "amount_minor": 50}
    assert scenario.submit(gone(50)) == [o.OrderMoneyGone(**OF, **said, currency="EUR")]
    assert scenario.submit(gone(50)) == []
    with pytest.raises(Refused, match=r"10\.01 EUR is more than the 10\.00 EUR left"):
        scenario.submit(o.RefundOrder(**OF, refund_id="f", goodwill_minor=1001))
    scenario.submit(o.RefundOrder(**OF, refund_id="f", goodwill_minor=1000))
    assert scenario.submit(BACK) == [o.OrderMoneyBack(**OF, **said, currency="EUR")]
    assert scenario.submit(BACK) == []
    scenario.submit(o.RefundOrder(**OF, refund_id="g", goodwill_minor=50))


@pytest.mark.parametrize("why", ["refunded", "disputed", "not_captured"])
def test_an_exchange_is_not_granted_for_money_that_is_not_there(why: o.MoneyGone) -> None:
    scenario = OrderScenario(*GONE, EXCHANGE, gone(1050, why))
    (answer,) = scenario.submit(EXCHANGED[-1])
    assert isinstance(answer, x.OrderCreditRefused)
    assert "more than the 0.00 EUR left" in answer.reason
    assert scenario.submit(EXCHANGED[-1]) == []


def test_an_exchange_is_granted_for_money_that_is_there_again() -> None:
    (answer,) = OrderScenario(*GONE, EXCHANGE, gone(1050, "disputed"), BACK).submit(EXCHANGED[-1])
    assert isinstance(answer, x.OrderExchangeCredited)


def test_an_order_that_was_never_placed_knows_of_no_money() -> None:
    scenario = OrderScenario()
    assert (scenario.submit(gone(1)), scenario.submit(BACK)) == ([], [])
