"""Files with archived events: what was written is read again, byte for byte, or the file is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oms_es.proof.entries import StoredEvent
from oms_es.store.archive import files
from oms_es.store.archive.files import ARCHIVE, ArchiveChanged, ArchiveUnavailable
from oms_es.store.archive.reading import is_archived, whole

LINES = st.binary(max_size=200).map(lambda said: said.replace(b"\n", b" "))
STATES = st.lists(LINES.filter(lambda said: not said.startswith(files.MARK)), min_size=1, max_size=30)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(files, "BLOCK_EVENTS_MAX", 4)
    monkeypatch.setattr(files, "BLOCKS_HELD_BYTES_MAX", 500)
    ARCHIVE.set_up(tmp_path)
    yield tmp_path
    ARCHIVE.set_up(None)


def events_of(states: list[bytes]) -> list[StoredEvent]:
    return [StoredEvent(at, f"order-{at}", 1, "OrderPlaced", state) for at, state in enumerate(states, 1)]


@given(STATES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_written_is_read_in_any_order(states: list[bytes]) -> None:
    events = events_of(states)
    written = files.write(events, 1)
    files.read_back(written, events)
    marks = [pointer.mark for pointer in written.pointers]
    assert all(map(is_archived, marks))
    assert [whole(mark) for mark in reversed(marks)] == [*reversed(states)]
    assert files.write(events, written.number) == written, "written again, it is the same file"
    assert ARCHIVE._held <= 500 or len(ARCHIVE._blocks) == 1


def test_bytes_that_are_no_mark_are_left_as_they_are() -> None:
    assert whole(b'{"event":1}') == b'{"event":1}'
    assert not is_archived(b"")


@pytest.mark.parametrize("mark", [b'{"archived":""}', b'{"archived":"1.2.3"}', b'{"archived":"1.x.3.abc"}'])
def test_a_mark_that_names_no_place_is_refused(mark: bytes) -> None:
    with pytest.raises(ArchiveChanged, match="does not say where"):
        whole(mark)


def test_every_byte_of_a_file_counts_or_is_not_read(folder: Path) -> None:
    events = events_of([f'{{"event":{at}}}'.encode() for at in range(9)])
    written = files.write(events, 1)
    file = folder / written.name
    content = file.read_bytes()
    for at in range(len(content)):
        file.write_bytes(content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :])
        ARCHIVE.set_up(folder)
        for event, pointer in zip(events, written.pointers, strict=True):
            try:
                assert whole(pointer.mark) == event.state
            except ArchiveChanged as changed:
                assert str(file) in str(changed)
        assert files.sha256_of(file) != written.sha256
    for cut in range(0, len(content), 7):
        file.write_bytes(content[:cut])
        ARCHIVE.set_up(folder)
        with pytest.raises(ArchiveChanged, match=str(file)):
            whole(written.pointers[-1].mark)
    file.unlink()
    with pytest.raises(ArchiveUnavailable, match="bring it back from a backup"):
        whole(written.pointers[0].mark)


def test_a_place_outside_of_its_file_is_refused() -> None:
    pointer = files.write(events_of([b"{}"]), 1).pointers[0]
    for wrong in (pointer._replace(offset=10_000), pointer._replace(at=7), pointer._replace(digest="x")):
        with pytest.raises(ArchiveChanged):
            whole(wrong.mark)


def test_a_block_that_would_not_fit_in_memory_is_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pointer = files.write(events_of([b"0" * 100_000]), 1).pointers[0]
    monkeypatch.setattr(files, "BLOCK_READ_MAX", 50_000)
    with pytest.raises(ArchiveChanged):
        whole(pointer.mark)


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ARCHIVE.set_up(tmp_path / "file" / "archive")
    with pytest.raises(ArchiveUnavailable, match="OMS_ARCHIVE_FOLDER"):
        files.write(events_of([b"{}"]), 1)
    ARCHIVE.set_up(None)
    with pytest.raises(ArchiveUnavailable, match="set OMS_ARCHIVE_FOLDER"):
        files.write(events_of([b"{}"]), 1)
