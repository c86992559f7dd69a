"""The keys that sign checkpoints: from a file that the settings name, or made here and kept in the database.

A key in the database protects against everybody but those who may read its tables: they could sign another history.
Older checkpoints, kept elsewhere, are what they cannot change.
"""

from __future__ import annotations

import secrets
from http import HTTPStatus
from pathlib import Path

from oms_es.database.rows import Reading
from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.proof.notes import KEY_BYTES, NAME, SignerKey, VerifierKey, signer_key, verifier_key
from oms_es.proof.tree import BadProof
from oms_es.store.sealing.tables import HEAD, KEYS

NAME_PREFIX = "oms-es.log/"
NAME_BYTES = 4
NAME_LENGTH_MAX = 200
FILE_BYTES_MAX = 10_000


class NoLogKey(OmsError):
    """No key, or the key of another log."""

    code = "no_log_key"
    exit_code = Code.USAGE
    status = HTTPStatus.SERVICE_UNAVAILABLE


def is_name(text: str) -> bool:
    return bool(NAME.fullmatch(text)) and len(text.encode()) <= NAME_LENGTH_MAX


def generated(name: str = "") -> SignerKey:
    return SignerKey(name or NAME_PREFIX + secrets.token_hex(NAME_BYTES), secrets.token_bytes(KEY_BYTES))


def from_file(path: Path) -> SignerKey:
    """Raises NoLogKey, which does not show what is in it."""
    try:
        with path.open() as file:
            return signer_key(file.read(FILE_BYTES_MAX))
    except (OSError, UnicodeDecodeError, BadProof) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise NoLogKey(f"{path}: {why}; `oms-es audit key --to FILE` makes a key") from None


def keep(rows: Reading, key: SignerKey, *, secret: bool) -> None:
    """`secret`: with its private half."""
    rows.execute(
        f"INSERT INTO {KEYS} (public, secret) VALUES (%s, %s) ON CONFLICT DO NOTHING".encode(),
        [str(key.verifier), str(key) if secret else None],
    )


def signing(rows: Reading, given: SignerKey | None) -> SignerKey:
    """The key that is given, or the one that was made here. Raises NoLogKey."""
    found = rows.execute(
        f"SELECT origin, (SELECT secret FROM {KEYS} WHERE secret IS NOT NULL ORDER BY made_at DESC, public LIMIT 1) "
        f"AS secret FROM {HEAD}".encode()
    ).fetchone()
    if found is None:
        raise NoLogKey("this log has not been begun; run `oms-es migrate` once")
    origin, secret = found["origin"], found["secret"]
    key = given or (signer_key(secret) if secret else None)
    if key is None:
        raise NoLogKey("this log is signed with a key from a file; name it with OMS_LOG_KEY_FILE")
    if key.name != origin:
        raise NoLogKey(
            f"the key is named {key.name} and the log {origin}; `oms-es audit key --to FILE` makes one for it"
        )
    return key


def known(rows: Reading) -> list[VerifierKey]:
    """Every key that has signed this log, as the database has it."""
    return [verifier_key(row["public"]) for row in rows.execute(f"SELECT public FROM {KEYS} ORDER BY made_at".encode())]
