"""A process that has imported everything, and forks: a member starts in milliseconds instead of seconds.

    nursery.py < requests > pids

A request is a line of JSON; the answer is the pid. How a child ended is in the file that its request named, as Popen's
`returncode` has it. When the requests end, so does every child.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, Self

REFRESH_SECONDS = 0.02
TESTS = Path(__file__).parents[2]
Program = Callable[[list[str]], int | None]
"""Its arguments in, its exit code out; None is 0."""


class Child:
    """A process that the nursery forked, and not this one, with as much of the interface of Popen as tests need."""

    def __init__(self, pid: int, ended: Path) -> None:
        self.pid = pid
        self.ended = ended

    def poll(self) -> int | None:
        return int(self.ended.read_text()) if self.ended.exists() else None

    def wait(self, seconds: float) -> int:
        deadline = time.monotonic() + seconds
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), seconds)
            time.sleep(REFRESH_SECONDS)
        return code

    def send_signal(self, which: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, which)


class Nursery:
    """Use as a context manager."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._children = 0

    def __enter__(self) -> Self:
        self._mother = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join((str(TESTS), str(TESTS / "support")))},
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._mother.communicate()

    def start(
        self, program: str, arguments: Sequence[str], said: Path, log: Path, environment: Mapping[str, str] = {}
    ) -> Child:
        """What it says goes to `said`, from its beginning; its log goes on."""
        self._children += 1
        ended = self.directory / f"{self._children}.ended"
        asked = {"program": program, "arguments": arguments, "environment": environment}
        files = {"said": str(said), "log": str(log), "ended": str(ended)}
        assert self._mother.stdin
        assert self._mother.stdout
        print(json.dumps(asked | files), file=self._mother.stdin, flush=True)
        return Child(int(self._mother.stdout.readline()), ended)


def programs() -> Mapping[str, Program]:
    """Imported here: only the mother pays for it."""
    from oms_es.cli import main as cli
    from system.faults import engine_process, member

    return {"oms-es": cli.main, "member": member.main, "engine": engine_process.main}


def become(asked: Mapping[str, Any], run: Program) -> NoReturn:
    """Turn the forked child into the program."""
    code = 1
    try:
        os.environ.update(asked["environment"])
        nothing = os.open(os.devnull, os.O_RDONLY)
        said = os.open(asked["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for descriptor, place in ((nothing, 0), (said, 1), (log, 2)):
            os.dup2(descriptor, place)
        code = int(run(asked["arguments"]) or 0)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - the child ends here, whatever it is
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    known, alive = programs(), dict[int, Path]()
    gc.freeze()  # what is common to all children is never copied
    while True:
        while alive and (found := os.waitpid(-1, os.WNOHANG))[0]:
            half = alive[found[0]].with_suffix(".half")
            half.write_text(str(os.waitstatus_to_exitcode(found[1])))
            half.rename(alive.pop(found[0]))
        if not select.select([sys.stdin], [], [], REFRESH_SECONDS)[0]:
            continue
        line = sys.stdin.readline()
        if not line:
            break
        asked = json.loads(line)
        pid = os.fork()
        if not pid:
            become(asked, known[asked["program"]])
        alive[pid] = Path(asked["ended"])
        print(pid, flush=True)
    for pid in alive:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
