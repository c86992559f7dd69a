"""The console as a browser without scripts uses it: signed in with a key, with forms that repeat their page's proof."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx

from http_server import Served

PROOF = re.compile(r'name="proof" value="([0-9a-f]{64})"')


@contextmanager
def browser(served: Served, role: str | None = "operator") -> Iterator[httpx.Client]:
    """Open a client that has signed in with the key of a role, or not at all."""
    with httpx.Client(base_url=served.url, timeout=30) as client:
        if role is not None:
            sign_in(client, served.tokens[role])
        yield client


def sign_in(client: httpx.Client, key: str) -> None:
    answer = sent(client, "/console/sign-in", {"key": key}, of="/console/sign-in")
    assert answer.status_code == 303, answer.text


def proof(client: httpx.Client, of: str) -> str:
    found = PROOF.search(client.get(of).text)
    assert found, of
    return found[1]


def sent(client: httpx.Client, path: str, form: Mapping[str, str], of: str = "/console/commands") -> httpx.Response:
    return client.post(path, data={"proof": proof(client, of), **form})
