"""A file that a person names is written whole or not at all, and only regular files are replaced."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.written_files import CannotWrite, complete, make_folder, write_file


def test_a_file_is_written_whole_and_keeps_who_may_read_it(tmp_path: Path) -> None:
    file = tmp_path / "journal.csv"
    write_file(file, [b"one ", b"two"])
    file.chmod(0o640)
    write_file(file, [b"three"])
    assert file.read_bytes() == b"three"
    assert file.stat().st_mode & 0o777 == 0o640
    assert [one.name for one in tmp_path.iterdir()] == ["journal.csv"]


def test_what_is_private_is_for_its_owner_alone_also_where_a_file_was(tmp_path: Path) -> None:
    file = tmp_path / "person.json"
    for _ in range(2):
        write_file(file, [b"{}"], private=True)
        assert file.stat().st_mode & 0o777 == 0o600
        file.chmod(0o644)


def test_what_breaks_on_the_way_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise EOFError

    file = tmp_path / "invoice.pdf"
    write_file(file, [b"whole"])
    with pytest.raises(EOFError):
        write_file(file, broken())
    assert file.read_bytes() == b"whole"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("private", [False, True])
def test_a_pipe_is_written_into_and_stays_one(tmp_path: Path, *, private: bool) -> None:
    """As a device is: /dev/null became a file where root exported what is known of a person to it."""
    pipe, read = tmp_path / "pipe", list[bytes]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_file(pipe, [b"a", b"b"], private=private)
    reader.join()
    assert read == [b"ab"]
    assert pipe.is_fifo()


@pytest.mark.parametrize("given", ["a pipe", "a file"])
def test_an_output_that_is_open_already_is_written_on_and_never_replaced(tmp_path: Path, given: str) -> None:
    """As a shell gives it: `--output /dev/stdout | head`, `--output /dev/stdout >> log`, `--output >(gzip)`."""
    log = tmp_path / "log"
    log.write_bytes(b"before ")
    program = "from pathlib import Path; from oms_es.written_files import write_file; write_file(Path(%r), [b'new'])"
    for place in ("/dev/stdout", "/dev/fd/1"):
        with log.open("ab") as appended:
            output = subprocess.PIPE if given == "a pipe" else appended
            done = subprocess.run([sys.executable, "-c", program % place], stdout=output, check=True)
            assert given == "a file" or done.stdout == b"new"
    assert log.read_bytes() == (b"before newnew" if given == "a file" else b"before ")
    assert [one.name for one in tmp_path.iterdir()] == ["log"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    link, target = tmp_path / "latest", tmp_path / "today"
    link.symlink_to(target)
    write_file(link, [b"new"])
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize("place", [".", "", "/", "file/x", "nowhere/x", "x" * 300, "/proc/oms-es", "loop"])
def test_where_nothing_can_be_written_it_is_said_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("loop").symlink_to("loop")
    with pytest.raises(
        CannotWrite, match=f"^{re.escape(str(Path(place)))} cannot be written: .*; name another place$"
    ) as raised:
        write_file(Path(place), [b"x"])
    assert isinstance(raised.value, OmsError)
    assert raised.value.exit_code is Code.USAGE
    assert {one.name for one in tmp_path.iterdir()} == {"file", "loop"}


def test_a_folder_is_made_where_there_is_none_and_nothing_else_is_taken_for_one(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    for wrong in (file, file / "c", Path("/proc/oms-es")):
        with pytest.raises(CannotWrite, match="name "):
            make_folder(wrong)
    with pytest.raises(CannotWrite, match=f"{file / 'd'} cannot be written: Not a directory"), complete(tmp_path):
        (file / "d").write_bytes(b"")
