"""Events of an order name its customer. Sent without its customer, an order is the same order."""

from __future__ import annotations

from functools import reduce
from typing import Any

from dsl import Given
from oms_es.aggregates.order import split_merge
from oms_es.aggregates.order.decider import decide, decider, evolve
from oms_es.consumers.returns import customer_feedback
from oms_es.kernel import Command, Event
from oms_es.schemas import order as o
from oms_es.schemas.order import returns as x
from oms_es.schemas.returns import rma as r
from oms_es.schemas.returns.feedback import FeedbackRecorded
from oms_es.schemas.values.customer import METADATA_MAX, NOTES_LENGTH_MAX
from order_story import GONE, ID, LOCKING, NOON, OF, PLACE, placed, units

ADA: Any = {"customer_id": "C-1", "email": "ada@example.com"}
NAMED = placed(customer=ADA)
WHOSE: Any = {"channel": "web", "customer_id": "C-1"}


def reported(*commands: Command) -> tuple[Event, ...]:
    history: list[Event] = []
    state: Any = decider.initial
    for command in commands:
        events = tuple(decide(state, command))
        state = reduce(evolve, events, state)
        history += events
    return tuple(history)


def feedback(name: str = "f1", rating: int = 4) -> x.RecordFeedbackGiven:
    return x.RecordFeedbackGiven(**OF, feedback_id=name, subject="order", rating=rating)


def given_back(name: str = "f1", rating: int = 4) -> x.OrderFeedbackGiven:
    return x.OrderFeedbackGiven(**OF, **WHOSE, feedback_id=name, subject="order", about="", rating=rating)


def test_feedback_on_an_order_is_counted_for_its_customer_once() -> None:
    history = reported(NAMED)
    Given(decider, *history).when(feedback()).then(given_back())
    Given(decider, *history, given_back()).when(feedback()).then()
    Given(decider, *history, given_back()).when(feedback(rating=1)).then()
    Given(decider, *history, given_back()).when(feedback("f2", 5)).then(given_back("f2", 5))


def test_feedback_on_an_order_without_customer_is_counted_for_no_one() -> None:
    Given(decider, *reported(PLACE)).when(feedback()).then()
    Given(decider, *reported(placed(customer={"email": "guest@example.com"}))).when(feedback()).then()
    Given(decider).when(feedback()).then()


def test_what_was_said_of_an_order_is_handed_to_it() -> None:
    said = FeedbackRecorded(order_id=ID, feedback_id="f1", subject="order", about="", rating=4, text="lovely")
    assert customer_feedback.consumer.react(said) == (feedback(),)


def test_what_follows_from_an_order_says_whose_it_is() -> None:
    history = reported(
        NAMED,
        *GONE[1:],
        o.RefundOrder(**OF, refund_id="r", goodwill_minor=1),
        x.RequestReturn(**OF, rma_id="r1", lines=(r.ReturnLine(line_id="1", quantity=1, reason="damaged"),), now=NOON),
        o.RecordMoneyGone(**OF, payment_id=f"{ID}.1", effect="refund/1", why="refunded", amount_minor=1),
        o.RecordMoneyBack(**OF, payment_id=f"{ID}.1", effect="refund/1"),
    )
    reported_whose = {type(event).__name__: event.customer_id for event in history if hasattr(event, "customer_id")}
    assert {"OrderPlaced", "OrderRefundRequested", "OrderReturnRequested", "OrderMoneyGone", "OrderMoneyBack"} <= set(
        reported_whose
    )
    assert set(reported_whose.values()) == {"C-1"}
    (cancelled,) = [e for e in reported(NAMED, o.CancelOrder(**OF, reason="no")) if isinstance(e, o.OrderCancelled)]
    assert cancelled.customer_id == "C-1"


def test_an_order_that_was_sent_without_its_customer_is_the_same_when_it_is_sent_with_one() -> None:
    """Channels sent orders before customers could be named."""
    again = placed(customer=ADA, notes="ring twice", metadata={"a": "b"})
    Given(decider, *reported(PLACE)).when(again).then()
    Given(decider, *reported(NAMED)).when(NAMED).then()


def test_an_order_of_another_customer_is_another_order_under_the_same_name() -> None:
    for other in (placed(customer={"customer_id": "C-2"}), PLACE, placed(customer=ADA, notes="ring twice")):
        (conflict,) = decide(reduce(decider.evolve, reported(NAMED), decider.initial), other)
        assert isinstance(conflict, o.DuplicateConflictFound)
        assert conflict.content.customer == other.customer
    Given(decider, *reported(PLACE)).when(placed(customer=ADA, shipping_minor=51)).then(
        o.DuplicateConflictFound(
            **OF,
            fingerprint=placed(customer=ADA, shipping_minor=51).fingerprint,
            content=o.OrderContent(**placed(customer=ADA, shipping_minor=51).content),
        )
    )


def test_what_is_split_off_is_of_the_same_customer() -> None:
    ask = o.SplitOrder(**OF, split_id="s", lines=units(_2=1))
    (split,) = [
        event for event in reported(placed(customer=ADA, notes="n"), *LOCKING, ask) if isinstance(event, o.OrderSplit)
    ]
    assert (split.customer_id, split.content.customer_id, split.content.notes) == ("C-1", "C-1", "n")


def merged(terms: o.PlaceOrder, with_order: o.PlaceOrder) -> list[Event]:
    state = reduce(decider.evolve, reported(with_order, *LOCKING), decider.initial)
    ask = o.YieldToMerge(**OF, to_order_id="m", channel="web", terms=o.OrderContent(**terms.content))
    return list(decide(state, ask))


def test_orders_of_one_customer_become_one_and_of_two_they_do_not() -> None:
    (agreed,) = merged(NAMED, placed(customer={"customer_id": "C-1", "phone": "030 1234567"}))
    assert isinstance(agreed, o.OrderMergedInto)
    for other in (PLACE, placed(customer={"customer_id": "C-2"})):
        (declined,) = merged(NAMED, other)
        assert isinstance(declined, o.OrderMergeDeclined)
        assert declined.reason == "it has another customer_id"


def test_notes_and_metadata_of_orders_that_become_one_are_kept_as_far_as_they_fit() -> None:
    long = "x" * (NOTES_LENGTH_MAX // 2)
    (declined,) = merged(placed(notes=long), placed(notes=long))
    assert isinstance(declined, o.OrderMergeDeclined)
    assert "notes" in declined.reason
    many = {f"k{n}": "second" for n in range(METADATA_MAX)}
    first = o.OrderContent(**placed(metadata={"k0": "first", "z": "first"}).content)
    found = split_merge._metadata_of([first, o.OrderContent(**placed(metadata=many).content)])
    assert (found["k0"], found["z"], found["k1"], len(found)) == ("first", "first", "second", METADATA_MAX)
