"""The four pure functions that all other files build on: no I/O, no clock, no ids, no randomness.

decide   (state, command)      -> events       aggregates/    what may happen
evolve   (state, event)        -> state        aggregates/    what it means
react    (event, rows)         -> commands     consumers/     what follows from it
project  (row or None, event)  -> row or None  projections/   how people see it
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from http import HTTPStatus
from inspect import getattr_static, signature
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, Protocol, Self, TypeVar

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, ValidationInfo, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from oms_es.attribute_docs import attribute_docs
from oms_es.door import STORED, brought_in
from oms_es.errors import OmsError, Reason
from oms_es.exit_codes import Code

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Table

S = TypeVar("S")
Handler = TypeVar("Handler", bound=Callable[..., Any])
Row = Mapping[str, Any]
Key = tuple[Hashable, ...]


class Message(BaseModel):
    """Immutable and closed: an undeclared field is an error, not a surprise."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    described_as: ClassVar[type[BaseModel] | None] = None
    """For a class made at run time, the class whose descriptions its fields have."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        declared = handler(core_schema)
        properties = handler.resolve_ref_schema(declared).get("properties", {})
        docs = attribute_docs(cls.described_as or cls)
        for name in docs.keys() & properties.keys():
            properties[name].setdefault("description", docs[name])
        return declared


class Event(Message):
    """What happened, in the past tense. Its class name is its stored name, for ever."""

    schema_version: ClassVar[int] = 1


class Command(Message):
    """A request, in the imperative, addressed to the one stream that decides it."""

    from_outside: ClassVar[bool] = True
    """Whether its values come from people or channels, and must pass the checks of `AtTheDoor`."""

    @model_validator(mode="after")
    def _at_the_door(self, info: ValidationInfo) -> Self:
        if self.from_outside and info.context is not STORED:
            brought_in(self)
        return self

    @property
    def stream(self) -> str:
        raise NotImplementedError

    @property
    def beside(self) -> Sequence[Command]:
        """Commands of other streams that are decided in the same transaction: all of them take effect, or none."""
        return ()


class SystemCommand(Command):
    """A command that only the engine gives: its consumers, gateways and ticker, never a person or a channel.

    Its values may have been accepted under an older, wider rule; a gateway checks the outside world's values in it.
    """

    from_outside: ClassVar[bool] = False


class MigrationCommand(SystemCommand):
    """A command that only a migration gives, as it records what the migration did to the database.

    It is offered nowhere, also not for a repair: what it says would not be so.
    """


def stream_fields(command: type[Command]) -> list[str]:
    """Return the fields that name the stream, in order: those that the property `stream` uses."""
    code = getattr_static(command, "stream").fget.__code__
    return [name for name in command.model_fields if name in code.co_names]


class Refused(OmsError):
    """The command was refused by a rule. `reason` is a stable code, `detail` says what to do next."""

    code = "refused"
    exit_code = Code.REFUSED
    status = HTTPStatus.CONFLICT

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.code, self.status = reason.value, reason.status
        if reason.exit_code is not Code.BURIED:  # a refused command is never stored as a dead letter
            self.exit_code = reason.exit_code
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.reason, self.detail)


class BadInput(OmsError):
    """Input that cannot be read. `reason` is a stable code, `detail` says to the sender what to do next."""

    code = "bad_input"
    # for input of a person; a message in a file becomes a dead letter instead, and the rest is accepted
    exit_code = Code.REFUSED
    status = HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.code = reason.value
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.reason, self.detail)


class Skipped(OmsError):
    """Input of a known kind that concerns nothing here: it is passed over, without asking a person."""

    code = "skipped"
    exit_code = Code.OK
    status = HTTPStatus.OK


class Recorded(NamedTuple):
    """An event as history stores it: the event, and its envelope.

    `position` is the notification id, the event's place in the order of the whole log; `version` counts from 1 within
    the stream.
    """

    position: int
    stream: str
    version: int
    event: Event
    event_id: UUID
    recorded_at: datetime
    caused_by: UUID | None
    correlation_id: str
    actor: str


@dataclass(frozen=True)
class Decider(Generic[S]):
    """One aggregate. `dump` and `restore` are given if its streams grow long enough for snapshots.

    `snapshot_version` is raised with every change of what `dump` writes: a snapshot of another version is not read.
    """

    category: str
    initial: S
    evolve: Callable[[S, Any], S]
    decide: Callable[[S, Any], Iterable[Event]]
    accepts: tuple[type[Command], ...]
    emits: tuple[type[Event], ...]
    dump: Callable[[S], Any] | None = None
    restore: Callable[[Any], S] | None = None
    snapshot_version: int = 1

    @property
    def snapshot_topic(self) -> str:
        return f"{self.category}.{self.snapshot_version}"


LookupResults = Mapping[str, Mapping[Hashable, Sequence[Row]]]


@dataclass(frozen=True)
class Lookup:
    """Rows of a read model that a reaction needs: those whose column `by` is among `keys(event)`.

    They arrive as `results[projection][key]`, in the order of `order_by`, then of the primary key, never older than the
    event that asks for them.
    """

    projection: str
    by: str
    keys: Callable[[Any], Iterable[Hashable]]
    limit: int | None = None
    order_by: str | None = None


@dataclass(frozen=True)
class Reaction:
    handler: Callable[..., Iterable[Command]]
    lookups: tuple[Lookup, ...] = ()


@dataclass(frozen=True)
class Consumer:
    """Reactions to events. Its name is its consumer group, for ever."""

    name: str
    emits: tuple[type[Command], ...]
    reactions: dict[type[Event], Reaction] = field(default_factory=dict)

    def on(self, *event_types: type[Event], lookups: tuple[Lookup, ...] = ()) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            for event_type in event_types:
                assert event_type not in self.reactions, f"{event_type.__name__} already has a reaction"
                self.reactions[event_type] = Reaction(handler, lookups)
            return handler

        return register

    @property
    def lookup_projections(self) -> frozenset[str]:
        """The read models that its reactions look up."""
        return frozenset(lookup.projection for reaction in self.reactions.values() for lookup in reaction.lookups)

    def react(self, event: Event, results: LookupResults | None = None) -> tuple[Command, ...]:
        reaction = self.reactions[type(event)]
        arguments = (event, results or {}) if reaction.lookups else (event,)
        commands = tuple(reaction.handler(*arguments))
        for command in commands:
            assert type(command) in self.emits, f"{self.name} emits {type(command)} without declaring it"
        return commands


class GatewayUnavailable(OmsError):
    """An external system does not answer now; its intents stay in the log and are tried again."""

    code = "gateway_unavailable"
    exit_code = Code.UNAVAILABLE
    status = HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self, message: str, answered: Sequence[Sequence[Command] | None] = ()) -> None:
        """Create the error with the commands of the intents that were answered: None for an intent without an answer,
        and empty if there were no answers at all.
        """
        super().__init__(message)
        self.answered = answered


class WaitsForEngine(GatewayUnavailable):
    """An intent waits for something that the engine itself is about to do; no external system leaves it waiting."""

    code = "waits_for_engine"


INTENTS_MAX = 500
"""How many intents a gateway takes at once, if one request to the other side takes little time or covers many."""


class Gateway(Protocol):
    """A connection to the outside world: payment providers, carriers, warehouses.

    It receives intents that are already stored. Giving it the same intent again is safe, because the intent's event id
    is the idempotency key.
    """

    name: str
    intents: frozenset[type[Event]]
    batch_max: int
    """How many intents it takes at once: together they take less time than a worker may be silent."""

    def perform(self, intents: Sequence[Recorded]) -> Sequence[Sequence[Command]]:
        """Perform intents, and return the commands that record each result, in their order; none for an intent whose
        answer will come as a callback.

        Raise GatewayUnavailable, with the answers so far, if the other side does not answer.
        """


@dataclass(frozen=True)
class Fold:
    """How one event type changes rows: `keys` names the rows it touches, `project` makes each new row.

    `begins`: it makes the same row whatever was there before, which need not be known for it.
    """

    keys: Callable[[Recorded], Iterable[Key]]
    project: Callable[[Row | None, Recorded, Key], Row | None]
    begins: bool = False


@dataclass(frozen=True)
class Projection:
    """A read model: rows folded from events, in a table whose primary key is `Key`, in that order.

    `insert_only`: every fold makes a new row, so there is no older one to load. `shared`: events of several streams
    change one row, and give the same row in whichever order the streams are read. `version` is raised with every change
    of the columns or the folds: rows of an older version are folded again from history. `fed_by`: the streams whose
    events make a row, as templates of its key such as "order-{order_id}"; empty if the key does not name them. A row
    whose key has a position is made by the event at that position.
    """

    table: Table
    version: int = 1
    insert_only: bool = False
    shared: bool = False
    fed_by: tuple[str, ...] = ()
    folds: dict[type[Event], Fold] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.table.name

    @property
    def key_columns(self) -> tuple[str, ...]:
        return tuple(str(column.name) for column in self.table.primary_key)

    def streams_of(self, key: Key) -> tuple[str, ...]:
        """Return the streams whose events make this row; empty if its key does not name them."""
        named = dict(zip(self.key_columns, key, strict=True))
        return tuple(stream.format_map(named) for stream in self.fed_by)

    def on(self, *event_types: type[Event], keys: Callable[..., Iterable[Key]]) -> Callable[[Handler], Handler]:
        """Register a fold `(row, event, key)` with its `keys(event)`.

        Both also receive the envelope if they have a parameter `recorded` after `event`. A fold registered as
        `(_row, …)` does not look at the row.
        """

        def register(project: Handler) -> Handler:
            for event_type in event_types:
                assert event_type not in self.folds, f"{event_type.__name__} is already projected"
                self.folds[event_type] = Fold(_opened_keys(keys), _opened_fold(project), _begins(project))
            return project

        return register


def _opened_keys(keys: Callable[..., Iterable[Key]]) -> Callable[[Recorded], Iterable[Key]]:
    if _wants_the_envelope(keys):
        return wraps(keys)(lambda recorded: keys(recorded.event, recorded))
    return wraps(keys)(lambda recorded: keys(recorded.event))


def _opened_fold(project: Callable[..., Row | None]) -> Callable[[Row | None, Recorded, Key], Row | None]:
    if _wants_the_envelope(project):
        return wraps(project)(lambda row, recorded, key: project(row, recorded.event, recorded, key))
    return wraps(project)(lambda row, recorded, key: project(row, recorded.event, key))


def _begins(project: Callable[..., Row | None]) -> bool:
    return next(iter(signature(project).parameters)).startswith("_")


def _wants_the_envelope(handler: Callable[..., Any]) -> bool:
    return "recorded" in signature(handler).parameters
