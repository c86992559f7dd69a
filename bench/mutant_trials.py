"""Runs the tests of the aggregates on changed rules, one at a time: does a test fail?

`mutmut` changes the rules and stores the verdicts. The tests are run here, as it would start a pytest for every change:
one pytest collects the tests and runs each once, to see which functions it reaches and how long it takes. Then every
change gets a fork of that process, in which only tests that reach the changed function run, the cheapest first, up to
the first that fails.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, redirect_stdout
from io import StringIO
from pathlib import Path
from random import Random
from time import monotonic, process_time
from typing import Any

import pytest

CPU_SECONDS_MIN = 1
CPU_FACTOR = 10
"""A test that takes more than this many times as long as usual counts as endless, unless it is short."""
MEMORY_BYTES_MAX = 4 << 30
"""Memory of a fork: a changed rule may collect without end."""
UNNOTICED, NOTICED, BROKEN, UNREACHED, TIMED_OUT = 0, 1, 3, 33, 36
"""Exit codes as `mutmut` stores them."""
UNCHANGED = "unchanged"
"""The unchanged rules, tried first: verdicts are valid only if no test fails for these."""


KEPT_EVERY = 100
Verdicts = dict[str, tuple[int, float]]
"""By changed rule: the exit code of its tests, and the seconds that they took."""


def function_of(mutant: str) -> str:
    return mutant.replace("__init__.", "").partition("__mutmut_")[0]


def drawn(mutants: Sequence[str], size: int, seed: int) -> list[str]:
    """Return a sample of the mutants with every module's share, the same for the same seed."""
    if size >= len(mutants):
        return list(mutants)
    modules: dict[str, list[str]] = defaultdict(list)
    for mutant in sorted(mutants):
        modules[mutant.rpartition(".")[0]].append(mutant)
    chance = Random(seed)
    shuffled = [mutant for names in modules.values() for mutant in chance.sample(names, len(names))]
    return [shuffled[i * len(shuffled) // size] for i in range(size)]


class Trials:
    """A plugin of pytest that runs the tests for each change instead of once. `verdicts` fills while it runs."""

    def __init__(self, mutants: Sequence[str], children: int, keep: Callable[[Verdicts], None]) -> None:
        self._mutants = mutants
        self._keep = keep
        self._children = children
        self._running: dict[int, tuple[str, float]] = {}
        self._reached: set[str] = set()
        self._in_fork = False
        self.verdicts: Verdicts = {}

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise session.Interrupted("the tests could not be collected")
        tests = self._tests_by_function(session)
        gc.collect()
        gc.freeze()
        self._try(
            UNCHANGED, sorted({test for reaching in tests.values() for test in reaching}, key=lambda test: test[0])
        )
        self._await_one()
        if self.verdicts.pop(UNCHANGED)[0] != UNNOTICED:
            raise session.Interrupted("the tests fail in a fork, where nothing was changed")
        began = monotonic()
        for tried, mutant in enumerate(self._mutants, 1):
            self._try(mutant, tests.get(function_of(mutant), []))
            if tried % KEPT_EVERY == 0:
                print(f"\r{tried} of {len(self._mutants)} in {monotonic() - began:.0f} s", end="", file=sys.stderr)
                self._keep(self.verdicts)
        while self._running:
            self._await_one()
        self._keep(self.verdicts)
        print(file=sys.stderr)
        return True

    def _tests_by_function(self, session: pytest.Session) -> dict[str, list[tuple[float, pytest.Item]]]:
        """Return the tests that reach each function, with their CPU seconds, in ascending order."""
        from mutmut.mutation import trampoline

        trampoline.get_mutant_under_test = lambda: "stats"
        trampoline.record_trampoline_hit = lambda function, **_: self._reached.add(function)
        tests: dict[str, list[tuple[float, pytest.Item]]] = defaultdict(list)
        for item in session.items:
            self._reached.clear()
            began = process_time()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            if session.testsfailed:
                raise session.Interrupted(f"{item.nodeid} fails before anything was changed")
            cost = process_time() - began
            for function in self._reached:
                tests[function].append((cost, item))
        for reaching in tests.values():
            reaching.sort(key=lambda test: test[0])
        return tests

    def _try(self, mutant: str, tests: Sequence[tuple[float, pytest.Item]]) -> None:
        if not tests:
            self.verdicts[mutant] = UNREACHED, 0.0
            return
        while len(self._running) >= self._children:
            self._await_one()
        sys.stdout.flush()
        if pid := os.fork():
            self._running[pid] = mutant, monotonic()
            return
        try:
            self._run(mutant, tests)
        finally:
            os._exit(BROKEN)

    def _run(self, mutant: str, tests: Sequence[tuple[float, pytest.Item]]) -> None:
        from mutmut.mutation import trampoline

        self._in_fork = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
        active = mutant.replace("__init__.", "")
        trampoline.get_mutant_under_test = lambda: active
        for cost, item in tests:
            signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS_MIN + CPU_FACTOR * cost)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        os._exit(UNNOTICED)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[Any]) -> None:
        """Exit at the first failure in a fork: its report is not read."""
        if self._in_fork and call.excinfo is not None and not call.excinfo.errisinstance(pytest.skip.Exception):
            os._exit(NOTICED)

    def _await_one(self) -> None:
        pid, status = os.wait()
        mutant, began = self._running.pop(pid)
        code = os.waitstatus_to_exitcode(status)
        self.verdicts[mutant] = TIMED_OUT if code < 0 else code, monotonic() - began


def changed(patterns: Sequence[str], children: int) -> Iterator[tuple[str, int | None]]:
    """Write the changed rules below `mutants/`; yield the name of each, with its verdict if an earlier run had one."""
    from mutmut import __main__ as mutmut

    mutmut.set_mutant_under_test("mutant_generation")
    with redirect_stdout(StringIO()):  # it prints the name of every file
        mutmut.copy_src_dir()
        mutmut.copy_also_copy_files()
        mutmut.setup_source_paths()
        mutmut.create_mutants(children)
    for _, mutant, verdict in mutmut.collect_source_file_mutation_data(mutant_names=tuple(patterns))[0]:
        yield mutant, verdict


def tried(mutants: Sequence[str], children: int, *, only: bool) -> int:
    """Try the mutants and return how many verdicts were stored. `only`: earlier verdicts are forgotten."""
    from mutmut.configuration import config

    home, options = Path.cwd(), config()
    if only:
        keep({}, only=True)

    def keep_at_home(verdicts: Verdicts) -> None:
        with chdir(home):
            keep(verdicts)

    trials = Trials(mutants, children, keep_at_home)
    arguments = ["--rootdir=.", "--assert=plain", "-s", *options.pytest_add_cli_args]
    with chdir("mutants"):
        code = pytest.main([*arguments, *options.pytest_add_cli_args_test_selection], plugins=[trials])
    if not trials.verdicts:
        sys.exit(int(code))
    return len(trials.verdicts)


def keep(verdicts: Verdicts, *, only: bool = False) -> None:
    from mutmut.__main__ import collect_source_file_mutation_data

    for kept in collect_source_file_mutation_data(mutant_names=())[1].values():
        for mutant in kept.exit_code_by_key:
            if mutant in verdicts:
                kept.exit_code_by_key[mutant], kept.durations_by_key[mutant] = verdicts[mutant]
            elif only:
                kept.exit_code_by_key[mutant] = None
        kept.save()
