"""Whether a command for one of several orders would be refused, and one refusal that names several of them."""

from __future__ import annotations

from collections.abc import Sequence

from oms_es.app.engine import Runtime
from oms_es.kernel import Command, Refused

REFUSED_MAX = 5
"""Refusals that are named in the error."""


def refusal(runtime: Runtime, command: Command) -> Refused | None:
    try:
        runtime.store.preview(command)
    except Refused as refused:
        return refused
    return None


def refusal_of(refused: Sequence[Refused]) -> Refused:
    """Return one for all of them, with the reason of the first."""
    more = f"; and {len(refused) - REFUSED_MAX} more" if len(refused) > REFUSED_MAX else ""
    return Refused(refused[0].reason, "; ".join(one.detail for one in refused[:REFUSED_MAX]) + more)
