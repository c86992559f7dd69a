"""The key that wraps the keys of orders: from the environment, from a file, or made beside an embedded database.

Invariant: it stands in no table; what is wrapped with it opens for the order alone that it was wrapped for.
"""

from __future__ import annotations

import os
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from oms_es.errors import OmsError
from oms_es.exit_codes import Code

KEY_BYTES = 32
NONCE_BYTES = 12
"""Of AES-GCM (NIST SP 800-38D, section 5.2.1.1); a random one for each use of a key."""
ID_DIGITS = 16
FILE_BYTES_MAX = 10_000
KEYS_MAX = 16
FORBIDDEN_TO_OTHERS = 0o077


class NoDataKey(OmsError):
    """Personal data cannot be read or written: the key for it is not given, or is another."""

    code = "no_data_key"
    exit_code = Code.USAGE
    status = HTTPStatus.SERVICE_UNAVAILABLE


class Keyring:
    """What this process may open and wrap with, of whichever database: a key is known by its id."""

    def __init__(self) -> None:
        self._keys: dict[str, bytes] = {}
        self._ciphers: dict[bytes, AESGCM] = {}

    def hold(self, keys: Iterable[bytes]) -> list[str]:
        """Their ids, in the order given."""
        held = {id_of(key): key for key in keys}
        self._keys.update(held)
        return list(held)

    def wrap(self, by: str, subject: str, key: bytes) -> bytes:
        """Raises NoDataKey."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self.require(by).encrypt(nonce, key, subject.encode())

    def unwrap(self, by: str, subject: str, wrapped: bytes) -> bytes:
        """Raises NoDataKey."""
        try:
            return self.require(by).decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], subject.encode())
        except InvalidTag:
            raise NoDataKey(f"the key of {subject} is not what was written; restore oms_subject_keys") from None

    def require(self, by: str) -> AESGCM:
        """Raises NoDataKey."""
        key = self._keys.get(by)
        if key is None:
            raise NoDataKey(f"personal data in this database is encrypted with the key {by}: {HOW}")
        if key not in self._ciphers:
            self._ciphers[key] = AESGCM(key)
        return self._ciphers[key]

    def held(self) -> list[bytes]:
        """For a process that is started to share work."""
        return list(self._keys.values())


KEYRING = Keyring()
HOW = "name its file with OMS_DATA_KEY_FILE, or give it as OMS_DATA_KEY"


def id_of(key: bytes) -> str:
    """Says which key it is, and nothing of it."""
    return sha256(b"oms-es data key\n" + key).hexdigest()[:ID_DIGITS]


def generated() -> str:
    """As a file or a setting has it."""
    return b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def from_text(text: str) -> list[bytes]:
    """Base64, one a line; the first is wrapped with. Raises NoDataKey, which does not show what is in it."""
    try:
        keys = [b64decode(line, validate=True) for line in text.split()]
    except ValueError:  # also of characters that are not ASCII
        keys = []
    if not 0 < len(keys) <= KEYS_MAX or any(len(key) != KEY_BYTES for key in keys):
        raise NoDataKey(f"1 to {KEYS_MAX} data keys are needed, one a line, each {KEY_BYTES} bytes in base64: {HOW}")
    return keys


def from_file(path: Path) -> list[bytes]:
    """Raises NoDataKey."""
    try:
        with path.open() as file:
            if os.fstat(file.fileno()).st_mode & FORBIDDEN_TO_OTHERS:
                raise NoDataKey(f"{path}: others may read this key; `chmod 600` it")
            return from_text(file.read(FILE_BYTES_MAX))
    except (OSError, UnicodeDecodeError) as error:
        raise NoDataKey(f"{path}: {getattr(error, 'strerror', '') or 'not readable'}; {HOW}") from None


def beside(home: Path) -> Path:
    """Of an embedded database: not inside, so that a copy of the database is no copy of its key."""
    home = home.expanduser().resolve()  # as the database finds it
    return home.with_name(f"{home.name}.key")


def make_at(path: Path) -> None:
    """A new key, where there is none yet. Raises NoDataKey where none can be written."""
    if path.exists():
        return
    try:
        _write(path)
    except OSError as error:
        raise NoDataKey(f"no key for personal data can be made at {path} ({error.strerror}): {HOW}") from None


def _write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(generated() + "\n")
        file.flush()
        os.fsync(file.fileno())
    with suppress(FileExistsError):
        os.link(fresh, path)  # whole, and never over another's
    fresh.unlink()
