"""Webhooks out by the real role and over TLS: killed in the middle, and to a receiver whose certificate is not good."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from conftest import fresh_database
from http_server import MAIN
from oms_es.app import Engine, migrate
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.database.rows import connected
from oms_es.gateways.webhooks import networks_of, post
from oms_es.kernel import Command
from oms_es.schemas.operations.subscription import OpenSubscription
from oms_es.schemas.order import Address, OrderLine, PlaceOrder
from oms_es.store.encoding.codec import Cause
from oms_es.store.http.webhook_secrets import generated, keep

HERE = networks_of("127.0.0.0/8")
SECONDS_MAX = 60
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a CA of a test")])


class Receiver(ThreadingHTTPServer):
    """`first`: set when a request is there; while `holding` is not set, none is answered."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiving)
        self.ids: list[str] = []
        self.first, self.holding = Event(), Event()


class Receiving(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.ids.append(self.headers["webhook-id"])
        self.server.first.set()
        self.server.holding.wait(SECONDS_MAX)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@contextmanager
def listening(context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    with Receiver() as receiver:
        if context:
            receiver.socket = context.wrap_socket(receiver.socket, server_side=True)
        Thread(target=receiver.serve_forever, daemon=True).start()
        yield receiver
        receiver.holding.set()
        receiver.shutdown()


def signed(subject: x509.Name, public: Any, by: Any, **more: Any) -> x509.Certificate:
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(
        NAME,
        subject,
        public,
        x509.random_serial_number(),
        now - timedelta(days=2),
        more.get("until", now + timedelta(days=1)),
    )
    made = made.add_extension(x509.BasicConstraints(ca=more.get("ca", False), path_length=None), critical=True)
    if address := more.get("address"):
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
        made = made.add_extension(names, critical=False)
    return made.sign(by, hashes.SHA256())


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Callable[..., ssl.SSLContext]]:
    """Return the file of the authority's certificate, and a function that makes a receiver's TLS context."""
    folder = tmp_path_factory.mktemp("ca")
    key = ec.generate_private_key(ec.SECP256R1())
    file = folder / "ca.pem"
    file.write_bytes(signed(NAME, key.public_key(), key, ca=True).public_bytes(Encoding.PEM))

    def context(**more: Any) -> ssl.SSLContext:
        own = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a receiver")])
        certificate = signed(subject, own.public_key(), more.pop("by", key), **{"address": "127.0.0.1", **more})
        chain = folder / "chain.pem"
        secret = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        chain.write_bytes(secret + certificate.public_bytes(Encoding.PEM))
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(chain)
        return made

    return file, context


def test_only_a_receiver_whose_certificate_is_good_is_sent_anything(
    authority: tuple[Path, Callable[..., ssl.SSLContext]], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, context = authority
    stranger = ec.generate_private_key(ec.SECP256R1())
    bad = (
        context(by=stranger),
        context(address="127.0.0.2"),
        context(until=datetime.now(UTC) - timedelta(days=1)),
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with listening(context()) as receiver:
        receiver.holding.set()
        assert post(f"https://127.0.0.1:{receiver.server_port}/", {"webhook-id": "1"}, b"{}", HERE) == 204
    for one in bad:
        with listening(one) as receiver, pytest.raises(ssl.SSLCertVerificationError):
            post(f"https://127.0.0.1:{receiver.server_port}/", {"webhook-id": "2"}, b"{}", HERE)
        assert receiver.ids == []


@pytest.fixture
def database(embedded_server: EmbeddedPostgres) -> Iterator[str]:
    with fresh_database(embedded_server) as url:
        migrate(url)
        yield url


def happened(url: str, *commands: Command) -> None:
    with Engine(url, simulated=False) as engine:
        engine.append([(Cause("test"), list(commands))])
        while engine.loop.iterate():
            pass


def subscription(url: str, receiver: Receiver, scheme: str = "http") -> OpenSubscription:
    with connected(url) as rows:
        secret_id = keep(rows, generated("whsec_"), datetime.now(UTC), "test")
    where = f"{scheme}://127.0.0.1:{receiver.server_port}/"
    return OpenSubscription(name="crm", url=where, types=("OrderPlaced",), secret_id=secret_id)


def order(external_id: str) -> PlaceOrder:
    return PlaceOrder(
        channel="web",
        external_id=external_id,
        placed_at=datetime.now(UTC),
        currency="EUR",
        lines=(OrderLine(line_id="1", sku="TEA", quantity=1, unit_price_minor=1000),),
        ship_to=Address(country="DE"),
    )


@contextmanager
def delivering(url: str, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "OMS_DATABASE_URL": url, "OMS_WEBHOOK_NETWORKS": "127.0.0.0/8", **settings}
    command = [sys.executable, "-c", MAIN, "deliver"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(SECONDS_MAX)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS_MAX
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def rows_of(url: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as rows:
        return rows.execute("SELECT attempts, last_error, delivered_at FROM oms_deliveries").fetchall()


def test_killed_in_the_middle_of_a_delivery_the_next_process_sends_it_again_under_the_same_id(database: str) -> None:
    with listening() as receiver:
        happened(database, subscription(database, receiver))
        happened(database, order("killed"))
        with delivering(database) as process:
            assert receiver.first.wait(SECONDS_MAX)
            process.send_signal(signal.SIGKILL)
            process.wait(SECONDS_MAX)
        assert [delivered for *_, delivered in rows_of(database)] == [None]
        receiver.holding.set()
        with delivering(database):
            until(lambda: all(delivered for *_, delivered in rows_of(database)))
        assert len(receiver.ids) == 2
        assert len(set(receiver.ids)) == 1


def test_a_bad_certificate_is_a_failed_delivery_that_is_tried_again(
    database: str, authority: tuple[Path, Callable[..., ssl.SSLContext]]
) -> None:
    """The test's authority is unknown until the settings name its certificate."""
    file, context = authority
    with listening(context()) as receiver:
        receiver.holding.set()
        happened(database, subscription(database, receiver, "https"))
        happened(database, order("bad"))
        with delivering(database):
            until(lambda: any(attempts for attempts, *_ in rows_of(database)))
        ((_, error, delivered),) = rows_of(database)
        assert (error, delivered, receiver.ids) == ("SSLCertVerificationError", None, [])
        with delivering(database, SSL_CERT_FILE=str(file)):
            until(lambda: all(delivered for *_, delivered in rows_of(database)))
        assert len(receiver.ids) == 1
