"""Every error of ours says what each way in answers to it: a code, an exit code and a status."""

from __future__ import annotations

import ast
from collections import Counter
from http import HTTPStatus
from pathlib import Path

import pytest

import oms_es
from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.kernel import BadInput, Refused
from oms_es.reference.pages import errors

SOURCE = Path(oms_es.__file__).parent
OTHERWISE = {"Crashed", "Violation"}
"""They end a simulated process or world, and must pass every handler of errors."""


def _exceptions() -> dict[str, set[str]]:
    """What each exception class of the source derives from."""
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


def test_a_refusal_and_a_bad_input_carry_their_own_code() -> None:
    assert (Refused("with_carrier", "ask for a return").code, Refused("with_carrier", "").status) == (
        "with_carrier",
        409,
    )
    assert (BadInput("not_json", "send one").code, BadInput("not_json", "").status) == ("not_json", 422)
