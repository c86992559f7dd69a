"""Documents: those of what a page is about, the download of one, and a form that adds and attaches another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from starlette.responses import Response

from oms_es.console.inside import at
from oms_es.console.pages.commands import Offer, offers_of
from oms_es.console.routes import form, page
from oms_es.console.visits import Visit, own_path
from oms_es.http.access import PERSONAL
from oms_es.http.errors import BadParameter
from oms_es.schemas.operations.document import KINDS
from oms_es.statements.invoices import WITHIN, XML

READ, WRITE = "documents:read", "documents:write"
SHOWN = "100"
READABLE = frozenset({XML, *WITHIN})
"""Media types that may hold an invoice that a program can read."""
ACTS = ("detach", "remove")


class Subject(NamedTuple):
    """Something of the page that a document may be attached to, and its name there."""

    entity: str
    entity_id: str
    label: str


class Papers(NamedTuple):
    """The documents of a page. `subjects`: empty if the person may not add any."""

    rows: Sequence[tuple[Mapping[str, Any], Sequence[Offer]]]
    subjects: Sequence[Subject]
    kinds: Sequence[str]
    back: str
    has_more: bool
    may_save: bool
    readable: frozenset[str] = READABLE


async def papers(visit: Visit, asked: Mapping[str, str], subjects: Sequence[Subject], back: str) -> Papers | None:
    """Return the documents, or None if the person may not see any. `asked`: the filter, as the API's list has it."""
    if visit.asked.caller.channels is not None or not visit.api.may(READ):
        return None
    found, _ = await visit.api.get_soon("/v1/documents", {**asked, "limit": SHOWN}, shows=visit.done)
    rows = [(row, _offers(visit, row, back)) for row in found["items"]]
    mine = subjects if visit.api.may(WRITE) else ()
    return Papers(rows, mine, KINDS, back, has_more=found["next"] is not None, may_save=visit.api.may(PERSONAL))


def _offers(visit: Visit, row: Mapping[str, Any], back: str) -> Sequence[Offer]:
    named = {name: row[name] for name in ("sha256", "entity", "entity_id")}
    return offers_of(visit, "documents", ACTS, named, back)


async def save(visit: Visit) -> Response:
    return await visit.api.whole(at("v1", "documents", visit.values["sha256"]))


async def read(visit: Visit) -> Response:
    """Parse the stored invoice. Raise what the API raises."""
    _, done = await visit.api.post(at("v1", "documents", visit.values["sha256"], verb="read"), {})
    return visit.go(urlsplit(own_path(visit.form.get("next"))).path, done=done["position"] or 0)


async def add(visit: Visit) -> Response:
    """Store a file and attach it. Raise what the API raises; if only attaching fails, the bytes stay stored for a
    while."""
    if not visit.file:
        raise BadParameter("file", "choose the file")
    entity, _, entity_id = visit.form.get("subject", "").partition(" ")
    given = {name: value for name in ("kind", "reference", "keep_until") if (value := visit.form.get(name, "").strip())}
    _, kept = await visit.api.send("/v1/documents", visit.file)
    path = at("v1", "documents", kept["sha256"], verb="attach")
    _, done = await visit.api.post(path, {"entity": entity, "entity_id": entity_id, **given})
    return visit.go(urlsplit(own_path(visit.form.get("next"))).path, done=done["position"] or 0)


ROUTES = (
    page("/documents/{sha256}", "document", PERSONAL, save),
    form("/documents/{sha256}/read", "document-read", WRITE, read),
    form("/documents", "document-add", WRITE, add, takes_file=True),
)
