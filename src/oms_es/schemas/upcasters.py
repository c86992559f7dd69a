"""Upcasters: functions that read events of an older schema version. Each raises an event's body by one version.

Invariant: history is never rewritten; it is read in the current schema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from oms_es.errors import OmsError
from oms_es.exit_codes import Code

Body = dict[str, Any]
Upcaster = Callable[[Body], Body]
Upcasters = Mapping[tuple[str, int], Upcaster]
"""Upcasters by event name and the schema version that they read."""

UPCASTERS: Upcasters = {}


class UnknownVersion(OmsError):
    """The program cannot read a body: it was written by a newer program, or its upcaster is missing."""

    code = "unknown_event_version"
    exit_code = Code.NO_DATABASE
    status = HTTPStatus.SERVICE_UNAVAILABLE


def upcast(name: str, version: int, body: Body, *, upcasters: Upcasters, current: int) -> Body:
    """Return the body in the current schema version of its event. Raise UnknownVersion if it cannot be read."""
    if version > current:
        raise UnknownVersion(f"{name} v{version} was written by a newer program, this one knows v{current}: upgrade it")
    for step in range(version, current):
        upcaster = upcasters.get((name, step))
        if upcaster is None:
            raise UnknownVersion(f"{name} v{step} has no upcaster to v{step + 1}: add one to schemas/upcasters.py")
        body = upcaster(body)
    return body
