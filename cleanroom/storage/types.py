"""What the room asks of a place that keeps sealed files."""

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol


class ObjectStore(Protocol):
    """Keeps immutable files under keys such as `ws_.../dv_.../fl_...`."""

    def create(self, key: str, *, lasting: bool = True) -> AbstractContextManager[BinaryIO]:
        """Write a new object; it appears whole when the block ends, and not at all when the block raises.

        One that is not lasting need not survive a loss of power.
        """
        ...

    def path(self, key: str) -> Path:
        """Return the path of an existing object on this machine."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; a key without object is no error, so that a repeated clean-up succeeds."""
        ...

    def keys(self, prefix: str = "") -> Iterator[str]:
        """List keys that start with a prefix, in sorted order."""
        ...

    def unfinished(self) -> Iterator[str]:
        """List the keys of objects whose writing has not ended, or never will: a crash came first."""
        ...

    def sweep(self, known_keys: Collection[str], *, prefix: str = "") -> list[str]:
        """Remove what a crash left: unfinished files, and objects that nothing refers to."""
        ...
