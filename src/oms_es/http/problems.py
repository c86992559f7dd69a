"""Errors as problem documents (RFC 9457): the only place that words them.

Invariant: a problem never repeats what was sent, its `reason` is stable, and an unexpected error shows only that it is
a fault of this program.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from pydantic import ValidationError
from pydantic_core import to_json
from starlette.responses import Response

from oms_es.errors import OmsError, Reason
from oms_es.http.errors import BadParameter, NoResource, TooMany, WrongMethod
from oms_es.processing.committer import BUSY_SECONDS
from oms_es.schemas.problems import details
from oms_es.schemas.values.cards import masked
from oms_es.store.outcomes import OtherVersion
from oms_es.store.store import OUTAGES

MEDIA_TYPE = "application/problem+json"
ERRORS_MAX = 20
POINTER_LENGTH_MAX = 200
DETAIL_LENGTH_MAX = 1_000

WORDED_HERE: Mapping[str, str] = {
    "invalid_request": "some fields are not valid; see `errors`",
    "unavailable": "the database does not answer; send it again",
    "unexpected": "an error in this program; report it with the request_id",
}
"""The descriptions of reasons that no error class of this program has."""

log = structlog.get_logger(__name__)


def problem(error: Exception, request_id: str) -> dict[str, Any]:
    """Return the members of the problem document, in the order in which a person reads them."""
    status, reason, detail = _worded(error)
    shown: dict[str, Any] = {
        "type": f"/v1/problems/{reason}",
        "title": status.phrase,
        "status": int(status),
        "reason": reason,
        "detail": masked(" ".join(detail.split()))[:DETAIL_LENGTH_MAX],
        "request_id": request_id,
    }
    if wrong := list(_errors(error)):
        shown["errors"] = wrong[:ERRORS_MAX]
    if isinstance(error, OtherVersion):
        shown["version"] = error.found
    return shown


def response_of(error: Exception, request_id: str) -> Response:
    shown = problem(error, request_id)
    return Response(to_json(shown), shown["status"], _headers(error, shown["status"]), MEDIA_TYPE)


def _worded(error: Exception) -> tuple[HTTPStatus, str, str]:
    if isinstance(error, ValidationError):
        return HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", WORDED_HERE["invalid_request"]
    if isinstance(error, OmsError):
        return error.status, error.code, str(getattr(error, "detail", "") or error)
    if isinstance(error, OUTAGES):
        return HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", WORDED_HERE["unavailable"]
    log.error("a request failed", error=type(error).__name__, exc_info=error)
    return HTTPStatus.INTERNAL_SERVER_ERROR, "unexpected", WORDED_HERE["unexpected"]


def _errors(error: Exception) -> Iterator[Mapping[str, str]]:
    """Yield each field or parameter that is wrong, a field with a JSON Pointer into what was sent."""
    if isinstance(error, BadParameter):
        yield {"parameter": error.name, "detail": masked(error.detail)[:DETAIL_LENGTH_MAX]}
        return
    cause = error if isinstance(error, ValidationError) else error.__cause__
    if isinstance(cause, ValidationError):
        for one in details(cause):
            detail = one["msg"].removeprefix("Value error, ")
            yield {"pointer": pointer_of(one["loc"]), "detail": masked(detail)[:DETAIL_LENGTH_MAX]}


def pointer_of(path: Sequence[int | str]) -> str:
    """Return the JSON Pointer (RFC 6901) to the path; card numbers in names that the sender made up are masked."""
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in path)
    return masked("".join(f"/{part}" for part in parts))[:POINTER_LENGTH_MAX]


def _headers(error: Exception, status: int) -> dict[str, str]:
    headers = {"Cache-Control": "no-store"}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(BUSY_SECONDS)
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="oms-es"'
    if isinstance(error, TooMany):
        headers["Retry-After"] = str(error.seconds)
    if isinstance(error, WrongMethod):
        headers["Allow"] = error.allowed
    return headers


def meaning_of(reason: str) -> dict[str, Any]:
    """Return what a problem's `type` URL leads to: the meaning of the reason, and each family's own where several use
    it.

    Raise NoResource for an unknown reason.
    """
    found = [*_of_errors(reason), *_of_tables(reason)]
    if reason in WORDED_HERE:
        found.append({"meaning": WORDED_HERE[reason]})
    if not found:
        raise NoResource("no problem has this reason")
    return {"reason": reason, "description": found[0]["meaning"], "meanings": found}


def _of_errors(reason: str) -> Iterator[dict[str, Any]]:
    for error in _derived(OmsError):
        if error.code == reason and error.__doc__ and reason not in WORDED_HERE:
            yield {"meaning": " ".join(error.__doc__.split()), "status": int(error.status)}


def _of_tables(reason: str) -> Iterator[dict[str, Any]]:
    for member in (member for table in _derived(Reason) for member in table if member.value == reason):
        yield {"meaning": member.meaning, "next_step": member.next_step, "status": int(member.status)}


def _derived(base: type[Any]) -> Iterator[type[Any]]:
    for one in base.__subclasses__():
        yield one
        yield from _derived(one)
