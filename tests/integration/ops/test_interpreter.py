"""Which interpreter `make` sets up from."""

from __future__ import annotations

import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "ops" / "python.sh"


def interpreter(folder: Path, name: str, answer: str) -> None:
    """Make an interpreter that says of itself how it was built, or fails, whatever it is asked."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{answer}\n")
    (folder / name).chmod(0o755)


def chosen(*folders: Path) -> str:
    path = ":".join(map(str, folders))
    return subprocess.run(
        ["/bin/sh", SCRIPT], env={"PATH": path}, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_one_that_was_built_with_profiles_is_taken_before_an_older_one_that_was_not(tmp_path: Path) -> None:
    first, second = tmp_path / "with a space", tmp_path / "second"
    interpreter(first, "python3.11", "echo without")
    interpreter(second, "python3.12", "echo with")
    interpreter(second, "python3.13", "echo with")
    assert chosen(first, second) == f"{second}/python3.12"


def test_without_any_such_the_first_that_runs_is_taken(tmp_path: Path) -> None:
    interpreter(tmp_path / "broken", "python3.11", "exit 127")
    interpreter(tmp_path / "whole", "python3.12", "echo without")
    assert chosen(tmp_path / "broken", tmp_path / "absent", tmp_path / "whole") == f"{tmp_path / 'whole'}/python3.12"


def test_where_there_is_none_nothing_is_printed_and_make_falls_back(tmp_path: Path) -> None:
    assert chosen(tmp_path) == ""


def test_how_the_interpreter_of_these_tests_was_built_can_be_asked(tmp_path: Path) -> None:
    interpreter(tmp_path, "python", "echo with")
    said = subprocess.run(["/bin/sh", SCRIPT, tmp_path / "python"], capture_output=True, text=True, check=True).stdout
    assert said == "built with profile-guided optimisation\n"
