"""The digest that signs messages to and from SF Express.

Invariant: the text is encoded as Java's URLEncoder does it, since SF's servers compute the digest with that: other
encoders leave `~` as it is, and encode `*`.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import md5
from urllib.parse import quote_plus


def java_encoded(text: str) -> str:
    """Return the text in the form of application/x-www-form-urlencoded, as java.net.URLEncoder has it."""
    return quote_plus(text, safe="*").replace("~", "%7E")


def digest(message: str, timestamp: str, checkword: str) -> str:
    """Return SF's standard digest (msgDigest): MD5 over message, time and secret, encoded, in base64."""
    signed = java_encoded(f"{message}{timestamp}{checkword}").encode()
    return b64encode(md5(signed, usedforsecurity=False).digest()).decode()
