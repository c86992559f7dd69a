"""Patterns of settings."""

from __future__ import annotations

CHANNEL = r"[a-z0-9][a-z0-9._-]{0,63}(=[a-z_]{1,64})?"
CHANNELS = rf"^$|^{CHANNEL}(,{CHANNEL})*$"
"""Names of channels as orders have them, with which a topic may end; the dialect follows after =."""

ISSUER = r"(https://[^\s,#?]+|http://(127\.0\.0\.1|localhost)(:[0-9]+)?(/[^\s,#?]*)?)"
ISSUERS = rf"^$|^{ISSUER}(,{ISSUER})*$"
"""URLs of issuers: with TLS, except on this machine."""


def some_of(names: tuple[str, ...]) -> str:
    """Return the pattern of one or more of these names, separated by commas."""
    one = f"({'|'.join(names)})"
    return rf"^{one}(,{one})*$"


EMAIL = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+"
"""An e-mail address as HTML's `input type=email` takes it, in a domain of two labels at least."""
