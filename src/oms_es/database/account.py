"""The operating-system account of the embedded server: ours, or another one if we are root."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from oms_es.database.directories import EmbeddedError

PROBE_SECONDS_MAX = 10


class Account(NamedTuple):
    """The account that runs the server; without a uid it is our own."""

    uid: int | None = None
    gid: int | None = None

    def give(self, path: Path, mode: int) -> None:
        """Set the owner and the mode of a path. Links are not followed: as root, this would give away what a link in a
        user's home names."""
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            os.fchmod(descriptor, mode)
            if self.uid is not None and self.gid is not None:
                os.fchown(descriptor, self.uid, self.gid)
        finally:
            os.close(descriptor)

    def run(self, command: Sequence[str], seconds_max: float, pass_fds: Sequence[int] = ()) -> tuple[bool, str]:
        """Run a program with an empty environment and a private umask; returns whether it succeeded, and its output."""
        try:
            ended = subprocess.run(
                command,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=seconds_max,
                pass_fds=pass_fds,
                cwd="/",
                env={"PATH": os.defpath, "LC_ALL": "C"},
                user=self.uid,
                group=self.gid,
                extra_groups=None if self.uid is None else [],
                umask=0o077,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return False, str(error)
        return ended.returncode == 0, ended.stdout.strip()

    def reaches(self, directory: Path) -> bool:
        return self.run(["/bin/sh", "-c", 'cd -- "$0"', str(directory)], PROBE_SECONDS_MAX)[0]

    def executes(self, binaries: Path) -> bool:
        programs = ("postgres", "initdb", "pg_ctl")
        return all(self.run([str(binaries / program), "--version"], PROBE_SECONDS_MAX)[0] for program in programs)


def account_for(cluster: Path) -> Account:
    if os.geteuid() != 0:
        return Account()
    with suppress(FileNotFoundError):
        found = cluster.stat()
        if found.st_uid != 0:
            return Account(found.st_uid, found.st_gid)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise EmbeddedError(
            "PostgreSQL refuses to run as root, and there is no account `nobody` to run it as; "
            "run as an ordinary user, or give an ordinary server as OMS_DATABASE_URL"
        ) from None
    return Account(nobody.pw_uid, nobody.pw_gid)


def uid_of(account: Account) -> int:
    return os.geteuid() if account.uid is None else account.uid
