"""The log's tree: RFC 9162 hashing and proofs, against a naive definition and published vectors."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certify.registry import merkle
from certify.registry.merkle import Frontier, ProofError

# Leaves and roots of the reference test data of Certificate Transparency.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def naive(leaves: list[bytes]) -> bytes:
    """MTH of RFC 9162, section 2.1.1, word for word."""
    if not leaves:
        return sha256().digest()
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\1" + naive(leaves[:split]) + naive(leaves[split:])).digest()


def naive_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 9162, section 2.1.3.1, word for word."""
    if len(leaves) == 1:
        return []
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    if index < split:
        return [*naive_path(index, leaves[:split]), naive(leaves[split:])]
    return [*naive_path(index - split, leaves[split:]), naive(leaves[:split])]


def naive_subproof(old: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 9162, section 2.1.4.1, word for word."""
    if old == len(leaves):
        return [] if whole else [naive(leaves)]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    if old <= split:
        return [*naive_subproof(old, leaves[:split], whole), naive(leaves[split:])]
    return [*naive_subproof(old - split, leaves[split:], False), naive(leaves[:split])]


def reader(leaves: list[bytes]) -> merkle.Subtrees:
    """Subtree hashes by the naive definition."""
    return lambda level, index: naive(leaves[index << level : (index + 1) << level])


some_leaves = st.lists(st.binary(max_size=3), min_size=1, max_size=70)


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_the_reference_test_data(size: int) -> None:
    """R-LOG: the tree hashes equal the published ones, the empty tree's included."""
    assert merkle.root(merkle.leaf_hash(leaf) for leaf in LEAVES[:size]).hex() == ROOTS[size]


def test_inclusion_proof_is_that_of_the_reference_test_data() -> None:
    """R-LOG: the proof for the first of eight leaves equals the published one."""
    assert [sibling.hex() for sibling in merkle.inclusion_proof(0, 8, reader(LEAVES))] == [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]


def test_consistency_proof_is_that_of_the_reference_test_data() -> None:
    """R-LOG: the proof from six to eight leaves equals the published one."""
    assert [sibling.hex() for sibling in merkle.consistency_proof(6, 8, reader(LEAVES))] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


@given(some_leaves)
def test_growing_tree_equals_the_naive_definition(leaves: list[bytes]) -> None:
    """R-LOG: appended one by one or read from subtrees, the root is that of the recursive definition."""
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    assert merkle.root(hashes) == merkle.frontier(len(leaves), reader(leaves)).root() == naive(leaves)


@given(some_leaves)
def test_completed_subtrees_are_those_of_the_naive_definition(leaves: list[bytes]) -> None:
    """R-LOG: appending makes each complete subtree once, with its hash."""
    tree, made = Frontier(), []
    for leaf in leaves:
        tree, new = tree.append(merkle.leaf_hash(leaf))
        made += [(subtree.level, subtree.index, subtree.hash) for subtree in new]
    expected = [
        (level, index, naive(leaves[index << level : (index + 1) << level]))
        for level in range(8)
        for index in range(len(leaves) >> level)
    ]
    assert sorted(made) == sorted(expected)


@given(some_leaves, st.data())
def test_inclusion_proofs_are_the_naive_ones_and_verify(leaves: list[bytes], data: st.DataObject) -> None:
    """R-LOG: every leaf has exactly the proof of the recursive definition, and it verifies."""
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof = merkle.inclusion_proof(index, len(leaves), reader(leaves))
    merkle.verify_inclusion(merkle.leaf_hash(leaves[index]), index, len(leaves), proof, naive(leaves))
    assert list(proof) == naive_path(index, leaves)


@given(some_leaves, st.data())
def test_consistency_proofs_are_the_naive_ones_and_verify(leaves: list[bytes], data: st.DataObject) -> None:
    """R-LOG: every prefix has exactly the proof of the recursive definition, and it verifies."""
    old = data.draw(st.integers(0, len(leaves)))
    proof = merkle.consistency_proof(old, len(leaves), reader(leaves))
    merkle.verify_consistency(old, len(leaves), naive(leaves[:old]), naive(leaves), proof)
    assert list(proof) == (naive_subproof(old, leaves, True) if old else [])


@given(some_leaves, st.data())
def test_malformed_inclusion_proofs_are_refused(leaves: list[bytes], data: st.DataObject) -> None:
    """R-LOG: a proof with a flipped bit, a hash more, less or shortened, or for another leaf, index or size fails."""
    size, index = len(leaves), data.draw(st.integers(0, len(leaves) - 1))
    proof, root = list(merkle.inclusion_proof(index, size, reader(leaves))), naive(leaves)
    leaf = merkle.leaf_hash(leaves[index])
    wrong = [
        (merkle.leaf_hash(b"never there"), index, size, proof, root),
        (leaf, index, size, [*proof, root], root),
        (leaf, size, size, proof, root),
        (leaf, -1, size, proof, root),
        (leaf, index, size, proof, bytes(32)),
        (leaf[:-1], index, size, proof, root),
        (leaf, index, size, proof, root + b"\0"),
        (leaf, index, size * 4 + 4, proof, root),
    ]
    if proof:
        place = data.draw(st.integers(0, len(proof) - 1))
        flipped = bytes((proof[place][0] ^ 1, *proof[place][1:]))
        wrong += [
            (leaf, index, size, [*proof[:place], flipped, *proof[place + 1 :]], root),
            (leaf, index, size, [*proof[:place], proof[place][:-1], *proof[place + 1 :]], root),
            (leaf, index, size, proof[:-1], root),
            (leaf, index, size, proof[1:], root),
        ]
    for attempt in wrong:
        with pytest.raises(ProofError):
            merkle.verify_inclusion(*attempt)


@given(some_leaves, st.data())
def test_malformed_consistency_proofs_are_refused(leaves: list[bytes], data: st.DataObject) -> None:
    """R-LOG: a proof with a flipped bit, a hash more, less or shortened, or for other roots or sizes fails."""
    new, old = len(leaves), data.draw(st.integers(0, len(leaves)))
    proof, old_root, new_root = (
        list(merkle.consistency_proof(old, new, reader(leaves))),
        naive(leaves[:old]),
        naive(leaves),
    )
    wrong = [
        (old, new, bytes(32), new_root, proof),
        (old, new, old_root, new_root, [*proof, old_root]),
        (new + 1, new, old_root, new_root, proof),
        (-1, new, old_root, new_root, proof),
        (old, new, old_root[:-1], new_root, proof),
    ]
    if old:
        wrong.append((old, new, old_root, bytes(32), proof))
    if proof:
        place = data.draw(st.integers(0, len(proof) - 1))
        flipped = bytes((proof[place][0] ^ 1, *proof[place][1:]))
        wrong += [
            (old, new, old_root, new_root, [*proof[:place], flipped, *proof[place + 1 :]]),
            (old, new, old_root, new_root, proof[:-1]),
            (old, new, old_root, new_root, proof[1:]),
            (old, new, old_root, new_root, []),
        ]
    for attempt in wrong:
        with pytest.raises(ProofError):
            merkle.verify_consistency(*attempt)


def test_a_node_cannot_pass_for_a_leaf() -> None:
    """R-LOG: the two prefixes keep a leaf made of two hashes apart from the node over them."""
    left, right = merkle.leaf_hash(b"a"), merkle.leaf_hash(b"b")
    assert merkle.leaf_hash(left + right) != merkle.node_hash(left, right)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 4)])
def test_no_proof_is_made_for_a_leaf_that_is_not_there(index: int, size: int) -> None:
    """R-LOG: asking for an impossible inclusion proof is an error of the caller."""
    with pytest.raises(ValueError, match="has no leaf"):
        merkle.inclusion_proof(index, size, reader(LEAVES))


def test_no_proof_is_made_from_a_larger_tree_to_a_smaller() -> None:
    """R-LOG: asking for an impossible consistency proof is an error of the caller."""
    with pytest.raises(ValueError, match="does not extend"):
        merkle.consistency_proof(3, 2, reader(LEAVES))
