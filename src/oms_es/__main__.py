"""Where the program begins: Ctrl-C ends it without a traceback, also while its modules are imported."""

from __future__ import annotations

import os
import signal
import sys


def main() -> int:
    """Run the command line and return its exit code."""
    before = signal.signal(signal.SIGINT, lambda signum, _: os._exit(128 + signum))
    from oms_es.cli.main import main as run

    signal.signal(signal.SIGINT, before)
    return run()


if __name__ == "__main__":
    sys.exit(main())
