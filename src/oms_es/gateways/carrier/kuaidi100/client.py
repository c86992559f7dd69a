"""Requests to kuaidi100: forms over HTTP, signed with a digest, answered with a code in JSON.

Invariant: an answer that leaves the outcome open raises NoAnswer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from oms_es.gateways.carrier.kuaidi100.notices import digest
from oms_es.gateways.outgoing import NoAnswer, request

REASON_CHARACTERS_MAX = 300
FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json", "User-Agent": "oms-es"}


class Client:
    def __init__(self, customer: str, key: str, *, base: str) -> None:
        self._customer = customer
        self._key = key
        self._base = base

    def query(self, company: str, number: str) -> Mapping[str, Any]:
        """Return the history of a tracking number, or a code that says why there is none. Raise NoAnswer."""
        param = json.dumps({"com": company, "num": number, "resultv2": "4"})
        sign = digest(param, self._key, self._customer)
        return self._asked("/poll/query.do", {"customer": self._customer, "sign": sign, "param": param})

    def subscribe(self, company: str, number: str, callback_url: str, salt: str) -> Mapping[str, Any]:
        """Subscribe to changes of a number: each is pushed to the URL, signed with the salt. Return kuaidi100's code.

        Raise NoAnswer.
        """
        wanted = {
            "company": company,
            "number": number,
            "key": self._key,
            "parameters": {"callbackurl": callback_url, "salt": salt, "resultv2": "4"},
        }
        return self._asked("/poll", {"schema": "json", "param": json.dumps(wanted)})

    def _asked(self, path: str, form: Mapping[str, str]) -> Mapping[str, Any]:
        reply = request(self._base, "POST", path, FORM, urlencode(form).encode())
        if reply.status != HTTPStatus.OK:
            raise NoAnswer(f"error {reply.status}")
        try:
            said = json.loads(reply.body)
        except (ValueError, RecursionError):
            raise NoAnswer("an answer is no JSON") from None
        if not isinstance(said, dict):
            raise NoAnswer("an answer is no object")
        return said
