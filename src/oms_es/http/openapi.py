"""The OpenAPI 3.1 document, generated from the routes, and a page for people that loads nothing from other servers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from html import escape
from importlib.metadata import version
from typing import Any

from pydantic_core import to_json
from starlette.responses import Response

from oms_es.http.access import SCOPES, SYSTEM
from oms_es.http.examples import NO_ID, PATH
from oms_es.http.requests import JSON, Asked
from oms_es.http.routing import Parameter, Route

REFERENCES = "#/components/schemas/"
PROBLEM_TYPE = "application/problem+json"
PROBLEM: Mapping[str, Any] = {
    "type": "object",
    "description": "RFC 9457. What was sent is never repeated.",
    "properties": {
        "type": {"type": "string", "description": "Where the reason is explained."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "reason": {"type": "string", "description": "Stable, for programs."},
        "detail": {"type": "string", "description": "What to do next, for people."},
        "request_id": {"type": "string", "description": "As the header Oms-Request-Id."},
        "version": {"type": "integer", "description": "Of 412: which it is now."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "pointer": {"type": "string", "description": "JSON Pointer into what was sent."},
                    "parameter": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
    "required": ["type", "title", "status", "reason", "detail", "request_id"],
}
OF_COMMANDS = (
    (
        "Idempotency-Key",
        "A name for this request: a repetition under the same name gets the same answer, and changes nothing.",
        r"^[\x21-\x7e]{1,255}$",
    ),
    ("If-Match", "The version that the stream must have, as in an ETag.", r'^"(0|[1-9][0-9]{0,17})"$'),
)
OF_READS = (
    "Oms-Min-Position",
    "Wait until the answer includes the position that an earlier answer gave as Oms-Position.",
    r"^(0|[1-9][0-9]{0,17})$",
)


def document(routes: Iterable[Route]) -> dict[str, Any]:
    schemas: dict[str, Any] = {"Problem": dict(PROBLEM)}
    paths: dict[str, dict[str, Any]] = {}
    ordered = sorted(routes, key=lambda route: (route.path, route.method))
    for route in ordered:
        operation = _operation(route, schemas)
        if links := dict(_links(route, ordered)):
            for status in (one for one in operation["responses"] if one.startswith("2")):
                operation["responses"][status]["links"] = links
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "oms-es",
            "version": version("oms-es"),
            "description": "Orders and every other command, read models, events and live streams. Additive only: what "
            "is here stays; readers ignore what they do not know.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Scopes: " + " ".join(f"`{name}`: {what}" for name, what in SCOPES.items()),
                }
            },
        },
    }


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": list(_parameters(route)),
    }
    if route.body:
        schema, example = _lifted(route.body.schema(), schemas), route.body.example()
        content = {media: {"schema": schema, "example": example} for media in route.body.media_types if media == JSON}
        content |= {media: {"schema": {"type": "string"}} for media in route.body.media_types if media != JSON}
        operation["requestBody"] = {"required": True, "content": content}
    operation["responses"] = dict(_responses(route))
    operation["security"] = [] if route.scope is None else [{"key": [route.scope]}]
    if route.scope is not None:
        operation["description"] = f"Needs the scope `{route.scope}`."
    return operation


def _links(route: Route, routes: Iterable[Route]) -> Iterator[tuple[str, Any]]:
    """Yield the links of a route: after an order was placed, all requests about it; after another command, those that
    read."""
    if not route.is_command or route.path.endswith(":batch"):
        return
    names = {part[1:-1]: f"$request.path.{part[1:-1]}" for part in route.segments if part.startswith("{")}
    is_new = route.path == "/v1/orders"
    parameters = {"order": "$response.body#/order_id"} if is_new else names
    for other in routes:
        asked = {part[1:-1] for part in other.segments if part.startswith("{")}
        is_of_it = other.segments[:2] == route.segments[:2] and asked == parameters.keys() and asked
        if is_of_it and (is_new or other.method == "GET") and not other.is_stream:
            yield other.name, {"operationId": other.name, "parameters": dict(parameters)}


def _lifted(schema: Mapping[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """Move the schema's definitions into the shared `schemas` and return the rest; one name must mean one shape."""
    left = dict(schema)
    for name, shape in left.pop("$defs", {}).items():
        assert schemas.setdefault(name, shape) == shape, f"two shapes are called {name}"
    return left


def _parameters(route: Route) -> Iterator[dict[str, Any]]:
    for part in route.segments:
        if part.startswith("{"):
            name = part[1:-1]
            schema = {"type": "string", "minLength": 1, **_stated(route.path_schemas.get(name, {}))}
            yield {"name": name, "in": "path", "required": True, "schema": schema, "example": _example(name, schema)}
    for parameter in route.parameters:
        yield _query(parameter)
    headers = OF_COMMANDS if route.is_command and not route.path.endswith(":batch") else ()
    for name, what, pattern in (*headers, *((OF_READS,) if route.reads else ())):
        yield {"name": name, "in": "header", "description": what, "schema": {"type": "string", "pattern": pattern}}


def _example(name: str, schema: Mapping[str, Any]) -> Any:
    if schema["type"] == "integer":
        return 1
    return {"date": "2026-01-05", "date-time": "2026-01-05T12:00:00Z", "uuid": NO_ID}.get(
        schema.get("format", ""), PATH.get(name, "a")
    )


def _stated(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema without its title, which only repeats the name."""
    return {name: value for name, value in schema.items() if name != "title"}


def _query(parameter: Parameter) -> dict[str, Any]:
    schema = {"type": "array", "items": parameter.schema} if parameter.many else parameter.schema
    return {"name": parameter.name, "in": "query", "description": parameter.description, "schema": schema}


def _responses(route: Route) -> Iterator[tuple[str, Any]]:
    problem = {PROBLEM_TYPE: {"schema": {"$ref": f"{REFERENCES}Problem"}}}
    for status, what in route.answers.items():
        plain = status < 400 or route.media == "text/plain"  # noqa: PLR2004 - where errors begin
        content = {route.media: {"schema": route.answer}} if plain else problem
        yield str(status), {"description": what, "content": content}
    yield "default", {"description": "A problem: `reason` says which, `detail` what to do next.", "content": problem}


@cache
def _made() -> dict[str, Any]:
    from oms_es.http.app import all_routes

    return document(all_routes())


async def show_document(_: Asked) -> Response:
    return Response(to_json(_made()), headers={"Cache-Control": "max-age=300"}, media_type=JSON)


async def show_page(_: Asked) -> Response:
    policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
    return Response(_page(), headers={"Content-Security-Policy": policy}, media_type="text/html; charset=utf-8")


@cache
def _page() -> str:
    made = _made()
    by_tag: dict[str, list[str]] = {}
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            by_tag.setdefault(operation["tags"][0], []).append(_shown(method.upper(), path, operation))
    index = " ".join(f'<a href="#{escape(tag)}">{escape(tag)}</a>' for tag in by_tag)
    parts = [f'<h2 id="{escape(tag)}">{escape(tag)}</h2>{"".join(found)}' for tag, found in by_tag.items()]
    return PAGE.replace("{index}", index).replace("{body}", "".join(parts))


def _shown(method: str, path: str, operation: Mapping[str, Any]) -> str:
    parts = [f"<p>{escape(operation.get('description', 'Open to everybody.'))}</p>"]
    if named := operation["parameters"]:
        rows = "".join(
            f"<tr><td><code>{escape(one['name'])}</code><td>{one['in']}<td>{escape(one.get('description', ''))}"
            for one in named
        )
        parts.append(f"<table>{rows}</table>")
    if body := operation.get("requestBody"):
        media, content = next(iter(body["content"].items()))
        example = json.dumps(content.get("example"), ensure_ascii=False)
        sent = f"--json '{example}'" if media == JSON else f"-H 'Content-Type: {media}' --data-binary @FILE"
        curl = f'curl -X {method} "$OMS{path}" -H "Authorization: Bearer $KEY" \\\n  {sent}'
        parts.append(f"<pre>{escape(curl)}</pre><pre>{escape(json.dumps(content['schema'], indent=1))}</pre>")
    answers = "".join(
        f"<tr><td>{status}<td>{escape(one['description'])}" for status, one in operation["responses"].items()
    )
    summary = f"<summary><b>{method}</b> <code>{escape(path)}</code> {escape(operation['summary'])}</summary>"
    return f"<details>{summary}{''.join(parts)}<table>{answers}</table></details>"


PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>oms-es: HTTP</title>
<meta name="viewport" content="width=device-width,initial-scale=1"><style>
:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1.5rem}
details{border-bottom:1px solid #8884;padding:.35rem 0}summary{cursor:pointer}
pre{overflow:auto;background:#8882;padding:.7rem}
td{padding:.1rem .7rem .1rem 0;vertical-align:top}nav a{margin-right:.7rem}
</style></head><body><h1>oms-es over HTTP</h1>
<p>The document for programs: <a href="/openapi.json">openapi.json</a> (OpenAPI 3.1).</p>
<nav>{index}</nav>{body}</body></html>"""
ROUTES = (
    Route(
        "GET",
        "/openapi.json",
        "openapi",
        "This interface as an OpenAPI document, for programs.",
        None,
        show_document,
        tag="health",
    ),
    Route(
        "GET", "/docs", "docs", "This interface as a page for people.", None, show_page, tag="health", media="text/html"
    ),
)


def promises(routes: Sequence[Route]) -> Iterator[tuple[str, bool, str, Mapping[str, Any]]]:
    """Yield what clients rely on, for each body and answer: its name, whether it is received, its route and
    its schema."""
    for route in routes:
        if route.scope == SYSTEM:
            continue  # what only the engine gives is not promised to clients
        place = f"{route.method} {route.path}"
        if route.body:
            yield f"{route.name} body", True, place, _closed(route.body.schema())
        if route.media == JSON and route.scope is not None:
            yield f"{route.name} answer", False, place, _closed(route.answer)


def _closed(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema with references that resolve within it."""
    found: Mapping[str, Any] = json.loads(json.dumps(schema).replace(REFERENCES, "#/$defs/"))
    return found
