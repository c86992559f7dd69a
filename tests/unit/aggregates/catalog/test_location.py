"""A location opens and closes, and the last command decides."""

from __future__ import annotations

from dsl import Given
from oms_es.aggregates.catalog.location import decider
from oms_es.schemas.catalog.location import CloseLocation, LocationClosed, LocationOpened, OpenLocation

OPEN = OpenLocation(location="berlin", country="DE", latitude=52.5, longitude=13.4, priority=1, handling_minor=150)
OPENED = LocationOpened(
    location="berlin", kind="warehouse", country="DE", latitude=52.5, longitude=13.4, priority=1, handling_minor=150
)


def test_a_location_opens() -> None:
    Given(decider).when(OPEN).then(OPENED)


def test_the_same_content_sent_again_decide_nothing() -> None:
    Given(decider, OPENED).when(OPEN).then()


def test_other_content_are_the_newer_truth() -> None:
    newer = OPENED.model_copy(update={"priority": 2})
    Given(decider, OPENED).when(OPEN.model_copy(update={"priority": 2})).then(newer)
    Given(decider, OPENED, newer).when(OPEN).then(OPENED)


CLOSE = CloseLocation(location="berlin", reason="flooded")
CLOSED = LocationClosed(location="berlin", reason="flooded")


def test_an_open_location_closes_once() -> None:
    Given(decider, OPENED).when(CLOSE).then(CLOSED)
    Given(decider, OPENED, CLOSED).when(CLOSE).then()
    Given(decider, OPENED, CLOSED).when(CLOSE.model_copy(update={"reason": "still flooded"})).then()


def test_what_never_opened_cannot_close() -> None:
    Given(decider).when(CLOSE).then_refused("unknown_location")


def test_a_closed_location_opens_again_with_the_same_content() -> None:
    Given(decider, OPENED, CLOSED).when(OPEN).then(OPENED)
