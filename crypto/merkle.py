"""The Merkle tree of RFC 6962: roots, inclusion and consistency proofs, over any store of complete subtrees.

The node of a `level` and a `position` covers the 2^level leaves from `position << level` on.
"""

import hashlib
from collections.abc import Callable, Sequence

from crypto.errors import CryptoError
from crypto.limits import DIGEST_BYTES

NodeSource = Callable[[int, int], bytes]
"""Gives the hash of a complete subtree by level (0: leaves) and position."""

EMPTY_ROOT = hashlib.sha256(b"").digest()


class ProofError(CryptoError):
    """A proof does not lead from what is claimed to the root that is claimed."""

    code = "crypto.proof"


def leaf_hash(record: bytes) -> bytes:
    """Hash one record: SHA-256(0x00 || record), RFC 6962 section 2.1."""
    return hashlib.sha256(b"\x00" + record).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees: SHA-256(0x01 || left || right), RFC 6962 section 2.1."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def in_memory(leaves: Sequence[bytes]) -> NodeSource:
    """Build all complete subtrees over leaf hashes held in memory."""
    levels = [list(leaves)]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([node_hash(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)])
    return lambda level, position: levels[level][position]


def root(leaves: Sequence[bytes]) -> bytes:
    """Compute the root over leaf hashes; of none, the hash of the empty string."""
    return root_from(in_memory(leaves), len(leaves))


def root_from(source: NodeSource, size: int) -> bytes:
    """Compute the root of the first `size` leaves from at most log2(size) + 1 stored nodes."""
    return _range_hash(source, 0, size) if size else EMPTY_ROOT


def inclusion_from(source: NodeSource, index: int, size: int) -> list[bytes]:
    """Prove that leaf `index` is in the tree of the first `size` leaves; RFC 6962 section 2.1.1.

    Returns:
        Sibling hashes, lowest first, at most log2(size) + 1; about twice as many nodes are asked for.

    Raises:
        ProofError: the index does not lie below the size.
    """
    if not 0 <= index < size:
        raise ProofError("A leaf's index lies below the tree's size.")
    proof = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(_range_hash(source, middle, end))
            end = middle
        else:
            proof.append(_range_hash(source, start, middle))
            start = middle
    return proof[::-1]


def consistency_from(source: NodeSource, size1: int, size2: int) -> list[bytes]:
    """Prove that the tree of `size1` leaves is the beginning of the one of `size2`; RFC 6962 section 2.1.2.

    Returns:
        Hashes, lowest first; none when the sizes are equal.

    Raises:
        ProofError: the sizes are not 1 <= size1 <= size2.
    """
    if not 1 <= size1 <= size2:
        raise ProofError(
            "A consistency proof goes from a tree of at least one leaf to one that is not smaller."
        )
    proof = []
    start, end, is_old_tree = 0, size2, True
    while size1 != end:
        middle = start + _split(end - start)
        if size1 <= middle:
            proof.append(_range_hash(source, middle, end))
            end = middle
        else:
            proof.append(_range_hash(source, start, middle))
            start, is_old_tree = middle, False
    if not is_old_tree:
        proof.append(_range_hash(source, start, end))
    return proof[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that a leaf hash stands at `index` in the tree of `size` leaves; returning means that it does.

    Raises:
        ProofError: it does not follow from the proof.

    Source: RFC 9162 section 2.1.3.2 (the trees of RFC 6962).
    """
    verify_subtree_inclusion(leaf, index, 0, size, proof, root)


def verify_consistency(size1: int, root1: bytes, size2: int, root2: bytes, proof: Sequence[bytes]) -> None:
    """Check that one tree is the beginning of another; returning means that it is.

    Raises:
        ProofError: it does not follow from the proof, or the first tree is empty.

    Source: RFC 9162 section 2.1.4.2 (the trees of RFC 6962).
    """
    if size1 < 1:
        raise ProofError("A consistency proof starts from a tree of at least one leaf.")
    verify_subtree_consistency(0, size1, root1, size2, root2, proof)


def verify_subtree_inclusion(
    leaf: bytes, index: int, start: int, end: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that a leaf hash stands at `index` under the subtree of the leaves from `start` up to `end`.

    Raises:
        ProofError: it does not follow from the proof, or there is no such subtree.

    Source: draft-ietf-plants-merkle-tree-certs, section 4.3; with `start` 0 it is RFC 9162 section 2.1.3.2.
    """
    _require_subtree(start, end)
    _require_hashes(leaf, *proof)
    if not start <= index < end:
        raise ProofError("A leaf's index lies inside its tree.")
    node, last, current = index - start, end - start - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofError("The proof is longer than the way from the leaf to the root.")
        if node & 1 or node == last:
            current = node_hash(sibling, current)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            current = node_hash(current, sibling)
        node, last = node >> 1, last >> 1
    if last or current != root:
        raise ProofError("The leaf and its proof do not lead to the root.")


def verify_subtree_consistency(
    start: int, end: int, subtree: bytes, size: int, root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that a subtree over the leaves from `start` up to `end` is part of the tree of `size` leaves.

    Raises:
        ProofError: it does not follow from the proof, or there is no such subtree.

    Source: draft-ietf-plants-merkle-tree-certs, section 4.4; with `start` 0 it is RFC 9162 section 2.1.4.2.
    """
    _require_subtree(start, end)
    _require_hashes(*proof)
    if end > size:
        raise ProofError("A tree does not hold the leaves of a larger one.")
    if start == end:
        if proof or subtree != EMPTY_ROOT:
            raise ProofError("An empty tree has the hash of the empty string and needs no proof.")
        return
    first, last, whole = start, end - 1, size - 1
    while first != last and (last == whole or last & 1):
        first, last, whole = first >> 1, last >> 1, whole >> 1
    siblings = list(proof)
    if first != last and not siblings:
        raise ProofError("The proof is shorter than the way to the root.")
    old = new = subtree if first == last else siblings.pop(0)
    for sibling in siblings:
        if whole == 0:
            raise ProofError("The proof is longer than the way to the root.")
        if last & 1 or last == whole:
            if first < last:
                old = node_hash(sibling, old)
            new = node_hash(sibling, new)
            while not last & 1 and last:
                first, last, whole = first >> 1, last >> 1, whole >> 1
        else:
            new = node_hash(new, sibling)
        first, last, whole = first >> 1, last >> 1, whole >> 1
    if whole or old != subtree or new != root:
        raise ProofError("The proof does not lead from the older root to the newer one.")


def _range_hash(source: NodeSource, start: int, end: int) -> bytes:
    """Hash the leaves from `start` up to `end`; `start` is aligned to their number rounded up to 2^n."""
    peaks = []
    while start < end:
        level = (end - start).bit_length() - 1
        peaks.append(source(level, start >> level))
        start += 1 << level
    current = peaks.pop()
    while peaks:
        current = node_hash(peaks.pop(), current)
    return current


def _split(count: int) -> int:
    """Return the largest power of two below a count of at least 2."""
    return 1 << (count - 1).bit_length() - 1


def _require_subtree(start: int, end: int) -> None:
    aligned = 1 << max(end - start - 1, 0).bit_length()
    if not 0 <= start <= end or start % aligned:
        raise ProofError("These leaves do not form a subtree.")


def _require_hashes(*hashes: bytes) -> None:
    if any(len(item) != DIGEST_BYTES for item in hashes):
        raise ProofError(f"Every hash of a proof has {DIGEST_BYTES} bytes.")
