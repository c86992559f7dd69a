"""Every refusal of this family: its stable code, what it means, and what to do next."""

from __future__ import annotations

from oms_es.errors import Refusal


class OperationsRefusal(Refusal):
    """What the inbox of exceptions refuses."""

    ALREADY_RESOLVED = (
        "already_resolved",
        "The exception was resolved before, otherwise.",
        "Nothing: see who resolved it, and how, with `oms-es exceptions show`.",
    )
