"""One server for all tests of a process: a real one, in a process of its own, on a database of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Thread
from typing import Any, NamedTuple

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from conftest import fresh_database
from identity_provider import AUDIENCE, CLIENT, CLIENT_SECRET, IdentityProvider, identity_provider
from oms_es.app import migrate
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.http.access import ROLES
from oms_es.store.http import api_keys
from oms_es.store.privacy import wrapping

SECONDS_MAX = 60
LINES_KEPT = 0
MAIN = "from oms_es.cli.main import main; raise SystemExit(main())"


class Served(NamedTuple):
    """A running server. `tokens`: a key for each role, and further keys by a name that says what they are."""

    process: subprocess.Popen[str]
    url: str
    database_url: str
    tokens: Mapping[str, str]
    provider: IdentityProvider

    def client(self, role: str | None = "operator", **options: Any) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.tokens[role]}"} if role else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, **options)


def token(
    database_url: str, label: str, scopes: Sequence[str], channels: Sequence[str] | None = None, **more: Any
) -> str:
    with psycopg.connect(database_url, row_factory=dict_row, autocommit=True) as connection:
        given = {"expires_at": None, "now": datetime.now(UTC), "created_by": "test", **more}
        return api_keys.create(connection, label=label, scopes=scopes, channels=channels, **given).token


@contextmanager
def serving(
    database_url: str, *arguments: str, main: str = MAIN, **settings: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a server for the context; it is killed at the end if it still runs. `main`: the program."""
    environment = {
        **os.environ,
        "OMS_DATABASE_URL": database_url,
        "OMS_HTTP_PORT": "0",
        "OMS_HTTP_RATE_PER_SECOND": "100000",
        **settings,
    }
    command = [sys.executable, "-c", main, "serve", *arguments]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            said = []
            for line in process.stderr:
                said.append(line)
                if found := re.search(r"API at (http://\S+)/docs", line):
                    break
            else:
                pytest.fail("".join(said))
            # a full pipe would block the server
            Thread(target=deque, args=[process.stderr, LINES_KEPT], daemon=True).start()
            yield process, found[1]
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(SECONDS_MAX)


def keys_for(database_url: str) -> dict[str, str]:
    tokens = {role: token(database_url, role, sorted(scopes)) for role, scopes in ROLES.items()}
    mine = sorted(ROLES["operator"])
    return {
        **tokens,
        "of-web": token(database_url, "of-web", mine, ["web"]),
        "of-app": token(database_url, "of-app", mine, ["app"]),
        "without": token(database_url, "without", []),
        "system": token(database_url, "system", [*mine, "system"]),
    }


@pytest.fixture(scope="session")
def served(embedded_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    key = tmp_path_factory.mktemp("keys") / "gift-cards.key"
    wrapping.make_at(key)
    with fresh_database(embedded_server) as url:
        migrate(url)
        tokens = keys_for(url)
        with identity_provider() as provider:
            settings = {"OMS_GATEWAYS": "simulated", "OMS_OIDC_ISSUERS": provider.url, "OMS_OIDC_AUDIENCE": AUDIENCE}
            settings |= {"OMS_GIFT_CARD_KEY_FILE": str(key)}
            settings |= {"OMS_OIDC_CLIENT_ID": CLIENT, "OMS_OIDC_CLIENT_SECRET": CLIENT_SECRET}
            signed = {f"token-{role}": provider.token(role) for role in ROLES}
            signed |= {"token-without": provider.token(), "token-system": provider.token("operator system")}
            with serving(url, "--with-engine", **settings) as (process, address):
                yield Served(process, address, url, {**tokens, **signed}, provider)


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    """Open a client with the rights of an operator."""
    with served.client() as opened:
        yield opened
