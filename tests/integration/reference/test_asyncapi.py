"""The AsyncAPI document describes every topic, and is what its specification says such a document is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft7Validator
from platformdirs import user_cache_path

from oms_es.app.workers import STATES, topics
from oms_es.kafka.client import Topic
from oms_es.reference import asyncapi
from oms_es.reference.json_schemas import messages
from oms_es.schemas.topics import CHANNEL_ORDERS
from repository import ROOT

NPM_PROJECT = ROOT / "ops" / "asyncapi"
NPM_SECONDS_MAX = 120
DOCUMENT = asyncapi.document(messages(), "1.2.3")


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from (part["$ref"],) if "$ref" in part else ()
        for inner in part.values():
            yield from references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references(inner)


def test_every_topic_is_a_channel_with_its_kafka_binding_and_operation() -> None:
    channels, operations = DOCUMENT["channels"], DOCUMENT["operations"]
    assert set(channels) == set(operations) == {asyncapi.OWN_TOPIC, *(topic.name for topic in topics())}
    assert channels[asyncapi.OWN_TOPIC]["messages"] == channels[CHANNEL_ORDERS]["messages"]
    assert operations[asyncapi.OWN_TOPIC]["action"] == "receive"
    for topic in topics():
        binding = channels[topic.name]["bindings"]["kafka"]
        assert binding["partitions"] == topic.partitions
        assert binding["topicConfiguration"] == {"cleanup.policy": ["compact" if topic.compacted else "delete"]}
        assert operations[topic.name]["action"] == ("receive" if topic.name == CHANNEL_ORDERS else "send")


def test_compacted_topics_have_tombstones() -> None:
    for state in STATES:
        assert set(DOCUMENT["channels"][state.topic]["messages"]) == {state.type, f"{state.type}Removed"}
        assert DOCUMENT["components"]["messages"][f"{state.type}Removed"]["payload"] == {"type": "null"}


def test_a_topic_on_which_no_one_has_said_what_is_sent_is_refused() -> None:
    with pytest.raises(ValueError, match=r"say in .*asyncapi what is on oms\.new"):
        asyncapi._channel(Topic("oms.new", 3, compacted=False), [])


def test_every_reference_leads_somewhere() -> None:
    found = list(references(DOCUMENT))
    assert len(found) > len(DOCUMENT["channels"])
    for reference in found:
        if reference.startswith("#/"):
            part = DOCUMENT
            for name in reference.removeprefix("#/").split("/"):
                part = part[name]
        else:
            assert (ROOT / "docs" / "reference" / reference).exists(), reference


@pytest.fixture(scope="module")
def specification() -> Any:
    """Return the JSON Schema of AsyncAPI 3.0, which npm fetches the first time."""
    kept = user_cache_path("oms-es", ensure_exists=True) / "asyncapi"
    found = kept / "node_modules" / "@asyncapi" / "specs" / "schemas" / "3.0.0-without-$id.json"
    if not found.exists():
        npm = shutil.which("npm")
        fetched = npm and subprocess.run(
            [npm, "ci", "--ignore-scripts", "--prefix", shutil.copytree(NPM_PROJECT, kept, dirs_exist_ok=True)],
            capture_output=True,
            text=True,
            check=False,
            timeout=NPM_SECONDS_MAX,
        )
        if not found.exists():
            why = f"NO AsyncAPI schema: {fetched.stderr if fetched else 'npm is not installed'}"
            if os.environ.get("OMS_TEST_NPM_REQUIRED"):
                pytest.fail(why)
            pytest.skip(why)
    return json.loads(found.read_text())


def test_the_document_is_valid_asyncapi(specification: Any) -> None:
    Draft7Validator(specification).validate(DOCUMENT)


def test_an_invalid_document_is_reported_from_it(specification: Any) -> None:
    assert not Draft7Validator(specification).is_valid({**DOCUMENT, "channels": {"a": {"adress": "a"}}})
