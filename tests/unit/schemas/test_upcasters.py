"""Events stored in an older form are read in today's."""

from __future__ import annotations

from typing import ClassVar

import pytest

from oms_es.kernel import Event
from oms_es.schemas.upcasters import UPCASTERS, UnknownVersion, Upcasters, upcast
from oms_es.schemas.vocabulary import EVENTS


class KettleBoiled(Event):
    """v1 reported degrees Fahrenheit as text, v2 as a number, v3 reports Celsius."""

    schema_version: ClassVar[int] = 3
    celsius: int


KETTLE: Upcasters = {
    ("KettleBoiled", 1): lambda body: {"fahrenheit": int(body["heat"])},
    ("KettleBoiled", 2): lambda body: {"celsius": (body["fahrenheit"] - 32) * 5 // 9},
}


@pytest.mark.parametrize(("version", "body"), [(1, {"heat": "212"}), (2, {"fahrenheit": 212}), (3, {"celsius": 100})])
def test_each_version_is_raised_step_by_step_to_todays(version: int, body: dict[str, object]) -> None:
    today = upcast("KettleBoiled", version, body, upcasters=KETTLE, current=KettleBoiled.schema_version)
    assert KettleBoiled.model_validate(today) == KettleBoiled(celsius=100)


def test_a_newer_version_says_that_the_program_is_old() -> None:
    with pytest.raises(UnknownVersion, match=r"KettleBoiled v4 .* upgrade"):
        upcast("KettleBoiled", 4, {}, upcasters=KETTLE, current=3)


def test_a_gap_in_the_chain_names_the_missing_step() -> None:
    gap = {key: step for key, step in KETTLE.items() if key[1] != 2}
    with pytest.raises(UnknownVersion, match="KettleBoiled v2 has no upcaster to v3"):
        upcast("KettleBoiled", 1, {"heat": "212"}, upcasters=gap, current=3)


def test_every_older_version_of_every_event_has_its_upcaster_and_there_is_no_other() -> None:
    older = {(name, version) for name, event in EVENTS.items() for version in range(1, event.schema_version)}
    assert set(UPCASTERS) == older
