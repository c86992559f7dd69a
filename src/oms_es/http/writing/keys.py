"""Keys over HTTP: create, rotate and revoke. A secret is shown once, to the caller who asked for it.

Invariant: no caller can give more rights than its own: a key that is created or rotated has at most the caller's
scopes. Only the hash of a secret is stored, and nothing of it is logged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import structlog
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from oms_es.http.access import KEYS, ROLES, SCOPES, Caller, channels_of, with_included
from oms_es.http.errors import BadParameter, Forbidden, NoResource
from oms_es.http.requests import Asked
from oms_es.http.routing import Body, Route
from oms_es.schemas.values.types import ShortName
from oms_es.store.http import api_keys
from oms_es.store.http.api_keys import ApiKey, Made

NAMES_MAX = 50
DAYS_MAX = 3_650
OVERLAP_HOURS_MAX = 720
OVERLAP_HOURS = 24
FOR_ALL = "keys are for all channels"

log = structlog.get_logger(__name__)


class Making(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    label: Annotated[str, StringConstraints(min_length=1, max_length=api_keys.LABEL_LENGTH_MAX, pattern=r"^[ -~]+$")]
    """Whom or what the key is for."""
    roles: Annotated[tuple[str, ...], Field(max_length=NAMES_MAX)] = ()
    """The key's rights as roles, which are bundles of scopes."""
    scopes: Annotated[tuple[str, ...], Field(max_length=NAMES_MAX)] = ()
    """The key's rights as single scopes."""
    channels: Annotated[tuple[ShortName, ...], Field(max_length=NAMES_MAX)] = ()
    """The channels that the key is limited to. `["*"]` is every channel, as is an empty list with roles that need no
    channels."""
    days: Annotated[int | None, Field(ge=1, le=DAYS_MAX)] = None
    """Days until the key expires; without it, the key is valid until it is revoked."""


class Rotating(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    overlap_hours: Annotated[int, Field(ge=0, le=OVERLAP_HOURS_MAX)] = OVERLAP_HOURS
    """Hours for which the previous secret stays valid."""


async def list_keys(asked: Asked) -> Response:
    """Answer with all keys, the newest first, including those that are no longer valid."""
    asked.caller.require_all_channels(FOR_ALL)
    found = await asked.read(api_keys.listed)
    return asked.json({"items": [_shown(one) for one in found], "next": None})


async def make(asked: Asked) -> Response:
    """Create a key. Raise BadParameter or Forbidden."""
    body = Making.model_validate_json(await asked.json_body())
    caller, now = asked.caller, datetime.now(UTC)
    caller.require_all_channels(FOR_ALL)
    scopes = _scopes(body)
    _require_own(caller, scopes)
    channels = _channels(body)
    made = await run_in_threadpool(
        asked.services.write,
        lambda connection: api_keys.create(
            connection,
            label=body.label,
            scopes=sorted(scopes),
            channels=channels,
            expires_at=now + timedelta(days=body.days) if body.days else None,
            now=now,
            created_by=caller.actor,
        ),
    )
    log.info("key made", key=made.key.key_id, actor=caller.actor)
    return _with_secret(asked, made, 201)


def _scopes(body: Making) -> frozenset[str]:
    """Return the scopes that the body names, singly and by roles. Raise BadParameter for an unknown one, or if there is
    none."""
    for one in body.roles:
        if one not in ROLES:
            raise BadParameter("roles", f"write some of {', '.join(ROLES)}")
    for one in body.scopes:
        if one not in SCOPES:
            raise BadParameter("scopes", f"write some of {', '.join(SCOPES)}")
    found = frozenset(body.scopes).union(*(ROLES[one] for one in body.roles))
    if not found:
        raise BadParameter("scopes", "name its rights, with roles or scopes")
    return found


def _channels(body: Making) -> list[str] | None:
    """Return the channels of the new key, or None for all. Raise BadParameter."""
    try:
        return channels_of(body.roles, body.channels)
    except ValueError as error:
        raise BadParameter("channels", str(error)) from None


def _require_own(caller: Caller, scopes: frozenset[str]) -> None:
    """Raise Forbidden if the scopes exceed the caller's own."""
    if more := sorted(with_included(scopes) - caller.scopes):
        raise Forbidden(
            f"it would have rights that your key does not have, such as {more[0]}; ask a person whose key has them"
        )


async def rotate(asked: Asked) -> Response:
    """Give the key a new secret; the previous one stays valid for a while. Raise NoResource or Forbidden."""
    body = Rotating.model_validate_json(await asked.json_body())
    now, key = datetime.now(UTC), await _named(asked)
    _require_own(asked.caller, frozenset(key.scopes))
    until = now + timedelta(hours=body.overlap_hours)
    made = await run_in_threadpool(
        asked.services.write, lambda connection: api_keys.rotate(connection, key.key_id, until, now)
    )
    if made is None:
        raise NoResource("the key is revoked or has expired; make another")
    log.info("key rotated", key=key.key_id, actor=asked.caller.actor)
    return _with_secret(asked, made, 200)


async def revoke(asked: Asked) -> Response:
    """Revoke the key for ever; servers refuse it within seconds. Raise NoResource."""
    await asked.json_body()
    key, now = await _named(asked), datetime.now(UTC)
    gone = await run_in_threadpool(
        asked.services.write, lambda connection: api_keys.revoke(connection, key.key_id, now)
    )
    log.info("key revoked", key=key.key_id, actor=asked.caller.actor)
    return asked.json(_shown(gone or key))


async def _named(asked: Asked) -> ApiKey:
    """Return the key that the path names. Raise NoResource or Forbidden."""
    asked.caller.require_all_channels(FOR_ALL)
    found = await asked.read(lambda connection: api_keys.named(connection, asked.values["key"]))
    if found is None:
        raise NoResource("there is no such key; GET /v1/keys lists all")
    return found


def _shown(key: ApiKey) -> dict[str, Any]:
    shown = key.shown()
    return {name: shown[name] for name in KEY["properties"]}


def _with_secret(asked: Asked, made: Made, status: int) -> Response:
    return asked.json({**_shown(made.key), "token": made.token}, status)


TEXT: Mapping[str, Any] = {"type": "string"}
NAMES: Mapping[str, Any] = {"type": "array", "items": TEXT}
MOMENT: Mapping[str, Any] = {"type": "string", "format": "date-time"}
OR_NONE: Mapping[str, Any] = {"anyOf": [MOMENT, {"type": "null"}]}
KEY: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        **dict.fromkeys(("key_id", "label", "created_by"), TEXT),
        "scopes": NAMES,
        "channels": {"anyOf": [NAMES, {"type": "null"}]},
        "created_at": MOMENT,
        **dict.fromkeys(("expires_at", "revoked_at", "previous_until"), OR_NONE),
    },
}
WITH_SECRET: Mapping[str, Any] = {
    **KEY,
    "properties": {**KEY["properties"], "token": {**TEXT, "description": "The key, shown this once."}},
    "required": ["key_id", "token"],
}
NOTHING = Body(lambda: {"type": "object", "maxProperties": 0}, dict)
ONE = "/v1/keys/{key}"
ROUTES: Sequence[Route] = (
    Route(
        "GET",
        "/v1/keys",
        "list-keys",
        "Keys, the newest first, without their secrets.",
        KEYS,
        list_keys,
        answer={
            "type": "object",
            "properties": {"items": {"type": "array", "items": KEY}, "next": {"type": "null"}},
            "required": ["items", "next"],
        },
        answers={200: "They are these."},
        tag="operations",
    ),
    Route(
        "POST",
        "/v1/keys",
        "make-key",
        "Make a key, which is shown once. It has at most the caller's rights.",
        KEYS,
        make,
        (),
        Body(Making.model_json_schema, lambda: {"label": "web shop", "roles": ["channel"], "channels": ["web"]}),
        answers={201: "It is made."},
        answer=WITH_SECRET,
        tag="operations",
    ),
    Route(
        "POST",
        f"{ONE}:rotate",
        "rotate-key",
        "Give a key a new secret, which is shown once.",
        KEYS,
        rotate,
        (),
        Body(Rotating.model_json_schema, dict),
        answers={200: "It has another.", 404: "There is no such key that is good."},
        answer=WITH_SECRET,
        tag="operations",
    ),
    Route(
        "POST",
        f"{ONE}:revoke",
        "revoke-key",
        "Revoke a key for ever; servers refuse it within seconds.",
        KEYS,
        revoke,
        (),
        NOTHING,
        answers={200: "It is revoked, or was before.", 404: "There is no such key."},
        answer=KEY,
        tag="operations",
    ),
)
