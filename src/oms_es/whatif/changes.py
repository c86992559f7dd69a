"""The changes of a fork: rules, rates, policies, limits, capacities, and stock.

Invariant: a change applies from the beginning to the end; what history published of the same kind is left out.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import from_json

from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.kernel import BadInput, Command, Recorded
from oms_es.schemas import stock as s
from oms_es.schemas.catalog.location import LocationClosed, LocationOpened, OpenLocation
from oms_es.schemas.catalog.rates import DefineDeliveryOption, PublishRates, WithdrawRates
from oms_es.schemas.catalog.rules import PublishSourcingRules
from oms_es.schemas.problems import problems
from oms_es.schemas.returns.policy import SetReturnPolicy
from oms_es.schemas.sent import check_sent

NAME = "what-if"
ANY = "*"
LOCATED = re.compile(r"(.+)@(.+)=([+-]?\d{1,9})")
NUMBERED = re.compile(r"(.+)=(\d{1,9})")

FILES: Mapping[str, type[Command]] = {
    "rules": PublishSourcingRules,
    "rates": PublishRates,
    "policy": SetReturnPolicy,
    "delivery": DefineDeliveryOption,
}
"""Changes that are given as a file, with the fields of their command."""

Place = tuple[str, str]
"""A SKU and a location; each may be `*` for any."""


class Unreadable(OmsError):
    """The change cannot be read."""

    code = "change_unreadable"
    exit_code = Code.USAGE
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class Changes(NamedTuple):
    """The changes.

    `published` replaces what history published of the same kind; `stock` is the number of units more, or fewer.
    """

    published: Sequence[Command] = ()
    safety_stock: Mapping[Place, int] = {}
    presale_limits: Mapping[Place, int] = {}
    capacities: Mapping[str, int] = {}
    stock: Mapping[Place, int] = {}

    def __bool__(self) -> bool:
        return any(self)


def require_known(changes: Changes, history: Iterable[Recorded]) -> None:
    """Raise Unreadable if a change names a SKU or a location that this history does not have: it would change
    nothing, without a reason to be seen.
    """
    places: set[Place] = set()
    locations: set[str] = set()
    for recorded in history:
        match recorded.event:
            case s.StockEvent(sku=sku, location=location):
                places |= {(sku, location), (sku, ANY), (ANY, location), (ANY, ANY)}
            case LocationOpened(location=location):
                locations.add(location)
    named = {*changes.safety_stock, *changes.presale_limits, *changes.stock}
    unknown = [f"stock of {sku} at {location}" for sku, location in sorted(named - places)]
    unknown += [f"location {name}" for name in sorted(changes.capacities.keys() - locations)]
    if unknown:
        raise Unreadable(f"this history has no {', no '.join(unknown)}; look at the spelling, or begin earlier")


def file_of(kind: str, path: Path) -> Command:
    """Return the command in a file. Raise Unreadable if it is not valid."""
    try:
        text = path.read_text()
        fields = tomllib.loads(text) if path.suffix == ".toml" else _json(text)
        return FILES[kind].model_validate(
            {**({"version": NAME} if "version" in FILES[kind].model_fields else {}), **fields}
        )
    except ValidationError as error:
        raise Unreadable(f"{path}: {problems(error)}; give the fields of {FILES[kind].__name__}") from error
    except (OSError, ValueError, TypeError, BadInput) as error:
        raise Unreadable(f"{path} cannot be read: {error}; name a file with TOML or JSON in it") from error


def _json(text: str) -> Any:
    check_sent(text)
    return from_json(text)


def number_of(text: str, *, located: bool = True) -> tuple[Place, int]:
    """Return what SKU@LOCATION=NUMBER, or LOCATION=NUMBER, states. Raise Unreadable if the text has another form."""
    found = (LOCATED if located else NUMBERED).fullmatch(text)
    if found is None:
        shape = "SKU@LOCATION=NUMBER, where * is any" if located else "LOCATION=NUMBER"
        raise Unreadable(f"{text!r} is not a change that can be tried; write {shape}")
    sku, location, number = found.groups() if located else (ANY, *found.groups())
    return (sku, location), int(number)


class Changed:
    """Translates history's commands to those with the changes; `first` are the commands that come before all others."""

    def __init__(self, changes: Changes, before: Sequence[Recorded]) -> None:
        self.changes = changes
        self.streams = {command.stream for command in changes.published}
        self.left_out: tuple[type[Command], ...] = (*FILES.values(), WithdrawRates)
        self.touched: set[Place] = set()
        self.first = [*changes.published, *self._open(before)]
        for recorded in before:
            if isinstance(recorded.event, s.StockEvent):
                place = recorded.event.sku, recorded.event.location
                if place not in self.touched:
                    self.first += [*self._limits(place), *self._more(place)]

    def __call__(self, command: Command) -> Sequence[Command]:
        if isinstance(command, self.left_out) and command.stream in self.streams:
            return ()
        if isinstance(command, OpenLocation) and command.location in self.changes.capacities:
            return (command.model_copy(update={"capacity_per_day": self.changes.capacities[command.location]}),)
        if isinstance(command, s.StockCommand):
            return self._of_stock(command, (command.sku, command.location))
        return (command,)

    def _of_stock(self, command: s.StockCommand, place: Place) -> Sequence[Command]:
        changes = self.changes
        replaced = {s.SetSafetyStock: changes.safety_stock, s.SetPresaleLimit: changes.presale_limits}
        kept = () if _found(replaced.get(type(command), {}), place) is not None else (command,)
        if place in self.touched:
            return kept
        return (*self._limits(place), *kept, *self._more(place))

    def _limits(self, place: Place) -> Iterator[Command]:
        self.touched.add(place)
        of: dict[str, Any] = {"sku": place[0], "location": place[1]}
        if (units := _found(self.changes.safety_stock, place)) is not None:
            yield s.SetSafetyStock(**of, quantity=units)
        if (units := _found(self.changes.presale_limits, place)) is not None:
            yield s.SetPresaleLimit(**of, quantity=units)

    def _more(self, place: Place) -> Iterator[Command]:
        if units := _found(self.changes.stock, place):
            of: dict[str, Any] = {"sku": place[0], "location": place[1]}
            yield s.AdjustStock(**of, adjustment_id=NAME, quantity=units, reason=NAME)

    def _open(self, before: Sequence[Recorded]) -> Iterator[Command]:
        opened: dict[str, LocationOpened] = {}
        for recorded in before:
            if isinstance(recorded.event, LocationOpened):
                opened[recorded.event.location] = recorded.event
            elif isinstance(recorded.event, LocationClosed):
                opened.pop(recorded.event.location, None)
        for location, capacity in self.changes.capacities.items():
            if location in opened:
                yield OpenLocation(**{**dict(opened[location]), "capacity_per_day": capacity})


def _found(numbers: Mapping[Place, int], place: Place) -> int | None:
    """Return the number for a place; the most specific entry wins."""
    sku, location = place
    for name in ((sku, location), (sku, ANY), (ANY, location), (ANY, ANY)):
        if name in numbers:
            return numbers[name]
    return None


Change = Callable[[Command], Sequence[Command]]
