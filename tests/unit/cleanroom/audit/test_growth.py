"""What is appended is proven from memory alone, with the very proofs that the stored tree gives."""

import hashlib

import pytest

from cleanroom.audit.tree import Growth, Peaks
from crypto import merkle

LEAVES = [merkle.leaf_hash(bytes([number])) for number in range(70)]


def peaks(size: int) -> Peaks:
    grown = Peaks()
    for leaf in LEAVES[:size]:
        grown.push(leaf)
    return grown


@pytest.mark.parametrize("added", [1, 2, 3, 5])
def test_every_new_leaf_has_the_proof_of_the_whole_tree(added: int) -> None:
    for size in range(len(LEAVES) - added):
        tree = Growth(peaks(size))
        assert [tree.push(leaf) for leaf in LEAVES[size : size + added]] == list(range(size, size + added))

        whole = merkle.in_memory(LEAVES[: size + added])
        assert (tree.size, tree.root()) == (size + added, merkle.root(LEAVES[: size + added]))
        for index in range(size, size + added):
            assert merkle.inclusion_from(tree.node, index, tree.size) == merkle.inclusion_from(
                whole, index, size + added
            )
        for level, position, node in tree.completed:
            assert node == whole(level, position)


def test_a_tree_that_has_not_grown_has_the_root_it_had() -> None:
    assert Growth(peaks(0)).root() == hashlib.sha256(b"").digest()
    assert Growth(peaks(7)).root() == merkle.root(LEAVES[:7])
    assert Growth(peaks(7)).completed == []
