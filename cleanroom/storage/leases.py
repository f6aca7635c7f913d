"""Who is at work: a lock file per piece of work, which the operating system lets go of when a process dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cleanroom.storage.errors import LeaseTakenError


class Leases:
    """Locks named by load or question, in one directory that all processes of a room share."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @contextmanager
    def hold(self, work_id: str) -> Iterator[None]:
        """Hold the lock of a piece of work while the block runs; raises LeaseTakenError when somebody else does."""
        with self.try_hold(work_id) as held:
            if not held:
                raise LeaseTakenError("This work is running already.", remedy="Wait until it has ended.")
            yield

    @contextmanager
    def try_hold(self, work_id: str) -> Iterator[bool]:
        """Hold the lock of a piece of work if nobody else does; yields whether it is held."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._directory / f"{work_id}.lock"
        descriptor = _locked(path)
        if descriptor is None:
            yield False
            return
        try:
            yield True
        finally:
            path.unlink(missing_ok=True)
            os.close(descriptor)


def _locked(path: Path) -> int | None:
    """Open a lock file and take its lock; None when somebody else holds it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Its last holder may have removed the file since it was opened: nobody else would meet that lock.
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except FileNotFoundError:
            pass
        except BlockingIOError:
            os.close(descriptor)
            return None
        os.close(descriptor)
