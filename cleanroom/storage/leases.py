"""Who is at work: a lock file per piece of work, which the operating system lets go of when a process dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Leases:
    """Locks named by load or question, in one directory that all processes of a room share."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @contextmanager
    def hold(self, work_id: str) -> Iterator[None]:
        """Hold the lock of a piece of work while the block runs."""
        with self.try_hold(work_id):
            yield

    @contextmanager
    def try_hold(self, work_id: str) -> Iterator[bool]:
        """Hold the lock of a piece of work if nobody else does; yields whether it is held."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._directory / f"{work_id}.lock"
        while (descriptor := os.open(path, os.O_RDWR | os.O_CREAT, 0o600)) and not _lock(descriptor, path):
            os.close(descriptor)
        try:
            held = _locked(descriptor)
            try:
                yield held
            finally:
                if held:
                    path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)
