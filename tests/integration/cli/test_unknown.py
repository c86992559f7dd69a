"""An order with an unknown name, such as a SKU, is accepted, held or refused on every way in, as the setting says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from oms_es.app import PARSERS, Engine
from oms_es.exit_codes import Code
from oms_es.kernel import BadInput
from oms_es.processing.intake.screening import HOW_TO_KNOW, Kind, Screening, Treatment, Treatments, names_in
from oms_es.processing.intake.worker import Arrival, IntakeWorker
from oms_es.processing.logging import configure_logging
from oms_es.reports.known import ReadModelRegister
from oms_es.schemas.order import NOWHERE, AmendOrder, HoldOrder, OrderHeld, PlaceOrder, order_id_of
from oms_es.schemas.values.countries import COUNTRIES, IN_USE, country_like

Oms = Callable[..., tuple[int, str, str]]
WRONG: dict[Kind, tuple[dict[str, Any], str]] = {
    "sku": ({"lines": [{"line_id": "1", "sku": "mug-001", "quantity": 1, "unit_price_minor": 1000}]}, "mug-0001"),
    "channel": ({"channel": "wbe"}, "web"),
    "delivery_option": ({"delivery_option": "expres"}, "express"),
    "country": ({"ship_to": {"country": "UK"}}, "GB"),
}
KINDS = list(WRONG)


def order(external_id: str = "1", **changes: Any) -> dict[str, Any]:
    return {
        "channel": "web",
        "external_id": external_id,
        "placed_at": "2026-01-05T09:30:00+01:00",
        "currency": "EUR",
        "lines": [{"line_id": "1", "sku": "mug-0001", "quantity": 1, "unit_price_minor": 1000}],
        "ship_to": {"country": "DE"},
        "delivery_option": "express",
        "payment_token": "tok-1",
        **changes,
    }


def imported(oms: Oms, directory: Path, *orders: dict[str, Any]) -> tuple[int, dict[str, int]]:
    file = directory / "orders.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in orders))
    code, out, _ = oms("orders", "import", str(file), "--json")
    return code, json.loads(out)


def events_of(database_url: str, name: str) -> list[str]:
    with psycopg.connect(database_url) as connection:
        query = "SELECT topic FROM oms_events WHERE originator_id = %s ORDER BY originator_version"
        return [row[0] for row in connection.execute(query, [f"order-{order_id_of(*name.split('/'))}"])]


def note_of_the_hold(database_url: str, name: str) -> str:
    with Engine(database_url) as engine:
        reported = [one.event for one in engine.store.history(f"order-{order_id_of(*name.split('/'))}")]
    (held,) = [event for event in reported if isinstance(event, OrderHeld)]
    return held.note


def letter(database_url: str) -> tuple[str, str]:
    with psycopg.connect(database_url) as connection:
        (found,) = connection.execute("SELECT reason, detail FROM oms_dead_letters").fetchall()
        return found[0], found[1]


@pytest.fixture
def shop(oms: Oms, database_url: str) -> str:
    """Set up one SKU, one channel and one delivery option."""
    for words in (
        ("location", "open", "BER", "--kind", "warehouse", "--country", "DE", "--channels", '["web"]'),
        ("item", "describe", "mug-0001", "--name", "Mug"),
        ("delivery", "define-option", "express"),
    ):
        code, _, said = oms(*words)
        assert code == Code.OK, said
    with Engine(database_url) as engine:
        engine.settle()
    return database_url


@pytest.mark.parametrize("kind", KINDS)
def test_by_default_whatever_is_named_is_taken(kind: Kind, oms: Oms, shop: str, tmp_path: Path) -> None:
    assert imported(oms, tmp_path, order(**WRONG[kind][0]))[1]["placed"] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_refused_it_is_a_dead_letter_that_names_the_nearest(
    kind: Kind, oms: Oms, shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"OMS_UNKNOWN_{kind.upper()}", "refuse")
    changes, near = WRONG[kind]
    code, reported = imported(oms, tmp_path, order("1", **changes), order("2"))
    assert (code, reported["placed"], reported["rejected"]) == (Code.BURIED, 1, 1)
    reason, detail = letter(shop)
    assert reason == f"unknown_{kind}"
    assert f"the nearest known is {near}" in detail


@pytest.mark.parametrize("kind", KINDS)
def test_held_it_is_placed_and_held_once_and_a_repeat_does_not_hold_it_again(
    kind: Kind, oms: Oms, shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"OMS_UNKNOWN_{kind.upper()}", "hold")
    changes, near = WRONG[kind]
    wrong = order("1", **changes)
    name = f"{wrong['channel']}/1"
    assert imported(oms, tmp_path, wrong, wrong, order("2"))[1]["placed"] == 2
    assert events_of(shop, name)[:2] == ["OrderPlaced", "OrderHeld"]
    assert "OrderHeld" not in events_of(shop, "web/2")
    assert f"the nearest known is {near}" in note_of_the_hold(shop, name)
    assert oms("order", "release-hold", name, "--kind", "manual")[0] == Code.OK
    assert imported(oms, tmp_path, wrong)[1]["placed"] == 0
    assert events_of(shop, name).count("OrderHeld") == 1


@pytest.mark.parametrize("alike", ["ｍｕｇ-０００１", "MUG-0001", "mug－0001", "𝐦𝐮𝐠-0001"])
def test_names_that_only_look_alike_are_different_and_the_known_one_is_named(
    alike: str, oms: Oms, shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = {"line_id": "1", "sku": alike, "quantity": 1, "unit_price_minor": 1000}
    ordered = (order("1", lines=[line]), order("2"), order("２"))
    monkeypatch.setenv("OMS_UNKNOWN_SKU", "refuse")
    assert imported(oms, tmp_path, *ordered)[1]["placed"] == 2
    assert letter(shop)[1].startswith(f"unknown SKU {alike}: the nearest known is mug-0001")
    assert {order_id_of("web", "2"), order_id_of("web", "２")} == set(placed_in(shop))


def placed_in(database_url: str) -> list[str]:
    with psycopg.connect(database_url) as connection:
        found = connection.execute("SELECT originator_id FROM oms_events WHERE topic = 'OrderPlaced'").fetchall()
        return [row[0].removeprefix("order-") for row in found]


def test_a_person_is_refused_too_and_an_amendment_like_an_order(
    oms: Oms, shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported(oms, tmp_path, order())
    amendment = ("order", "amend", "web/1", "--amendment-id", "a", "--delivery-option", "expres")
    monkeypatch.setenv("OMS_UNKNOWN_DELIVERY_OPTION", "refuse")
    for words in (amendment, (*amendment, "--preview")):
        code, _, said = oms(*words)
        assert code == Code.REFUSED
        assert "the nearest known is express" in said
    monkeypatch.setenv("OMS_UNKNOWN_DELIVERY_OPTION", "hold")
    assert oms(*amendment)[0] == Code.OK
    assert events_of(shop, "web/1").count("OrderHeld") == 1
    assert oms("order", "release-hold", "web/1", "--kind", "manual")[0] == Code.OK
    assert oms(*amendment)[0] == Code.OK
    assert events_of(shop, "web/1").count("OrderHeld") == 1


def test_a_refused_order_that_is_replayed_is_refused_until_its_name_is_known(
    oms: Oms, shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMS_UNKNOWN_SKU", "refuse")
    imported(oms, tmp_path, order(**WRONG["sku"][0]))
    assert oms("dead-letters", "replay", "--all")[0] == Code.BURIED
    assert events_of(shop, "web/1") == []
    assert oms("item", "describe", "mug-001", "--name", "Mug")[0] == Code.OK
    with Engine(shop) as engine:
        engine.settle()
    assert oms("dead-letters", "replay", "--all")[0] == Code.OK
    assert "OrderPlaced" in events_of(shop, "web/1")


def refusing(kind: Kind) -> Treatments:
    answers: dict[Kind, Treatment] = {kind: "refuse"}
    return Treatments(**answers)


class Once:
    """A topic with one message."""

    name, dialect = "channel_orders@oms.channel.orders.v1/0", "canonical"

    def __init__(self, payload: bytes) -> None:
        self.payload = payload

    def read(self, after: int, _: int) -> list[Arrival]:
        return [] if after else [Arrival(1, self.payload)]


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_worker_follows_is_screened_like_a_file(kind: Kind, shop: str) -> None:
    changes, near = WRONG[kind]
    configure_logging("console", "error")
    with Engine(shop, treatments=refusing(kind)) as engine:
        source = Once(json.dumps(order(**changes)).encode())
        worker = IntakeWorker(source, PARSERS["canonical"], engine.store, engine.log, screen=engine.screen)
        worker.seek()
        assert worker.step() == 1
        assert worker.intake.seen == 1
    reason, detail = letter(shop)
    assert reason == f"unknown_{kind}"
    assert near in detail


def test_one_batch_asks_for_each_name_once(shop: str) -> None:
    asked = []

    class Counting(ReadModelRegister):
        def unknown(self, named: Any) -> Any:
            asked.append(named)
            return super().unknown(named)

    with Engine(shop) as engine:
        screen = Screening(Treatments(sku="refuse"), Counting(shop), engine.store)
        answers = screen([PlaceOrder.model_validate(order(str(n))) for n in range(50)])
    assert not any(isinstance(answer, BadInput) for answer in answers)
    assert asked == [{"sku": ["mug-0001"]}]


def test_an_order_that_waits_for_its_place_in_the_same_batch_is_amended_and_held(shop: str) -> None:
    with Engine(shop, treatments=Treatments(country="hold")) as engine:
        placed = PlaceOrder.model_validate(order())
        amended = AmendOrder.model_validate(
            {"order_id": placed.order_id, "amendment_id": "a", "ship_to": {"country": "XX"}}
        )
        _, given = engine.screen([placed, amended])
    assert not isinstance(given, BadInput)
    assert [type(command) for command in given] == [AmendOrder, HoldOrder]


def test_what_is_cancelled_already_is_not_held(shop: str) -> None:
    with Engine(shop, treatments=Treatments(country="hold")) as engine:
        cancelled = PlaceOrder.model_validate(order(cancelled="changed their mind", ship_to={"country": "UK"}))
        assert engine.screen([cancelled]) == [(cancelled,)]


def test_what_is_fetched_at_the_counter_goes_to_no_country() -> None:
    for changes in ({"ship_to": NOWHERE.model_dump()}, {"pickup": True, "ship_to": {"country": "ZZ", "city": "X"}}):
        assert list(names_in(PlaceOrder.model_validate(order(**changes)), "country")) == []
    assert list(names_in(PlaceOrder.model_validate(order(pickup=True)), "delivery_option")) == []
    assert list(names_in(PlaceOrder.model_validate(order(ship_to={"country": "ZZ", "city": "X"})), "country")) == ["ZZ"]


def test_the_countries_are_those_of_the_standard() -> None:
    assert len(COUNTRIES) == 249
    assert {"DE", "GB", "US", "SS", "CW", "AX"} <= COUNTRIES
    assert not COUNTRIES & {"UK", "ZZ", "XX", "AN", "EU"}
    assert country_like("UK") == "GB"
    assert {country_like(code) for code in ("EL", "AN", "YU")} <= IN_USE
    assert country_like("ZZ") in IN_USE


def test_every_kind_has_its_setting() -> None:
    assert set(Treatments._fields) == set(HOW_TO_KNOW)
