"""Several gateways of one role: each intent goes where it says, and one that is out holds its own only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from operator import attrgetter
from uuid import UUID

import pytest

from oms_es.gateways.routed import RoutedGateway
from oms_es.kernel import Command, Event, GatewayUnavailable, Recorded
from oms_es.schemas import shipment as sh
from oms_es.schemas.order import Address

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Warehouse:
    name = "warehouse"
    intents: frozenset[type[Event]] = frozenset({sh.ShipmentRequested})
    batch_max = 7

    def __init__(self) -> None:
        self.is_out = False
        self.silent: set[str] = set()
        self.asked: list[str] = []

    def perform(self, intents: Sequence[Recorded]) -> Sequence[Sequence[Command]]:
        if self.is_out:
            raise GatewayUnavailable("it is closed")
        ids = [getattr(one.event, "shipment_id", "") for one in intents]
        self.asked += [name for name in ids if name not in self.silent]
        said = [[sh.PackShipment(shipment_id=name, weight_grams=1)] for name in ids]
        if self.silent.intersection(ids):
            raise GatewayUnavailable(
                "some are held", [None if i in self.silent else c for i, c in zip(ids, said, strict=True)]
            )
        return said


def intent(number: int, gateway: str | None) -> Recorded:
    event = sh.ShipmentRequested(
        shipment_id=str(number),
        order_id="o",
        payment_id="o.1",
        location="berlin",
        items=(),
        amount_minor=1,
        ship_to=Address(country="DE"),
        warehouse_gateway=gateway,
    )
    return Recorded(
        event=event,
        event_id=UUID(int=number),
        stream=f"shipment-{number}",
        version=1,
        position=number,
        recorded_at=NOON,
        caused_by=None,
        correlation_id=str(number),
        actor="test",
    )


INTENTS = [intent(1, "files"), intent(2, None), intent(3, "commands"), intent(4, "files")]


def routed() -> tuple[RoutedGateway, Warehouse, Warehouse]:
    files, commands = Warehouse(), Warehouse()
    return RoutedGateway({"files": files, "commands": commands}, attrgetter("warehouse_gateway")), files, commands


def test_each_intent_goes_to_the_gateway_that_it_names_or_else_to_the_first() -> None:
    gateway, files, commands = routed()
    answers = gateway.perform(INTENTS)
    assert [getattr(answer[0], "shipment_id", "") for answer in answers] == ["1", "2", "3", "4"]
    assert (files.asked, commands.asked) == (["1", "2", "4"], ["3"])
    assert (gateway.name, gateway.batch_max) == ("warehouse", 7)


def test_one_that_does_not_answer_holds_its_own_only() -> None:
    gateway, files, _ = routed()
    files.is_out = True
    with pytest.raises(GatewayUnavailable, match="it is closed") as error:
        gateway.perform(INTENTS)
    assert [bool(answer) for answer in error.value.answered] == [False, False, True, False]
    files.is_out, files.silent = False, {"4"}
    with pytest.raises(GatewayUnavailable, match="some are held") as error:
        gateway.perform(INTENTS)
    assert [bool(answer) for answer in error.value.answered] == [True, True, True, False]


def test_what_names_a_gateway_that_is_not_set_up_waits_for_it() -> None:
    files = Warehouse()
    alone = RoutedGateway({"files": files}, attrgetter("warehouse_gateway"))
    with pytest.raises(GatewayUnavailable, match="warehouse commands is not set up here, and 1 wait for it") as error:
        alone.perform(INTENTS)
    assert [bool(answer) for answer in error.value.answered] == [True, True, False, True]
    files.is_out = True
    with pytest.raises(GatewayUnavailable) as error:
        alone.perform(INTENTS[:2])
    assert not error.value.answered, "with nothing to go on with, the role pauses"


def test_a_batch_of_nothing_but_such_is_held_and_does_not_stop_the_role() -> None:
    alone = RoutedGateway({"files": Warehouse()}, attrgetter("warehouse_gateway"))
    with pytest.raises(GatewayUnavailable, match="warehouse commands is not set up here, and 2 wait for it") as error:
        alone.perform([intent(number, "commands") for number in (1, 2)])
    assert list(error.value.answered) == [None, None]


def test_a_gateway_that_answers_fewer_than_it_was_asked_is_wrong_and_not_out() -> None:
    class Forgetful(Warehouse):
        def perform(self, intents: Sequence[Recorded]) -> Sequence[Sequence[Command]]:
            return super().perform(intents)[:-1]

    with pytest.raises(ValueError, match="shorter"):
        RoutedGateway({"files": Forgetful()}, attrgetter("warehouse_gateway")).perform(INTENTS[:2])
