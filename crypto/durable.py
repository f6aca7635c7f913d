"""Files that survive a power cut whole: written beside their place, synced, put in place, the directory synced."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import get_ident

_PARTIAL = ".partial"


def write_private(path: Path, data: bytes, *, replace: bool = False) -> None:
    """Write a file that only its owner can read; it appears whole or not at all.

    Args:
        path: where; its directory exists.
        data: what.
        replace: whether a file that is already there may go.

    Raises:
        FileExistsError: there is one, and it may not.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}-{get_ident()}{_PARTIAL}")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            partial.replace(path)
        else:
            # Unlike a rename, a link never takes the place of another file.
            path.hardlink_to(partial)
    finally:
        partial.unlink(missing_ok=True)
    sync_directory(path.parent)


def discard_partials(path: Path) -> None:
    """Remove what writes of a file that a crash cut short have left; only while nobody writes it."""
    for partial in path.parent.glob(f".{path.name}.*{_PARTIAL}"):
        partial.unlink(missing_ok=True)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable: a power cut may forget a rename although the file's bytes are safe."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file, made when it is missing, against other processes and threads of this host."""
    import fcntl  # noqa: PLC0415 - absent on Windows, where this module is imported but no room runs

    handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def replace_erasing(path: Path, data: bytes) -> None:
    """Put new content in place atomically, then overwrite the old content where it lay on disk."""
    discard_partials(path)
    with path.open("r+b") as old:
        write_private(path, data, replace=True)
        old.write(os.urandom(os.fstat(old.fileno()).st_size))
        old.flush()
        os.fsync(old.fileno())
