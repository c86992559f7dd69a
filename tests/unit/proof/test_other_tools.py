"""Go's own libraries read our tiles, checkpoints and signatures, and compute the same paths."""

from __future__ import annotations

import json
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from oms_es.proof import tiles, tree
from oms_es.proof.checkpoints import Checkpoint
from oms_es.proof.notes import Note, SignerKey
from oms_es.proof.tiles import Edge
from repository import ROOT

PROGRAM = ROOT / "tests/support/tlog"
KEY = SignerKey("orders.example/log", bytes(range(32)))
SIZES = (1, 2, 255, 256, 257, 700, 65_537)
SECONDS_MAX = 240


@pytest.fixture(scope="module")
def go_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    go = shutil.which("go")
    if go is None:
        pytest.skip("Go is not installed: no second implementation reads our tiles")
    program = tmp_path_factory.mktemp("go") / "tlog"
    command = [go, "build", "-o", str(program), "."]
    built = subprocess.run(command, cwd=PROGRAM, capture_output=True, text=True, check=False, timeout=SECONDS_MAX)
    if "dial tcp" in built.stderr or "no such host" in built.stderr:
        pytest.skip(f"Go cannot fetch golang.org/x/mod: {built.stderr.splitlines()[-1]}")
    assert built.returncode == 0, built.stderr
    return program


def text(value: bytes) -> str:
    return b64encode(value).decode()


def written(edge: Edge, directory: Path) -> None:
    """Write the tiles as a server of static files serves them."""
    for tile, hashes in edge.tiles().items():
        path = directory / tiles.path_of(tile, tiles.width_of(tile, edge.size))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(hashes)
    checkpoint = Checkpoint(KEY.name, edge.size, edge.root()).text
    (directory / "checkpoint").write_text(str(Note(checkpoint, (KEY.sign(checkpoint),))))


def asked(edge: Edge, directory: Path) -> dict[str, Any]:
    size, node = edge.size, tiles.nodes_of(edge.tiles())
    older = max(1, size * 2 // 3)
    return {
        "dir": str(directory),
        "key": str(KEY.verifier),
        "leaves": [
            {"index": index, "entry": text(b"%d" % index), "path": paths(tree.inclusion_path(index, size, node))}
            for index in sorted({0, size // 3, size // 2, size - 1})
        ],
        "older": {
            "size": older,
            "root": text(tree.root(older, node)),
            "path": paths(tree.consistency_path(older, size, node)),
        },
    }


def paths(hashes: Sequence[bytes]) -> list[str]:
    return [text(one) for one in hashes]


def run(program: Path, logs: Sequence[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    lines = "".join(json.dumps(one) + "\n" for one in logs)
    return subprocess.run([program], input=lines, capture_output=True, text=True, check=False, timeout=SECONDS_MAX)


def test_go_checks_our_log_and_makes_the_same_paths(go_program: Path, tmp_path: Path) -> None:
    edge, logs = Edge(), []
    for index in range(max(SIZES)):
        edge.add(tree.leaf_hash(b"%d" % index))
        if edge.size in SIZES:
            directory = tmp_path / str(edge.size)
            written(edge, directory)
            logs.append(asked(edge, directory))
    done = run(go_program, logs)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{len(SIZES)}\n", "")
    changed = json.loads(json.dumps(logs[-1]))
    changed["leaves"][1]["entry"] = text(b"other")
    assert run(go_program, [changed]).returncode
    note = Path(logs[-1]["dir"], "checkpoint")
    note.write_text(note.read_text().replace("65537", "65536"))
    assert run(go_program, [logs[-1]]).returncode
