"""A tree that is put together of leaves and unseen subtrees has the root of all its leaves, at every size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.merkle import ProofError, in_memory, leaf_hash, root
from crypto.spine import Spine, covering

LEAVES = [leaf_hash(bytes([number])) for number in range(200)]


@given(st.sets(st.integers(0, 199)), st.integers(1, 200))
def test_seen_and_unseen_leaves_give_the_root_of_all(seen: set[int], size: int) -> None:
    source, spine, at = in_memory(LEAVES[:size]), Spine(), 0
    for index in [*sorted(index for index in seen if index < size), size]:
        for level, position in covering(at, index):
            spine.push(source(level, position), level)
            assert spine.root() == root(LEAVES[: spine.size])
        if index < size:
            spine.push(LEAVES[index])
        at = index + 1
    assert (spine.size, spine.root()) == (size, root(LEAVES[:size]))


@given(st.integers(0, 500), st.integers(0, 500))
def test_a_range_is_covered_once_and_by_few(start: int, length: int) -> None:
    parts = list(covering(start, start + length))
    assert [leaf for level, at in parts for leaf in range(at << level, (at + 1) << level)] == list(
        range(start, start + length)
    )
    assert len(parts) <= 2 * max(1, length.bit_length())


def test_an_empty_tree_has_the_empty_root() -> None:
    assert Spine().root() == root([])


def test_a_subtree_begins_only_where_one_can() -> None:
    spine = Spine()
    spine.push(LEAVES[0])
    with pytest.raises(ProofError, match="begin"):
        spine.push(LEAVES[1], 1)
