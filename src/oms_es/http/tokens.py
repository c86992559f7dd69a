"""Bearer tokens of OpenID Connect: whose each is, and what it may.

Invariant: a token counts if an issuer that the settings name signed it for us, with a key that it publishes and an
algorithm of the list, and it is not over. Which algorithm a key is for is its own matter, never the token's alone. Keys
are kept for so long and asked for so often at most, whatever is sent.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from hmac import compare_digest
from http import HTTPStatus
from http.client import HTTPException
from threading import Lock
from typing import Any
from urllib.request import HTTPRedirectHandler, Request, build_opener

import jwt
import structlog

from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.http.access import ROLES, Caller, with_included
from oms_es.http.errors import NoAccess

ALGORITHMS: Mapping[str, str] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
    "EdDSA": "OKP",
}
"""Those that are taken, each with the kind of key that it needs: neither `none`, nor a shared secret."""
TOKEN_LENGTH_MAX = 8_192
SUBJECT_LENGTH_MAX = 255
LEEWAY_SECONDS = 30
"""Clocks differ by so much."""
KEYS_KEPT_SECONDS = 600.0
KEYS_STALE_SECONDS_MAX = 86_400.0
"""Known keys are good for so long while their issuer does not answer."""
FETCH_SECONDS_MIN = 30.0
"""Between two times that an issuer is asked, whatever key a token names."""
FETCH_TIMEOUT_SECONDS = 3.0
FETCHED_BYTES_MAX = 200_000
KEYS_MAX = 100
CHANNELS_MAX = 100
DISCOVERY = "/.well-known/openid-configuration"

log = structlog.get_logger(__name__)


class IssuerUnavailable(OmsError):
    """The issuer of the token does not say which keys are its own: send the request again in a moment."""

    code = "issuer_unavailable"
    exit_code = Code.UNAVAILABLE
    status = HTTPStatus.SERVICE_UNAVAILABLE


def refused() -> NoAccess:
    """In the same words whatever is wrong with it."""
    return NoAccess("the token is not good; sign in again, and send it as Authorization: Bearer TOKEN")


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_args: Any, **_named: Any) -> None:
        return None


def fetched(asked: str | Request) -> Any:
    """A small JSON document. Raises OSError, ValueError, HTTPException."""
    request = Request(asked, headers={"Accept": "application/json"}) if isinstance(asked, str) else asked  # noqa: S310 - its scheme is checked below
    if request.type not in ("https", "http"):
        raise ValueError("the issuer names something that is no URL")
    with build_opener(_NoRedirects).open(request, timeout=FETCH_TIMEOUT_SECONDS) as answer:
        raw = answer.read(FETCHED_BYTES_MAX + 1)
    if len(raw) > FETCHED_BYTES_MAX:
        raise ValueError("the answer is larger than keys are")
    return json.loads(raw)


class Published:
    """The keys of one issuer, by their names; a key without one has the name None."""

    def __init__(self, issuer: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.issuer = issuer
        self._monotonic = monotonic
        self._lock = Lock()
        self._keys: Mapping[str | None, Mapping[str, Any]] = {}
        self._said: Mapping[str, Any] = {}
        self._at = self._tried = float("-inf")

    def named(self, kid: str | None) -> Mapping[str, Any]:
        """Raises NoAccess, IssuerUnavailable."""
        with self._lock:
            age = self._monotonic() - self._at
            if kid not in self._keys or age >= KEYS_KEPT_SECONDS:
                self._fetch()
            age = self._monotonic() - self._at
            if age >= KEYS_STALE_SECONDS_MAX:
                raise IssuerUnavailable(f"{self.issuer} does not say which keys are its own; send it again")
            if kid not in self._keys:
                raise refused()
            return self._keys[kid]

    def described(self, name: str) -> str:
        """What the issuer's own description has by this name; empty where it does not answer, or says nothing of it."""
        with self._lock:
            if self._monotonic() - self._at >= KEYS_KEPT_SECONDS:
                self._fetch()
            said = self._said.get(name, "")
        return said if isinstance(said, str) else ""

    def _fetch(self) -> None:
        """What was known before stays where it does not answer."""
        if self._monotonic() - self._tried < FETCH_SECONDS_MIN:
            return
        self._tried = self._monotonic()
        try:
            keys = self._asked()
            self._keys = {key.get("kid"): key for key in keys if key.get("use", "sig") == "sig"}
        except (OSError, HTTPException, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            log.warning("issuer does not answer", issuer=self.issuer, error=f"{type(error).__name__}: {error}")
            return
        self._at = self._monotonic()

    def _asked(self) -> Sequence[Mapping[str, Any]]:
        """Raises OSError, HTTPException, ValueError, KeyError, TypeError."""
        found = fetched(self.issuer.rstrip("/") + DISCOVERY)
        if found["issuer"] != self.issuer:
            raise ValueError("it calls itself otherwise than the settings do")
        keys: Sequence[Mapping[str, Any]] = fetched(found["jwks_uri"])["keys"][:KEYS_MAX]
        self._said = found
        return keys


class Tokens:
    """Those of the issuers that the settings name. `scopes_claim`: has scopes and roles, as keys do."""

    def __init__(
        self,
        issuers: Sequence[str],
        audience: str,
        scopes_claim: str = "scope",
        channels_claim: str = "channels",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.audience = audience
        self.scopes_claim = scopes_claim
        self.channels_claim = channels_claim
        self.published = {issuer: Published(issuer, monotonic) for issuer in issuers}

    def caller(self, token: str) -> Caller:
        """Raises NoAccess, IssuerUnavailable."""
        if len(token) > TOKEN_LENGTH_MAX:
            raise refused()
        try:
            return self._caller(token)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            log.info("a token is refused", error=type(error).__name__)
            raise refused() from None

    def person(self, id_token: str, issuer: str, client_id: str, nonce: str) -> Caller:
        """Who has signed in at an issuer for this client, in the request with this nonce.

        Raises NoAccess, IssuerUnavailable.
        """
        if len(id_token) > TOKEN_LENGTH_MAX:
            raise refused()
        try:
            claims = self._claims(id_token, client_id)
            said = str(claims.get("nonce", ""))
            if claims["iss"] != issuer or claims.get("azp", client_id) != client_id or not compare_digest(said, nonce):
                raise refused()
            return self._of(claims)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            log.info("an ID token is refused", error=type(error).__name__)
            raise refused() from None

    def _caller(self, token: str) -> Caller:
        return self._of(self._claims(token, self.audience))

    def _of(self, claims: Mapping[str, Any]) -> Caller:
        return Caller(self._actor(claims["iss"], claims["sub"]), self._scopes(claims), self._channels(claims))

    def _claims(self, token: str, audience: str) -> Mapping[str, Any]:
        header = jwt.get_unverified_header(token)
        issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
        algorithm, kid = str(header.get("alg")), header.get("kid")
        published = self.published.get(issuer) if isinstance(issuer, str) else None
        if published is None or algorithm not in ALGORITHMS or not isinstance(kid, str | None):
            raise refused()
        key = published.named(kid)
        if key.get("kty") != ALGORITHMS[algorithm] or key.get("alg", algorithm) != algorithm:
            raise refused()
        claims: Mapping[str, Any] = jwt.decode(
            token,
            jwt.PyJWK(dict(key), algorithm),
            algorithms=[algorithm],
            audience=audience,
            issuer=published.issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )
        return claims

    def _actor(self, issuer: str, subject: str) -> str:
        """No issuer has a `#` in it, so that no two are one."""
        if not subject or len(subject) > SUBJECT_LENGTH_MAX or not subject.isprintable():
            raise refused()
        return f"user:{issuer}#{subject}"

    def _scopes(self, claims: Mapping[str, Any]) -> frozenset[str]:
        claimed = set(_names(claims.get(self.scopes_claim, "")))
        of_roles = [ROLES[name] for name in claimed & ROLES.keys()]
        return with_included(claimed).union(*of_roles)

    def _channels(self, claims: Mapping[str, Any]) -> frozenset[str] | None:
        """Without the claim it is of all, as a key is; with an empty one of none."""
        if self.channels_claim not in claims:
            return None
        return frozenset(_names(claims[self.channels_claim])[:CHANNELS_MAX])


def _names(claim: Any) -> list[str]:
    """Words of a text, or a list. Raises NoAccess."""
    found = claim.split() if isinstance(claim, str) else claim
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise refused()
    return found
