"""A tree cut into tiles of 256 hashes (C2SP tlog-tiles), which are stored and served, and never change once they are
full.

Invariant: a tile at level L holds the hashes of perfect subtrees of 256 ** L leaves, from left to right; only the last
tile of a level may hold fewer than 256.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from oms_es.proof.tree import EMPTY_ROOT, HASH_BYTES, Node, joined, node_hash, perfect_subtrees

HEIGHT = 8
WIDTH = 1 << HEIGHT
LEVELS_MAX = 8
"""256 ** 8 leaves are more than there are positions."""


class Tile(NamedTuple):
    """The level and number of a tile."""

    level: int
    number: int


Hashes = Mapping[Tile, bytes]
"""Tiles with their concatenated hashes."""


def hashes_of(tile: bytes) -> list[bytes]:
    return [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]


def subtree(hashes: Sequence[bytes]) -> bytes:
    """Return the root of a perfect subtree from its lowest hashes."""
    while len(hashes) > 1:
        hashes = [node_hash(left, right) for left, right in zip(hashes[::2], hashes[1::2], strict=True)]
    return hashes[0]


def place_of(level: int, index: int) -> tuple[Tile, int, int]:
    """Return the tile that contains a perfect subtree, and the range of its lowest hashes in that tile."""
    tile_level, height = divmod(level, HEIGHT)
    begin = index << height
    at = begin % WIDTH
    return Tile(tile_level, begin // WIDTH), at, at + (1 << height)


def tiles_of(ranges: Iterable[tuple[int, int]]) -> set[Tile]:
    """Return every tile that is needed to compute the hashes of these ranges."""
    return {place_of(level, index)[0] for part in ranges for level, index in perfect_subtrees(*part)}


def nodes_of(tiles: Hashes) -> Node:
    """Return a function that computes nodes from the tiles; it raises KeyError for a node in none of them."""

    @cache
    def node(level: int, index: int) -> bytes:
        tile, begin, end = place_of(level, index)
        foot = tiles[tile][begin * HASH_BYTES : end * HASH_BYTES]
        if len(foot) != (end - begin) * HASH_BYTES:
            raise KeyError(tile)
        return subtree(hashes_of(foot))

    return node


class Edge:
    """The right edge of a growing tree: the last tile of each level, without full ones.

    Adding a leaf costs two hashes on average, whatever the size.
    """

    def __init__(self, size: int = 0, last: Callable[[Tile], bytes] = lambda _tile: b"") -> None:
        """`last`: returns the tiles of a tree of this size that are not full."""
        self.size = size
        self.levels: list[list[bytes]] = []
        for level in range(LEVELS_MAX):
            count = size >> HEIGHT * level
            if not count:
                break
            width = count % WIDTH
            hashes = hashes_of(last(Tile(level, count // WIDTH))) if width else []
            if len(hashes) < width:
                raise KeyError(Tile(level, count // WIDTH))
            self.levels.append(hashes[:width])
        self.changed: dict[Tile, bytes] = {}
        """Full tiles that have been completed by this object."""

    def add(self, leaf: bytes) -> None:
        if self.levels and len(self.levels[0]) < WIDTH - 1:
            self.levels[0].append(leaf)
            self.size += 1
        else:
            self.extend([leaf])

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Add leaves, a tile at a time."""
        at = 0
        while at < len(leaves):
            some = leaves[at : at + WIDTH - self.size % WIDTH]
            at += len(some)
            self.size += len(some)
            self._extend(0, some)

    def _extend(self, level: int, some: Sequence[bytes]) -> None:
        if level == len(self.levels):
            self.levels.append([])
        hashes = self.levels[level]
        hashes += some
        if len(hashes) == WIDTH:
            self.changed[Tile(level, (self.size >> HEIGHT * level) // WIDTH - 1)] = b"".join(hashes)
            self.levels[level] = []
            self._extend(level + 1, [subtree(hashes)])

    def tiles(self) -> dict[Tile, bytes]:
        """Return the tiles that this object has completed, and those that are not full yet."""
        partial = {
            Tile(level, (self.size >> HEIGHT * level) // WIDTH): b"".join(hashes)
            for level, hashes in enumerate(self.levels)
            if hashes
        }
        return {**self.changed, **partial}

    def root(self) -> bytes:
        parts: list[bytes] = []
        for hashes in reversed(self.levels):
            parts += [subtree(hashes[_foot(level, index)]) for level, index in perfect_subtrees(0, len(hashes))]
        return joined(parts) if parts else EMPTY_ROOT


def _foot(level: int, index: int) -> slice:
    return slice(index << level, (index + 1) << level)


def width_of(tile: Tile, size: int) -> int:
    """Return how many hashes a tile has in a tree of this size."""
    return max(0, min(WIDTH, (size >> HEIGHT * tile.level) - tile.number * WIDTH))


def path_of(tile: Tile, width: int = WIDTH) -> str:
    """Return the tile's path on a static file server: groups of three digits, all but the last with an x."""
    digits = f"{tile.number % 1000:03d}"
    above = tile.number // 1000
    while above:
        digits = f"x{above % 1000:03d}/{digits}"
        above //= 1000
    return f"tile/{tile.level}/{digits}" + (f".p/{width}" if width < WIDTH else "")


PATH = re.compile(r"tile/(0|[1-9]\d?)/((?:x\d{3}/){0,5})(\d{3})(?:\.p/([1-9]\d{0,2}))?", re.ASCII)


def parsed_path(path: str) -> tuple[Tile, int] | None:
    """Return the tile and its width, or None if no tile has this path."""
    found = PATH.fullmatch(path)
    if not found:
        return None
    level, above, last, width = found.groups()
    tile, count = Tile(int(level), int(above.replace("x", "").replace("/", "") + last)), int(width or WIDTH)
    return (tile, count) if path_of(tile, count) == path else None
