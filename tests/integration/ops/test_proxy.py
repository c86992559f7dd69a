"""Caddy with the repository's own configuration in front of a real server: what comes through is what was sent, event
streams are passed on at once, bodies are bounded, and nothing that a client says about itself is believed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from conftest import fresh_database
from console_forms import sent, sign_in
from http_requests import order
from http_server import Served, serving
from oms_es.app import migrate
from oms_es.channels.signatures import standard_signature
from oms_es.database.embedded import EmbeddedPostgres
from repository import ROOT

CADDYFILE = ROOT / "ops" / "http" / "Caddyfile"
SECONDS_MAX = 20
SOON_SECONDS = 2
WAIT_SECONDS = 2
SECRET = "whsec_" + b64encode(b"a secret of 24 bytes, ok").decode()
DOCUMENT, ENDLESS, PIECE = 19_000_000, 200_000_000, b"x" * 100_000
FORGED = {"X-Forwarded-Proto": "http", "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "localhost"}


class Proxy(NamedTuple):
    url: str
    trust: ssl.SSLContext

    def client(self, token: str | None = None) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, verify=self.trust, headers=headers, timeout=SECONDS_MAX)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def caddy() -> str:
    """Return the program. Without it the tests are skipped, or fail if the environment requires it."""
    found = shutil.which("caddy")
    if found is None:
        if os.environ.get("OMS_TEST_CADDY_REQUIRED"):
            pytest.fail("NO CADDY, and OMS_TEST_CADDY_REQUIRED is set: `apt-get install caddy`")
        pytest.skip("NO CADDY, nothing is tried through the proxy of docker-compose.yml: `apt-get install caddy`")
    return found


@contextmanager
def proxied(caddy: str, upstream: str, home: Path) -> Iterator[Proxy]:
    """Run Caddy in front of a server."""
    port = free_port()
    environment = {
        **os.environ,
        "HOME": str(home),
        "XDG_DATA_HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "OMS_DOMAIN": f"localhost:{port}",
        "OMS_UPSTREAM": upstream.removeprefix("http://"),
    }
    command = [caddy, "run", "--config", str(CADDYFILE), "--adapter", "caddyfile"]
    with (home / "caddy.log").open("wb") as log, subprocess.Popen(command, env=environment, stderr=log) as process:
        try:
            yield Proxy(f"https://localhost:{port}", _trust(process, home, port))
        finally:
            process.terminate()
            process.wait(SECONDS_MAX)


def _trust(process: subprocess.Popen[bytes], home: Path, port: int) -> ssl.SSLContext:
    """Wait until the proxy answers by TLS, and return what trusts its own authority."""
    root = home / "caddy" / "pki" / "authorities" / "local" / "root.crt"
    until = time.monotonic() + SECONDS_MAX
    while time.monotonic() < until and process.poll() is None:
        try:
            trust = ssl.create_default_context(cafile=root)
            with socket.create_connection(("127.0.0.1", port), 1) as plain:
                trust.wrap_socket(plain, server_hostname="localhost").close()
        except OSError:
            time.sleep(0.1)
        else:
            return trust
    pytest.fail((home / "caddy.log").read_text())


@pytest.fixture(scope="module")
def proxy(caddy: str, served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with proxied(caddy, served.url, tmp_path_factory.mktemp("caddy")) as started:
        yield started


def test_an_order_is_placed_once_and_read_through_it(proxy: Proxy, served: Served) -> None:
    with proxy.client(served.tokens["operator"]) as client:
        sent_order = order("proxy-1")
        assert [client.post("/v1/orders", json=sent_order).status_code for _ in range(2)] == [201, 200]
        found = client.get("/v1/events", params={"limit": 1})
        assert found.status_code == 200
        assert found.headers["strict-transport-security"] == "max-age=31536000"
        assert found.headers["x-content-type-options"] == "nosniff"


def test_an_event_of_a_stream_is_passed_on_at_once(proxy: Proxy, served: Served) -> None:
    with proxy.client(served.tokens["operator"]) as client, proxy.client(served.tokens["operator"]) as shop:
        with client.stream("GET", "/v1/streams/orders") as stream:
            lines = stream.iter_lines()
            assert any("following" in line for line in lines)
            began = time.monotonic()
            assert shop.post("/v1/orders", json=order("proxy-live")).status_code == 201
            assert any("proxy-live" in line for line in lines)
            assert time.monotonic() - began < SOON_SECONDS


def test_a_follower_waits_for_events_through_it(proxy: Proxy, served: Served) -> None:
    asked = {"type": "OrderForgotten", "wait": str(WAIT_SECONDS), "after": str(2**40)}
    with proxy.client(served.tokens["follower"]) as client:
        began = time.monotonic()
        assert client.get("/v1/events", params=asked).json()["items"] == []
        assert time.monotonic() - began >= WAIT_SECONDS


def test_a_person_signs_in_over_tls_with_a_secure_cookie_whatever_the_browser_says(
    proxy: Proxy, served: Served
) -> None:
    with proxy.client() as client:
        client.headers.update(FORGED)
        before = client.get("/console/sign-in").headers["set-cookie"].lower()
        assert "secure" in before
        client.headers["Origin"] = proxy.url
        sign_in(client, served.tokens["support"])
        (cookie,) = (one for one in client.cookies.jar if one.name == "oms_console")
        assert cookie.secure
        assert client.get("/console/orders").status_code == 200
        assert sent(client, "/console/sign-out", {}, of="/console/orders").status_code == 303
        client.headers["Origin"] = "https://evil.example"
        assert (
            sent(client, "/console/sign-in", {"key": served.tokens["support"]}, of="/console/sign-in").status_code
            == 403
        )


def test_a_signed_webhook_arrives_byte_for_byte(proxy: Proxy, served: Served) -> None:
    with proxy.client(served.tokens["operator"]) as client:
        kept = client.post("/v1/webhook-secrets", json={"secret": SECRET}).json()["secret_id"]
        facts = {"dialect": "canonical", "channel": "web", "secret_id": kept}
        assert client.post("/v1/connections/by-proxy:open", json=facts).status_code == 200
        body = json.dumps(order("proxy-wéb hook"), indent=3, ensure_ascii=False).encode() + b" \r\n\t"
        seconds = int(datetime.now(UTC).timestamp())
        headers = {
            "Content-Type": "application/json",
            "webhook-id": "msg_proxy",
            "webhook-timestamp": str(seconds),
            "webhook-signature": standard_signature("msg_proxy", seconds, body, [SECRET]),
        }
        pieces = iter((body[:7], body[7:-2], body[-2:]))
        assert client.post("/v1/webhooks/by-proxy", content=pieces, headers=headers).status_code < 300
        assert client.post("/v1/webhooks/by-proxy", content=body[:-1], headers=headers).status_code == 401


def test_a_document_passes_and_a_body_without_end_does_not(proxy: Proxy, served: Served) -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while taken < ENDLESS:
            taken += len(PIECE)
            yield PIECE

    with proxy.client(served.tokens["operator"]) as client:
        document = os.urandom(DOCUMENT)
        added = client.post("/v1/documents", content=document, headers={"Content-Type": "application/octet-stream"})
        assert added.status_code == 201, added.text
        with contextlib.suppress(httpx.WriteError, httpx.RemoteProtocolError):
            answer = client.post(
                "/v1/documents", content=endless(), headers={"Content-Type": "application/octet-stream"}
            )
            assert answer.status_code in (413, 502), answer.text
        assert taken < ENDLESS
        assert client.get("/livez").status_code == 200


def test_another_protocol_is_not_spoken_and_does_no_harm(proxy: Proxy, served: Served) -> None:
    offer = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
    with proxy.client(served.tokens["operator"]) as client:
        assert client.get("/v1/orders", headers=offer).status_code == 200
        refused = client.post("/v1/orders", json=order("proxy-upgrade"), headers=offer)
        assert refused.status_code == 400
        assert client.get("/v1/orders/web~proxy-upgrade").status_code == 404


def test_without_keys_nothing_is_served_through_it(
    caddy: str, embedded_server: EmbeddedPostgres, tmp_path: Path
) -> None:
    """A request through a proxy on this machine comes from anywhere."""
    with fresh_database(embedded_server) as url:
        migrate(url)
        with serving(url) as (_, address), proxied(caddy, address, tmp_path) as proxy, proxy.client() as client:
            assert httpx.get(f"{address}/v1/orders").status_code == 200
            for headers in ({}, FORGED):
                answer = client.get("/v1/orders", headers={"Host": "localhost", **headers})
                assert (answer.status_code, answer.json()["reason"]) == (403, "forbidden")
                assert client.get("/console/orders", headers=headers).status_code in (303, 403)
