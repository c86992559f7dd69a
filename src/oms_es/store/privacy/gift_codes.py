"""Codes of gift cards: made at random, shown once, and known afterwards by a keyed hash alone.

Invariant: a code is in no table, no event, no log line and no message of an error. Without the key, which is in no
table either, nothing can be tried against the hashes.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Iterable
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path

from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.store.privacy import wrapping

ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Letters and digits that are not mistaken for each other."""
LENGTH, GROUP = 16, 4
"""Of a code that is made here: 80 bits."""
LENGTH_MIN, LENGTH_MAX = 10, 64
"""Of a code that another system made, without spaces and hyphens."""
APART = re.compile(r"[\s-]+")
PLAIN = re.compile(rf"[A-Z0-9]{{{LENGTH_MIN},{LENGTH_MAX}}}", re.ASCII)
HOW = "write one with `openssl rand -base64 32`, and name its file with OMS_GIFT_CARD_KEY_FILE"


class NoCodeKey(OmsError):
    """Codes of gift cards cannot be made or read: the key for them is not given, or cannot be read."""

    code = "no_gift_card_key"
    exit_code = Code.USAGE
    status = HTTPStatus.SERVICE_UNAVAILABLE


class Codes:
    """The keys of this process: the first one hashes new codes, and a code may have been hashed with any of them."""

    def __init__(self) -> None:
        self._keys: list[bytes] = []

    def hold(self, keys: Iterable[bytes]) -> None:
        self._keys = list(keys)

    def hash_of(self, code: str) -> str:
        """Return the hash of a new code. Raise NoCodeKey."""
        return self.hashes_of(code)[0]

    def hashes_of(self, code: str) -> list[str]:
        """Return the hashes that a code may be stored as. Raise NoCodeKey."""
        if not self._keys:
            raise NoCodeKey(f"codes of gift cards need a key: {HOW}")
        return [hmac.new(key, code.encode(), sha256).hexdigest() for key in self._keys]


CODES = Codes()


def generated() -> str:
    """Return a new code, in groups, as people read it."""
    drawn = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    return "-".join(drawn[at : at + GROUP] for at in range(0, LENGTH, GROUP))


def plain(text: str) -> str | None:
    """Return a code without spaces and hyphens, in capital letters; None if it cannot be one."""
    code = APART.sub("", text).upper()
    return code if PLAIN.fullmatch(code) else None


def keys_at(path: Path) -> list[bytes]:
    """Return the keys of a file. Raise NoCodeKey."""
    try:
        return wrapping.from_file(path)
    except wrapping.NoDataKey:
        why = f"{path} has no keys for gift cards, or others may read it"
        raise NoCodeKey(
            f"{why}; it holds one a line, {wrapping.KEY_BYTES} bytes in base64, and `chmod 600` it"
        ) from None
