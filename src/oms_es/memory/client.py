"""Clients of the database in memory: a simulated process, any of whose calls may fail, or one whose calls
never fail."""

from __future__ import annotations

from typing import Protocol

NEVER = 1 << 60


class Client(Protocol):
    """A client. Once `calls` has reached `halt_at`, every call runs `halt`; an answer is lost if the call
    was `struck`."""

    calls: int
    halt_at: int

    @property
    def is_struck(self) -> bool: ...

    @property
    def seconds(self) -> float:
        """Return the simulated time, in seconds since the beginning."""

    def halt(self, error: type[Exception]) -> None:
        """Raise the fault that this call meets, if any."""

    def touched(self, error: type[Exception]) -> None:
        """Note that the call has had its effect; its answer may still be lost."""

    def committed(self) -> None:
        """Note that events were committed, for which others may wait."""

    def park(self) -> None:
        """Wait until the lock is released."""

    def unpark(self) -> None: ...


class Alone:
    """The only client of its database: its calls never fail, and never wait."""

    calls = 0
    halt_at = NEVER
    is_struck = False
    seconds = 0.0

    def halt(self, error: type[Exception]) -> None:
        """Do nothing: it is never called here."""

    def touched(self, error: type[Exception]) -> None:
        """Do nothing: it is never called here."""

    def committed(self) -> None:
        """Do nothing: no other client waits."""

    def park(self) -> None:
        raise AssertionError("the only client of a database waits for itself")

    def unpark(self) -> None:
        """Do nothing: this client never waits."""


def outage(error: type[Exception], why: str) -> Exception:
    return error(why)
