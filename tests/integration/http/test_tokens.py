"""Bearer tokens of a local issuer with real keys published over HTTP; no invalid token causes a status 500."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from http_requests import order
from http_server import Served
from identity_provider import AUDIENCE, IdentityProvider, identity_provider
from oms_es.http import tokens
from oms_es.http.access import ROLES, SYSTEM
from oms_es.http.errors import NoAccess
from oms_es.http.tokens import IssuerUnavailable, Tokens

NOW = int(time.time())


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    with identity_provider() as running:
        yield running


def unsigned(provider: IdentityProvider, alg: str) -> str:
    parts = [{"alg": alg, "kid": "r1"}, {"iss": provider.url, "aud": AUDIENCE, "sub": "ada", "exp": NOW + 3_600}]
    return ".".join(base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in parts) + "."


def signed_with_the_public_key(provider: IdentityProvider) -> str:
    """Return a token that uses the public key as the secret of an HMAC: a verifier would accept it that lets the token
    choose the algorithm."""
    pem = provider.rsa.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    said = unsigned(provider, "HS256")[:-1]
    digest = hmac.new(pem, said.encode(), hashlib.sha256).digest()
    return f"{said}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


WRONG: dict[str, Any] = {
    "none": lambda p: unsigned(p, "none"),
    "None": lambda p: unsigned(p, "NONE"),
    "HMAC with the public key": signed_with_the_public_key,
    "HMAC": lambda p: p.token("operator", key="s" * 64, alg="HS256"),
    "an algorithm of another kind of key": lambda p: p.token("operator", key=p.ec, alg="ES256", kid="r1"),
    "a key of somebody else": lambda p: p.token("operator", key=p.other_rsa),
    "an unknown key": lambda p: p.token("operator", kid="r9"),
    "no name of a key": lambda p: p.token("operator", kid=None),
    "over": lambda p: p.token("operator", exp=NOW - 3_600),
    "without an end": lambda p: p.token("operator", exp=None),
    "an end that is no number": lambda p: p.token("operator", exp="tomorrow"),
    "not yet": lambda p: p.token("operator", nbf=NOW + 3_600),
    "for somebody else": lambda p: p.token("operator", aud="other"),
    "for nobody": lambda p: p.token("operator", aud=None),
    "of another issuer": lambda p: p.token("operator", iss="https://evil.example"),
    "of no issuer": lambda p: p.token("operator", iss=None),
    "of nobody": lambda p: p.token("operator", sub=None),
    "of an empty name": lambda p: p.token("operator", sub=""),
    "of a name that deceives": lambda p: p.token("operator", sub="a\nkey:b"),
    "scopes that are no names": lambda p: p.token({"a": 1}),
    "channels that are no names": lambda p: p.token("operator", channels=[1]),
    "oversized": lambda p: p.token("operator", more="x" * 20_000),
    "cut": lambda p: p.token("operator")[:-9],
    "three dots": lambda _: "...",
    "two dots": lambda _: "..",
    "no base64": lambda _: "é.é.é",
    "deep": lambda _: base64.urlsafe_b64encode(b"[" * 5_000).decode() + ".e30.e30",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_good_token_is_refused_in_the_same_words(served: Served, wrong: str) -> None:
    token = WRONG[wrong](served.provider)
    with served.client(None) as client:
        reported = client.get("/v1/orders", headers=[(b"Authorization", f"Bearer {token}".encode("latin-1"))])
    assert (reported.status_code, reported.json()["reason"]) == (401, "unauthorized"), reported.text
    assert reported.headers["WWW-Authenticate"].startswith("Bearer")
    assert "sign" not in reported.json()["detail"].replace("sign in", "")


def test_a_good_one_may_what_its_scopes_say_and_is_the_actor(served: Served) -> None:
    provider = served.provider
    with served.client(None) as client:
        for name, key, alg in (("r1", provider.rsa, "PS256"), ("e1", provider.ec, "ES256")):
            token = provider.token(["orders:write"], sub=f"ada-{name}", key=key, alg=alg, kid=name)
            headers = {"Authorization": f"Bearer {token}"}
            placed = client.post("/v1/orders", json=order(f"token-{name}"), headers=headers)
            assert placed.status_code == 201, placed.text
            assert client.get("/v1/stock", headers=headers).status_code == 403
            with psycopg.connect(served.database_url) as connection:
                query = "SELECT state FROM oms_events WHERE notification_id = %s"
                row = connection.execute(query, [placed.json()["position"]]).fetchone()
            assert row
            assert f'"actor":"user:{provider.url}#ada-{name}"'.encode() in bytes(row[0])
        for channels, status in ((["app"], 403), ([], 403), ("web app", 201)):
            token = provider.token("channel", channels=channels)
            sent = order(f"token-of-{len(channels)}")
            reported = client.post("/v1/orders", json=sent, headers={"Authorization": f"Bearer {token}"})
            assert reported.status_code == status, channels


def of(provider: IdentityProvider, clock: Clock) -> Tokens:
    return Tokens([provider.url], AUDIENCE, monotonic=clock)


def test_roles_and_scopes_are_those_of_keys(provider: IdentityProvider) -> None:
    known = of(provider, Clock())
    assert known.caller(provider.token("storefront nonsense events:read")).scopes == ROLES["storefront"] | {
        "events:read"
    }
    assert known.caller(provider.token(None)).scopes == frozenset()
    assert SYSTEM not in known.caller(provider.token(" ".join(ROLES))).scopes
    assert known.caller(provider.token(exp=int(time.time()) - 5)).actor, "clocks differ a little"


def test_a_key_that_is_new_is_asked_for_and_one_that_went_is_none(provider: IdentityProvider) -> None:
    clock = Clock()
    known = of(provider, clock)
    new = provider.token(key=provider.other_rsa, kid="r2")
    assert known.caller(provider.token())
    provider.published = [provider.public("r2", provider.other_rsa)]
    with pytest.raises(NoAccess):
        known.caller(new)
    clock.now += tokens.FETCH_SECONDS_MIN
    assert known.caller(new)
    with pytest.raises(NoAccess):
        known.caller(provider.token())


def test_whatever_keys_tokens_name_an_issuer_is_asked_so_often_at_most(provider: IdentityProvider) -> None:
    clock = Clock()
    known = of(provider, clock)
    for number in range(20):
        with pytest.raises(NoAccess):
            known.caller(provider.token(kid=f"x{number}"))
    assert provider.asked == 1


def test_an_issuer_that_is_down_is_an_outage_and_known_keys_go_on(provider: IdentityProvider) -> None:
    clock = Clock()
    provider.is_down = True
    known = of(provider, clock)
    for _ in range(2):
        with pytest.raises(IssuerUnavailable):
            known.caller(provider.token())
    provider.is_down = False
    clock.now += tokens.FETCH_SECONDS_MIN
    assert known.caller(provider.token())
    provider.is_down = True
    clock.now += tokens.KEYS_KEPT_SECONDS
    assert known.caller(provider.token())
    clock.now += tokens.KEYS_STALE_SECONDS_MAX
    with pytest.raises(IssuerUnavailable):
        known.caller(provider.token())


def test_keys_that_are_no_keys_are_no_mistake_of_ours(provider: IdentityProvider) -> None:
    strange: list[Any] = [[], ["x"], [{"kid": "r1"}], [{"kid": "r1", "kty": "RSA", "n": "!", "e": 5}], {"a": 1}, None]
    for published in strange:
        provider.published = published
        with pytest.raises((NoAccess, IssuerUnavailable)):
            of(provider, Clock()).caller(provider.token())
