"""A channel's policy for returns; each version is an event.

These classes are the storage format. An event's name and meaning never change; a new meaning is a new event.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from oms_es.kernel import Command, Event
from oms_es.schemas.returns.rma import Terms

EVERY_CHANNEL = "*"


class SetReturnPolicy(Command):
    """Set the return policy of a channel's orders, or (`*`) of every channel that has no policy of its own."""

    channel: Annotated[str, StringConstraints(pattern=r"^(\*|[a-z0-9][a-z0-9._-]{0,63})$")]
    terms: Terms

    @property
    def stream(self) -> str:
        return f"policy-{self.channel}"


class ReturnPolicySet(Event):
    channel: str
    terms: Terms
