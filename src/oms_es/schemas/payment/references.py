"""Whose a provider's name of a thing is. Invariant: of one payment, by whichever door its reports come.

These classes are the storage format. An event's name and meaning never change; a new meaning is a new event.
"""

from __future__ import annotations

from collections.abc import Iterable

from oms_es.kernel import Event, SystemCommand
from oms_es.schemas.values.types import Identifier

CLAIMS = "REFERENCE"
"""In a stream's name the place of the provider, of which none is written so."""


class ClaimReference(SystemCommand):
    """A payment rests on what a provider calls so: no other payment may."""

    reference: Identifier
    payment_id: Identifier

    @property
    def stream(self) -> str:
        return f"provider-{CLAIMS}/{self.reference}"


class ReferenceClaimed(Event):
    """From now on it is of this payment alone."""

    reference: str
    payment_id: str


def claims(payment_id: str, references: Iterable[str]) -> tuple[ClaimReference, ...]:
    """Of a reference that is made of several, as `<charge>/<capture>`, the first: by that the provider names it."""
    names = dict.fromkeys(name for one in references if (name := one.partition("/")[0]))
    return tuple(ClaimReference(reference=name, payment_id=payment_id) for name in names)
