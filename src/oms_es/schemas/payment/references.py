"""The payment that a provider's reference belongs to. Invariant: one payment, however its reports arrive.

These classes are the storage format. An event's name and meaning never change; a new meaning is a new event.
"""

from __future__ import annotations

from collections.abc import Iterable

from oms_es.kernel import Event, SystemCommand
from oms_es.schemas.values.types import Identifier

CLAIMS = "REFERENCE"
"""Takes the place of the provider in the stream's name; no provider is written in capitals."""


class ClaimReference(SystemCommand):
    """Claim a provider's reference for a payment: no other payment may rest on it."""

    reference: Identifier
    payment_id: Identifier

    @property
    def stream(self) -> str:
        return f"provider-{CLAIMS}/{self.reference}"


class ReferenceClaimed(Event):
    """The reference belongs to this payment alone from now on."""

    reference: str
    payment_id: str


def claims(payment_id: str, references: Iterable[str]) -> tuple[ClaimReference, ...]:
    """Return the claims of a payment's references.

    A reference such as `<charge>/<capture>` is claimed by its first part, which is the provider's name.
    """
    names = dict.fromkeys(name for one in references if (name := one.partition("/")[0]))
    return tuple(ClaimReference(reference=name, payment_id=payment_id) for name in names)
