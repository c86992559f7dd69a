"""Work is done once by as many processes as there are shares; what goes wrong in one ends all of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import active_children
from pathlib import Path

import pytest

from oms_es.processing.bulk.processes import shared_by_work, shared_out

ENDS_SECONDS_MAX = 60.0
ENDLESS = """
import os, sys, time
from pathlib import Path
from oms_es.processing.bulk.processes import shared_out

def work(share, reached):
    Path(share).write_text(str(os.getpid()))
    while True:
        reached(1)
        time.sleep(0.05)

if __name__ == "__main__":
    shared_out(work, sys.argv[1:], lambda _: None)
"""


def doubled(share: int, reached: Callable[[int], None]) -> int:
    for position in range(share):
        reached(position)
    return 2 * share


def broken_elsewhere(share: str, reached: Callable[[int], None]) -> None:
    if share == "other":
        raise ValueError(share)
    while True:
        reached(1)
        time.sleep(0.05)


def test_each_share_is_done_once_and_progress_is_that_of_the_slowest() -> None:
    seen: list[int] = []
    assert shared_out(doubled, [5, 7], seen.append) == [10, 14]
    assert all(position < 7 for position in seen)
    assert sorted(seen) == seen
    assert shared_out(doubled, [3], seen.append) == [6]


def test_what_goes_wrong_in_one_ends_the_others() -> None:
    with pytest.raises(ValueError, match="other"):
        shared_out(broken_elsewhere, ["first", "other", "third"], lambda _: None)
    assert active_children() == []


def test_none_goes_on_for_one_that_was_killed(tmp_path: Path) -> None:
    script, places = tmp_path / "endless.py", [tmp_path / "first", tmp_path / "other"]
    script.write_text(ENDLESS)
    started = subprocess.Popen([sys.executable, str(script), *map(str, places)])
    try:
        until(lambda: all(place.exists() and place.read_text() for place in places))
    finally:
        os.kill(started.pid, signal.SIGKILL)
        started.wait()
    other = int(places[1].read_text())
    until(lambda: not Path(f"/proc/{other}").exists())


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + ENDS_SECONDS_MAX
    while time.monotonic() < deadline:
        with suppress(FileNotFoundError):
            if holds():
                return
        time.sleep(0.05)
    pytest.fail("it did not come to that")


def test_the_most_work_is_shared_out_first() -> None:
    work = {"a": 5, "b": 4, "c": 3, "d": 3, "e": 0}
    assert shared_by_work(work, 2) == [["a", "d"], ["b", "c", "e"]]
    assert shared_by_work(work, 9) == [[name] for name in work]
