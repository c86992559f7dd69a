"""House words that standard terms have replaced do not come back.

Stored and published names keep their words: event classes and fields, columns, exit codes, and released history.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HISTORY = ("docs/adr/", "docs/reference/")
BANNED = {
    "outlet": "publisher",
    "outlets": "publishers",
    "bell": "notification, signal",
    "culprit": "failing event",
    "culprits": "failing events",
    "hungry": "has_pending",
    "Deposed": "LeadershipLost",
    "FactSource": "LookupSource",
    "command_letters": "command_codec",
    "turned_at": "last_iteration_at",
    "nothing public tells": "there is no public way",
    "the world does not answer": "gateway unavailable",
    "own fact": "event",
    "it is so already": "no change: already applied",
}
"""Each with what to write instead."""


def texts() -> Iterator[tuple[str, str]]:
    listed = subprocess.run(
        ["git", "ls-files", "src", "docs", "README.md", "CONTRIBUTING.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    for name in listed:
        if name.endswith((".py", ".md")) and not name.startswith(HISTORY) and (ROOT / name).is_file():
            yield name, (ROOT / name).read_text()


@pytest.mark.parametrize("word", BANNED)
def test_a_replaced_house_word_does_not_come_back(word: str) -> None:
    found = [name for name, text in texts() if re.search(rf"\b{word}\b", text)]
    assert not found, f"write {BANNED[word]} instead of {word} in {', '.join(found)}"
