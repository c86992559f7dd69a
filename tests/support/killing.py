"""Programs that are killed right after a function has returned for the n-th time."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence

SECONDS_MAX = 120
KILLED_AFTER = """
import os, signal, sys
from importlib import import_module

from oms_es.store.privacy import wrapping

url, keys, function, nth, *rest = sys.argv[1:]
held = wrapping.KEYRING.hold([bytes.fromhex(key) for key in keys.split(",")])
module, name = function.split(":")
owner = import_module(module)
owner = getattr(owner, name.split(".")[0]) if "." in name else owner
name, calls = name.split(".")[-1], []
whole = getattr(owner, name)


def killed(*given, **named):
    result = whole(*given, **named)
    calls.append(1)
    if len(calls) == int(nth):
        os.kill(os.getpid(), signal.SIGKILL)
    return result


setattr(owner, name, killed)
"""
"""Kills its own process as soon as a function has returned so often."""


def run_until_killed(program: str, url: str, keys: Sequence[bytes], function: str, nth: int, *rest: str) -> None:
    given = [url, ",".join(key.hex() for key in keys), function, str(nth), *rest]
    done = subprocess.run(
        [sys.executable, "-c", KILLED_AFTER + program, *given],
        capture_output=True,
        check=False,
        timeout=SECONDS_MAX,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2_000:]
