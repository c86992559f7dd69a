"""A mistake of the user gets a sentence that says what to do, and an exit code; no input causes an unexpected error."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from oms_es.cli.main import main
from oms_es.exit_codes import Code

OMS = (sys.executable, "-m", "oms_es")
Said = tuple[int, str, str]
DOCUMENT = "a\n" * 200
CASES: dict[str, tuple[tuple[str, ...], str]] = {
    "no such command": (("ordr",), "Did you mean 'order'"),
    "no such verb": (("order", "splitt"), "Did you mean 'split'"),
    "a verb of the plural": (("order", "list"), "there is `oms-es orders list`"),
    "a verb of the singular": (("orders", "show", "web/1"), "there is `oms-es order show`"),
    "no such option": (("orders", "list", "--limt", "3"), "--limit"),
    "an argument is missing": (("order", "show"), "oms-es order show --help"),
    "no file": (("orders", "import", "nowhere"), "nowhere cannot be read"),
    "a directory": (("orders", "import", "."), "cannot be read: Is a directory"),
    "JSON that breaks off": (("order", "split", "web/1", "--split-id", "s", "--lines", '[{"l'), "is not JSON"),
    "a file of JSON that is not there": (("order", "split", "web/1", "--split-id", "s", "--lines", "@no"), "no cannot"),
    "less than nothing": (("stock", "receive", "A", "x", "--receipt-id", "r", "--quantity", "-4"), "quantity"),
    "more than anything": (("stock", "receive", "A", "x", "--receipt-id", "r", "--quantity", "9" * 30), "quantity"),
    "a word for a number": (("stock", "receive", "A", "x", "--receipt-id", "r", "--quantity", "many"), "quantity"),
    "a word for a moment": (("order", "show", "web/1", "--at", "yesterday"), "write it as 2026-01-05"),
    "a moment that is still to come": (("order", "show", "web/1", "--at", "2126-01-05T12:00Z"), "is still to come"),
    "stock of a moment to come": (("stock", "show", "A", "--at", "2126-01-05T12:00Z"), "is still to come"),
    "an order as of a position to come": (("order", "show", "web/1", "--at", "9" * 30), "write it as 2026-01-05"),
    "bytes that are no text": (("order", "hold", "web/\udcff", "--kind", "fraud"), "not text in UTF-8"),
    "a page of nothing": (("orders", "list", "--limit", "0"), "--limit"),
}


@pytest.fixture
def reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Said]:
    monkeypatch.setenv("OMS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("OMS_DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Said:
        code = main(list(arguments))
        return code, *capsys.readouterr()

    return run


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_of_usage_is_one_sentence_and_touches_nothing(
    reported: Callable[..., Said], tmp_path: Path, name: str
) -> None:
    arguments, said = CASES[name]
    code, out, err = reported(*arguments)
    assert (code, out, err.count("\n")) == (Code.USAGE, "", 1), err
    assert err.startswith("oms-es: ")
    assert said in err
    assert not (tmp_path / "home").exists()


URLS = {
    "nobody there": ("postgresql://nobody:secret@127.0.0.1:1/x", Code.NO_DATABASE),
    "no address": ("nonsense", Code.NO_DATABASE),
    "another database": ("mysql://a/b", Code.NO_DATABASE),
}


@pytest.mark.parametrize("name", URLS)
def test_a_database_that_cannot_be_had_is_said_without_its_password(
    reported: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    url, expected = URLS[name]
    monkeypatch.setenv("OMS_DATABASE_URL", url)
    code, out, err = reported("orders", "list")
    assert (code, out) == (expected, ""), err
    assert not any(word in err for word in ("unexpected", "Traceback", "secret"))
    assert "OMS_DATABASE_URL" in err


@pytest.mark.parametrize("url", ["postgresql://nobody:secret@127.0.0.1:1/x", "nonsense"])
def test_a_login_for_queries_that_is_not_let_in_is_said_by_its_own_setting(
    reported: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("OMS_SQL_DATABASE_URL", url)
    code, out, err = reported("sql", "SELECT 1")
    assert (code, out, err.count("\n")) == (Code.NO_DATABASE, "", 1)
    assert "OMS_SQL_DATABASE_URL" in err
    assert not any(word in err for word in (" OMS_DATABASE_URL", "unexpected", "secret"))


INTERRUPTED_IMPORT = """
import builtins, signal
real = builtins.__import__
def importing(name, *rest, **more):
    if name == "typer":
        signal.raise_signal(signal.SIGINT)
    return real(name, *rest, **more)
builtins.__import__ = importing
from oms_es.__main__ import main
main()
"""


def test_ctrl_c_ends_the_command_without_a_traceback_also_while_it_is_imported() -> None:
    ended = subprocess.run([sys.executable, "-c", INTERRUPTED_IMPORT], capture_output=True, timeout=120, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (128 + signal.SIGINT, b"", b"")


def test_a_pool_that_waited_says_why_no_one_let_it_in(
    reported: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    real = conninfo_to_dict(database_url)["password"]
    monkeypatch.setenv("OMS_DATABASE_URL", database_url.replace(str(real), "wr0ng"))
    code, out, err = reported("location", "open", "x", "--country", "DE")
    assert (code, out, err.count("\n")) == (Code.NO_DATABASE, "", 1)
    assert "password authentication failed" in err
    assert "wr0ng" not in err


@pytest.mark.parametrize("arguments", [("--version",), ("simulate", "--seeds", "0..1"), ("order", "--help")])
def test_a_reader_that_has_gone_ends_the_command_without_a_word(arguments: tuple[str, ...]) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "wb") as nobody:
        ended = subprocess.run([*OMS, *arguments], stdout=nobody, stderr=subprocess.PIPE, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (128 + signal.SIGPIPE, b"")


def test_an_export_is_looked_for_in_a_folder_only(reported: Callable[..., Said], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, out, err = reported("export", "--check", "--to", "file")
    assert (code, out, "file/manifest.json cannot be read: Not a directory" in err) == (Code.DIFFERENT, "", True)


def test_standard_input_that_is_closed_is_said_to_be(
    reported: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    code, out, err = reported("orders", "import", "-")
    assert (code, out, "standard input is closed" in err) == (Code.USAGE, "", True)


@pytest.mark.parametrize("arguments", [("--version",), ("report", "words"), ("order", "--help")])
def test_what_would_be_said_to_standard_output_that_is_closed_is_left_unsaid(arguments: tuple[str, ...]) -> None:
    closed = shlex.join([*OMS, *arguments]) + " >&-"
    ended = subprocess.run(["sh", "-c", closed], stderr=subprocess.PIPE, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (Code.OK, b"")
