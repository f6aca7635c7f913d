"""The stored form of an overlay: column by column, so that a question reads no more than it needs.

A header, then for every entry the person, the state, the last day, and the instant; what merging alone needs is last,
and last days are left out where nobody has one. After that the file is filled up: its size tells nothing of either.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cleanroom.consent.overlay import ENTRY_DTYPE, Entries
from cleanroom.consent.padding import padded_bytes
from cleanroom.datasets.errors import SealedColumnError
from cleanroom.datasets.files import PlaceReader
from cleanroom.datasets.types import Role
from cleanroom.schema.model import NULL_DATE

_FORMAT = 2
_HEADER = np.dtype(
    [
        ("format", "<u4"),
        ("entries", "<u4"),
        ("latest", "<i8"),
        ("has_ends", "<u4"),
        ("reserved", "V12"),
    ]
)
U8 = NDArray[np.uint8]
U32 = NDArray[np.uint32]
I32 = NDArray[np.int32]


@dataclass(frozen=True)
class Laid:
    """What a question needs of an overlay.

    Attributes:
        persons: ascending.
        states: of each.
        until: of each, the last day; None where nobody has one.
        latest: the instant of the newest change.
    """

    persons: U32
    states: U8
    until: I32 | None
    latest: int

    @classmethod
    def of(cls, entries: Entries) -> "Laid":
        """Take it from entries in memory."""
        ends = entries["until"] != NULL_DATE
        return cls(
            np.ascontiguousarray(entries["person"]),
            np.ascontiguousarray(entries["state"]),
            np.ascontiguousarray(entries["until"]) if ends.any() else None,
            int(entries["at"].max(initial=0)),
        )


def packed(entries: Entries, *, usual: int) -> bytes:
    """Write entries in their stored form.

    Args:
        entries: by person, ascending, each once.
        usual: how many are usually enough, by public figures.
    """
    laid = Laid.of(entries)
    header = np.zeros(1, _HEADER)
    header["format"], header["entries"] = _FORMAT, entries.size
    header["latest"], header["has_ends"] = laid.latest, laid.until is not None
    until = b"" if laid.until is None else laid.until.tobytes()
    columns = [header.tobytes(), laid.persons.tobytes(), laid.states.tobytes(), until]
    content = b"".join([*columns, np.ascontiguousarray(entries["at"]).tobytes()])
    return content.ljust(padded_bytes(len(content), _HEADER.itemsize + 17 * usual), b"\0")


def entries_at_most(size: int) -> int:
    """Return how many entries a stored overlay of so many bytes can have."""
    return (size - _HEADER.itemsize) // 13


def read_laid(reader: PlaceReader, column: int) -> Laid:
    """Read what a question needs of a stored overlay.

    Raises:
        SealedColumnError: another format.
    """
    with reader.opened(Role.OVERLAY, column) as sealed:
        (header,) = sealed.read_range(0, _HEADER.itemsize).view(_HEADER)
        if header["format"] != _FORMAT:
            raise SealedColumnError(
                f"An overlay has format {header['format']}, and this room reads {_FORMAT}.",
                remedy="Use the version of the room that wrote it.",
            )
        size, has_ends = int(header["entries"]), bool(header["has_ends"])
        content = sealed.read_range(_HEADER.itemsize, size * (9 if has_ends else 5))
    return Laid(
        content[: 4 * size].view("<u4"),
        content[4 * size : 5 * size],
        np.frombuffer(content[5 * size :], "<i4") if has_ends else None,
        int(header["latest"]),
    )


def read_entries(reader: PlaceReader, column: int) -> Entries:
    """Read a stored overlay whole, to be merged with others."""
    laid = read_laid(reader, column)
    entries = np.zeros(laid.persons.size, ENTRY_DTYPE)
    entries["person"], entries["state"] = laid.persons, laid.states
    entries["until"] = NULL_DATE if laid.until is None else laid.until
    with reader.opened(Role.OVERLAY, column) as sealed:
        before = _HEADER.itemsize + entries.size * (5 if laid.until is None else 9)
        entries["at"] = np.frombuffer(sealed.read_range(before, 8 * entries.size), "<i8")
    return entries
