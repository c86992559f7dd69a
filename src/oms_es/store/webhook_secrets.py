"""Secrets that sign webhooks, in both directions: made at random, and good beside the next one while it changes."""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

SECRET_BYTES = 32


class Rotating(Protocol):
    """What has a secret, and perhaps the one before it, until when."""

    @property
    def secret(self) -> str: ...

    @property
    def previous_secret(self) -> str | None: ...

    @property
    def previous_until(self) -> datetime | None: ...


def generated(prefix: str = "") -> str:
    return prefix + b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def good_at(now: datetime, of: Rotating) -> Sequence[str]:
    """The newest first: two while the other side changes over."""
    is_changing = of.previous_secret and of.previous_until and now < of.previous_until
    return [of.secret, *([of.previous_secret] if is_changing and of.previous_secret else [])]
