"""The workflow runs on every change, and its steps run targets that exist."""

from __future__ import annotations

import re
import subprocess
import sys

from repository import ROOT

WORKFLOW = ROOT / ".github" / "workflows" / "check.yml"


def test_it_is_a_workflow() -> None:
    checker = ["-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(WORKFLOW)]
    checked = subprocess.run([sys.executable, *checker], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_interpreter_that_the_package_names_is_tried() -> None:
    named = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', (ROOT / "pyproject.toml").read_text())
    tried = re.findall(r'"(3\.\d+)"', WORKFLOW.read_text())
    assert named
    assert set(named) <= set(tried)


def test_every_target_and_script_that_it_runs_exists() -> None:
    runs = re.findall(r"^ +- run: (\S+) ?(\S*)$", WORKFLOW.read_text(), re.MULTILINE)
    targets = re.findall(r"^([a-z ]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    names = {name for line in targets for name in line.split()}
    assert [word for word, _ in runs] == ["make", "make", "make", "make", ".ci/release"]
    for word, target in runs:
        assert target in names if word == "make" else (ROOT / word).stat().st_mode & 0o111
