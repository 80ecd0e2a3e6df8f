"""The Merkle tree of RFC 9162, section 2.1: tree hashes, inclusion and consistency proofs, and their verification.

Rules this module keeps:

- everything is pure; a tree lives in its `Frontier` and in a reader of complete subtrees that the caller supplies;
- leaf and node hashes have different prefixes, so that no leaf can pass for a node;
- a proof holds or `ProofError` says why not: wrong length, wrong size of a hash and wrong root are all refused;
- positions count from 0, sizes from 0 leaves; level 0 holds leaf hashes, and the subtree ``(level, index)`` covers
  the leaves ``index * 2**level`` up to ``(index + 1) * 2**level``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

HASH_BYTES: Final = 32

Subtrees = Callable[[int, int], bytes]
"""Reads the hash of the complete subtree at a level and an index."""


class ProofError(ValueError):
    """A proof does not show what it claims to show."""


def empty_root() -> bytes:
    """The root of the tree without leaves: the hash of no bytes."""
    return sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """``SHA-256(0x00 || data)``."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """``SHA-256(0x01 || left || right)``."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Subtree:
    """The hash of one complete subtree."""

    level: int
    index: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Frontier:
    """A tree reduced to what appending needs.

    Attributes:
        size: number of leaves.
        peaks: hashes of the maximal complete subtrees from left to right: one for each bit set in `size`.
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def append(self, leaf: bytes) -> tuple[Frontier, tuple[Subtree, ...]]:
        """The tree with one more leaf hash, and the complete subtrees that it brings into being, lowest first."""
        peaks = list(self.peaks)
        made = [Subtree(0, self.size, leaf)]
        while self.size >> made[-1].level & 1:
            below = made[-1]
            made.append(Subtree(below.level + 1, below.index // 2, node_hash(peaks.pop(), below.hash)))
        return Frontier(self.size + 1, (*peaks, made[-1].hash)), tuple(made)

    def root(self) -> bytes:
        """The tree hash."""
        return _fold(self.peaks) if self.peaks else empty_root()


def frontier(size: int, subtrees: Subtrees) -> Frontier:
    """The frontier of the first `size` leaves."""
    return Frontier(size, tuple(subtrees(level, index) for level, index in _cover(0, size)))


def root(leaf_hashes: Iterable[bytes]) -> bytes:
    """The tree hash over leaf hashes."""
    tree = Frontier()
    for leaf in leaf_hashes:
        tree, _ = tree.append(leaf)
    return tree.root()


def inclusion_proof(index: int, size: int, subtrees: Subtrees) -> tuple[bytes, ...]:
    """``PATH(index, D[0:size])`` of RFC 9162, section 2.1.3.1: sibling hashes, lowest first.

    Raises:
        ValueError: there is no leaf `index` in a tree of `size`.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    path: list[bytes] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            path.append(_range_hash(middle, end, subtrees))
            end = middle
        else:
            path.append(_range_hash(begin, middle, subtrees))
            begin = middle
    return tuple(reversed(path))


def consistency_proof(old: int, new: int, subtrees: Subtrees) -> tuple[bytes, ...]:
    """``PROOF(old, D[0:new])`` of RFC 9162, section 2.1.4.1; empty when the two trees are the same or `old` is empty.

    Raises:
        ValueError: `old` is not between 0 and `new`.
    """
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} leaves does not extend one of {old}")
    if old in {0, new}:
        return ()
    path: list[bytes] = []
    begin, end = 0, new
    while old != end:
        middle = begin + _split(end - begin)
        if old <= middle:
            path.append(_range_hash(middle, end, subtrees))
            end = middle
        else:
            path.append(_range_hash(begin, middle, subtrees))
            begin = middle
    if begin:
        path.append(_range_hash(begin, end, subtrees))
    return tuple(reversed(path))


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf hash `leaf` is leaf `index` of the tree of `size` with hash `root` (section 2.1.3.2).

    Raises:
        ProofError: it does not show that.
    """
    _demand_hashes((leaf, root, *proof))
    if not 0 <= index < size:
        raise ProofError(f"a tree of {size} leaves has no leaf {index}")
    position, last, value = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofError("the proof goes on above the root")
        if position & 1 or position == last:
            value = node_hash(sibling, value)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            value = node_hash(value, sibling)
        position, last = position >> 1, last >> 1
    if last:
        raise ProofError("the proof ends below the root")
    if value != root:
        raise ProofError("the proof leads to another root")


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree of `new` leaves begins with the tree of `old` leaves (section 2.1.4.2).

    Raises:
        ProofError: it does not show that.
    """
    _demand_hashes((old_root, new_root, *proof))
    if not 0 <= old <= new:
        raise ProofError(f"a tree of {new} leaves does not extend one of {old}")
    if old in {0, new}:
        if proof:
            raise ProofError("nothing is to be proved, and the proof is not empty")
        if old_root != (new_root if old else empty_root()):
            raise ProofError("two trees of one size have two roots")
        return
    if not proof:
        raise ProofError("the proof is empty")
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old_value = new_value = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofError("the proof goes on above the root")
        if position & 1 or position == last:
            old_value, new_value = node_hash(sibling, old_value), node_hash(sibling, new_value)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            new_value = node_hash(new_value, sibling)
        position, last = position >> 1, last >> 1
    if last:
        raise ProofError("the proof ends below the root")
    if old_value != old_root:
        raise ProofError("the proof leads to another root of the older tree")
    if new_value != new_root:
        raise ProofError("the proof leads to another root of the newer tree")


def _demand_hashes(hashes: Iterable[bytes]) -> None:
    for value in hashes:
        if len(value) != HASH_BYTES:
            raise ProofError(f"a hash has {len(value)} bytes instead of {HASH_BYTES}")


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def _cover(begin: int, end: int) -> list[tuple[int, int]]:
    """The complete subtrees, largest first, that make up ``[begin, end)``; `begin` is aligned to the largest."""
    cover = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        cover.append((level, begin >> level))
        begin += 1 << level
    return cover


def _range_hash(begin: int, end: int, subtrees: Subtrees) -> bytes:
    return _fold([subtrees(level, index) for level, index in _cover(begin, end)])


def _fold(peaks: Sequence[bytes]) -> bytes:
    value = peaks[-1]
    for peak in reversed(peaks[:-1]):
        value = node_hash(peak, value)
    return value
