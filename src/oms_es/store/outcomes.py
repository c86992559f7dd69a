"""Requests that are decided in one transaction and answered one by one.

Invariant: what a request comes to is decided from the newest state of its stream, also its refusal and the version that
it asks for, and depends on no other request of the transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

from oms_es.kernel import Command, Recorded, Refused
from oms_es.schemas.refusals import SharedRefusal
from oms_es.store.encoding.codec import Cause

Addressed = tuple[Cause, str, Command]
"""A command with the stream that decides it."""


def addressed_of(batch: Iterable[tuple[Cause, Sequence[Command]]]) -> list[Addressed]:
    """Every command, each followed by the commands that are decided together with it."""
    return [
        (cause, one.stream, one) for cause, commands in batch for given in commands for one in (given, *given.beside)
    ]


class OtherVersion(Refused):
    """The stream is not at the version that the request requires."""

    code = "version_changed"
    status = HTTPStatus.PRECONDITION_FAILED

    def __init__(self, asked: int, found: int) -> None:
        detail = f"version {asked} is asked for, and it is {found} now; read it again"
        super().__init__(SharedRefusal.VERSION_CHANGED, detail)
        self.found = found


class Request(NamedTuple):
    """Commands of one stream, which happen together with those beside them, or not at all; `version`: where the stream
    must be, if anywhere."""

    cause: Cause
    commands: Sequence[Command]
    version: int | None = None

    @property
    def stream(self) -> str:
        return self.commands[0].stream


class Outcome(NamedTuple):
    """`state` and `version` are the stream's afterwards; of a refused request, as they are without it."""

    recorded: Sequence[Recorded]
    state: Any
    version: int
    refused: Refused | None = None


MoreRows = Callable[[Any, Mapping[str, Outcome]], None]
"""Is given the transaction and, by stream, what each request came to, before it is committed."""


def no_more_rows(_transaction: Any, _outcomes: Mapping[str, Outcome]) -> None:
    """No rows but the events."""


class Apart:
    """The result of one attempt at a transaction: the refused requests, and the outcomes of the others."""

    def __init__(self, requests: Sequence[Request], beside: MoreRows) -> None:
        self.versions = {request.stream: request.version for request in requests}
        assert len(self.versions) == len(requests), "no two requests of a transaction are of one stream"
        assert all(c.stream == r.stream for r in requests for c in r.commands), "a request is of one stream"
        self.groups = {r.stream: addressed_of([(r.cause, r.commands)]) for r in requests}
        self.streams = dict.fromkeys(stream for group in self.groups.values() for _, stream, _ in group)
        self.beside = beside
        self.refused: dict[str, Refused] = {}
        self.outcomes: Mapping[str, Outcome] = {}

    def by_stream(self, known: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[Addressed]]]:
        """The commands of each request of known streams, about to be decided: what was said of it before is void."""
        for stream, group in self.groups.items():
            if stream in known:
                self.refused.pop(stream, None)
                yield stream, group

    def together_with(self, stale: Sequence[str]) -> Sequence[str]:
        """Return the streams that must be decided again with the stale ones: all of them if one request has several
        streams."""
        return list(self.streams) if len(self.streams) > len(self.groups) else stale

    def require_version(self, stream: str, found: int) -> None:
        """Raises OtherVersion."""
        asked = self.versions[stream]
        if asked is not None and asked != found:
            raise OtherVersion(asked, found)

    def settle(self, transaction: Any, appended: Sequence[Recorded], states: Mapping[str, tuple[Any, int]]) -> None:
        recorded: dict[str, list[Recorded]] = {}
        for one in appended:
            recorded.setdefault(one.stream, []).append(one)
        self.outcomes = {
            stream: Outcome(recorded.get(stream, ()), state, version, self.refused.get(stream))
            for stream, (state, version) in states.items()
        }
        self.beside(transaction, self.outcomes)
