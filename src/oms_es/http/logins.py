"""Signing in at an OpenID provider: the authorization code flow (RFC 6749, OpenID Connect Core) with PKCE (RFC 7636).

Invariant: an answer counts once, and only in the browser that sent the request: its state is the one that this browser
was given, and its ID token is signed by that issuer for this client, with the nonce of the same request.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from http.client import HTTPException
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qsl, quote_plus, urlencode
from urllib.request import Request

import structlog

from oms_es.http.access import Caller
from oms_es.http.errors import NoAccess
from oms_es.http.tokens import IssuerUnavailable, Tokens, fetched
from oms_es.http.turns import turn

CODE_LENGTH_MAX = 4_096
SECRET_BYTES = 32
AT_ONCE_MAX = 4
"""Requests to the provider at once. People without an account can cause such requests; the limit bounds the threads
that they take."""
WAIT_SECONDS_MAX = 1.0
BUSY = "others are signing in"
_ASKING = threading.BoundedSemaphore(AT_ONCE_MAX)
log = structlog.get_logger(__name__)


def refused() -> NoAccess:
    """Return the error for an answer that is not valid: the same message for every reason."""
    return NoAccess("the provider's answer is not valid, or too late; sign in again")


class Begun(NamedTuple):
    """The state of a sign-in, kept in the browser until the answer comes. `to`: the page that the person wanted to
    open."""

    issuer: str
    state: str
    nonce: str
    verifier: str
    to: str

    @classmethod
    def at(cls, issuer: str, to: str) -> Self:
        state, nonce, verifier = (secrets.token_urlsafe(SECRET_BYTES) for _ in range(3))
        return cls(issuer, state, nonce, verifier, to)

    @classmethod
    def read(cls, text: str) -> Self:
        """Decode the state from the cookie's text. Raise NoAccess if it is not complete."""
        said = dict(parse_qsl(text, keep_blank_values=True))
        try:
            return cls(**said)
        except TypeError:
            raise refused() from None

    @property
    def text(self) -> str:
        return urlencode(self._asdict())

    @property
    def challenge(self) -> str:
        return base64.urlsafe_b64encode(sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()


@dataclass(frozen=True)
class Logins:
    """The client of one OpenID provider.

    `issuer`: the provider; the secret is sent to no other. `client_secret`: None for a public client, which is proved
    by PKCE alone.
    """

    tokens: Tokens
    issuer: str
    client_id: str
    client_secret: str | None
    scope: str

    def url(self, begun: Begun, redirect_uri: str) -> str:
        """Return the URL of the provider's sign-in page. Raise IssuerUnavailable or Busy."""
        with turn(_ASKING, BUSY, WAIT_SECONDS_MAX):
            place = self._place("authorization_endpoint")
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": redirect_uri,
            "scope": self.scope,
            "state": begun.state,
            "nonce": begun.nonce,
            "code_challenge": begun.challenge,
            "code_challenge_method": "S256",
        }
        return f"{place}{'&' if '?' in place else '?'}{urlencode(query)}"

    def caller(self, begun: Begun, answer: Mapping[str, str], redirect_uri: str) -> Caller:
        """Return the person who has signed in, from the parameters that the browser brought back: `state`, `code` and,
        from some providers, `iss` (RFC 9207).

        Raise NoAccess, IssuerUnavailable or Busy.
        """
        code = answer.get("code", "")
        if (
            not hmac.compare_digest(answer.get("state", "").encode(), begun.state.encode())
            or begun.issuer != self.issuer
            or answer.get("iss", self.issuer) != self.issuer
            or not 1 <= len(code) <= CODE_LENGTH_MAX
        ):
            raise refused()
        with turn(_ASKING, BUSY, WAIT_SECONDS_MAX):
            token = self._exchanged(begun, code, redirect_uri)
            return self.tokens.person(token, self.issuer, self.client_id, begun.nonce)

    def holds(self, caller: Caller) -> bool:
        """Return whether a session of this caller is still valid: the settings may name another issuer by now."""
        return caller.actor.rpartition("#")[0] == f"user:{self.issuer}"

    def _exchanged(self, begun: Begun, code: str, redirect_uri: str) -> str:
        """Exchange the code at the provider and return the ID token."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": begun.verifier,
        }
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        if self.client_secret is None:
            form["client_id"] = self.client_id
        else:
            pair = f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret)}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        place = self._place("token_endpoint")
        try:
            found: Any = fetched(Request(place, urlencode(form).encode(), headers))  # noqa: S310 - `fetched` checks it
            return str(found["id_token"])
        except (OSError, HTTPException, ValueError, KeyError, TypeError, RecursionError) as error:
            log.warning("a login is refused", issuer=self.issuer, error=f"{type(error).__name__}: {error}")
            raise refused() from None

    def _place(self, name: str) -> str:
        """Return a URL from the issuer's description. Raise IssuerUnavailable if it is missing, or not HTTPS although
        the issuer is."""
        place = self.tokens.published[self.issuer].described(name)
        if not place.startswith(f"{self.issuer.partition(':')[0]}://"):
            raise IssuerUnavailable(f"{self.issuer} does not say where to sign in; try again")
        return place


def session_of(caller: Caller) -> str:
    """Return the caller as JSON, in the form in which a session is stored."""
    channels = None if caller.channels is None else sorted(caller.channels)
    return json.dumps({"actor": caller.actor, "scopes": sorted(caller.scopes), "channels": channels})


def caller_in(kept: Mapping[str, Any]) -> Caller:
    channels = kept["channels"]
    return Caller(kept["actor"], frozenset(kept["scopes"]), None if channels is None else frozenset(channels))
