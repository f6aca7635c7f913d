"""Growing a Merkle tree leaf by leaf, with only its peaks in memory."""

from collections.abc import Iterator, Sequence

from crypto.merkle import EMPTY_ROOT, node_hash


def closed_by(level: int, position: int) -> int:
    """Return the index of the last leaf under a complete subtree."""
    return ((position + 1) << level) - 1


def peak_positions(size: int) -> Iterator[tuple[int, int]]:
    """List the complete subtrees (level, position) that make up a tree of `size` leaves, widest first."""
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            yield level, (size >> level) - 1


class Peaks:
    """The complete subtrees that make up a growing tree: enough to append to it and to know its root."""

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        """Start from a tree of `size` leaves, given the hashes of its peaks, widest first."""
        self.size = size
        self._hashes = list(hashes)

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """The hashes of its peaks, widest first."""
        return tuple(self._hashes)

    def push(self, leaf: bytes) -> list[tuple[int, bytes]]:
        """Append a leaf hash; returns (level, hash) of each subtree that it completes, lowest first."""
        completed = []
        node, level, position = leaf, 0, self.size
        while position & 1:
            node = node_hash(self._hashes.pop(), node)
            level, position = level + 1, position >> 1
            completed.append((level, node))
        self._hashes.append(node)
        self.size += 1
        return completed

    def root(self) -> bytes:
        """Return the tree's root; of an empty tree, the hash of the empty string."""
        if not self._hashes:
            return EMPTY_ROOT
        root = self._hashes[-1]
        for peak in reversed(self._hashes[:-1]):
            root = node_hash(peak, root)
        return root


class Growth:
    """A tree that grows by some leaves, and all it takes to prove them in it afterwards, in memory."""

    def __init__(self, peaks: Peaks) -> None:
        self._peaks = peaks
        self._nodes = dict(zip(peak_positions(peaks.size), peaks.hashes, strict=True))
        self.completed: list[tuple[int, int, bytes]] = []
        """Level, position and hash of each subtree above the leaves that was completed, in order."""

    @property
    def size(self) -> int:
        """How many leaves it has by now."""
        return self._peaks.size

    @property
    def peaks(self) -> tuple[bytes, ...]:
        """The hashes of its peaks by now, widest first."""
        return self._peaks.hashes

    def push(self, leaf: bytes) -> int:
        """Append a leaf hash; returns its index."""
        index = self._peaks.size
        self._nodes[0, index] = leaf
        for level, node in self._peaks.push(leaf):
            self._nodes[level, index >> level] = node
            self.completed.append((level, index >> level, node))
        return index

    def node(self, level: int, position: int) -> bytes:
        """Return a complete subtree that a proof of a new leaf takes: the new ones and the first tree's peaks."""
        return self._nodes[level, position]

    def root(self) -> bytes:
        """Return the root of all leaves."""
        return self._peaks.root()
