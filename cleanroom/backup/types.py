"""Backups as values, and how their parts are written down."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cleanroom.backup.errors import DamagedBackupError

FORMAT = 1
Tell = Callable[[str, int, int], None]
"""Told how far it is: the part, bytes done, bytes in all (0 when that is not known)."""


def unheard(_part: str, _done: int, _total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Stream:
    """A part that is kept as blocks: equal blocks of several backups are kept once.

    Attributes:
        blocks: SHA-256 of each, hex, in order.
        bytes: of all together.
    """

    blocks: tuple[str, ...]
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """What a backup is.

    Attributes:
        id: `bk_...`.
        made_at: the instant of the database's snapshot, RFC 3339.
        origin: the room's name.
        version: of the code that made it.
        database: `sqlite` or `postgresql`.
        revision: of the database's schema.
        tables: parts of the database by name: the whole file, or its tables.
        order: their names in the order in which they can be put back.
        columns: of each table, in order; empty for a whole file.
        receipts: the folder of receipts.
        keys: the sealed archive of keys; None when they are kept elsewhere.
        kek_ids: keys that open what is in it.
        files_sha256: of the list of sealed files, hex.
        files: how many sealed files.
        files_bytes: of all together.
        log_size: events in the log.
        log_head: the signed head.
        v: the format's version.
    """

    id: str
    made_at: str
    origin: str
    version: str
    database: str
    revision: str
    tables: dict[str, Stream]
    order: tuple[str, ...]
    columns: dict[str, tuple[str, ...]]
    receipts: Stream
    keys: Stream | None
    kek_ids: tuple[str, ...]
    files_sha256: str
    files: int
    files_bytes: int
    log_size: int
    log_head: str
    v: int = FORMAT

    @property
    def streams(self) -> tuple[Stream, ...]:
        """All parts that are kept as blocks."""
        return (*self.tables.values(), self.receipts, *((self.keys,) if self.keys else ()))

    @property
    def bytes(self) -> int:
        """Of everything that it holds, whoever else holds it too."""
        return self.files_bytes + sum(stream.bytes for stream in self.streams)


def manifest_from(data: dict[str, Any]) -> Manifest:
    """Read a manifest from plain data; raises DamagedBackupError."""
    try:
        if data["v"] != FORMAT:
            raise DamagedBackupError(
                "The backup has another format than this version reads.",
                remedy="Use the version that made it.",
            )
        return Manifest(
            **{
                **data,
                "tables": {name: _stream(one) for name, one in data["tables"].items()},
                "order": tuple(data["order"]),
                "columns": {name: tuple(one) for name, one in data["columns"].items()},
                "receipts": _stream(data["receipts"]),
                "keys": None if data["keys"] is None else _stream(data["keys"]),
                "kek_ids": tuple(data["kek_ids"]),
            }
        )
    except (KeyError, TypeError, AttributeError):
        raise DamagedBackupError("The backup's manifest cannot be read.") from None


def _stream(data: dict[str, Any]) -> Stream:
    return Stream(tuple(data["blocks"]), int(data["bytes"]))
