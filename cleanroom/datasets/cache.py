"""A bounded cache of decrypted columns, shared by all questions of a process."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition, Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

Key = tuple[str, ...]
Arrays = tuple[NDArray[Any], ...]
_MOST_ASKED = 4096


class _Entry:
    """Arrays in the cache, or a place that one is being loaded into; `arrays` is None until then."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.leases = 1
        self.dropped = False
        self.arrays: Arrays | None = None


class ColumnCache:
    """Decrypted columns and what was made of them, by the sealed file they come from.

    What is in use is leased and never freed; of the rest the longest unused goes first, and is overwritten with zeros.
    What does not fit is not kept: who asks for it is told so and reads in blocks instead.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._used = 0
        self._changed = Condition()
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()
        self._asked: OrderedDict[Key, None] = OrderedDict()

    @property
    def used_bytes(self) -> int:
        """Bytes that are held now, never more than the limit."""
        return self._used

    @contextmanager
    def scope(self) -> Iterator["Scope"]:
        """Lease what is asked for until the block ends."""
        scope = Scope(self)
        try:
            yield scope
        finally:
            scope.release()

    def close(self) -> None:
        """Overwrite and forget everything; what is still in use follows when it is given back."""
        self.drop()

    def drop(self, file_id: str | None = None) -> None:
        """Overwrite and forget what came from a file, or everything."""
        with self._changed:
            for key in [key for key in self._entries if file_id in (None, key[0])]:
                self._remove(key)
            for key in [key for key in self._asked if file_id in (None, key[0])]:
                del self._asked[key]

    def is_wanted_again(self, key: Key) -> bool:
        """Tell whether an entry is there, or was asked for before; from now on it was."""
        with self._changed:
            known = key in self._entries or key in self._asked
            self._asked[key] = None
            self._asked.move_to_end(key)
            if len(self._asked) > _MOST_ASKED:
                self._asked.popitem(last=False)
            return known

    def lease(self, key: Key, size: int, load: Callable[[], Arrays]) -> _Entry | None:
        """Return a leased entry, loaded once however many ask at the same time; None when there is no room.

        Args:
            key: the file's id first.
            size: bytes that `load` gives at most.
            load: reads the file and checks it.
        """
        with self._changed:
            while (entry := self._entries.get(key)) is not None and entry.arrays is None:
                self._changed.wait()
            if entry is not None:
                self._entries.move_to_end(key)
                entry.leases += 1
                return entry
            if not self._make_room(size):
                return None
            entry = self._entries[key] = _Entry(size)
        try:
            arrays = load()
        except BaseException:
            with self._changed:
                self._used -= size
                if self._entries.get(key) is entry:
                    del self._entries[key]
                self._changed.notify_all()
            raise
        for array in arrays:
            array.flags.writeable = False
        with self._changed:
            entry.arrays, entry.size = arrays, sum(array.nbytes for array in arrays)
            self._used += entry.size - size
            self._changed.notify_all()
        return entry

    def give_back(self, entry: _Entry) -> None:
        """End a lease."""
        with self._changed:
            entry.leases -= 1
            if entry.dropped and not entry.leases:
                self._overwrite(entry)

    def _make_room(self, size: int) -> bool:
        if self._used + size > self._limit:
            idle = {key: entry.size for key, entry in self._entries.items() if not entry.leases}
            # What would not fit in the room of all that is idle drives none of it out.
            if self._used - sum(idle.values()) + size > self._limit:
                return False
            for key in idle:
                self._remove(key)
                if self._used + size <= self._limit:
                    break
        self._used += size
        return True

    def _remove(self, key: Key) -> None:
        entry = self._entries.pop(key)
        entry.dropped = True
        if not entry.leases:
            self._overwrite(entry)
        self._changed.notify_all()

    def _overwrite(self, entry: _Entry) -> None:
        for array in entry.arrays or ():
            array.flags.writeable = True
            array.fill(np.zeros((), array.dtype)[()])
        self._used -= entry.size
        entry.arrays = ()


class Scope:
    """The leases of one question."""

    def __init__(self, cache: ColumnCache) -> None:
        self._cache = cache
        self._guard = Lock()
        self._leased: list[_Entry] = []
        self._ended = False

    def get(self, key: Key, size: int, load: Callable[[], Arrays]) -> Arrays | None:
        """Return arrays that stay until the scope ends, and must not be changed; see `ColumnCache.lease`.

        Raises:
            RuntimeError: the scope has ended.
        """
        entry = self._cache.lease(key, size, load)
        if entry is None:
            return None
        with self._guard:
            if not self._ended:
                self._leased.append(entry)
                return entry.arrays
        # When one thread of a question fails, the others go on for a while; nobody would give this back.
        self._cache.give_back(entry)
        raise RuntimeError("The scope has ended.")

    def is_wanted_again(self, key: Key) -> bool:
        """Tell whether an entry is there, or was asked for before; from now on it was."""
        return self._cache.is_wanted_again(key)

    def drop(self, file_id: str) -> None:
        """Forget what came from a file."""
        self._cache.drop(file_id)

    def release(self) -> None:
        """Give everything back."""
        with self._guard:
            self._ended = True
        while self._leased:
            self._cache.give_back(self._leased.pop())
