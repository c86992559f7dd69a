"""The demo's generated workload is the same every time, has nearly enough stock, and contains each kind of mishap."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from hashlib import sha256
from itertools import islice

import pytest

from oms_es.channels.canonical import parse
from oms_es.demo.catalogue import SCARCE_RANKS
from oms_es.demo.figures import CONFLICTS, PRESALE_SKU, TOKENS
from oms_es.demo.workload import Workload
from oms_es.kernel import Command
from oms_es.schemas.order import CancelOrder, PlaceOrder
from oms_es.schemas.order.returns import RequestReturn
from oms_es.schemas.returns.rma import ReceiveRma
from oms_es.schemas.stock import ReceiveStock

WORLD = Workload(7, 4_000)
ORDERS = list(WORLD.orders())


def digest(world: Workload) -> str:
    reported = sha256()
    for command in world.commands():
        reported.update(f"{type(command).__name__}{command.model_dump_json()}".encode())
    return reported.hexdigest()


def new_orders() -> dict[str, PlaceOrder]:
    """Return the orders by id, each as it was first sent."""
    first: dict[str, PlaceOrder] = {}
    for order in ORDERS:
        first.setdefault(order.order_id, order)
    return first


def test_every_program_makes_the_same_world_whatever_its_hash_seed() -> None:
    reported = {
        subprocess.run(
            [sys.executable, "-c", "from test_workload import *; print(digest(Workload(3, 120)))"],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert reported == {digest(Workload(3, 120))}


def test_another_seed_is_another_world() -> None:
    assert digest(Workload(3, 120)) != digest(Workload(4, 120))


def test_an_order_does_not_depend_on_how_far_one_went() -> None:
    assert list(islice(WORLD.orders(), 50)) == ORDERS[:50]
    assert WORLD.order(3_999) == ORDERS[3_999]


def test_every_order_passes_the_canonical_door() -> None:
    assert all(parse(order.model_dump_json()) == order for order in ORDERS[:200])


def test_orders_come_in_time_order_over_a_week_with_shape() -> None:
    moments = [order.placed_at for order in new_orders().values()]
    assert moments == sorted(moments)
    per_day = Counter(moment.date() for moment in moments)
    assert len(per_day) == 7
    assert max(per_day.values()) > 1.5 * min(per_day.values())


def test_a_hundredth_is_sent_twice_and_a_handful_with_other_content() -> None:
    first = new_orders()
    again = [order for i, order in enumerate(ORDERS) if order is not first[order.order_id]]
    conflicts = [order for order in again if order.fingerprint != first[order.order_id].fingerprint]
    assert len(conflicts) == CONFLICTS
    assert 0.005 < (len(again) - len(conflicts)) / len(ORDERS) < 0.02


def test_channels_tokens_and_lines_are_mixed() -> None:
    assert {order.channel for order in ORDERS} == {"web", "marketplace", "pos"}
    tokens = Counter(order.payment_token for order in ORDERS)
    assert set(tokens) == set(TOKENS)
    assert tokens["tok-ok"] > 0.85 * len(ORDERS)
    assert any(len(order.demand) < len(order.lines) for order in ORDERS)
    sold = Counter[str]()
    for order in ORDERS:
        sold.update(order.demand)
    best = [units for _, units in sold.most_common(40)]
    assert sum(best) > 0.5 * sold.total()


def test_most_orders_can_be_filled_and_a_few_wait_for_a_receipt() -> None:
    stock = Counter[str]()
    for opening in WORLD.receipts():
        stock[opening.sku] += opening.quantity
    for kept in WORLD.safety_stocks():
        stock[kept.sku] -= kept.quantity
    assert min(stock.values()) > 0
    waiting: list[PlaceOrder] = []
    late = dict(WORLD.late_receipts())
    filled_late = 0
    seen = set()
    for index, order in enumerate(ORDERS):
        if order.order_id in seen:
            continue
        seen.add(order.order_id)
        if any(stock[sku] < units for sku, units in order.demand.items()):
            waiting.append(order)
        else:
            stock.subtract(order.demand)
        if (receipt := late.get(index)) is not None:
            stock[receipt.sku] += receipt.quantity
            for order in tuple(waiting):
                if all(stock[sku] >= units for sku, units in order.demand.items()):
                    stock.subtract(order.demand)
                    waiting.remove(order)
                    filled_late += 1
    assert filled_late > 0
    assert 0 < len(waiting) < 0.1 * len(seen)


def test_late_receipts_are_of_the_scarce_and_presold_skus_and_come_in_order() -> None:
    late = WORLD.late_receipts()
    assert len(late) == len(SCARCE_RANKS) + 1
    presold = sum(order.kind == "presale" for order in new_orders().values())
    assert 0 < presold <= next(receipt.quantity for _, receipt in late if receipt.sku == PRESALE_SKU)
    assert [index for index, _ in late] == sorted(index for index, _ in late)
    assert {receipt.receipt_id for _, receipt in late}.isdisjoint(receipt.receipt_id for receipt in WORLD.receipts())


def test_what_comes_back_was_asked_back_and_belongs_to_an_order() -> None:
    asked = {c.rma_id: c for c in WORLD.requests() if isinstance(c, RequestReturn)}
    assert {request.resolution for request in asked.values()} == {"refund", "exchange", "refund_only"}
    assert {request.order_id for request in asked.values()} <= set(new_orders())
    received = [c.rma_id for c in WORLD.arrivals() if isinstance(c, ReceiveRma)]
    assert set(received) == {rma_id for rma_id, request in asked.items() if request.resolution != "refund_only"}
    assert len(set(received)) == len(received)


def test_cancellations_follow_their_orders() -> None:
    cancellations = list(WORLD.cancellations())
    assert 0.02 < len(cancellations) / len(ORDERS) < 0.04
    assert [index for index, _ in cancellations] == sorted(index for index, _ in cancellations)
    told_at = {order.order_id: index for index, order in reversed(list(enumerate(ORDERS)))}
    assert all(told_at[cancel.order_id] <= index < len(ORDERS) for index, cancel in cancellations)


@pytest.mark.parametrize("world", [Workload(1, 300), Workload(1, 1)])
def test_steps_give_everything_once_and_in_order_from_any_batch_on(world: Workload) -> None:
    batches = list(world.steps(100))
    commands = [command for batch in batches for command in batch]
    assert commands == list(world.commands())
    assert list(world.steps(100, start=2)) == batches[2:]
    assert all(len(batch) == 100 for batch in batches[:-1])
    assert _count(commands, PlaceOrder) == world.order_count
    assert _count(commands, CancelOrder) == len(list(world.cancellations()))
    assert _count(commands, ReceiveStock) == len(world.receipts()) + len(world.late_receipts())


def test_a_world_without_orders_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one order"):
        Workload(1, 0)


def _count(commands: list[Command], kind: type[Command]) -> int:
    return sum(isinstance(command, kind) for command in commands)
