"""What people do about an exception: it is assigned, resolved once each time that it was raised, and raised again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from dsl import Given
from oms_es.aggregates.operations.exception import decider
from oms_es.schemas.operations.exception import (
    CLOCKS_APART_SECONDS_MAX,
    SNOOZE_SECONDS_MAX,
    AssignException,
    ExceptionAssigned,
    ExceptionOpened,
    ExceptionResolved,
    ExceptionSnoozed,
    OpenException,
    ResolveException,
    SnoozeException,
)
from story import NOON

OF: Any = {"exception_id": "dispute/d1", "raised_at": NOON, "order_id": "o", "detail": "12.00 EUR disputed"}
AGAIN: Any = {**OF, "raised_at": NOON + timedelta(hours=1)}
LATER = NOON + timedelta(hours=2)
DONE = ExceptionResolved(**OF, note="sent the proof")


def test_it_is_given_to_someone_once_and_to_someone_else_after() -> None:
    given = ExceptionAssigned(**OF, assignee="ada", note="")
    Given(decider).when(AssignException(**OF, assignee="ada")).then(given)
    Given(decider, given).when(AssignException(**OF, assignee="ada")).then()
    other = ExceptionAssigned(**OF, assignee="bob", note="")
    Given(decider, given).when(AssignException(**OF, assignee="bob")).then(other)


def test_it_is_resolved_once() -> None:
    Given(decider).when(ResolveException(**OF, note="sent the proof", now=LATER)).then(DONE)
    Given(decider, DONE).when(ResolveException(**OF, note="sent the proof", now=LATER)).then()
    Given(decider, DONE).when(ResolveException(**OF, note="gave up", now=LATER)).then_refused("already_resolved")


def test_a_time_in_the_future_is_refused_as_it_would_hide_what_is_raised_until_then() -> None:
    apart = timedelta(seconds=CLOCKS_APART_SECONDS_MAX)
    for now, is_refused in ((NOON - apart, False), (NOON - apart - timedelta(seconds=1), True)):
        resolve = Given(decider).when(ResolveException(**OF, note="sent the proof", now=now))
        put_off = Given(decider).when(SnoozeException(**OF, until=NOON, now=now))
        if is_refused:
            resolve.then_refused("raised_in_future")
            put_off.then_refused("raised_in_future")
        else:
            resolve.then(DONE)
            put_off.then(ExceptionSnoozed(**OF, until=NOON, note=""))
    Given(decider, DONE).when(ResolveException(**OF, note="sent the proof", now=NOON - 2 * apart)).then()


def test_what_is_resolved_is_given_to_no_one() -> None:
    Given(decider, DONE).when(AssignException(**OF, assignee="ada")).then_refused("already_resolved")


def test_raised_again_it_is_another_matter() -> None:
    Given(decider, DONE).when(ResolveException(**AGAIN, note="sent it", now=LATER)).then(
        ExceptionResolved(**AGAIN, note="sent it")
    )
    again = ExceptionAssigned(**AGAIN, assignee="ada", note="")
    Given(decider, DONE).when(AssignException(**AGAIN, assignee="ada")).then(again)


def test_it_is_put_off_until_a_moment_within_a_month_and_to_another_after() -> None:
    latest = NOON + timedelta(seconds=SNOOZE_SECONDS_MAX)
    put_off = ExceptionSnoozed(**OF, until=latest, note="")
    Given(decider).when(SnoozeException(**OF, until=latest, now=NOON)).then(put_off)
    Given(decider, put_off).when(SnoozeException(**OF, until=latest, now=latest)).then()
    sooner = SnoozeException(**OF, until=NOON + timedelta(hours=1), now=NOON)
    Given(decider, put_off).when(sooner).then(ExceptionSnoozed(**OF, until=sooner.until, note=""))
    for until in (NOON, NOON - timedelta(seconds=1), latest + timedelta(seconds=1)):
        Given(decider).when(SnoozeException(**OF, until=until, now=NOON)).then_refused("snooze_out_of_range")
    Given(decider, DONE).when(SnoozeException(**OF, until=latest, now=NOON)).then_refused("already_resolved")


def test_what_a_person_noticed_is_opened_once_under_its_name_also_after_it_was_resolved() -> None:
    named: Any = {"exception_id": "noticed/till-3", "order_id": "o"}
    opened = ExceptionOpened(**named, detail="the till was short")
    command = OpenException(**named, detail="the till was short")
    Given(decider).when(command).then(opened)
    Given(decider, opened).when(command).then()
    Given(decider, opened).when(OpenException(**named, detail="in other words")).then()
    done = ExceptionResolved(**named, raised_at=NOON, note="counted again")
    Given(decider, opened, done).when(command).then()


@pytest.mark.parametrize("name", ["backordered/o", "noticed", "noticed/", "odd_days/x", "Noticed/x"])
def test_only_kinds_that_nothing_else_raises_are_opened_by_hand(name: str) -> None:
    with pytest.raises(ValidationError):
        OpenException(exception_id=name, detail="x")
