"""Who holds the values of a key: a column beside the sorted tokens, empty where the order says it already.

Persons stand in the order of their first token, so with one value of its own for each person the n-th entry belongs
to the n-th person. Then the file is there, verified like any other, and without content.
"""

import numpy as np
from numpy.typing import NDArray

from cleanroom.datasets.files import PlaceReader, PlaceWriter
from cleanroom.datasets.kept import KeptReader
from cleanroom.datasets.types import Role

_BLOCK = 1 << 20
U32 = NDArray[np.uint32]


class HolderWriter:
    """Writes the holders of one key, in the order of its entries; nothing as long as the order says it."""

    def __init__(self, writer: PlaceWriter, column: int) -> None:
        self._writer = writer
        self._column = column
        self._implied = 0
        self._written = False
        # A key without holders has a file too.
        self._write(np.empty(0, np.uint32))

    def write(self, persons: U32) -> None:
        """Append the holders of the entries that follow."""
        if not self._written:
            stop = self._implied + persons.size
            if np.array_equal(persons, np.arange(self._implied, stop, dtype=np.uint32)):
                self._implied = stop
                return
            for start in range(0, self._implied, _BLOCK):
                self._write(np.arange(start, min(start + _BLOCK, self._implied), dtype=np.uint32))
            self._written = True
        self._write(persons)

    def _write(self, persons: U32) -> None:
        self._writer.write(Role.KEY_PERSON, self._column, persons)


def implied(reader: PlaceReader | KeptReader, column: int) -> bool:
    """Tell whether every entry of a key stands at its holder's own position."""
    # Reading a file without content verifies that it never had any.
    return reader.size(Role.KEY_PERSON, column) == 0 and reader.read_bytes(Role.KEY_PERSON, column) == b""


def read_holders(reader: PlaceReader, column: int, start: int, stop: int) -> U32:
    """Read who holds entries `start` to `stop`, the end not included; past the last one there is none."""
    if not implied(reader, column):
        return reader.read_rows(Role.KEY_PERSON, column, "<u4", start, stop)
    entries = reader.size(Role.KEY_HI, column) // 8
    return np.arange(min(start, entries), min(stop, entries), dtype=np.uint32)
