"""A real Apache Kafka on this machine, from its jars: for tests, and to try things without Docker.

Invariant: it listens on 127.0.0.1 only, keeps its port and its messages when it is started again, and does not outlive
the process that started it.

    python -m oms_es.kafka.dev_broker [--port 9092] [--directory DIRECTORY]
"""

from __future__ import annotations

import argparse
import atexit
import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from platformdirs import user_cache_path

from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.kafka.client import KafkaUnavailable, connection, create_topics

POM = Path(__file__).parents[3] / "ops" / "kafka" / "pom.xml"
START_SECONDS_MAX = 120.0
STOP_SECONDS_MAX = 20.0
FETCH_SECONDS_MAX = 600.0
JAVA = ("-XX:+UseSerialGC", "-Xmx512m", "-XX:TieredStopAtLevel=1")
"""It lives for minutes, beside the tests: a small heap, and no time spent on optimising."""
CLUSTER_ID = "b21zLWVzLWthZmthLWRldg"
LOG_LINES_SHOWN = 5

PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
"""


class BrokerUnavailable(OmsError):
    """There is no Kafka to be had on this machine."""

    code = "no_broker"
    exit_code = Code.NO_KAFKA
    status = HTTPStatus.SERVICE_UNAVAILABLE


class Broker:
    """Use as a context manager, or `start` and `stop`; `kill` is for those who want to see what happens.

    `properties` may be others than those for trying things: then `logins` are the SCRAM users to make, as Kafka's own
    tool takes them, and `security` is how a client reaches it.
    """

    def __init__(
        self,
        directory: Path,
        port: int | None = None,
        *,
        properties: str = PROPERTIES,
        logins: Sequence[str] = (),
        security: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.directory = directory
        self.port = port or free_port()
        self._properties = properties
        self._logins = logins
        self._security = security
        self._controller = free_port()
        self._server: subprocess.Popen[bytes] | None = None
        atexit.register(self.kill)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when it answers. Raises BrokerUnavailable."""
        jars = fetched_jars()
        properties = self.directory / "server.properties"
        if not properties.exists():
            self._format(jars, properties)
        with (self.directory / "kafka.log").open("ab") as log:
            self._server = subprocess.Popen(
                _java(jars, "kafka.Kafka", str(properties)),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._wait_until_it_answers(self._server)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _format(self, jars: Path, properties: Path) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        text = self._properties.format(port=self.port, controller=self._controller, data=self.directory / "log")
        draft = properties.with_suffix(".draft")
        draft.write_text(text)
        users = [word for login in self._logins for word in ("--add-scram", login)]
        formatted = subprocess.run(
            _java(
                jars, "kafka.tools.StorageTool", "format", "--standalone", "-t", CLUSTER_ID, "-c", str(draft), *users
            ),
            capture_output=True,
            text=True,
            check=False,
        )
        if formatted.returncode:
            raise BrokerUnavailable(f"Kafka could not format its storage: {_tail(formatted.stderr)}")
        draft.rename(properties)

    def _wait_until_it_answers(self, server: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            if server.poll() is not None:
                break
            with suppress(OSError, KafkaUnavailable), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                create_topics(connection(self.address, **self._security), [], replicas=1)
                return
            time.sleep(0.1)
        self.kill()
        raise BrokerUnavailable(f"Kafka did not start: {_tail((self.directory / 'kafka.log').read_text())}")

    def _end(self, how: signal.Signals) -> None:
        server, self._server = self._server, None
        if server is None or server.poll() is not None:
            return
        os.kill(server.pid, how)
        try:
            server.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def program(name: str) -> str:
    """Where it is. Raises BrokerUnavailable."""
    found = shutil.which(name)
    if found is None:
        raise BrokerUnavailable(f"{name} is not installed; install Java 17 and Maven, or name a Kafka that runs")
    return found


def fetched_jars() -> Path:
    """Where the jars are; Maven fetches them the first time. Raises BrokerUnavailable."""
    program("java")
    if not POM.exists():
        raise BrokerUnavailable(f"{POM} is missing; Kafka's jars are named in a checkout of the repository")
    version = re.search(r"<kafka.version>([\d.]+)<", POM.read_text())
    assert version
    cache = user_cache_path("oms-es", ensure_exists=True)
    jars = cache / f"kafka-{version[1]}"
    with (cache / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not jars.exists():
            _fetch(jars)
    return jars


def _fetch(jars: Path) -> None:
    draft = Path(tempfile.mkdtemp(dir=jars.parent))
    done = subprocess.run(
        [program("mvn"), "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={draft}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=FETCH_SECONDS_MAX,
    )
    if done.returncode:
        shutil.rmtree(draft)
        raise BrokerUnavailable(f"Maven could not fetch Kafka's jars: {_tail(done.stdout + done.stderr)}")
    draft.rename(jars)


def _java(jars: Path, main: str, *arguments: str) -> list[str]:
    return [program("java"), *JAVA, "-cp", f"{jars}/*", main, *arguments]


def _tail(text: str) -> str:
    return " / ".join(text.strip().splitlines()[-LOG_LINES_SHOWN:])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description="A single Apache Kafka on 127.0.0.1, until SIGTERM or Ctrl-C.")
    parser.add_argument("--port", type=int, help="a free one by default")
    parser.add_argument("--directory", type=Path, help="where it keeps its messages; a temporary one by default")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    directory: Path = options.directory or Path(tempfile.mkdtemp(prefix="oms-es-kafka-"))
    try:
        with Broker(directory, options.port) as broker:
            sys.stdout.write(f"{broker.address}\n")
            sys.stdout.flush()
            signal.pause()
    except BrokerUnavailable as unavailable:
        sys.exit(str(unavailable))
    except KeyboardInterrupt:
        pass
    finally:
        if not options.directory:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
