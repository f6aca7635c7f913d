"""The tree served from stored nodes gives what RFC 6962 defines, with few look-ups."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.merkle import (
    EMPTY_ROOT,
    ProofError,
    consistency_from,
    in_memory,
    inclusion_from,
    leaf_hash,
    node_hash,
    root,
    root_from,
    verify_consistency,
    verify_inclusion,
    verify_subtree_consistency,
)


def leaves(count: int) -> list[bytes]:
    return [leaf_hash(number.to_bytes(4)) for number in range(count)]


def test_hashes_are_separated_by_their_first_byte() -> None:
    assert leaf_hash(b"x") == hashlib.sha256(b"\x00x").digest()
    assert node_hash(b"a", b"b") == hashlib.sha256(b"\x01ab").digest()
    assert root([]) == EMPTY_ROOT == hashlib.sha256(b"").digest()
    assert root_from(in_memory([]), 0) == EMPTY_ROOT


@given(st.integers(1, 300))
def test_few_complete_subtrees_serve_a_root_or_a_proof(size: int) -> None:
    stored = in_memory(leaves(size))
    asked: list[tuple[int, int]] = []

    def source(level: int, position: int) -> bytes:
        asked.append((level, position))
        return stored(level, position)

    assert root_from(source, size) == root(leaves(size))
    most = 2 * size.bit_length() + 1
    for index in (0, size // 2, size - 1):
        asked.clear()
        proof = inclusion_from(source, index, size)
        assert len(asked) <= most
        verify_inclusion(leaves(size)[index], index, size, proof, root(leaves(size)))
    for older in {1, (size + 1) // 2, size}:
        asked.clear()
        proof = consistency_from(source, older, size)
        assert len(asked) <= most
        verify_consistency(older, root(leaves(older)), size, root(leaves(size)), proof)


@given(st.data(), st.integers(2, 60))
def test_a_proof_shows_nothing_else(data: st.DataObject, size: int) -> None:
    source = in_memory(leaves(size))
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size - 1).filter(lambda number: number != index))
    proof, top = inclusion_from(source, index, size), root_from(source, size)
    claims = [(leaves(size)[other], index, proof, top), (leaves(size)[index], other, proof, top)]
    claims += [(leaves(size)[index], index, proof, bytes(32)), (leaves(size)[index], index, proof[:-1], top)]
    claims += [(leaves(size)[index], index, [*proof, bytes(32)], top), (b"", index, proof, top)]
    for leaf, place, path, head in claims:
        with pytest.raises(ProofError):
            verify_inclusion(leaf, place, size, path, head)
    older = data.draw(st.integers(1, size - 1))
    path = consistency_from(source, older, size)
    pairs = [(bytes(32), top, path), (root(leaves(older)), bytes(32), path)]
    pairs += [(root(leaves(older)), top, path[:-1]), (root(leaves(older)), top, [*path, bytes(32)])]
    pairs += [(root(leaves(older)), top, [b"short", *path[1:]])]
    for first, second, hashes in pairs:
        with pytest.raises(ProofError):
            verify_consistency(older, first, size, second, hashes)


@pytest.mark.parametrize(("index", "size"), [(-1, 5), (5, 5), (0, 0)])
def test_a_leaf_outside_the_tree_has_no_proof(index: int, size: int) -> None:
    with pytest.raises(ProofError, match="below"):
        inclusion_from(in_memory(leaves(5)), index, size)


@pytest.mark.parametrize(("older", "size"), [(0, 5), (6, 5), (-1, 5)])
def test_sizes_that_cannot_follow_have_no_proof(older: int, size: int) -> None:
    with pytest.raises(ProofError):
        consistency_from(in_memory(leaves(5)), older, size)
    with pytest.raises(ProofError):
        verify_consistency(older, bytes(32), size, bytes(32), [])


def subtree_proof(start: int, end: int, tree: list[bytes], known: bool) -> list[bytes]:
    """SUBTREE_SUBPROOF of draft-ietf-plants-merkle-tree-certs, by the recursion that defines it."""
    if (start, end) == (0, len(tree)):
        return [] if known else [root(tree)]
    k = 1 << (len(tree) - 1).bit_length() - 1
    if end <= k:
        return [*subtree_proof(start, end, tree[:k], known), root(tree[k:])]
    if k <= start:
        return [*subtree_proof(start - k, end - k, tree[k:], known), root(tree[:k])]
    return [*subtree_proof(0, end - k, tree[k:], False), root(tree[:k])]


@pytest.mark.parametrize("size", [1, 2, 5, 8, 13, 21])
def test_every_subtree_is_proved_to_be_part_of_its_tree(size: int) -> None:
    tree = leaves(size)
    for start in range(size):
        for end in range(start + 1, size + 1):
            proof = subtree_proof(start, end, tree, True)
            if start % (1 << (end - start - 1).bit_length()):
                with pytest.raises(ProofError, match="form a subtree"):
                    verify_subtree_consistency(start, end, root(tree[start:end]), size, root(tree), proof)
                continue
            verify_subtree_consistency(start, end, root(tree[start:end]), size, root(tree), proof)
            with pytest.raises(ProofError):
                verify_subtree_consistency(start, end, bytes(32), size, root(tree), proof)
            with pytest.raises(ProofError):
                verify_subtree_consistency(start, end, root(tree[start:end]), size, bytes(32), proof)
