"""What an order names that nothing here knows: accepted, held for a person, or refused, as is set for each kind.

Invariant: what an order names is looked up once per batch and kind; an order that was held for it is not held again
when it comes again, no matter who has released it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

from oms_es.kernel import BadInput, Command, Event, Refused
from oms_es.schemas.inputs import Input
from oms_es.schemas.order import NOWHERE, AmendOrder, HoldOrder, OrderAmended, OrderPlaced, PlaceOrder
from oms_es.schemas.values.countries import IN_USE, country_like
from oms_es.schemas.values.types import TEXT_LENGTH_MAX

Kind = Literal["sku", "channel", "delivery_option", "country"]
Treatment = Literal["accept", "hold", "refuse"]
NAMED_MAX = 10
"""Unknown names in one message; the others are counted."""
HOW_TO_KNOW: Mapping[Kind, tuple[str, str]] = {
    "sku": ("SKU", "describe it with `oms-es item describe`, or receive stock of it"),
    "channel": ("channel", "name it in a return policy or at a location"),
    "delivery_option": ("delivery option", "define it with `oms-es delivery define-option`"),
    "country": ("country", "write its code of ISO 3166-1 alpha-2"),
}


class Treatments(NamedTuple):
    """What becomes of an order that names something unknown, by the kind of it."""

    sku: Treatment = "accept"
    channel: Treatment = "accept"
    delivery_option: Treatment = "accept"
    country: Treatment = "accept"

    def of(self, kind: Kind) -> Treatment:
        found: Treatment = getattr(self, kind)
        return found

    @property
    def asked(self) -> tuple[Kind, ...]:
        """The kinds that are not simply accepted."""
        return tuple(kind for kind in HOW_TO_KNOW if self.of(kind) != "accept")


Nearest = Mapping[str, str | None]
"""Names that are unknown, each with the nearest that is known."""


class Register(Protocol):
    """Where names are looked up."""

    def unknown(self, named: Mapping[Kind, Sequence[str]]) -> Mapping[Kind, Nearest]: ...


class Previewing(Protocol):
    """Where is asked what a command would do."""

    def preview(self, command: Command) -> tuple[object, list[Event], object]: ...


Screen = Callable[[Sequence[Command]], "list[Sequence[Command] | BadInput]"]
"""For each command what is given in its place, or why it is refused."""


def everything_passes(commands: Sequence[Command]) -> list[Sequence[Command] | BadInput]:
    return [(command,) for command in commands]


class Screening:
    """Commands of people and channels, on their way in."""

    def __init__(self, treatments: Treatments, register: Register, store: Previewing) -> None:
        self.treatments = treatments
        self.register = register
        self.store = store

    def __call__(self, commands: Sequence[Command]) -> list[Sequence[Command] | BadInput]:
        asked = self.treatments.asked
        named: dict[Kind, dict[str, None]] = {kind: {} for kind in asked}
        for command in commands:
            for kind in asked:
                named[kind].update(dict.fromkeys(names_in(command, kind)))
        wanted: dict[Kind, Sequence[str]] = {kind: list(names) for kind, names in named.items() if names}
        if not wanted:
            return everything_passes(commands)
        unknown = self.register.unknown(wanted)
        return [self._treated(command, unknown) for command in commands]

    def _treated(self, command: Command, unknown: Mapping[Kind, Nearest]) -> Sequence[Command] | BadInput:
        found = [(kind, missing) for kind in unknown if (missing := _of(command, kind, unknown[kind]))]
        if not found:
            return (command,)
        for kind, missing in found:
            if self.treatments.of(kind) == "refuse":
                return BadInput(Input.by_code(f"unknown_{kind}"), detail_of(kind, missing))
        return self._held(command, "; ".join(note_of(kind, missing) for kind, missing in found))

    def _held(self, command: Command, note: str) -> Sequence[Command]:
        """Only what changes something now: a repeat does not undo the release of the hold."""
        assert isinstance(command, PlaceOrder | AmendOrder)
        if isinstance(command, PlaceOrder) and command.cancelled:
            return (command,)  # it goes nowhere
        hold = HoldOrder(order_id=command.order_id, kind="manual", note=note[:TEXT_LENGTH_MAX])
        try:
            _, events, _ = self.store.preview(command)
        except Refused:  # by itself; or its order is placed by what comes before it
            return (command, hold)
        changes = any(isinstance(event, OrderPlaced | OrderAmended) for event in events)
        return (command, hold) if changes else (command,)


def names_in(command: Command, kind: Kind) -> Iterator[str]:
    """Yield the names of a kind in an order or an amendment. A pickup order has no delivery option and no country."""
    if not isinstance(command, PlaceOrder | AmendOrder):
        return
    if isinstance(command, PlaceOrder) and command.pickup and kind in {"delivery_option", "country"}:
        return
    if kind == "sku":
        yield from (line.sku for line in command.lines or ())
    elif kind == "delivery_option" and command.delivery_option:
        yield command.delivery_option
    elif kind == "country" and command.ship_to and command.ship_to != NOWHERE:
        yield command.ship_to.country
    elif kind == "channel" and isinstance(command, PlaceOrder):
        yield command.channel


def unknown_countries(codes: Iterable[str]) -> Nearest:
    return {code: country_like(code) for code in codes if code not in IN_USE}


def _of(command: Command, kind: Kind, unknown: Nearest) -> Nearest:
    return {name: unknown[name] for name in names_in(command, kind) if name in unknown}


def note_of(kind: Kind, missing: Nearest) -> str:
    """Such as "unknown SKU mug-001: the nearest known is mug-0001"."""
    named = [
        f"{name}: the nearest known is {near}" if near else f"{name}: none is like it"
        for name, near in list(missing.items())[:NAMED_MAX]
    ]
    more = [f"{len(missing) - NAMED_MAX} more"] if len(missing) > NAMED_MAX else []
    return f"unknown {HOW_TO_KNOW[kind][0]} {', '.join(named + more)}"


def detail_of(kind: Kind, missing: Nearest) -> str:
    return f"{note_of(kind, missing)}; correct it, or {HOW_TO_KNOW[kind][1]}, and send it again"
