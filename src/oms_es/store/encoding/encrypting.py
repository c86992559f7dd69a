"""Encryption of what is personal in an event that was stored in the clear, where it stands.

Invariant: decrypted again, the event is what it was, byte for byte; the envelope stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic_core import from_json, to_json

from oms_es.kernel import Event
from oms_es.proof.encryption import AFTER_EVENT, BEFORE_ENCRYPTED
from oms_es.schemas.values.parts import parts_of, put_back, take_out
from oms_es.store.encoding.codec import BEFORE_EVENT, WHOLE, encrypted_content

QUOTING = "asked"
"""The field that quotes what a command said; before there was encryption also what is personal of it."""


def may_be_personal(kind: type[Event]) -> bool:
    """Return whether something personal may stand in an event of this type, or be quoted."""
    return bool(parts_of(kind)) or QUOTING in kind.model_fields


Unquoted = Callable[[str], str]
"""Returns what was asked with digests in place of what is personal."""


class InTheClear:
    """An event with what was taken out of it. `envelope`: what stands around it."""

    def __init__(self, state: bytes, kind: type[Event], unquoted: Unquoted) -> None:
        """Raises ValueError."""
        end = state.rfind(AFTER_EVENT)
        if end < 0 or not state.startswith(BEFORE_EVENT):
            raise ValueError("its envelope is not as this program writes it; run `oms-es verify`")
        self.state = state
        self._event, self._after = state[len(BEFORE_EVENT) : end], state[end:]
        self.envelope: Mapping[str, Any] = from_json(b"{" + self._after[1:])
        self.body = from_json(self._event)
        self.taken = {} if "encrypted" in self.envelope else take_out(self.body, parts_of(kind))
        asked = self.body.get(QUOTING)
        if "encrypted" not in self.envelope and isinstance(asked, str) and (said := unquoted(asked)) != asked:
            self.taken[QUOTING], self.body[QUOTING] = asked, said

    def encrypted(self, cipher: AESGCM) -> bytes:
        """Return the event as it is stored from now on."""
        again = from_json(to_json(self.body))
        put_back(again, self.taken)
        taken = self.taken if to_json(again) == self._event else {WHOLE: self._event.decode()}
        content = encrypted_content(cipher, self.envelope["event_id"], to_json(taken)).encode()
        return b"".join(
            [BEFORE_EVENT, to_json(self.body), self._after[:-1], BEFORE_ENCRYPTED, content, b'"}'],
        )
