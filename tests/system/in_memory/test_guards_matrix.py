"""No command is a way around another's guard: every command that a person or channel may give, against every guard.

The table of guards is in docs/explanation/guards.md. Commands are made from their own declarations and from what was
recorded of the guarded order, so that a new one is tried as soon as it exists.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from random import Random
from typing import Any, NamedTuple, get_args

import pytest

from oms_es.aggregates.order.state import Order
from oms_es.app import DECIDERS
from oms_es.kernel import Command, Event, Recorded, Refused, SystemCommand
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas import shipment as sh
from oms_es.schemas import stock as s
from oms_es.schemas.catalog import serial as se
from oms_es.schemas.order import returns as x
from oms_es.schemas.returns import rma as r
from oms_es.simulation.requests.inputs import Inputs
from outside import run_on
from repository import ROOT
from shop import Shop, an_order
from whole_engine import START, failed

DRAWS = int(os.environ.get("OMS_TEST_DRAWS", "1"))
"""Of each command against each guard."""
GUARDS_PAGE = ROOT / "docs/explanation/guards.md"
ASKED = tuple(
    sorted(
        {command for decider in DECIDERS for command in decider.accepts if not issubclass(command, SystemCommand)},
        key=lambda command: command.__name__,
    )
)
LEAVES: tuple[type[Event], ...] = (
    o.OrderReleased,
    o.OrderShipmentPlanned,
    sh.ShipmentRequested,
    sh.ShipmentBookingRequested,
    sh.ShipmentDispatched,
    p.PaymentCaptureRequested,
    p.PaymentCaptured,
)
"""Goods on their way out, and money on its way in."""
CREDITS: tuple[type[Event], ...] = (o.OrderRefundRequested, x.OrderExchangeCredited, p.PaymentRefundRequested)
ORDER = an_order("1", ("TEA", 2), ("CUP", 1))
OF: Any = {"order_id": ORDER.order_id}
PART = (o.LineUnits(line_id="2", quantity=1),)
USUAL: tuple[Command, ...] = (
    o.SplitOrder(**OF, split_id="p", lines=PART),
    o.CancelOrderLines(**OF, cancellation_id="p", lines=PART, reason="p"),
    o.MergeOrders(channel="web", merge_id="p", order_ids=(ORDER.order_id, o.order_id_of("web", "none"))),
    o.AmendOrder(**OF, amendment_id="p", ship_to=o.Address(country="FR")),
    o.AmendOrder(**OF, amendment_id="q", lines=ORDER.lines[:1]),
    o.RefundOrder(**OF, refund_id="p", goodwill_minor=100),
    *(o.OverrideOrder(**OF, override_id=to, to=to, reason="p") for to in get_args(o.OverrideTarget)),
    *(o.ReleaseHold(**OF, kind=kind) for kind in get_args(o.HoldKind)),
    *(o.HoldOrder(**OF, kind=kind) for kind in get_args(o.HoldKind)),
    o.RetrySourcing(**OF),
    o.RetryPayment(**OF, payment_token="other"),
    o.CancelOrder(**OF, reason="p"),
    ORDER,
)
"""What is most often asked, said rightly; whatever is drawn is seldom that."""
Exits = Mapping[type[Command], Callable[[Any], bool]]


def always(_: Any) -> bool:
    return True


def never(_: Any) -> bool:
    return False


class Guarded(NamedTuple):
    """A state that forbids events, and the commands by which a person with the right to do so ends it."""

    begin: Callable[[Shop], None]
    order_id: str
    forbids: tuple[type[Event], ...]
    exits: Exits = {}
    answers: bool = True  # whether external systems answer


def held_by(kind: Any) -> Callable[[Shop], None]:
    def begin(shop: Shop) -> None:
        shop.submit(ORDER, o.HoldOrder(**OF, kind=kind))
        shop.comes("TEA", "CUP")

    return begin


def split_off(shop: Shop) -> None:
    held_by("fraud")(shop)
    shop.submit(o.SplitOrder(**OF, split_id="s1", lines=(o.LineUnits(line_id="2", quantity=1),)))


def merged(shop: Shop) -> None:
    other = an_order("2", ("TEA", 1))
    shop.submit(ORDER, other, o.HoldOrder(**OF, kind="fraud"))
    shop.submit(o.MergeOrders(channel="web", merge_id="m", order_ids=(other.order_id, ORDER.order_id)))
    shop.comes("TEA", "CUP")


def paid_and_refunded(shop: Shop, *held: Command) -> None:
    """The whole amount was captured and refunded at the provider before the parcel left."""
    shop.comes("TEA", "CUP")
    for command in (ORDER, *held):
        shop.engine.submit(command)
        shop.engine.settle()
    of: Any = {"payment_id": f"{ORDER.order_id}.1"}
    done: Any = {**of, "outcome": "succeeded", "amount_minor": 30_000}
    shop.engine.submit(p.RecordAuthorization(**of, reference="pi_1"))
    shop.engine.submit(p.RecordReport(**done, operation="capture", reference="ch_1"))
    shop.engine.submit(p.RecordReport(**done, operation="refund", part="re_1", reference="re_1"))
    shop.engine.settle()
    shop.outside.open = [intent for intent in shop.outside.look() if not isinstance(intent.event, p.PaymentRequested)]
    run_on(shop.engine, shop.outside)
    assert "payment" in shop.order("1")["holds"]


def refunded_before_release(shop: Shop) -> None:
    paid_and_refunded(shop, o.HoldOrder(**OF, kind="fraud"))
    shop.submit(o.ReleaseHold(**OF, kind="fraud"))
    assert shop.order("1")["phase"] == "held"


def refunded_on_its_way(shop: Shop) -> None:
    paid_and_refunded(shop)
    assert shop.order("1")["phase"] == "fulfilling"


def cancelled(shop: Shop) -> None:
    shop.submit(ORDER, o.CancelOrder(**OF, reason="changed my mind"))
    shop.comes("TEA", "CUP")


def without_stock(shop: Shop) -> None:
    shop.comes("TEA")
    shop.submit(ORDER)


def unpaid(shop: Shop) -> None:
    shop.comes("TEA", "CUP")
    shop.engine.submit(ORDER)
    shop.engine.settle()


def declined(shop: Shop) -> None:
    """The payment is declined as often as the order requests it by itself."""
    unpaid(shop)
    for _ in range(8):
        for intent in [one for one in shop.outside.look() if isinstance(one.event, p.PaymentRequested)]:
            for command in shop.outside.answer(intent, 1):
                shop.engine.submit(command)
        shop.engine.settle()
        shop.engine.pass_time(600)
        shop.engine.settle()
    assert "payment" in shop.order("1")["holds"]


def presale(shop: Shop, *, paid: bool) -> None:
    for sku in ("TEA", "CUP"):
        shop.submit(s.SetPresaleLimit(sku=sku, location="berlin", quantity=5))
    sold = ORDER.model_copy(update={"kind": "presale", "deposit_minor": 1_000})
    if paid:
        shop.submit(sold)
        return
    shop.engine.submit(sold)
    shop.engine.settle()


def balance_unpaid(shop: Shop) -> None:
    presale(shop, paid=True)
    for sku in ("TEA", "CUP"):
        shop.engine.submit(s.ReceiveStock(sku=sku, location="berlin", receipt_id="r", quantity=9))
    shop.engine.settle()
    assert shop.order("1")["phase"] == "awaiting_payment"


def completed(shop: Shop) -> None:
    shop.comes("TEA", "CUP")
    shop.submit(ORDER)
    assert shop.order("1")["phase"] == "completed"


def in_review(shop: Shop) -> None:
    """The return was requested after its window had closed."""
    completed(shop)
    late = START.replace(year=2027)
    line = r.ReturnLine(line_id="1", quantity=1, reason="other")
    shop.submit(x.RequestReturn(**OF, rma_id="r1", lines=(line,), now=late))


def refused_return(shop: Shop) -> None:
    in_review(shop)
    shop.submit(r.RefuseRma(rma_id="r1", reason="too late"))


BY_A_PERSON: Exits = {
    o.OverrideOrder: lambda command: command.to == "released",
}
"""A person releases it in spite of everything, and gives the reason: that is what an override is for."""
GOODS_COME: Exits = dict.fromkeys((s.ReceiveStock, s.ReceiveInbound, s.CountStock, se.ReceiveSerials), always)
"""What lacked is there."""
FEWER_UNITS: Exits = dict.fromkeys(
    (o.AmendOrder, o.CancelOrderLines, o.SplitOrder, o.RecordChannelRefund, o.RecordFulfilment), always
)
"""What lacks is not wanted any more, or is another order's wait: what is there may leave."""
GIVEN_BACK: Exits = {o.RefundOrder: always, o.CancelOrderLines: always, o.RecordChannelRefund: always}
"""Asked for by itself, of units that are in no return."""


def lets_go(kind: str) -> Exits:
    own: Exits = {o.ReleaseHold: lambda command: command.kind == kind}
    paid: Exits = {o.RetryPayment: always} if kind == "payment" else {}
    return {**BY_A_PERSON, **own, **paid}


LET_GO: Exits = {**BY_A_PERSON, o.ReleaseHold: lambda command: command.kind == "payment"}
"""A person does without the money: another attempt would bring none, as none is owed."""
GUARDED: dict[str, Guarded] = {
    **{f"held, {kind}": Guarded(held_by(kind), ORDER.order_id, LEAVES, lets_go(kind)) for kind in get_args(o.HoldKind)},
    "money gone before the release": Guarded(refunded_before_release, ORDER.order_id, LEAVES, LET_GO),
    "money gone before it has left": Guarded(refunded_on_its_way, ORDER.order_id, LEAVES, LET_GO),
    "split off a held order": Guarded(split_off, ORDER.order_id, LEAVES, lets_go("fraud")),
    "merged with a held order": Guarded(merged, ORDER.order_id, LEAVES, lets_go("fraud")),
    "cancelled": Guarded(cancelled, ORDER.order_id, LEAVES),
    "units not there": Guarded(without_stock, ORDER.order_id, LEAVES, {**GOODS_COME, **FEWER_UNITS}),
    "payment not answered": Guarded(unpaid, ORDER.order_id, LEAVES, BY_A_PERSON, answers=False),
    "payment declined": Guarded(declined, ORDER.order_id, LEAVES, BY_A_PERSON, answers=False),
    "presale, goods not there": Guarded(lambda shop: presale(shop, paid=True), ORDER.order_id, LEAVES, GOODS_COME),
    "presale, deposit not paid": Guarded(lambda shop: presale(shop, paid=False), ORDER.order_id, LEAVES, answers=False),
    "presale, balance not paid": Guarded(balance_unpaid, ORDER.order_id, LEAVES, BY_A_PERSON, answers=False),
    "completed": Guarded(completed, ORDER.order_id, LEAVES),
    "return in review": Guarded(in_review, ORDER.order_id, CREDITS, {r.ApproveRma: always, **GIVEN_BACK}),
    "return refused": Guarded(refused_return, ORDER.order_id, CREDITS, GIVEN_BACK),
}


class Tried(NamedTuple):
    command: Command
    happened: bool
    wrong: list[str]


def descendants(log: list[Recorded], order_id: str) -> set[str]:
    """Return the order, and those to which its units were moved."""
    found = {order_id}
    for recorded in log:
        event = recorded.event
        if isinstance(event, o.OrderSplit | o.OrderMergedInto) and event.order_id in found:
            found.add(event.to_order_id)
    return found


def begun(guarded: Guarded) -> Shop:
    shop = Shop()
    guarded.begin(shop)
    return shop


def tries(guarded: Guarded, seed: int, shapes: Sequence[type[Command]] = ASKED) -> Iterator[Tried]:
    """Try each command on the guarded state itself, without the effects of the ones before."""
    shop, inputs = begun(guarded), made_of(seed)
    inputs.note(shop.engine.log)
    for shape in shapes:
        usual = [command for command in USUAL if type(command) is shape]
        drawn = [inputs.command(shape, about(shape, shop, inputs.chance)) for _ in range(DRAWS)]
        for command in [*usual, *filter(None, drawn)]:
            if not guarded.exits.get(shape, never)(command):
                tried = given(shop, guarded, command)
                yield tried
                if tried.happened:
                    shop = begun(guarded)


def made_of(seed: int) -> Inputs:
    names = {"sku": ("TEA", "CUP"), "location": ("berlin",), "channel": ("web",), "currency": ("EUR",)}
    return Inputs(Random(seed), ASKED, {**names, "country": ("DE",), "line_id": ("1", "2")})


def about(shape: type[Command], shop: Shop, chance: Random) -> Event:
    """Return an event that shares most of its values with the command."""
    events = [recorded.event for recorded in shop.engine.log]
    shared = [len(type(event).model_fields.keys() & shape.model_fields.keys()) for event in events]
    return chance.choice([event for event, n in zip(events, shared, strict=True) if n == max(shared)])


def given(shop: Shop, guarded: Guarded, command: Command) -> Tried:
    before = len(shop.engine.log)
    with suppress(Refused):
        shop.engine.submit(command)
    if guarded.answers:
        run_on(shop.engine, shop.outside)
    else:
        shop.engine.settle()
    of = descendants(shop.engine.log, guarded.order_id)
    wrong = [
        f"{type(recorded.event).__name__} of {recorded.stream}"
        for recorded in shop.engine.log[before:]
        if isinstance(recorded.event, guarded.forbids)
        and getattr(recorded.event, "order_id", "") in of
        and not getattr(recorded.event, "held", False)
    ]
    wrong += failed(shop.engine.history)
    return Tried(command, len(shop.engine.log) > before, wrong)


@pytest.mark.parametrize("name", GUARDED)
def test_no_command_is_a_way_around_a_guard(name: str) -> None:
    happened: Counter[str] = Counter()
    for tried in tries(GUARDED[name], seed=list(GUARDED).index(name)):
        assert not tried.wrong, f"{tried.command!r}: {tried.wrong}"
        happened[type(tried.command).__name__] += tried.happened
    print(f"{len(happened)} commands, {sum(n > 0 for n in happened.values())} of which did something")
    assert len(happened) > len(ASKED) * 0.8
    assert sum(n > 0 for n in happened.values()) > len(ASKED) // 8


@pytest.mark.parametrize("name", ["held, fraud", "held, address"])
def test_a_hold_that_does_not_go_with_the_units_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Order, "holds_as_stated", ())
    found = [tried for tried in tries(GUARDED[name], 1, (o.SplitOrder,)) if tried.wrong]
    assert {type(tried.command) for tried in found} == {o.SplitOrder}


@pytest.mark.parametrize("name", GUARDED)
def test_every_guard_is_listed(name: str) -> None:
    assert f"| {name} |" in GUARDS_PAGE.read_text()
