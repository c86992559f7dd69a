"""The OpenAPI document describes what is served, and the how-to page on HTTP works as written."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from pydantic_core import to_json

from http_server import Served
from oms_es.http.app import all_routes
from oms_es.http.openapi import document, promises
from oms_es.reference.compatibility import problems

PAGE = Path(__file__).parents[3] / "docs" / "howto" / "use-http.md"
DOCUMENT = json.loads(to_json(document(all_routes())))
OPERATIONS = [
    (path, method, operation) for path, found in DOCUMENT["paths"].items() for method, operation in found.items()
]


def whole(schema: Any) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": DOCUMENT["components"]})


def test_every_example_is_what_its_schema_allows() -> None:
    checked = 0
    for path, method, operation in OPERATIONS:
        for media, content in operation.get("requestBody", {}).get("content", {}).items():
            Draft202012Validator.check_schema(content["schema"])
            if media == "application/json":
                errors = list(whole(content["schema"]).iter_errors(content["example"]))
                assert not errors, (method, path, errors)
                checked += 1
    assert checked > 100


def test_every_reference_is_there_and_every_operation_has_one_scope() -> None:
    found = set(re.findall(r'"#/components/schemas/([^"]+)"', str(DOCUMENT).replace("'", '"')))
    assert found <= set(DOCUMENT["components"]["schemas"])
    assert len({operation["operationId"] for _, _, operation in OPERATIONS}) == len(OPERATIONS)
    assert all(len(operation["security"]) <= 1 for _, _, operation in OPERATIONS)


def test_whether_a_change_breaks_anybody_can_be_reported_of_every_body_and_answer() -> None:
    for name, _, _, schema in promises(all_routes()):
        assert not list(problems(schema, schema)), name


def test_the_document_is_served_and_a_page_of_it_that_needs_nothing_else(served: Served) -> None:
    with served.client(None) as client:
        assert client.get("/openapi.json").json() == DOCUMENT
        page = client.get("/docs")
    assert page.status_code == 200
    assert "/v1/orders/{order}:cancel" in page.text
    assert not re.search(r"(src|href)=\"?(https?:)?//", page.text)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


def test_answers_are_what_the_document_says(client: httpx.Client) -> None:
    for path, method, operation in OPERATIONS:
        schema = operation["responses"]["200"]["content"].get("application/json") if method == "get" else None
        if schema and "{" not in path:
            answer = client.get(path)
            assert answer.status_code == 200, path
            errors = list(whole(schema["schema"]).iter_errors(answer.json()))
            assert not errors, (path, errors[:2])


@pytest.mark.parametrize("number", range(len(re.findall(r"^```sh$", PAGE.read_text(), re.MULTILINE))))
def test_every_example_of_the_page_works(served: Served, number: int) -> None:
    with served.client() as client:
        client.post("/v1/locations/berlin:open", json={"country": "DE"})
    script = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)[number]
    environment = {**os.environ, "OMS": served.url, "KEY": served.tokens["operator"]}
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout
    refused = [one for one in re.findall(r'"status": ?(\d+)', ran.stdout) if int(one) >= 400]
    assert not refused, ran.stdout
    if "W-2001" in script and "streams" in script:
        assert "event: order.status" in ran.stdout.replace("\r", "")
