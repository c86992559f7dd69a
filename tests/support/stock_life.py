"""Any commands on one stock stream, in any order, and the history that they lead to."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from oms_es.aggregates.stock import decider as stock
from oms_es.kernel import Event, Refused
from oms_es.schemas import stock as s

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
Strategy = st.SearchStrategy[Any]
quantities = st.integers(1, 4)
moments = st.sampled_from([NOON + timedelta(hours=hour) for hour in range(3)])
words = st.sampled_from(["x", "y"])


def stock_commands() -> Strategy:
    at: Any = {"sku": st.just("A"), "location": st.just("berlin")}
    key: Any = {**at, "reservation_id": st.sampled_from(["o1/1", "o2/1", "o3/1", "x/1"]), "order_id": words}
    names = st.sampled_from("rstuvw")
    where: Any = {"bin": st.sampled_from(["", "b"]), "lot": st.sampled_from(["", "l"])}
    conditions = st.sampled_from(["sellable", "sellable", "damaged", "quarantine"])
    expiry: Any = {**where, "lot_expires_at": st.none() | moments}
    numbers = st.sampled_from([("n1",), ("n2",), ("n1", "n3"), ("n2", "n3")])
    some = st.integers(0, 4)
    promises = st.one_of(
        st.builds(
            s.ReserveStock,
            **key,
            quantity=quantities,
            expires_at=st.none() | moments,
            channel=st.sampled_from(["", "web", "shop"]),
            presale=st.booleans(),
        ),
        st.builds(s.ReleaseStock, **key, quantity=st.none() | quantities),
        st.builds(
            s.TransferReservation,
            **key,
            to_reservation_id=st.sampled_from(["o2/1", "o3/1", "o4/1"]),
            to_order_id=words,
            quantity=quantities,
        ),
        st.builds(s.ExpireReservation, **key, now=moments),
        st.builds(s.ShipStock, **key, shipment_id=words, serials=st.just(()) | numbers),
        st.builds(s.CoverPresales, **at),
    )
    coming = st.one_of(
        st.builds(s.ReceiveStock, **at, receipt_id=names, quantity=quantities, **expiry),
        st.builds(
            s.RestockReturn,
            **at,
            return_id=words,
            quantity=quantities,
            condition=conditions,
            serials=st.just(()) | numbers,
        ),
        st.builds(s.AdmitSerials, **at, receipt_id=names, serials=numbers, **expiry),
        st.builds(
            s.AdmitMove,
            **at,
            move_id=words,
            from_location=st.just("paris"),
            quantity=quantities,
            arrives_at=st.none() | moments,
        ),
        st.builds(
            s.ExpectInbound,
            **at,
            inbound_id=words,
            quantity=quantities,
            promised_at=moments,
            request_id=st.none() | st.just("low/1"),
        ),
        st.builds(
            s.ReceiveInbound,
            **at,
            inbound_id=st.sampled_from(["x", "y", "move/paris/x"]),
            receipt_id=names,
            quantity=st.none() | quantities,
        ),
        st.builds(s.CancelInbound, **at, inbound_id=words, reason=words),
    )
    placed: Any = {**at, **where, "quantity": quantities, "condition": conditions, "serials": st.just(()) | numbers}
    moving = st.one_of(
        st.builds(s.CountStock, **{**placed, "quantity": some}, count_id=names),
        st.builds(s.AdjustStock, **{**placed, "quantity": st.integers(-3, 3)}, adjustment_id=names, reason=words),
        st.builds(s.ChangeCondition, **placed, was=conditions, change_id=names),
        st.builds(s.ExpireLot, **at, lot=st.sampled_from(["", "l"]), now=moments),
        st.builds(s.WriteOffStock, **placed, write_off_id=names, reason=words),
        st.builds(s.MoveToBin, **placed, to_bin=st.sampled_from(["b", "c"]), move_id=names),
        st.builds(s.MoveStock, **placed, to_location=st.sampled_from(["paris", "paris", "berlin"]), move_id=names),
    )
    planning = st.one_of(
        st.builds(s.SetSafetyStock, **at, quantity=st.integers(0, 2)),
        st.builds(s.SetPresaleLimit, **at, quantity=some),
        st.builds(
            s.SetChannelShare,
            **at,
            channel=st.sampled_from(["web", "shop"]),
            share_percent=st.sampled_from([0, 50, 100]),
            buffer_units=st.integers(0, 1),
        ),
        st.builds(s.SetReorderPoint, **at, quantity=some, up_to=quantities),
        st.builds(s.RequestReplenishment, **at, request_id=words, quantity=quantities),
    )
    return st.one_of(promises, promises, coming, moving, planning)


STOCK_REFUSALS = frozenset(
    {
        "id_reused",
        "not_reserved",
        "not_covered",
        "not_there",
        "serial_not_there",
        "serials_needed",
        "same_location",
        "promised",
        "is_a_move",
        "unknown_inbound",
        "exceeds_transit",
    }
)


def lived(asked: Iterable[s.StockCommand]) -> tuple[stock.Stock, list[Event]]:
    """Return the state and the events that the commands lead to; refused commands change nothing."""
    state, events = stock.decider.initial, list[Event]()
    for command in asked:
        try:
            decided = tuple(stock.decider.decide(state, command))
        except Refused:
            continue
        for event in decided:
            state = stock.decider.evolve(state, event)
        events += decided
    return state, events
