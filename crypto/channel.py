"""A bounded stream of bytes between two threads, for libraries that pull or push on their own."""

import io
from collections import deque
from threading import Condition

_MOST_WAITING = 4


class Abandoned(Exception):  # noqa: N818 - a signal between two threads, not an error to show
    """The other side has stopped."""


class Channel:
    """Passes chunks from one thread to another; few wait at a time, so memory stays flat."""

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._changed = Condition()
        self._ended = False
        self._failure: BaseException | None = None
        self._abandoned = False

    def put(self, chunk: bytes) -> None:
        """Pass a chunk on, waiting while too many wait; raises Abandoned when nobody will take it."""
        with self._changed:
            self._changed.wait_for(lambda: self._abandoned or len(self._chunks) < _MOST_WAITING)
            if self._abandoned:
                raise Abandoned
            if chunk:
                self._chunks.append(chunk)
            self._changed.notify_all()

    def end(self, failure: BaseException | None = None) -> None:
        """Say that nothing follows, or that a failure does."""
        with self._changed:
            self._ended, self._failure = True, failure
            self._changed.notify_all()

    def get(self) -> bytes:
        """Take the next chunk; empty at the end; raises the failure that the other side met."""
        with self._changed:
            self._changed.wait_for(lambda: self._chunks or self._ended or self._abandoned)
            if self._chunks:
                chunk = self._chunks.popleft()
                self._changed.notify_all()
                return chunk
            if self._failure is not None:
                raise self._failure
            return b""

    def abandon(self) -> None:
        """Say that nothing more will be taken."""
        with self._changed:
            self._abandoned = True
            self._chunks.clear()
            self._changed.notify_all()


class ChannelReader(io.RawIOBase):
    """The taking end as a binary stream; `read(n)` gives n bytes unless the stream ends before."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel
        self._chunk = memoryview(b"")

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def read(self, size: int | None = -1) -> bytes:
        """Read `size` bytes, fewer only at the end; all that follow when negative or None."""
        wanted = -1 if size is None else size
        parts = []
        while wanted:
            if not self._chunk and not self._refill():
                break
            part = self._chunk if wanted < 0 else self._chunk[:wanted]
            self._chunk = self._chunk[len(part) :]
            parts.append(part)
            wanted -= len(part) if wanted > 0 else 0
        return b"".join(parts)

    def _refill(self) -> bool:
        self._chunk = memoryview(self._channel.get())
        return bool(self._chunk)
