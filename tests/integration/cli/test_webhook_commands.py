"""The commands of the how-to pages on webhooks work as written, and their refusals are tested."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from conftest import fresh_database
from oms_es.app import Engine, migrate
from oms_es.cli.main import app
from oms_es.database.embedded import EmbeddedPostgres
from repository import ROOT

PAGES = ("receive-webhooks", "send-webhooks")


@pytest.fixture(scope="module")
def url(embedded_server: EmbeddedPostgres) -> Iterator[str]:
    with fresh_database(embedded_server) as made:
        migrate(made)
        yield made


def said(url: str, command: str, given: str = "", code: int = 0) -> str:
    done = CliRunner().invoke(app, shlex.split(command), input=given, env={"OMS_DATABASE_URL": url})
    assert done.exit_code == code, (command, done.output, done.exception)
    return done.stdout


def followed(url: str) -> None:
    """Run an engine until the read models have reached the end of the log."""
    with Engine(url, simulated=False) as engine:
        while engine.loop.iterate():
            pass


def commands_of(page: str) -> Iterator[str]:
    text = (ROOT / "docs" / "howto" / f"{page}.md").read_text()
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        yield from (line.removeprefix("$ oms-es ") for line in block.splitlines() if line != "$ oms-es deliver")


@pytest.mark.parametrize("page", PAGES)
def test_the_page_can_be_typed(url: str, page: str) -> None:
    commands = list(commands_of(page))
    assert len(commands) >= 2
    for command in commands:
        assert said(url, command) or command.split()[1] in ("enable", "disable")
        followed(url)


def test_secrets_are_shown_once_and_never_listed(url: str) -> None:
    made = json.loads(said(url, "connections create once --dialect canonical --json"))
    given = said(url, "connections create given --dialect stripe --secret-stdin --json", "whsec_given\n")
    sub = json.loads(said(url, "subscriptions create once https://crm.example --type OrderShipped --json"))
    followed(url)
    rotated = said(url, "connections rotate once").strip()
    followed(url)
    listed = said(url, "connections list --json") + said(url, "subscriptions list --json")
    assert made["secret"].startswith("whsec_")
    assert rotated != made["secret"]
    assert "secret" not in json.loads(given)
    for secret in (made["secret"], rotated, sub["secret"], "whsec_given"):
        assert secret not in listed


@pytest.mark.parametrize(
    "command",
    [
        "connections create Up --dialect shopify --secret-stdin",
        "connections create x --dialect shop",
        "connections create x --dialect shopify",
        "connections create x --dialect woocommerce",
        "connections create x --dialect stripe --channel web --secret-stdin",
        "subscriptions create x ftp://crm.example --type OrderShipped",
        "subscriptions create x https://crm.example --type OrderSailed",
    ],
)
def test_what_cannot_be_is_refused(url: str, command: str) -> None:
    done = CliRunner().invoke(app, shlex.split(command), input="s\n", env={"OMS_DATABASE_URL": url})
    assert done.exit_code, command
    assert "x" not in {one["name"] for one in json.loads(said(url, "connections list --json"))}


def test_a_connection_is_ended_and_taken_back(url: str) -> None:
    said(url, "connections create ended --dialect easypost")
    said(url, "connections disable ended")
    followed(url)
    (ended,) = (one for one in json.loads(said(url, "connections list --json")) if one["name"] == "ended")
    assert ended["is_disabled"]
    said(url, "connections enable ended")
