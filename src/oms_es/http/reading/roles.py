"""The state of the engine over HTTP: each role's position and backlog, and why a stopped role stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from oms_es.http.requests import Asked
from oms_es.http.routing import Route
from oms_es.reports.operations.readers import standing


async def show_roles(asked: Asked) -> Response:
    asked.caller.require_all_channels("roles work for every channel")
    found = await asked.read(lambda connection: standing(connection, asked.services.interests))
    return asked.json(
        {
            "end": found.end,
            "published": found.published,
            "at_rest": not found.behind,
            "stopped": found.stopped,
            "roles": [reader._asdict() for reader in found.readers],
            "circuits": list(found.circuits),
        }
    )


REASONS: Mapping[str, Any] = {"type": "object", "additionalProperties": {"type": "string"}}
NUMBER: Mapping[str, Any] = {"type": "integer"}
ROLE: Mapping[str, Any] = {
    "type": "object",
    "properties": {"role": {"type": "string"}, "position": NUMBER, "behind": NUMBER, "stopped": REASONS},
    "required": ["role", "position", "behind", "stopped"],
}
CIRCUIT: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "gateway": {"type": "string"},
        "state": {"enum": ["closed", "open", "half_open"]},
        "since": {"type": "string", "format": "date-time"},
        "why": {"type": "string"},
    },
    "required": ["gateway", "state", "since", "why"],
}
ROUTES: Sequence[Route] = (
    Route(
        "GET",
        "/v1/roles",
        "list-roles",
        "Each role's position and backlog, and why a stopped role stopped.",
        "operations:read",
        show_roles,
        answer={
            "type": "object",
            "properties": {
                "end": {**NUMBER, "description": "The position at which the log ends."},
                "published": {"anyOf": [NUMBER, {"type": "null"}], "description": "Up to where Kafka has it."},
                "at_rest": {"type": "boolean"},
                "stopped": REASONS,
                "roles": {"type": "array", "items": ROLE},
                "circuits": {
                    "type": "array",
                    "items": CIRCUIT,
                    "description": "Gateways: asked, or not as they did not answer.",
                },
            },
            "required": ["end", "published", "at_rest", "stopped", "roles", "circuits"],
        },
        tag="operations",
    ),
)
