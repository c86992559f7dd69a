"""Deciders, and what the ticker asks for, each without one of their rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import Any

from rpds import HashTrieMap

from oms_es.aggregates.payment.state import Payment
from oms_es.aggregates.stock import decider as stock
from oms_es.consumers.order.deadline_keeper import due_commands
from oms_es.kernel import Command, Decider, Row
from oms_es.schemas.order import ForgetOrder, OrderHeld, PlaceOrder, RecordReservation
from oms_es.schemas.payment import PaymentRequested, RecordReport
from oms_es.schemas.stock import ExpireReservation
from oms_es.simulation.components import Components


def believes_every_amount(decider: Decider[Any]) -> Decider[Any]:
    """Remove the check of a report's amount and currency: they are taken to be the requested ones."""

    def decide(state: Payment, command: Any) -> Iterable[Any]:
        if isinstance(command, RecordReport) and command.operation in ("authorize", "capture"):
            command = command.model_copy(update={"amount_minor": None, "currency": None})
        return decider.decide(state, command)

    return replace(decider, decide=decide)


def believes_early_failures(decider: Decider[Any]) -> Decider[Any]:
    """Remove the memory that a failure was reported before the request for it."""

    def evolve(state: Payment, event: Any) -> Payment:
        forgetful = event.model_copy(update={"early": False}) if hasattr(event, "early") else event
        evolved: Payment = decider.evolve(state, forgetful)
        return evolved

    return replace(decider, evolve=evolve)


def forgets_its_gateway(decider: Decider[Any]) -> Decider[Any]:
    """Remove the gateway from every intent but the first of a payment."""

    def decide(state: Payment, command: Any) -> Iterable[Any]:
        for event in decider.decide(state, command):
            first = isinstance(event, PaymentRequested) or not hasattr(event, "gateway")
            yield event if first else event.model_copy(update={"gateway": ""})

    return replace(decider, decide=decide)


def ships_without_money(decider: Decider[Any]) -> Decider[Any]:
    """Remove the hold of an order whose money is gone: its goods are shipped all the same."""

    def decide(state: Any, command: Any) -> Iterable[Any]:
        events = decider.decide(state, command)
        return [event for event in events if not (isinstance(event, OrderHeld) and event.effect)]

    return replace(decider, decide=decide)


def nothing_expires(rows: Iterable[Row], now: datetime) -> Iterator[Command]:
    return (command for command in due_commands(rows, now) if not isinstance(command, ExpireReservation))


def numbered(components: Components) -> Components:
    """Give every copy of an order an id of its own."""
    numbers = count(1)

    def parse(payload: bytes) -> Command:
        order = components.orders(payload)
        assert isinstance(order, PlaceOrder)
        order.__dict__["order_id"] = f"order-number-{next(numbers)}"
        return order

    return replace(components, orders=parse)


def promises_anything(decider: Decider[Any]) -> Decider[Any]:
    """Remove the check that enough stock is available."""

    def decide(state: stock.Stock, command: Any) -> Iterable[Any]:
        return decider.decide(state._replace(policy=state.policy._replace(safety_stock=-1_000_000)), command)

    return replace(decider, decide=decide)


def presells_anything(decider: Decider[Any]) -> Decider[Any]:
    """Remove the limit on how much may be sold before it exists."""

    def decide(state: stock.Stock, command: Any) -> Iterable[Any]:
        return decider.decide(state._replace(policy=state.policy._replace(presale_limit=1_000_000)), command)

    return replace(decider, decide=decide)


def forgets_what_is_held(decider: Decider[Any]) -> Decider[Any]:
    """Remove the check that no case holds an order which is to be forgotten."""

    def decide(state: Any, command: Any) -> Iterable[Any]:
        held = isinstance(command, ForgetOrder)
        return decider.decide(state._replace(legal_holds=HashTrieMap()) if held else state, command)

    return replace(decider, decide=decide)


def remembers_whom_it_forgot(decider: Decider[Any]) -> Decider[Any]:
    """Remove what an order that was forgotten no longer takes: it decides as any other."""

    def decide(state: Any, command: Any) -> Iterable[Any]:
        return decider.decide(state._replace(forgotten=False), command)

    return replace(decider, decide=decide)


def keeps_no_report(decider: Decider[Any]) -> Decider[Any]:
    """Remove the storage of reports that come before their order: they are ignored."""

    def decide(state: Any, command: Any) -> Iterable[Any]:
        return () if state.placed is None and getattr(command, "keep", False) else decider.decide(state, command)

    return replace(decider, decide=decide)


def hears_nothing_early(decider: Decider[Any]) -> Decider[Any]:
    """Remove the report of a reservation that is transferred to an order which has not begun."""

    def decide(state: Any, command: Any) -> Iterable[Any]:
        if isinstance(command, RecordReservation) and state.placed is None:
            return ()
        return decider.decide(state, command)

    return replace(decider, decide=decide)


def takes_every_report(decider: Decider[Any]) -> Decider[Any]:
    """Remove the recognition of known provider references: each report counts as another effect."""

    def decide(state: Payment, command: Any) -> Iterable[Any]:
        blind = state._replace(effects=type(state.effects)(), references=type(state.references)())
        return decider.decide(blind if type(command).__name__.startswith("Record") else state, command)

    return replace(decider, decide=decide)
