"""Files and folders are small enough to find things by their names."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

import oms_es
from repository import ROOT

SOURCE = Path(oms_es.__file__).parent
LINES_MAX = 400
FILES_MAX = 12
"""Of a folder, besides its `__init__`."""
REASON = "More than twelve files"
"""How the sentence in a folder's `__init__` begins that gives its reason."""


def own_files(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*.py") if path.name != "__init__.py"]


def getdoc(folder: Path) -> str | None:
    return ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))


FOLDERS = [SOURCE, *(path.parent for path in sorted(SOURCE.rglob("__init__.py")) if path.parent != SOURCE)]


def test_no_file_is_longer_than_a_sitting() -> None:
    lines = {path.relative_to(SOURCE).as_posix(): len(path.read_text().splitlines()) for path in SOURCE.rglob("*.py")}
    assert len(lines) > 100
    assert {path: count for path, count in lines.items() if count > LINES_MAX} == {}, "cut them along their subjects"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_folder_has_a_dozen_files_or_says_why_it_has_more(folder: Path) -> None:
    """A reason that is no longer needed must be removed, too."""
    files, says_why = own_files(folder), REASON in (folder / "__init__.py").read_text()
    if len(files) > FILES_MAX:
        assert says_why, f"{folder.name} has {len(files)}: give it sub-folders, or say `{REASON}: …` in its __init__"
    else:
        assert not says_why, f"{folder.name} has {len(files)} and needs no reason"


def test_no_two_files_of_tests_have_one_name() -> None:
    """In one process both would be the same module, and pytest refuses the second."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(names) > 100
    assert [name for name, count in names.items() if count > 1] == []


def test_every_folder_says_what_lives_there_and_what_it_may_import() -> None:
    silent = [folder for folder in FOLDERS if not (folder / "__init__.py").read_text().startswith('"""')]
    assert [folder.relative_to(SOURCE).as_posix() for folder in silent] == []
    unbound = [folder for folder in FOLDERS if "mports" not in (getdoc(folder) or "")]
    assert [folder.relative_to(SOURCE).as_posix() for folder in unbound] == [], "say what may be imported there"
    folders = {path.parent for path in SOURCE.rglob("*.py")}
    assert folders == set(FOLDERS), "a folder without an __init__"


def test_the_architecture_page_names_every_folder() -> None:
    page = (ROOT / "docs/explanation/architecture.md").read_text()
    top = {folder.name for folder in FOLDERS if folder.parent == SOURCE}
    assert {name for name in top if f"  {name}/" not in page} == set()
