"""What CONTRIBUTING shows is true: an event with its command, a consumer, a projection and a dialect are added by
touching the files that it names and no other, and then they run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from repository import ROOT

PATCHED = re.compile(r"^\+\+\+ b/(\S+)$", re.MULTILINE)
FILES = {
    "An event and its command": {
        "src/oms_es/schemas/catalog/item.py",
        "src/oms_es/aggregates/catalog/item.py",
        "docs/glossary.md",
        "tests/unit/aggregates/test_laws.py",
    },
    "A consumer": {"src/oms_es/consumers/stock/retirement.py", "src/oms_es/app/registry.py"},
    "A projection": {"src/oms_es/projections/catalog/retired_items.py", "src/oms_es/app/registry.py"},
    "A dialect": {"src/oms_es/channels/one_line.py", "src/oms_es/channels/__init__.py"},
}
RUN = """
from folding import fold
from oms_es.app import CONSUMERS, DECIDERS, PROJECTIONS, parser_of
from oms_es.app.verbs import verbs
from oms_es.schemas.vocabulary import EVENTS

assert ("item", "retire") in {(verb.group, verb.name) for verb in verbs(DECIDERS)}
item = next(decider for decider in DECIDERS if decider.category == "item")
retire = next(command for command in item.accepts if command.__name__ == "RetireItem")(sku="A")
(retired,) = item.decide(item.initial, retire)
assert EVENTS["ItemRetired"].model_validate_json(retired.model_dump_json()) == retired
assert list(item.decide(item.evolve(item.initial, retired), retire)) == []
(consumer,) = [consumer for consumer in CONSUMERS if type(retired) in consumer.reactions]
(describe,) = consumer.react(retired)
assert type(describe) in item.accepts
(read_model,) = [projection for projection in PROJECTIONS if projection.name == "retired_items"]
assert list(fold(read_model, retired)) == [("A",)]
order = parser_of("one_line")(b"W-1;A;2;990")
assert (order.external_id, order.lines[0].quantity, order.lines[0].unit_price_minor) == ("W-1", 2, 990)
print("added")
"""


def worked() -> dict[str, str]:
    text = (ROOT / "CONTRIBUTING.md").read_text().split("## Adding a thing, worked", 1)[1]
    found = re.findall(r"^### (.+?)$.*?^```diff$\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return dict(found)


def test_every_example_touches_the_files_that_are_said_and_no_other() -> None:
    assert {name: set(PATCHED.findall(diff)) for name, diff in worked().items()} == FILES


def test_what_is_added_by_these_files_alone_runs(tmp_path: Path) -> None:
    if shutil.which("patch") is None:
        pytest.skip("the program patch is not installed")
    shutil.copytree(ROOT / "src" / "oms_es", tmp_path / "src" / "oms_es", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("docs/glossary.md", "tests/unit/aggregates/test_laws.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for name, diff in worked().items():
        done = subprocess.run(
            ["patch", "-p1", "--no-backup-if-mismatch"],
            cwd=tmp_path,
            input=diff,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{name} does not fit any more: {done.stdout}"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(tmp_path / "src"), str(ROOT / "tests" / "support")))}
    ran = subprocess.run([sys.executable, "-c", RUN], env=environment, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "added\n"), ran.stderr
