"""Requests to EasyPost: JSON over HTTP, with the account's key.

Invariant: an answer that leaves open whether the request was done raises NoAnswer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from oms_es.gateways.outgoing import NoAnswer, NothingCertain, ProtocolError, Reply, TooLong, request

REASON_CHARACTERS_MAX = 300
UNSURE = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS})
"""Status codes, beside server errors, after which the request may have been done, or will be done when it
is repeated."""
OURS = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.FORBIDDEN})


class EasyPostRefused(ProtocolError):
    """EasyPost refused the request, with its code and message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{message or 'refused'} ({code or status})"[:REASON_CHARACTERS_MAX])
        self.status = status

    @property
    def is_about_the_account(self) -> bool:
        """Return whether the refusal is about the account (its key, rights or balance) and not about this parcel."""
        return self.status in OURS


class Client:
    def __init__(self, api_key: str, *, base: str) -> None:
        self._base = base
        self._headers = {
            "Authorization": f"Bearer {api_key}",
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": "oms-es",
        }

    def ask(self, method: str, path: str, wanted: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send a request and return its answer. `path`: below /v2.

        Raise EasyPostRefused, or NoAnswer if it is not known whether the request was done.
        """
        body = json.dumps(wanted, ensure_ascii=False).encode() if wanted is not None else b""
        reply = request(self._base, method, f"/v2{path}", self._headers, body)
        if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR or reply.status in UNSURE:
            raise NoAnswer(f"error {reply.status}")
        said = _object_in(reply)
        if HTTPStatus.MULTIPLE_CHOICES <= reply.status < HTTPStatus.BAD_REQUEST:
            raise NothingCertain(f"error {reply.status}, to another place")
        if reply.status >= HTTPStatus.BAD_REQUEST:
            error = said.get("error")
            if not isinstance(error, dict):
                raise NothingCertain(f"error {reply.status}, not in EasyPost's words")
            raise EasyPostRefused(reply.status, str(error.get("code") or ""), _message(error))
        return said

    def label(self, url: str) -> bytes | None:
        """Download a label, without our key; return None if a repeated request cannot give it either: it is missing, on
        another host, or too large. Raise NoAnswer."""
        place = urlsplit(url)
        if place.scheme != "https" and place.scheme != urlsplit(self._base).scheme:
            return None
        path = f"{place.path}?{place.query}" if place.query else place.path
        try:
            reply = request(f"{place.scheme}://{place.netloc}", "GET", path, {"User-Agent": "oms-es"})
        except TooLong:
            return None
        if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR or reply.status in UNSURE:
            raise NoAnswer(f"error {reply.status} where the label lies")
        if reply.headers.get("content-type", "").startswith("text/html"):
            raise NoAnswer("a page where the label lies")
        return (reply.body or None) if reply.status == HTTPStatus.OK else None


def _message(error: Mapping[str, Any]) -> str:
    """Return the error's message, with those of its fields, which are objects or plain text."""
    fields = error.get("errors")
    named = fields if isinstance(fields, list) else []
    parts = [f"{one.get('field')}: {one.get('message')}" if isinstance(one, dict) else str(one) for one in named]
    return "; ".join([str(error.get("message") or ""), *parts])


def _object_in(reply: Reply) -> dict[str, Any]:
    try:
        said = json.loads(reply.body)
    except (ValueError, RecursionError):
        raise NothingCertain("an answer is no JSON") from None
    if not isinstance(said, dict):
        raise NothingCertain("an answer is no object")
    return said
