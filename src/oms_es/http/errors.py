"""Errors of a request that are found before the engine is asked."""

from __future__ import annotations

from collections.abc import Container, Mapping
from http import HTTPStatus

from oms_es.errors import NotFound, OmsError
from oms_es.exit_codes import Code


class Malformed(OmsError):
    """A header, a parameter or the path is not valid HTTP, or not as this interface defines it."""

    code = "malformed_request"
    exit_code = Code.USAGE
    status = HTTPStatus.BAD_REQUEST


class NoAccess(OmsError):
    """The request has no key, or one that is not valid: send a valid key as Authorization: Bearer KEY."""

    code = "unauthorized"
    exit_code = Code.USAGE
    status = HTTPStatus.UNAUTHORIZED


class Forbidden(OmsError):
    """The key may not do this: ask for one with the scope that is named."""

    code = "forbidden"
    exit_code = Code.USAGE
    status = HTTPStatus.FORBIDDEN


class NoResource(NotFound):
    """Nothing is served under this path: see the list of routes."""

    code = "no_such_resource"


class WrongMethod(OmsError):
    """The resource does not support this method: the header Allow lists those that it supports."""

    code = "method_not_allowed"
    exit_code = Code.USAGE
    status = HTTPStatus.METHOD_NOT_ALLOWED

    def __init__(self, allowed: str) -> None:
        super().__init__(f"only {allowed} is done here")
        self.allowed = allowed


class NoVerb(NotFound):
    """The resource has no such command: the answer names those that the caller may give.

    `scopes`: the scope that each command needs, None for a command that needs none.
    """

    code = "no_such_command"

    def __init__(self, scopes: Mapping[str, str | None]) -> None:
        self.scopes = scopes
        listed = f"there are {', '.join(scopes)}" if scopes else "this caller may give none here"
        super().__init__(f"there is no such command; {listed}")

    def of(self, caller_scopes: Container[str]) -> NoVerb:
        """Return the same error, limited to commands that these scopes allow."""
        return NoVerb({verb: scope for verb, scope in self.scopes.items() if scope is None or scope in caller_scopes})


class TooLong(OmsError):
    """The body is larger than the limit: send less at a time."""

    code = "body_too_large"
    exit_code = Code.USAGE
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class TooSlow(OmsError):
    """The body did not arrive within the time limit."""

    code = "request_timeout"
    exit_code = Code.USAGE
    status = HTTPStatus.REQUEST_TIMEOUT


class WrongMedia(OmsError):
    """The body has another media type, or is compressed: send it uncompressed, as the type that is named."""

    code = "unsupported_media_type"
    exit_code = Code.USAGE
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class BadParameter(OmsError):
    """A parameter is not valid: the answer names the parameter and says what is expected."""

    code = "invalid_parameter"
    exit_code = Code.USAGE
    status = HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"{name}: {detail}")
        self.name = name
        self.detail = detail


class NoIndex(BadParameter):
    """No index serves these filters together: the answer names the combinations that can be used."""

    code = "no_such_filters"


class BadCursor(BadParameter):
    """The cursor does not belong to this request: copy the cursor that the page before ended with, and keep its
    filters."""

    code = "invalid_cursor"


class TooMany(OmsError):
    """The key has made more requests than its rate allows: wait as long as Retry-After says."""

    code = "too_many_requests"
    exit_code = Code.USAGE
    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, seconds: int) -> None:
        super().__init__(f"this key has asked more often than it may; ask again in {seconds} s")
        self.seconds = seconds


class QuestionTooLarge(OmsError):
    """The query takes longer than a request may: ask for less, such as a shorter period."""

    code = "question_too_large"
    exit_code = Code.USAGE
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class NotYet(OmsError):
    """The read model has not reached the position that the request names: ask again in a moment."""

    code = "not_yet"
    exit_code = Code.BEHIND
    status = HTTPStatus.SERVICE_UNAVAILABLE
