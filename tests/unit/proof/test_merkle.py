"""Trees, paths and tiles are compared with the definitions of RFC 9162 and with another library."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree  # type: ignore[import-untyped] # the library has no types

from oms_es.proof import tiles, tree
from oms_es.proof.tiles import Edge, Tile
from oms_es.proof.tree import BadProof

REFERENCE_ENTRIES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
REFERENCE_ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    4: "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    6: "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}
"""Those that implementations of RFC 6962 are tried with."""
BOUNDS = (255, 256, 257, 511, 512, 513)
SIZES = st.integers(0, 40) | st.sampled_from(BOUNDS)


def entries(size: int) -> list[bytes]:
    return [b"%d" % number for number in range(size)]


def mth(leaves: Sequence[bytes]) -> bytes:
    """Return the tree hash by the definition of RFC 9162, section 2.1.1."""
    n = len(leaves)
    if n == 0:
        return sha256(b"").digest()
    if n == 1:
        return sha256(b"\0" + leaves[0]).digest()
    k = split(n)
    return sha256(b"\1" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def split(n: int) -> int:
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """Return the inclusion path by section 2.1.3.1."""
    n = len(leaves)
    if n == 1:
        return []
    k = split(n)
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: Sequence[bytes], b: bool) -> list[bytes]:
    """Return the consistency proof by section 2.1.4.1."""
    n = len(leaves)
    if m == n:
        return [] if b else [mth(leaves)]
    k = split(n)
    if m <= k:
        return [*subproof(m, leaves[:k], b), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], b=False), mth(leaves[:k])]


def grown(size: int) -> Edge:
    edge = Edge()
    for entry in entries(size):
        edge.add(tree.leaf_hash(entry))
    return edge


def test_roots_are_those_of_the_reference() -> None:
    edge = Edge()
    assert edge.root().hex() == REFERENCE_ROOTS[0]
    for entry in REFERENCE_ENTRIES:
        edge.add(tree.leaf_hash(entry))
        assert edge.root().hex() == REFERENCE_ROOTS[edge.size]


def test_the_root_is_that_of_another_library_at_every_size() -> None:
    other, edge = InmemoryTree(algorithm="sha256"), Edge()
    for entry in entries(300):
        other.append_entry(entry)
        edge.add(tree.leaf_hash(entry))
        assert edge.root() == other.get_root()


@given(SIZES)
def test_the_root_and_every_tile_are_those_of_the_definition(size: int) -> None:
    edge = grown(size)
    found = edge.tiles()
    assert edge.root() == mth(entries(size)) == tree.root(size, tiles.nodes_of(found))
    assert {tile: len(kept) // 32 for tile, kept in found.items()} == {
        tile: width
        for level in range(3)
        for index in range(3)
        if (width := tiles.width_of(tile := Tile(level, index), size))
    }


@given(SIZES, st.data())
def test_what_grew_in_parts_is_what_grew_at_once(size: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, size))
    kept = grown(first).tiles()
    edge = Edge(first, kept.__getitem__)
    for entry in entries(size)[first:]:
        edge.add(tree.leaf_hash(entry))
    assert edge.root() == mth(entries(size))
    assert {**kept, **edge.tiles()} == grown(size).tiles()


@given(SIZES.filter(bool), st.data())
def test_a_path_is_that_of_the_definition_and_nothing_else_is_taken(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    leaves = entries(size)
    node, root, leaf = tiles.nodes_of(grown(size).tiles()), mth(leaves), tree.leaf_hash(leaves[index])
    found = tree.inclusion_path(index, size, node)
    assert found == path(index, leaves)
    tree.check_inclusion(index, size, leaf, found, root)
    wrong = [
        (index, size, tree.leaf_hash(b"other"), found, root),
        (index, size, leaf, [*found, root], root),
        (index, size, leaf, found, sha256(root).digest()),
        (size, size, leaf, found, root),
        (-1, size, leaf, found, root),
        *[(other, size, leaf, found, root) for other in range(min(size, 9)) if other != index],
        *[(index, size, leaf, found[:at] + found[at + 1 :], root) for at in range(len(found))],
        *[(index, size, leaf, [*found[:at], root, *found[at + 1 :]], root) for at in range(len(found))],
    ]
    for one in wrong:
        with pytest.raises(BadProof):
            tree.check_inclusion(*one)


@given(SIZES, st.data())
def test_a_consistency_path_is_that_of_the_definition_and_nothing_else_is_taken(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(0, size))
    leaves = entries(size)
    found = tree.consistency_path(old, size, tiles.nodes_of(grown(size).tiles()))
    assert found == (subproof(old, leaves, b=True) if old else [])
    roots = mth(leaves[:old]), mth(leaves)
    tree.check_consistency(old, size, *roots, found)
    other = sha256(b"other").digest()
    wrong = [
        (old, size, other, roots[1], found),
        *([(old, size, roots[0], other, found)] if old else []),
        (old, size, *roots, [*found, other]),
        (size + 1, size, *roots, found),
        *[(old, size, *roots, found[:at] + found[at + 1 :]) for at in range(len(found))],
        *[(old, size, *roots, [*found[:at], other, *found[at + 1 :]]) for at in range(len(found))],
    ]
    for one in wrong:
        with pytest.raises(BadProof):
            tree.check_consistency(*one)


@given(st.integers(1, 600))
def test_a_path_is_computed_from_the_tiles_that_are_named_and_no_others(size: int) -> None:
    every = grown(size).tiles()
    ranges = tree.inclusion_ranges(size // 2, size)
    few = {tile: every[tile] for tile in tiles.tiles_of(ranges)}
    assert tree.inclusion_path(size // 2, size, tiles.nodes_of(few)) == path(size // 2, entries(size))
    assert len(few) <= 6


def test_a_tile_that_lacks_hashes_is_not_made_up() -> None:
    kept = grown(300).tiles()
    with pytest.raises(KeyError):
        Edge(300, lambda tile: kept[tile][:-32])
    with pytest.raises(KeyError):
        tree.root(300, tiles.nodes_of({**kept, Tile(0, 1): kept[Tile(0, 1)][:-32]}))


@given(st.integers(0, 63), st.integers(0, 10**15), st.integers(1, 256))
def test_the_path_of_a_tile_is_read_back(level: int, index: int, width: int) -> None:
    assert tiles.parsed_path(tiles.path_of(Tile(level, index), width)) == (Tile(level, index), width)


@pytest.mark.parametrize(
    ("tile", "width", "written"),
    [
        (Tile(0, 0), 256, "tile/0/000"),
        (Tile(0, 1234067), 256, "tile/0/x001/x234/067"),
        (Tile(1, 67), 8, "tile/1/067.p/8"),
        (Tile(2, 1000), 255, "tile/2/x001/000.p/255"),
    ],
)
def test_a_tile_has_the_path_of_tlog_tiles(tile: Tile, width: int, written: str) -> None:
    assert tiles.path_of(tile, width) == written


@pytest.mark.parametrize(
    "text",
    ["tile/0/x000/067", "tile/00/067", "tile/0/67", "tile/0/067.p/0", "tile/0/067.p/256", "tile/0/067.p/300", "x", ""],
)
def test_another_path_is_of_no_tile(text: str) -> None:
    assert tiles.parsed_path(text) is None
