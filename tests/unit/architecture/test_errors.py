"""Every error class has a code, an exit code and an HTTP status."""

from __future__ import annotations

import ast
import re
from collections import Counter
from http import HTTPStatus
from itertools import chain
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.main import get_command

import oms_es
from oms_es.aggregates.payment.state import Effect
from oms_es.app import DECIDERS
from oms_es.cli.failures import failed
from oms_es.cli.main import app
from oms_es.errors import OmsError, Reason
from oms_es.exit_codes import Code
from oms_es.kafka.client import KafkaUnavailable
from oms_es.kernel import BadInput, GatewayUnavailable, Refused
from oms_es.processing.intake.screening import HOW_TO_KNOW
from oms_es.reference.pages import errors, tables
from oms_es.reports.existence import BEGINNINGS
from oms_es.schemas.inputs import Input
from oms_es.schemas.order.refusals import OrderRefusal
from oms_es.schemas.payment.refusals import PaymentRefusal
from oms_es.schemas.refusals import SharedRefusal

SOURCE = Path(oms_es.__file__).parent
OTHERWISE = {"ApiError", "Crashed", "Decides", "ProtocolError", "Violation"}
"""What another's server answers, in its words; what a gateway reads of a provider's protocol, and turns into an answer;
what ends a simulated process or world, past every handler; and what ends a chain that a replay tries."""


def _exceptions() -> dict[str, set[str]]:
    """Return the base classes of each exception class of the source."""
    classes = {
        node.name: {base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "") for base in node.bases}
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    }
    foreign = {name for bases in classes.values() for name in bases if name not in classes}
    builtin = {name for name in foreign if name.endswith(("Exception", "Error"))}
    return {name: bases for name, bases in classes.items() if bases & builtin}


def test_every_exception_derives_from_the_one_base() -> None:
    assert set(_exceptions()) == {"OmsError", *OTHERWISE}


def test_every_error_has_a_code_of_its_own() -> None:
    found = errors()
    assert len(found) > 20
    shared = [code for code, times in Counter(error.code for error in found).items() if times > 1]
    assert shared == ["refused"], "of refusals each has a code of its own"


@pytest.mark.parametrize("error", errors(), ids=lambda error: error.__name__)
def test_what_http_answers_agrees_with_how_a_command_ends(error: type[OmsError]) -> None:
    missing = error.status is HTTPStatus.NOT_FOUND
    assert missing == (error.exit_code is Code.NOT_FOUND)
    assert (error.exit_code is Code.OK) == (error.status is HTTPStatus.OK)
    assert error.__doc__
    assert error.__doc__ != (error.__base__ or OmsError).__doc__


OF_OUR_OWN = {"stopped", "unordered", "too_many_dead_letters"}
"""What stops although everything answers: a person has to look."""


def test_an_outage_never_ends_a_command_as_a_mistake_of_the_program() -> None:
    outages = {error for error in errors() if error.status is HTTPStatus.SERVICE_UNAVAILABLE}
    as_mistake = {error.code for error in outages if error.exit_code is Code.UNEXPECTED}
    assert as_mistake == OF_OUR_OWN
    assert failed(GatewayUnavailable("no answer"))[0] is Code.UNAVAILABLE
    assert failed(KafkaUnavailable("no answer"))[0] is Code.NO_KAFKA


def test_a_refusal_and_a_bad_input_carry_what_their_table_says() -> None:
    refused, missing = (Refused(reason, "") for reason in (OrderRefusal.WITH_CARRIER, OrderRefusal.UNKNOWN_ORDER))
    assert (refused.code, refused.exit_code, refused.status) == ("with_carrier", Code.REFUSED, HTTPStatus.CONFLICT)
    assert (missing.code, missing.exit_code, missing.status) == ("unknown_order", Code.NOT_FOUND, HTTPStatus.NOT_FOUND)
    assert (BadInput(Input.NOT_JSON, "").code, BadInput(Input.NOT_JSON, "").status) == ("not_json", 422)


TABLES = tables()


def test_a_code_stands_once_in_its_table_and_is_what_its_name_says() -> None:
    assert {table.__name__ for table in TABLES} >= {"OrderRefusal", "PaymentRefusal", "StockRefusal", "Input"}
    for table in TABLES:
        assert {name: reason.value.upper() for name, reason in table.__members__.items()} == {
            name: name for name in table.__members__
        }


@pytest.mark.parametrize("reason", [reason for table in TABLES for reason in table], ids=repr)
def test_every_code_says_what_it_means_and_what_to_do_next(reason: Reason) -> None:
    for text in (reason.meaning, reason.next_step):
        assert text.endswith(".")
        assert text[0].isupper() or text.startswith("`")


def test_every_code_is_used_and_refused_by_its_own_family() -> None:
    sources = {path.relative_to(SOURCE): path.read_text() for path in SOURCE.rglob("*.py")}
    made = {"SharedRefusal": "UNKNOWN_", "Input": "UNKNOWN_", "PaymentRefusal": "SECOND_"}
    for table in TABLES:
        name = table.__name__
        used = {member for text in sources.values() for member in re.findall(rf"\b{name}\.(\w+)", text)}
        unused = {member for member in table.__members__ if not member.startswith(made.get(name, "-"))} - used
        assert not unused, f"{name} has codes that nothing uses"


def test_an_aggregate_refuses_by_the_table_of_its_family() -> None:
    family_of = {table.__name__: table.__module__.split(".")[2] for table in TABLES if table is not SharedRefusal}
    for path in (SOURCE / "aggregates").rglob("*.py"):
        named = set(re.findall(r"\b(\w+Refusal)\.", path.read_text())) - {SharedRefusal.__name__}
        assert {family_of[name] for name in named} <= {path.parent.name}, path


def test_whatever_may_be_missing_has_its_code() -> None:
    asked = {decider.category for decider in DECIDERS for command in decider.accepts if command not in BEGINNINGS}
    assert {f"unknown_{category}" for category in asked - {"stock"}} <= set(SharedRefusal)
    assert {f"second_{operation}" for operation in get_args(get_args(Effect)[0])} <= set(PaymentRefusal)
    assert {f"unknown_{kind}" for kind in HOW_TO_KNOW} <= set(Input)


def test_every_command_that_is_named_exists() -> None:
    groups: Any = get_command(app)
    for reason in chain.from_iterable(TABLES):
        for named in re.findall(r"`oms-es ([a-z -]+)", reason.next_step):
            group, _, verb = named.strip().partition(" ")
            assert verb in groups.commands[group].commands, reason
