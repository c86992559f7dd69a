"""A warehouse that exchanges files, as its system sees it, and the engine that shares its folder."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL
from typing import Any

import psycopg
import pytest

from oms_es.app import Engine, migrate
from oms_es.app.connecting import warehouse_answers
from oms_es.app.connecting.providers import answers_folder, gateways_of
from oms_es.app.connecting.warehouse_answers import answering
from oms_es.cli.main import main
from oms_es.exit_codes import Code
from oms_es.settings import Settings

ORDER: dict[str, Any] = {
    "channel": "web",
    "placed_at": "2026-01-01T12:00:00Z",
    "currency": "EUR",
    "lines": [{"line_id": "1", "sku": "A", "quantity": 3, "unit_price_minor": 300}],
    "ship_to": {"name": "Ann", "street": "1 Main St", "city": "Bonn", "postal_code": "53111", "country": "DE"},
}
Hook = Callable[[], None]


class Warehouse:
    """The folder of berlin, as its system sees it, and the process that shares it."""

    def __init__(self, database_url: str, root: Path) -> None:
        self.database_url = database_url
        self.root = root
        self.place = root / "berlin"

    def names(self, *folders: str) -> list[str]:
        """The files that a warehouse's system may read."""
        return sorted(
            path.name for name in folders for path in (self.place / name).iterdir() if not path.name.startswith(".")
        )

    def request(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.place / "requests" / name).read_bytes())
        return found

    def take(self, name: str) -> dict[str, Any]:
        request = self.request(name)
        (self.place / "requests" / name).rename(self.place / "taken" / name)
        return request

    def answer(self, name: str, content: bytes | dict[str, Any]) -> Path:
        path = self.place / "answers" / f"{name}.json"
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return path

    def claims(self) -> int:
        return len([*(self.place / "answers").glob(".claim-*")])

    def run(self, hook: Hook = lambda: None) -> int:
        """Run the engine in a process of its own until it is at rest or dead, and return how it ended."""
        child = os.fork()
        if not child:
            with suppress(BaseException):
                settings = Settings()
                hook()
                with Engine(
                    self.database_url, connected=gateways_of(settings), beside=answering(answers_folder(settings))
                ) as engine:
                    engine.settle()
                    os._exit(0)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status)

    def events(self, kind: str) -> int:
        with psycopg.connect(self.database_url) as connection:
            row = connection.execute("SELECT count(*) FROM oms_events WHERE topic LIKE %s", [f"%{kind}"]).fetchone()
        return row[0] if row else 0


def imported(tmp_path: Path, *names: str, sku: str = "A") -> None:
    orders = tmp_path / f"{names[0]}.jsonl"
    lines = [{**ORDER["lines"][0], "sku": sku}]
    orders.write_text("\n".join(json.dumps({**ORDER, "external_id": name, "lines": lines}) for name in names))
    assert main(["orders", "import", str(orders), "--no-run"]) == Code.OK


def shown(capsys: pytest.CaptureFixture[str], *words: str, code: Code = Code.OK) -> Any:
    capsys.readouterr()
    assert main([*words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def collected(warehouse: Warehouse, capsys: pytest.CaptureFixture[str], code: Code = Code.OK) -> dict[str, int]:
    """Take in the answers, and run the engine until it is at rest."""
    counts = shown(capsys, "callbacks", "collect", code=code)
    assert warehouse.run() == 0
    return {name: count for name, count in counts.items() if count}


def packed(request: dict[str, Any], answer_id: str = "1", **more: Any) -> dict[str, Any]:
    return {
        "shipment_id": request["shipment_id"],
        "answer_id": answer_id,
        "outcome": "packed",
        "answered_at": "2026-01-01T13:00:00Z",
        "picked": request["items"],
        "weight_grams": 950,
        **more,
    }


def killed_while(owner: Any, name: str, *, after: bool) -> Hook:
    """Have the process die when it calls a function: before it does anything, or once it has."""

    def hook() -> None:
        real = getattr(owner, name)

        def dies(*given: Any) -> None:
            if after:
                real(*given)
            os.kill(os.getpid(), SIGKILL)

        setattr(owner, name, dies)

    return hook


def rows(warehouse: Warehouse, query: str) -> list[Any]:
    with psycopg.connect(warehouse.database_url) as connection:
        return connection.execute(query.encode()).fetchall()


def until(engine: Engine, reached: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not reached() and time.monotonic() < end:
        engine.loop.iterate()
        time.sleep(0.01)
    assert reached()


def warehouse_of(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    migrate(database_url)
    root = tmp_path / "warehouses"
    root.mkdir()
    monkeypatch.setattr(warehouse_answers, "UNFINISHED_SECONDS", 0.5)
    for name, value in {
        "DATABASE_URL": database_url,
        "GATEWAYS": "simulated",
        "WAREHOUSE": "files",
        "WAREHOUSE_FOLDER": str(root),
    }.items():
        monkeypatch.setenv(f"OMS_{name}", value)
    assert main(["location", "open", "berlin", "--country", "DE"]) == Code.OK
    assert main(["stock", "receive", "A", "berlin", "--receipt-id", "r", "--quantity", "50"]) == Code.OK
    return Warehouse(database_url, root)
