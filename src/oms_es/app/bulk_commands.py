"""Commands of the vocabulary in a file, one JSON object per line: `{"command": NAME, "fields": {...}}`.

Invariant: a line passes every check that the same command passes when a person gives it alone: who may give it, which
fields it has, and whether what it names exists. A line that fails becomes a dead letter, and the others are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from itertools import groupby
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import from_json, to_json

from oms_es.app.verbs import GIVEN_HERE, id_of, is_for_the_engine
from oms_es.kernel import BadInput, Command, Decider, Refused
from oms_es.processing.intake.screening import Screen
from oms_es.processing.intake.worker import Arrival, Intake, IntakeResult
from oms_es.reports import existence
from oms_es.schemas.inputs import Input
from oms_es.schemas.problems import problems
from oms_es.schemas.sent import check_sent

DIALECT = "commands"
ORDER_FIELDS = ("order_id", "order_ids")
PARTS = {"command", "fields"}
DETAIL_CHARACTERS_MAX = 500


def offered(deciders: Sequence[Decider[Any]]) -> Mapping[str, type[Command]]:
    """The commands that a person may give, by their names."""
    accepted = (command for decider in deciders for command in decider.accepts)
    return {command.__name__: command for command in accepted if not is_for_the_engine(command)}


def reader(deciders: Sequence[Decider[Any]]) -> Callable[[bytes], Command]:
    """Return a function that parses a line. It raises BadInput."""

    shapes = offered(deciders)
    of_the_engine = {command.__name__ for decider in deciders for command in decider.accepts} - shapes.keys()

    def parse(line: bytes) -> Command:
        name, fields = _parts(line)
        if name in of_the_engine:
            raise BadInput(Input.NO_COMMAND, f"{name} is a command that only the engine itself gives; leave it out")
        if name not in shapes:
            raise BadInput(Input.NO_COMMAND, _unknown(name, shapes))
        if given := sorted(GIVEN_HERE.intersection(fields)):
            raise BadInput(Input.INVALID_COMMAND, f"{given[0]}: the server says it; leave it out of the fields")
        try:
            return shapes[name].model_validate_json(to_json(_completed(shapes[name], fields)), strict=True)
        except ValidationError as error:
            detail = f"{problems(error, whole=name)}; correct it and import the line again"
            raise BadInput(Input.INVALID_COMMAND, detail[:DETAIL_CHARACTERS_MAX]) from error

    return parse


def name_of(line: bytes) -> str:
    """Return the name of the line's command, or an empty string if it has none."""
    try:
        return _parts(line)[0]
    except BadInput:
        return ""


def _parts(line: bytes) -> tuple[str, Mapping[str, Any]]:
    """Return the name of the command and its fields. Raise BadInput."""
    check_sent(line)
    try:
        given = from_json(line, allow_inf_nan=False)
    except ValueError as error:
        raise BadInput(Input.NOT_JSON, f"{error}; write one JSON object per line, in UTF-8") from error
    if not (isinstance(given, dict) and set(given) == PARTS):
        raise BadInput(Input.NO_COMMAND, 'a line is {"command": NAME, "fields": {...}}, and nothing else')
    name, fields = given["command"], given["fields"]
    if not (isinstance(name, str) and isinstance(fields, dict)):
        raise BadInput(Input.NO_COMMAND, "`command` is a name, and `fields` is an object")
    return name, fields


def _unknown(name: str, shapes: Mapping[str, type[Command]]) -> str:
    near = get_close_matches(name, shapes, n=1)
    hint = f"did you mean {near[0]}?" if near else "`oms-es commands list` names those that there are"
    return f"no command that a person may give has this name; {hint}"


def _completed(shape: type[Command], fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields with the time of now where the command has it, and with ids of orders for their names."""
    now = {name: datetime.now(UTC) for name in GIVEN_HERE.intersection(shape.model_fields)}
    return {**_with_order_ids(fields), **now}


def stated(shape: type[Command]) -> Mapping[str, FieldInfo]:
    """Return the fields of a command that a line states; the server gives the others."""
    return {name: field for name, field in shape.model_fields.items() if name not in GIVEN_HERE}


def _with_order_ids(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields with orders' ids in place of CHANNEL/EXTERNAL_ID, as the terminal allows, too."""
    return {name: _order_ids(value) if name in ORDER_FIELDS else value for name, value in fields.items()}


def _order_ids(value: Any) -> Any:
    match value:
        case list():
            return [_order_ids(one) for one in value]
        case str():
            return id_of(value)
        case _:
            return value


class BulkIntake(Intake):
    """Takes commands of one kind at a time, because what they name may have been made by the kind before."""

    def take(self, arrivals: Sequence[Arrival]) -> IntakeResult:
        taken = IntakeResult(0, 0)
        for _, run in groupby(arrivals, key=lambda arrival: name_of(arrival.payload)):
            taken += super().take(list(run))
        return taken


def screened(asking: existence.Asking, screen: Screen) -> Screen:
    """Return a screen that also refuses a command if what it names does not exist."""

    def screened_one(command: Command) -> Sequence[Command] | BadInput:
        try:
            existence.require(asking, command)
        except Refused as refused:
            return BadInput(refused.reason, refused.detail)
        (answer,) = screen([command])
        return answer

    return lambda commands: [screened_one(command) for command in commands]
