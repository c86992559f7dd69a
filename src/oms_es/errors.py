"""The common base of our errors: a handler knows how to answer an error without knowing its class.

`code` is stable and for programs, `exit_code` ends a command, `status` is that of an HTTP response. The text says what
a person can do next.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import Self

from oms_es.exit_codes import Code


class OmsError(Exception):
    """An error of this program, with its code, exit code and HTTP status."""

    code: str = "unexpected"
    exit_code: Code = Code.UNEXPECTED
    status: HTTPStatus = HTTPStatus.INTERNAL_SERVER_ERROR


class NotFound(OmsError):
    """There is nothing of this name."""

    code = "not_found"
    exit_code = Code.NOT_FOUND
    status = HTTPStatus.NOT_FOUND


class OtherContent(OmsError):
    """The order is known with other content: a person compares both versions, and the one that was sent changes
    nothing."""

    code = "order_conflict"
    exit_code = Code.REFUSED
    status = HTTPStatus.CONFLICT


STATUS_OF: Mapping[Code, HTTPStatus] = {
    Code.REFUSED: HTTPStatus.CONFLICT,
    Code.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Code.BURIED: HTTPStatus.UNPROCESSABLE_ENTITY,
}
"""The HTTP status for each exit code that a refusal may have."""


class Reason(StrEnum):
    """Base of the tables of reasons: a stable code, what it means, and what to do next."""

    meaning: str
    next_step: str
    exit_code: Code
    status: HTTPStatus

    def __new__(
        cls, code: str, meaning: str, next_step: str, exit_code: Code | None = None, status: HTTPStatus | None = None
    ) -> Self:
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        member.next_step = next_step
        member.exit_code = cls.usual_exit_code() if exit_code is None else exit_code
        member.status = status or STATUS_OF[member.exit_code]
        return member

    @classmethod
    def usual_exit_code(cls) -> Code:
        raise NotImplementedError

    @classmethod
    def by_code(cls, code: str) -> Self:
        """Return the reason of a code that is composed at run time."""
        return cls[code.upper()]


class Refusal(Reason):
    """Base of the tables of refusals: one per family, in `schemas/<family>/refusals.py`."""

    @classmethod
    def usual_exit_code(cls) -> Code:
        return Code.REFUSED


class InputProblem(Reason):
    """Base of the tables of problems with input."""

    @classmethod
    def usual_exit_code(cls) -> Code:
        return Code.BURIED
