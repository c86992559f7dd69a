"""A location is shown as it was last opened, and as open or closed."""

from __future__ import annotations

from folding import fold
from oms_es.projections.catalog.locations import projection
from oms_es.schemas.catalog.location import LocationClosed, LocationOpened

BERLIN = LocationOpened(
    location="berlin", kind="store", country="DE", latitude=52.5, longitude=13.4, priority=1, handling_minor=150
)
NOWHERE = LocationOpened(location="nowhere", kind="supplier", country="CN", priority=9, handling_minor=0)


def test_an_opened_location_can_ship() -> None:
    assert fold(projection, BERLIN)["berlin",] == {
        "location": "berlin",
        "kind": "store",
        "country": "DE",
        "region": "",
        "latitude": 52.5,
        "longitude": 13.4,
        "priority": 1,
        "handling_minor": 150,
        "channels": [],
        "delivery_options": [],
        "capacity_per_day": None,
        "open": True,
    }


def test_a_location_may_be_without_coordinates() -> None:
    row = fold(projection, BERLIN, NOWHERE)["nowhere",]
    assert (row["latitude"], row["longitude"], row["open"]) == (None, None, True)


def test_what_was_sent_last_holds() -> None:
    rows = fold(projection, BERLIN, BERLIN.model_copy(update={"priority": 5}))
    assert [(key, row["priority"]) for key, row in rows.items()] == [(("berlin",), 5)]


def test_what_a_location_serves_is_shown() -> None:
    reported = {"region": "BE", "channels": ("pos", "web"), "delivery_options": ("pickup",), "capacity_per_day": 40}
    row = fold(projection, BERLIN.model_copy(update=reported))["berlin",]
    assert (row["region"], row["channels"], row["delivery_options"]) == ("BE", ["pos", "web"], ["pickup"])
    assert row["capacity_per_day"] == 40


def test_a_closed_location_is_kept_and_no_longer_open() -> None:
    closed = LocationClosed(location="berlin", reason="flooded")
    rows = fold(projection, BERLIN, closed)
    assert rows["berlin",] == {**fold(projection, BERLIN)["berlin",], "open": False}
    assert fold(projection, BERLIN, closed, BERLIN)["berlin",]["open"] is True
    assert fold(projection, closed) == {}
