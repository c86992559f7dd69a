"""Merkle trees of RFC 9162, section 2.1: roots, inclusion paths and consistency paths, and their verification.

Invariant: a path is meaningful only with a trusted root: verification computes from the path up to that root.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from hashlib import sha256

from oms_es.errors import OmsError
from oms_es.exit_codes import Code

EMPTY_ROOT = sha256(b"").digest()
HASH_BYTES = 32
Node = Callable[[int, int], bytes]
"""The hash of the perfect subtree of 2 ** level leaves, by level and index."""


class BadProof(OmsError):
    """A proof, checkpoint or signature is not what it claims to be."""

    code = "bad_proof"
    exit_code = Code.DIFFERENT


def leaf_hash(entry: bytes) -> bytes:
    return sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right).digest()


def perfect_subtrees(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the level and index of the perfect subtrees of a range, from left to right, as RFC 9162 splits trees."""
    while begin < end:
        level = (end - begin).bit_length() - 1
        yield level, begin >> level
        begin += 1 << level


def joined(subtrees: Sequence[bytes]) -> bytes:
    """Return the hash of these perfect subtrees together, the largest first."""
    return reduce(lambda right, left: node_hash(left, right), reversed(subtrees))


def range_hash(begin: int, end: int, node: Node) -> bytes:
    return joined([node(level, index) for level, index in perfect_subtrees(begin, end)])


def root(size: int, node: Node) -> bytes:
    return range_hash(0, size, node) if size else EMPTY_ROOT


def _split(begin: int, end: int) -> int:
    """Return where the left subtree ends: the largest power of two below the number of leaves."""
    return begin + (1 << (end - begin - 1).bit_length() - 1)


def inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """Return the ranges whose hashes are the inclusion path of a leaf (section 2.1.3.1)."""
    begin, end = 0, size
    ranges = []
    while end - begin > 1:
        middle = _split(begin, end)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((begin, middle))
            begin = middle
    return ranges[::-1]


def consistency_ranges(old: int, size: int) -> list[tuple[int, int]]:
    """Return the ranges whose hashes are the consistency path from an older tree (section 2.1.4.1); none from an empty
    one."""
    begin, end = 0, size
    ranges = []
    while 0 < old < end:
        middle = _split(begin, end)
        if old <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((begin, middle))
            begin = middle
    if begin:
        ranges.append((begin, end))
    return ranges[::-1]


def inclusion_path(index: int, size: int, node: Node) -> list[bytes]:
    return [range_hash(*part, node) for part in inclusion_ranges(index, size)]


def consistency_path(old: int, size: int, node: Node) -> list[bytes]:
    return [range_hash(*part, node) for part in consistency_ranges(old, size)]


def check_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes], expected: bytes) -> None:
    """Raise BadProof unless the leaf is at this index of the tree with this root (section 2.1.3.2)."""
    if not 0 <= index < size:
        raise BadProof(f"leaf {index} is not in a tree of {size} leaves")
    place, last, found = index, size - 1, leaf
    for part in path:
        if not last:
            raise BadProof(f"the inclusion path of leaf {index} is too long for a tree of {size} leaves")
        if place & 1 or place == last:
            found = node_hash(part, found)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, part)
        place, last = place >> 1, last >> 1
    if last:
        raise BadProof(f"the inclusion path of leaf {index} is too short for a tree of {size} leaves")
    if found != expected:
        raise BadProof(f"leaf {index} does not lead to the root of the tree of {size} leaves")


def check_consistency(old: int, size: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> None:
    """Raise BadProof unless the older tree is the beginning of the newer one (section 2.1.4.2)."""
    if not 0 <= old <= size:
        raise BadProof(f"a tree of {old} leaves does not begin one of {size}")
    if old in (0, size):
        if path or old_root != (new_root if old else EMPTY_ROOT):
            raise BadProof(f"the trees of {old} and {size} leaves do not have the roots that they should")
        return
    hashes = [*path] if old & (old - 1) else [old_root, *path]
    place, last = old - 1, size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    if not hashes:
        raise BadProof("the consistency path is empty")
    first = second = hashes[0]
    for part in hashes[1:]:
        if not last:
            raise BadProof("the consistency path is too long")
        if place & 1 or place == last:
            first, second = node_hash(part, first), node_hash(part, second)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            second = node_hash(second, part)
        place, last = place >> 1, last >> 1
    if last or first != old_root or second != new_root:
        raise BadProof(
            f"the tree of {old} leaves is not the beginning of the tree of {size} leaves: history was rewritten"
        )
