"""A Merkle tree put together from left to right, of single leaves and of whole subtrees whose leaves stay unseen."""

from collections.abc import Iterator

from crypto.merkle import EMPTY_ROOT, ProofError, node_hash


def covering(start: int, stop: int) -> Iterator[tuple[int, int]]:
    """List the fewest complete subtrees that cover the leaves from `start` up to `stop`, from left to right.

    Yields:
        (level, position) of each; the subtree covers the 2^level leaves from `position << level` on.
    """
    while start < stop:
        level = (stop - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        yield level, start >> level
        start += 1 << level


class Spine:
    """The complete subtrees at the right edge of a growing tree: enough to know its root at every size on the way."""

    def __init__(self) -> None:
        self.size = 0
        self._hashes: list[tuple[int, bytes]] = []

    def push(self, node: bytes, level: int = 0) -> None:
        """Append a leaf hash, or the hash of a complete subtree.

        Raises:
            ProofError: a subtree of this level cannot begin here.
        """
        if self.size & ((1 << level) - 1):
            raise ProofError("A subtree does not begin where the leaves before it end.")
        self.size += 1 << level
        while self._hashes and self._hashes[-1][0] == level:
            node = node_hash(self._hashes.pop()[1], node)
            level += 1
        self._hashes.append((level, node))

    def root(self) -> bytes:
        """Return the root of all leaves so far; of none, the hash of the empty string (RFC 6962, section 2.1)."""
        if not self._hashes:
            return EMPTY_ROOT
        root = self._hashes[-1][1]
        for _, node in reversed(self._hashes[:-1]):
            root = node_hash(node, root)
        return root
