"""The URLs and names of webhooks: what is required of a URL before anything is sent to it."""

from __future__ import annotations

from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, StringConstraints

URL_LENGTH_MAX = 2_000
PARTY_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"
PartyName = Annotated[str, StringConstraints(pattern=PARTY_PATTERN)]
"""The name of a subscription or a connection, as it appears in paths."""
SecretId = Annotated[str, StringConstraints(pattern=r"^sec_[0-9a-f]{24}$")]
"""The id of a secret that is kept apart: an event names the secret, and does not contain it."""


class Target(NamedTuple):
    is_tls: bool
    host: str
    port: int
    path: str


def target_in(url: str) -> Target:
    """Return the parts of a URL. Raise ValueError if it is no plain http or https URL."""
    parts = urlsplit(url)
    port = parts.port
    is_plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= URL_LENGTH_MAX
    if not is_plain or parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError(f"a URL is expected as https://host/path, of up to {URL_LENGTH_MAX} ASCII characters")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError("a URL without user, password and fragment is expected: what is sent is signed")
    is_tls = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(is_tls, parts.hostname, port or (443 if is_tls else 80), path)


def _a_target(url: str) -> str:
    target_in(url)
    return url


Url = Annotated[str, StringConstraints(max_length=URL_LENGTH_MAX), AfterValidator(_a_target)]
