"""Who asks the database in memory: a simulated process, which may meet a fault at any call, or one that meets none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sqlalchemy.exc import OperationalError as SqlError

NEVER = 1 << 60


class Client(Protocol):
    """Every call passes `halt` once `calls` has come to `halt_at`; an answer is lost where it was `struck`."""

    calls: int
    halt_at: int

    @property
    def is_struck(self) -> bool: ...

    @property
    def seconds(self) -> float:
        """The time that it is, since the beginning."""

    def halt(self, error: type[Exception]) -> None:
        """What this call meets."""

    def touched(self, error: type[Exception]) -> None:
        """The effect is there; whether the client hears of it is another question."""

    def committed(self) -> None:
        """Events are there that others may wait for."""

    def park(self) -> None:
        """Until the lock is given back."""

    def unpark(self) -> None: ...


class Alone:
    """The only client of its database: it meets nothing, and waits for no one."""

    calls = 0
    halt_at = NEVER
    is_struck = False
    seconds = 0.0

    def halt(self, error: type[Exception]) -> None:
        """Never called."""

    def touched(self, error: type[Exception]) -> None:
        """Never called."""

    def committed(self) -> None:
        """There is no one else."""

    def park(self) -> None:
        raise AssertionError("the only client of a database waits for itself")

    def unpark(self) -> None:
        """It never waits."""


def outage(error: type[Exception], why: str) -> Exception:
    make: Callable[..., Exception] = error
    return make(why, None, Exception(why)) if error is SqlError else make(why)
