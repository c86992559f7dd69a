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
    "the world does not answer": "gateway unavailable",
    "own facts?": "own event",
    "[Aa] fact(?! table)": "an event, or a row that is looked up",
    "(each|every|most) facts?": "event, or row",
    "(refuses?|met|before|heard of) a fact": "event",
    "[a-z]; facts": "looks up",
    "it is so already": "no change: already applied",
    "errand": "sourcing request",
    "Errand": "SourcingRequest",
    "barred": "ineligible",
    "Outlay": "VoidOrRefund",
    "Ledger": "EffectStore",
    "Journey": "CartonTracking",
    "OrderBooks": "OrderChecks",
    "sighting": "tracking event",
    "Shelves": "PhysicalStock",
    "foretold": "known before",
    "tellings": "versions",
    "Kit": "Components",
}
"""Each with what to write instead."""
BANNED_IN_NAMES = {
    "tell|tells|told|telling": "send, report, record, publish, deliver",
    "anew": "again",
    "whoever": "the caller, the reader, the person who",
    "nobody": "no one, no reader, it is not known",
    "somebody": "a person, another process",
}
"""The same for words that names may not contain either, in any case."""
STORED = (
    r"\btest_\w+",  # tests are named elsewhere
    r"event\.told\b|\btold: tuple\[LineUnits|\"told\": command\.lines|`told`: what was said",  # a field of an event
    r"told_at timestamptz, -- when the relay told it|\btold_at\b",  # a column, and the statement that makes it
    r"`nobody`|\"nobody\"|\bnobody = |nobody\.pw_|http:nobody",  # an account of the system, and a recorded actor
)
"""Where the words stay."""


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
    kept = re.compile("|".join(STORED))
    found = [name for name, text in texts() if re.search(rf"\b{word}\b", kept.sub("", text))]
    assert not found, f"write {BANNED[word]} instead of {word} in {', '.join(found)}"


@pytest.mark.parametrize("words", BANNED_IN_NAMES)
def test_a_replaced_house_word_does_not_come_back_within_a_name(words: str) -> None:
    """Only letters continue a word here: an underscore ends it."""
    word = re.compile(rf"(?<![a-z])({words})(?![a-z])", re.IGNORECASE)
    kept = re.compile("|".join(STORED))
    found = [name for name, text in texts() if word.search(kept.sub("", text))]
    assert not found, f"write {BANNED_IN_NAMES[words]} instead of {words} in {', '.join(found)}"


TEST_NAME = re.compile(r"^ *def (test_\w+)", re.MULTILINE)
BANNED_IN_TESTS = re.compile(
    r"(?<![a-z])(tell|tells|told|telling|buried|bury|nobody|somebody|whoever|anew|sought|let_go|sightings?|errand|outlet|journey|(?<!dead_)letters?)"
    r"(?![a-z])"
)
"""Each has a standard term: reported or sent, rejected, no_one, someone, anyone_who, again, sourced, released,
tracking_event, sourcing_request, publisher, tracking."""


def test_no_test_is_named_by_a_replaced_house_word() -> None:
    files = [*(ROOT / "tests").rglob("test_*.py")]
    assert len(files) > 100
    found = [name for file in files for name in TEST_NAME.findall(file.read_text()) if BANNED_IN_TESTS.search(name)]
    assert found == []


def test_no_two_classes_are_called_place() -> None:
    """A shelf, an address and a candidate are different things."""
    found = [name for name, text in texts() if re.search(r"^class Place\b", text, re.MULTILINE)]
    assert found == []


ALIAS = re.compile(r"^from oms_es\.(schemas[\w.]*) import (\w+) as (\w+)$", re.MULTILINE)


def test_a_module_of_schemas_has_one_alias_everywhere() -> None:
    """A reader of several files learns it once; a name that a package re-exports is none."""
    aliases: dict[str, set[str]] = {}
    for file in [*(ROOT / "src").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]:
        for package, name, alias in ALIAS.findall(file.read_text()):
            if alias != name:
                aliases.setdefault(f"{package}.{name}", set()).add(alias)
    assert len(aliases) > 10
    assert {module: names for module, names in aliases.items() if len(names) > 1} == {}
