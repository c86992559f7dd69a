"""The tests, files and folders that the pages of explanation name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from repository import ROOT

PAGES = sorted((ROOT / "docs/explanation").glob("*.md"))
SOURCE = ROOT / "src/oms_es"
TEST = re.compile(r"`(test_\w+)`")
TEST_IN_FILE = re.compile(r"((?:`test_\w+`(?:, )?)+) in \[[\w.]+\]\(([^)#]+)\)")
PLACE = re.compile(r"`((?:[a-z_]+/)+(?:[a-z_]+\.py)?|[a-z_]+\.py)`")
LISTED = re.compile(r"(?<!\S)([a-z_]+(?:/|\.py))(?=\s)")


def defined() -> dict[str, set[str]]:
    """Return the tests of each file."""
    files = (ROOT / "tests").rglob("test_*.py")
    return {str(file.resolve()): set(re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)) for file in files}


TESTS = defined()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text()
    assert not set(TEST.findall(text)) - set().union(*TESTS.values())
    for names, file in TEST_IN_FILE.findall(text):
        assert not set(TEST.findall(names)) - TESTS[str((page.parent / file).resolve())], file


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_and_folder_that_a_page_names_is_there(page: Path) -> None:
    missing = [place for place in PLACE.findall(page.read_text()) if not is_there(place)]
    assert not missing


LINK = re.compile(r"\]\(([^)\s#:]+)(?:#[^)\s]*)?\)")


def test_every_link_of_a_page_leads_to_a_file_which_the_site_can_show() -> None:
    """A folder is none: the site is made of files."""
    pages = [ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *(ROOT / "docs").rglob("*.md")]
    links = [(page, link) for page in pages for link in LINK.findall(page.read_text())]
    assert len(links) > 500
    assert [(page.name, link) for page, link in links if not (page.parent / link).is_file()] == []


CHANGELOG_GROUPS = [
    "When you upgrade",
    "Orders and channels",
    "Stock and shipping",
    "Money",
    "Figures",
    "Operating",
    "Privacy and audit",
    "For developers",
]


def test_what_is_not_released_is_grouped_by_who_reads_it_and_says_nothing_twice() -> None:
    unreleased = (ROOT / "CHANGELOG.md").read_text().partition("## [Unreleased]")[2].partition("\n## ")[0]
    assert re.findall(r"^### (.+)$", unreleased, re.MULTILINE) == CHANGELOG_GROUPS
    lines = [line for line in unreleased.splitlines() if len(line) > len("Mended:")]
    assert sorted({line for line in lines if lines.count(line) > 1}) == []


def is_there(place: str) -> bool:
    """Return whether a file exists; it may be named without its folder."""
    exact = any((root / place).exists() for root in (SOURCE, SOURCE / "aggregates", ROOT))
    return exact or ("/" not in place.rstrip("/") and next(SOURCE.rglob(place), None) is not None)


def test_the_layout_names_every_package_and_nothing_else() -> None:
    layout = (ROOT / "docs/explanation/architecture.md").read_text().partition("## Layout")[2].split("```")[1]
    listed = LISTED.findall(layout.partition("src/oms_es/")[2])
    assert [name for name in listed if not is_there(name)] == []
    packages = {f"{file.parent.name}/" for file in SOURCE.glob("*/__init__.py")}
    assert packages - set(listed) == set()
