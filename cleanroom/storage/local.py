"""Sealed files in a directory of this machine."""

import os
import re
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from cleanroom.storage.errors import ObjectExistsError, ObjectKeyError, ObjectMissingError
from crypto.durable import sync_directory

_KEY = re.compile(r"^[A-Za-z0-9_-]{1,100}(/[A-Za-z0-9_-]{1,100}){0,7}$")
_UNFINISHED = ".tmp"


class LocalDirectory:
    """An object store in one directory, readable by its owner only.

    An unfinished file carries a name that no key can have: it is never listed, and `sweep` finds it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def create(self, key: str, *, lasting: bool = True) -> Iterator[BinaryIO]:
        """Write a new object.

        Args:
            key: ids joined by slashes.
            lasting: False for what is of no use after a crash; it is not synced to disk.

        Yields:
            A binary file; when the block ends it is synced to disk and renamed, when it raises it is removed.

        Raises:
            ObjectKeyError: the key is malformed.
            ObjectExistsError: the key is taken.
        """
        target = self._locate(key)
        if target.exists():
            raise ObjectExistsError("An object with this key exists; objects are never overwritten.")
        self._make_directory(target.parent)
        unfinished = target.with_name(f".{target.name}.{secrets.token_hex(8)}{_UNFINISHED}")
        try:
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as sink:
                yield sink
                sink.flush()
                if lasting:
                    os.fsync(sink.fileno())
            unfinished.replace(target)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        if lasting:
            sync_directory(target.parent)

    def path(self, key: str) -> Path:
        """Return the path of an existing object; raises ObjectMissingError when there is none."""
        target = self._locate(key)
        if not target.is_file():
            raise ObjectMissingError(
                f"The sealed file {key} is missing.", remedy="Restore the objects directory from a backup."
            )
        return target

    def delete(self, key: str) -> None:
        """Remove an object and the directories it leaves empty; a key without object is no error."""
        target = self._locate(key)
        target.unlink(missing_ok=True)
        self._remove_empty(target.parent)

    def keys(self, prefix: str = "") -> Iterator[str]:
        """List the keys that start with a prefix, in sorted order; unfinished files have no key."""
        for path in self._files():
            key = path.relative_to(self.root).as_posix()
            if key.startswith(prefix) and _KEY.match(key):
                yield key

    def unfinished(self) -> Iterator[str]:
        """List the keys of objects whose writing has not ended, or never will: a crash came first."""
        for path in self._files():
            if path.name.startswith(".") and path.name.endswith(_UNFINISHED):
                yield path.with_name(path.name[1:].partition(".")[0]).relative_to(self.root).as_posix()

    def sweep(self, known_keys: Collection[str], *, prefix: str = "") -> list[str]:
        """Remove unfinished files and objects that nothing refers to.

        Call it only while nobody writes under the prefix: an object is created before SQL names it.

        Args:
            known_keys: the keys that SQL refers to.
            prefix: limits the sweep to a part of the store.

        Returns:
            The relative paths that were removed, sorted.
        """
        removed: list[str] = []
        for path in list(self._files()):
            name = path.relative_to(self.root).as_posix()
            logical = (path.parent / path.name.removeprefix(".")).relative_to(self.root).as_posix()
            if logical.startswith(prefix) and name not in known_keys:
                path.unlink(missing_ok=True)
                self._remove_empty(path.parent)
                removed.append(name)
        return removed

    def _locate(self, key: str) -> Path:
        if not _KEY.match(key):
            raise ObjectKeyError("An object key is one to eight ids joined by slashes.")
        return self.root / key

    def _files(self) -> Iterator[Path]:
        yield from sorted(path for path in self.root.rglob("*") if path.is_file())

    def _make_directory(self, directory: Path) -> None:
        missing = [directory, *directory.parents]
        for path in reversed(missing[: missing.index(self.root) + 1]):
            if not path.exists():
                with suppress(FileExistsError):
                    path.mkdir(mode=0o700, parents=path == self.root)
                sync_directory(path.parent)

    def _remove_empty(self, directory: Path) -> None:
        while directory != self.root:
            try:
                directory.rmdir()
            except OSError:
                return
            directory = directory.parent
