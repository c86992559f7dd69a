"""Bearer tokens of OpenID Connect: the person or program that each names, with its scopes.

Invariant: a token is accepted if it has not expired and an issuer from the settings signed it for us, with a key that
the issuer publishes and an algorithm of the list. The key determines its algorithm, never the token alone. Keys are
cached, and an issuer is asked for them at a limited rate, whatever is sent.
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
"""Accepted algorithms, each with the kind of key that it needs: neither `none` nor a shared secret."""
TOKEN_LENGTH_MAX = 8_192
SUBJECT_LENGTH_MAX = 255
LEEWAY_SECONDS = 30
"""Tolerance for differing clocks."""
KEYS_KEPT_SECONDS = 600.0
KEYS_STALE_SECONDS_MAX = 86_400.0
"""How long cached keys are used while their issuer does not answer."""
FETCH_SECONDS_MIN = 30.0
"""The shortest time between two requests to an issuer, whichever key a token names."""
FETCH_TIMEOUT_SECONDS = 3.0
FETCHED_BYTES_MAX = 200_000
KEYS_MAX = 100
CHANNELS_MAX = 100
DISCOVERY = "/.well-known/openid-configuration"

log = structlog.get_logger(__name__)


class IssuerUnavailable(OmsError):
    """The issuer of the token could not be asked for its keys: send the request again in a moment."""

    code = "issuer_unavailable"
    exit_code = Code.UNAVAILABLE
    status = HTTPStatus.SERVICE_UNAVAILABLE


def refused() -> NoAccess:
    """Return the error for a token that is not valid: the same message for every reason."""
    return NoAccess("the token is not valid; sign in again, and send it as Authorization: Bearer TOKEN")


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_args: Any, **_named: Any) -> None:
        return None


def fetched(asked: str | Request) -> Any:
    """Fetch a small JSON document. Raise OSError, ValueError or HTTPException."""
    request = Request(asked, headers={"Accept": "application/json"}) if isinstance(asked, str) else asked  # noqa: S310 - its scheme is checked below
    if request.type not in ("https", "http"):
        raise ValueError("the issuer names something that is no URL")
    with build_opener(_NoRedirects).open(request, timeout=FETCH_TIMEOUT_SECONDS) as answer:
        raw = answer.read(FETCHED_BYTES_MAX + 1)
    if len(raw) > FETCHED_BYTES_MAX:
        raise ValueError("the answer is larger than keys are")
    return json.loads(raw)


class Published:
    """The keys of one issuer by their id; a key without an id is under None."""

    def __init__(self, issuer: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.issuer = issuer
        self._monotonic = monotonic
        self._lock = Lock()
        self._keys: Mapping[str | None, Mapping[str, Any]] = {}
        self._said: Mapping[str, Any] = {}
        self._at = self._tried = float("-inf")

    def named(self, kid: str | None) -> Mapping[str, Any]:
        """Return the key with this id. Raise NoAccess if there is none, IssuerUnavailable if the cached keys are too
        old."""
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
        """Return a member of the issuer's discovery document, or an empty string if it is missing or the issuer does
        not answer."""
        with self._lock:
            if self._monotonic() - self._at >= KEYS_KEPT_SECONDS:
                self._fetch()
            said = self._said.get(name, "")
        return said if isinstance(said, str) else ""

    def _fetch(self) -> None:
        """Fetch the keys again; if the issuer does not answer, the cached ones stay."""
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
        """Fetch the discovery document and the keys. Raise OSError, HTTPException, ValueError, KeyError or
        TypeError."""
        found = fetched(self.issuer.rstrip("/") + DISCOVERY)
        if found["issuer"] != self.issuer:
            raise ValueError("it calls itself otherwise than the settings do")
        keys: Sequence[Mapping[str, Any]] = fetched(found["jwks_uri"])["keys"][:KEYS_MAX]
        self._said = found
        return keys


class Tokens:
    """The tokens of all issuers in the settings. `scopes_claim`: the claim that holds scopes and roles."""

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
        """Return the caller that the token names. Raise NoAccess or IssuerUnavailable."""
        if len(token) > TOKEN_LENGTH_MAX:
            raise refused()
        try:
            return self._caller(token)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            log.info("a token is refused", error=type(error).__name__)
            raise refused() from None

    def person(self, id_token: str, issuer: str, client_id: str, nonce: str) -> Caller:
        """Return the person whom the ID token names, if it was issued to this client for the request with this nonce.

        Raise NoAccess or IssuerUnavailable.
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
        """Return the actor's name. An issuer contains no `#`; therefore two different pairs never give the
        same name."""
        if not subject or len(subject) > SUBJECT_LENGTH_MAX or not subject.isprintable():
            raise refused()
        return f"user:{issuer}#{subject}"

    def _scopes(self, claims: Mapping[str, Any]) -> frozenset[str]:
        claimed = set(_names(claims.get(self.scopes_claim, "")))
        of_roles = [ROLES[name] for name in claimed & ROLES.keys()]
        return with_included(claimed).union(*of_roles)

    def _channels(self, claims: Mapping[str, Any]) -> frozenset[str] | None:
        """Return the caller's channels: None (all) if the token has no such claim, and none if the claim is empty."""
        if self.channels_claim not in claims:
            return None
        return frozenset(_names(claims[self.channels_claim])[:CHANNELS_MAX])


def _names(claim: Any) -> list[str]:
    """Return the words of a text, or the members of a list. Raise NoAccess for anything else."""
    found = claim.split() if isinstance(claim, str) else claim
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise refused()
    return found
