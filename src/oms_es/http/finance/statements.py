"""Import of statements over HTTP: a file is sent as it is, and read by the same code as in the terminal.

Invariant: a file that is refused leaves no event; a file that was imported before changes nothing, and the answer says
so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from starlette.responses import Response

from oms_es.app import Runtime
from oms_es.app.finance.reconciling import File, Taken, import_statements
from oms_es.http.background import Progress
from oms_es.http.errors import BadParameter
from oms_es.http.finance.asking import LATER, OF_NO_CHANNEL, answered, either
from oms_es.http.requests import Asked
from oms_es.http.routing import Body, Parameter, Route
from oms_es.schemas.values.types import SHORT_NAME_LENGTH_MAX
from oms_es.statements import FORMATS
from oms_es.statements.reading import BYTES_MAX, ENCODINGS, Options

WRITE = "finance:write"
BYTES = "application/octet-stream"
TEXT = "text/plain"
MAPPING_LENGTH_MAX = 4_000


class Imported(NamedTuple):
    taken: Sequence[Taken]

    @property
    def position(self) -> int | None:
        return max((one.position for one in self.taken if one.position is not None), default=None)


async def import_file(asked: Asked) -> Response:
    """Import the statement in the body. Raise BadInput, Refused, BadParameter or Busy."""
    asked.caller.require_all_channels(OF_NO_CHANNEL)
    written_as = asked.one("format")
    if written_as is None or written_as not in FORMATS:
        raise BadParameter("format", f"write one of {', '.join(FORMATS)}")
    encoding = asked.one("encoding")
    if encoding is not None and encoding not in ENCODINGS:
        raise BadParameter("encoding", f"write one of {', '.join(ENCODINGS)}")
    mapping = asked.one("mapping")
    if mapping is not None and len(mapping) > MAPPING_LENGTH_MAX:
        raise BadParameter("mapping", f"it has {len(mapping):,} characters and may have {MAPPING_LENGTH_MAX:,}")
    asked.services.background.require_room(asked.caller.actor)
    content = await asked.body(BYTES, TEXT, bytes_max=BYTES_MAX)
    options = Options(encoding, mapping)
    account, statement_id, sha1 = (asked.one(name) for name in ("account", "statement_id", "sha1"))
    file = File(content, written_as, account, statement_id, sha1, options)
    url, actor = asked.services.parts.database_url, asked.caller.actor

    def do(_: Progress) -> Imported:
        with Runtime(url, simulated=False, answers_soon=True) as runtime:
            return Imported(import_statements(runtime, actor, file))

    return await answered(asked, file._replace(content=sha256(content).digest()), do, _shown)


def _shown(imported: Imported) -> Mapping[str, Any]:
    return {"statements": [one._asdict() for one in imported.taken]}


STATEMENT: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        **{name: {"type": "string"} for name in ("account", "statement_id", "currency", "opened_on", "closed_on")},
        "lines": {"type": "integer"},
        "outcome": {"enum": ["imported", "repeated"]},
        "position": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    },
    "required": ["account", "statement_id", "currency", "opened_on", "closed_on", "lines", "outcome", "position"],
}
ANSWER: Mapping[str, Any] = {
    "type": "object",
    "properties": {"statements": {"type": "array", "items": STATEMENT}},
    "required": ["statements"],
}
ROUTES: Sequence[Route] = (
    Route(
        "POST",
        "/v1/statements",
        "import-statement",
        "Import a statement of a bank or a payment provider: a file as it was sent.",
        WRITE,
        import_file,
        (
            Parameter("format", "The format of the file.", {"type": "string", "enum": list(FORMATS)}),
            Parameter(
                "account",
                "Our name of the account; without it, its number.",
                {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$"},
            ),
            Parameter(
                "statement_id",
                "The statement's id; without it, the one in the file.",
                {"type": "string", "minLength": 1, "maxLength": SHORT_NAME_LENGTH_MAX},
            ),
            Parameter(
                "encoding",
                "The encoding; only needed if the format's usual one is wrong.",
                {"type": "string", "enum": list(ENCODINGS)},
            ),
            Parameter(
                "mapping",
                "For CSV, a mapping of the columns in TOML. The whole query may have 8,192 bytes, percent-encoded.",
                {"type": "string", "maxLength": MAPPING_LENGTH_MAX},
            ),
            Parameter(
                "sha1",
                "The file's SHA-1, as the provider states it.",
                {"type": "string", "pattern": "^[0-9A-Fa-f]{40}$"},
            ),
        ),
        Body(lambda: {"type": "string"}, str, (BYTES, TEXT)),
        answers={
            200: "Each statement of it is imported, or was before.",
            202: LATER,
            409: "A statement of this id says something else.",
            422: "It does not add up, or is not of this format; the detail names the line and the difference.",
        },
        answer=either(ANSWER),
        tag="finance",
    ),
)
