"""The newest signed head of the log, kept outside the database: a restored backup lacks what it names.

The file is written after each commit and before anything of it is handed out. So a crash between the two leaves it
behind the database, which is healthy, and never before it; and whatever has left the room is covered by it.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from cleanroom.remembered import Remembered
from crypto.checkpoint import Checkpoint, CheckpointError, open_note
from crypto.durable import write_private

_NOTES = 16


@dataclass(frozen=True)
class Restored:
    """The database is not the one that the room wrote last.

    Attributes:
        held: events in the log that the database holds.
        known: events in the newest log that the room signed; None when its head is lost or unreadable.
    """

    held: int
    known: int | None


class HeadFile:
    """A small file beside the keys, shared by all processes of a room."""

    def __init__(self, path: Path, verifier_key: str) -> None:
        self._path = path
        self._guard = Lock()
        self._newest = 0, ""
        # Mostly it is the text that was read or written last, or the one before: the same text has the same signature.
        self._verifier_key = verifier_key
        self._known = Remembered[str, Checkpoint](_NOTES)

    def text(self) -> str:
        """Return what the file holds, unchecked; empty when it is missing or damaged."""
        try:
            return self._path.read_text(encoding="utf-8")
        except (FileNotFoundError, UnicodeDecodeError):
            return ""

    def read(self) -> Checkpoint | None:
        """Return the newest head that the room signed; None when the file is missing or damaged."""
        return self.checked(self.text())

    def checked(self, text: str) -> Checkpoint | None:
        """Return the head that the file's text is, if the room has signed it."""
        try:
            return self._opened(text)
        except CheckpointError:
            return None

    def signed(self, note: str, checkpoint: Checkpoint) -> None:
        """Take note of a head that this process has signed itself: nobody has to verify that."""
        self._known.put(note, checkpoint)

    def advance(self, note: str) -> None:
        """Keep a head that continues the one that is kept, unless another process was faster."""
        new = self._opened(note)
        with self._guard:
            if new.size >= self._newest[0]:
                self._newest = new.size, note
        with self._locked():
            kept = self.read()
            if kept is None or kept.size < new.size:
                # Whatever this process committed while it waited is covered by the same write.
                self._write(self._newest[1])

    def replace(self, note: str) -> None:
        """Keep a head whatever was kept before."""
        with self._guard:
            self._newest = 0, ""
        with self._locked():
            self._write(note)

    def _opened(self, note: str) -> Checkpoint:
        known = self._known.get(note)
        return known if known is not None else self._known.put(note, open_note(note, self._verifier_key))

    def _write(self, note: str) -> None:
        write_private(self._path, note.encode("utf-8"), replace=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        lock = self._path.with_name(self._path.name + ".lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
