"""Every kind of exception has the commands that settle it, with the values from its id filled in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import oms_es.projections.operations
from oms_es.console import settling
from oms_es.console.pages.commands import catalogue, fields_of
from oms_es.console.pages.inbox import acts
from oms_es.http.access import ROLES, SYSTEM
from oms_es.reports.needs import WORDS
from oms_es.schemas.operations.exception import OPENED_KINDS

SOURCE = Path(oms_es.projections.operations.__file__).parent
RAISED = re.compile(
    r'key_of_exception\("(\w+)"|f"([a-z_]+)/\{|\(\("(\w+)", event|"kind": "(\w+)"'
    r'|"(delivery_exception|let_go_elsewhere)"'
)
BY_ITSELF = {"unmatched_report", "number_shared", "put_aside", "odd_day"}
"""No command of a person settles these: they have a place to look at."""


def kinds() -> set[str]:
    sources = [(SOURCE / f"{name}.py").read_text() for name in ("exception_keys", "open_exceptions")]
    found = {next(filter(None, found)) for text in sources for found in RAISED.findall(text)}
    return {*found, *OPENED_KINDS} - {"held_"}


def row(kind: str, subject: str, order_id: str = "o-1") -> dict[str, str]:
    return {"kind": kind, "exception_id": f"{kind}/{subject}", "order_id": order_id}


def test_every_kind_that_is_raised_has_what_settles_it_and_no_other_is_named() -> None:
    assert len(kinds()) > 30
    assert {*kinds(), settling.HELD, "hold_overdue"} == settling.SETTLES.keys()
    without = {kind for kind, commands in settling.SETTLES.items() if not commands}
    assert without == BY_ITSELF
    assert all(settling.looks_at(row(kind, "a/b")) for kind in BY_ITSELF)


@pytest.mark.parametrize("kind", sorted(settling.SETTLES))
def test_what_settles_a_kind_are_commands_that_people_give(kind: str) -> None:
    for name in settling.SETTLES[kind]:
        group, _, verb = name.partition(".")
        assert catalogue()[group, verb].route.scope != SYSTEM


@pytest.mark.parametrize(
    ("kind", "subject", "named"),
    [
        ("booking_failed", "o-1.s1", {"shipment": "o-1.s1"}),
        ("delivery_exception", "o-1.s1/c2", {"shipment": "o-1.s1"}),
        ("parcel_silent", "a/b.s1", {"shipment": "a/b.s1"}),
        ("return_review", "rma/7", {"return": "rma/7"}),
        ("serial_conflict", "sku/berlin/A1", {"sku": "sku", "location": "berlin"}),
        ("promise_broken", "a/sku@berlin/o-1/l1/1", {"sku": "a/sku", "location": "berlin"}),
        ("held_fraud", "o-1", {"kind": "fraud"}),
        ("dispute", "dp_1", {"kind": "payment"}),
        ("subscription_disabled", "crm", {"name": "crm"}),
        ("backordered", "o-1", {}),
    ],
)
def test_what_the_id_says_is_filled_in(kind: str, subject: str, named: dict[str, str]) -> None:
    found = settling.values_of(row(kind, subject))
    assert found == {"order": "o-1", **named}
    for group, verb in settling.commands_for(row(kind, subject)):
        command = catalogue()[group, verb]
        taken = {field.name for field in fields_of(command)}
        assert set(command.names) <= found.keys(), f"{group} {verb} is not known by what the exception is about"
        assert "kind" not in taken or group != "order" or verb in ("hold", "release-hold", "place")


def test_a_hold_that_is_overdue_knows_which_and_what_no_order_has_is_not_asked_of_one() -> None:
    overdue = {"kind": "hold_overdue", "exception_id": "held_address/o-1", "order_id": "o-1"}
    assert settling.values_of(overdue) == {"order": "o-1", "kind": "address"}
    assert settling.values_of(row("serial_conflict", "a/sku/berlin/A1")) == {"order": "o-1"}, (
        "which slash ends the SKU?"
    )
    assert settling.commands_for(row("capture_failed", "c1", "")) == ()
    assert settling.commands_for(row("order_missing", "o-1", "")) == (("order", "place"),)
    assert settling.commands_for({"kind": "of-the-future", "exception_id": "of-the-future/1", "order_id": "o"}) == ()


@pytest.mark.parametrize(
    ("kind", "who"),
    [
        ("backordered", ["support"]),
        ("dispatch_overdue", ["warehouse"]),
        ("return_review", ["support", "warehouse"]),
        ("put_aside", ["operator"]),
    ],
)
def test_who_acts_are_the_roles_that_may_give_what_settles_it(kind: str, who: list[str]) -> None:
    assert acts(row(kind, "a/b")) == who


def test_what_ends_a_wait_is_a_command_of_a_person_who_acts() -> None:
    assert settling.ENDS.keys() <= WORDS.keys()
    for says, name in settling.ENDS.items():
        group, _, verb = name.partition(".")
        scope, role = catalogue()[group, verb].route.scope, WORDS[says].acts
        assert scope in ROLES[role], f"{role} may not give {name}, which ends {says}"
