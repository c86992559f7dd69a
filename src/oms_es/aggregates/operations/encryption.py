"""The records of the encryption of events that were stored in the clear.

Invariant: records follow each other in the order of positions, so that no event is named by two of them, and none is
named of what came later. They agree on where the log ended when encryption began, and none reaches further.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from oms_es.kernel import Decider, Refused
from oms_es.schemas.operations import encryption as e
from oms_es.schemas.operations.refusals import OperationsRefusal


class Encryption(NamedTuple):
    reached: int = 0
    through: int = 0


def evolve(encryption: Encryption, event: e.EncryptionEvent) -> Encryption:
    """Never refuse an event: an old stream must load under new rules."""
    return Encryption(event.reached, event.through) if isinstance(event, e.EventsEncrypted) else encryption


def decide(encryption: Encryption, command: e.EncryptionCommand) -> Iterator[e.EncryptionEvent]:
    """Raise Refused if another record has come between, or says otherwise where encryption began."""
    match command:
        case e.RecordEncryption() if command.reached > max(encryption.reached, command.previous):
            if command.previous < encryption.reached:
                raise Refused(
                    OperationsRefusal.ENCRYPTED_MEANWHILE,
                    f"events up to position {encryption.reached} are recorded already, and this begins after "
                    f"{command.previous}; go on from there",
                )
            if command.reached > command.through or encryption.through not in (0, command.through):
                raise Refused(
                    OperationsRefusal.ENCRYPTED_MEANWHILE,
                    f"records name events up to position {encryption.through or command.through}, and this one is up "
                    f"to {command.reached} of {command.through}; read again how far they are",
                )
            yield e.EventsEncrypted(**command.model_dump())


decider: Decider[Encryption] = Decider(
    "encryption", Encryption(), evolve, decide, accepts=(e.RecordEncryption,), emits=(e.EventsEncrypted,)
)
