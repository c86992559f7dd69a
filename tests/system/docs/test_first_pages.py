"""The pages for newcomers are run whole, in a shell, as written, and print what they say they print."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from repository import ROOT

PAGES = (
    "tutorial.md",
    "howto/first-steps.md",
    "howto/work-in-a-warehouse.md",
    "howto/connect-a-warehouse.md",
    "howto/forecast.md",
    "howto/try-rules-on-history.md",
    "howto/forget-a-person.md",
    "howto/audit-history.md",
    "howto/move-from-another-system.md",
    "howto/issue-invoices.md",
    "howto/receive-webhooks.md",
    "howto/archive-events.md",
)
RUN = PAGES if os.environ.get("OMS_TEST_PAGES") == "every" else PAGES[:1]
"""Every command of a page starts a program; `make pages` runs all of them."""
BLOCK = re.compile(r"^```bash\n(.*?)^```$(?:\n```text\n(.*?)^```$)?", re.DOTALL | re.MULTILINE)
END = "=== end of block ==="
PAGE_SECONDS_MAX = 800
LEFT_OUT = "…"


def lines(text: str) -> Iterator[str]:
    """Return the lines without column widths, which depend on the content."""
    yield from (" ".join(line.split()) for line in text.splitlines() if line.strip())


def is_shown(wanted: str, line: str) -> bool:
    return re.search(".*".join(re.escape(part.strip()) for part in wanted.split(LEFT_OUT)), line) is not None


def missing(wanted: str, printed: str) -> list[str]:
    """Return the lines of a page that were not printed in that order."""
    rest = lines(printed)
    return [line for line in lines(wanted) if line != LEFT_OUT and not any(is_shown(line, other) for other in rest)]


@pytest.mark.timeout(PAGE_SECONDS_MAX + 60)
@pytest.mark.parametrize("page", RUN)
def test_a_newcomer_who_types_what_the_page_says_sees_what_it_says(page: str, tmp_path: Path) -> None:
    blocks = BLOCK.findall((ROOT / "docs" / page).read_text())
    script = "set -eu\nexec 2>&1\n" + "".join(f"{commands}\necho '{END}'\n" for commands, _ in blocks)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMS_", "PG", "PYTHON"))}
    answers = tmp_path / "answers.txt"  # a file: servers that outlive their commands would hold a pipe open
    with answers.open("w") as output:
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=ROOT,
            env={**environment, "HOME": str(tmp_path), "COLUMNS": "160"},
            stdout=output,
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=PAGE_SECONDS_MAX,
        )
    printed = answers.read_text().split(f"{END}\n")
    assert done.returncode == 0, printed[-1][-3_000:]
    assert len(printed) == len(blocks) + 1
    for (commands, wanted), answer in zip(blocks, printed, strict=False):
        assert not missing(wanted, answer), f"{page}: after\n{commands}\nthis was printed:\n{answer}"
    assert sum(bool(wanted) for _, wanted in blocks) >= 3


def test_what_is_not_printed_or_in_another_order_is_missed() -> None:
    assert missing("a … c\nb", "a b  c\nb") == []
    assert missing("b\na", "a\nb") == ["a"]
    assert missing("x", "a\nb") == ["x"]
