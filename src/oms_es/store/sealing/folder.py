"""The sealed log as files, as C2SP tlog-tiles has them: for a server of static files, or a place that only grows.

Invariant: a file is there wholly or not at all; a full tile and a checkpoint by its size are written once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from oms_es.database.rows import Reading
from oms_es.proof import checkpoints
from oms_es.proof.tiles import HEIGHT, LEVELS_MAX, WIDTH, Tile, path_of, width_of
from oms_es.proof.tree import HASH_BYTES, BadProof
from oms_es.store.sealing.proving import newest_checkpoint, tiles
from oms_es.written_files import make_folder, write_file

CHECKPOINT = "checkpoint"
CHECKPOINTS = "checkpoints"
BATCH_TILES = 256
CHECKPOINT_FILES = "*.txt"


def write(path: Path, content: bytes) -> None:
    """Raises CannotWrite."""
    make_folder(path.parent)
    write_file(path, [content])


def checkpoints_in(directory: Path) -> Sequence[Path]:
    """Return the checkpoint files of a folder, in the place where `export` writes them or in the folder itself."""
    places = [directory / CHECKPOINTS, directory]
    return next((found for place in places if (found := sorted(place.glob(CHECKPOINT_FILES)))), [])


def export(rows: Reading, directory: Path) -> tuple[int, int]:
    """The size of the newest checkpoint, and how many tiles are new. The checkpoint comes last: what it is of is there.

    Raises NotSealed, CannotWrite.
    """
    note = newest_checkpoint(rows)
    _, checkpoint = checkpoints.read(note)
    missing = [tile for tile in _tiles_of(checkpoint.size) if not (directory / _path(tile, checkpoint.size)).exists()]
    for some in (missing[at : at + BATCH_TILES] for at in range(0, len(missing), BATCH_TILES)):
        found = tiles(rows, some)
        for tile in some:
            hashes = found.get(tile, b"")[: width_of(tile, checkpoint.size) * HASH_BYTES]
            if len(hashes) < width_of(tile, checkpoint.size) * HASH_BYTES:
                raise BadProof(f"tile {tile.level}/{tile.number} is not kept; see `oms-es audit check-log`")
            write(directory / _path(tile, checkpoint.size), hashes)
    write(directory / CHECKPOINTS / f"{checkpoint.size:015d}.txt", note.encode())
    write(directory / CHECKPOINT, note.encode())
    return checkpoint.size, len(missing)


def _path(tile: Tile, size: int) -> str:
    return path_of(tile, width_of(tile, size))


def _tiles_of(size: int) -> list[Tile]:
    counts = [(level, size >> HEIGHT * level) for level in range(LEVELS_MAX)]
    return [Tile(level, number) for level, count in counts for number in range(-(-count // WIDTH))]
