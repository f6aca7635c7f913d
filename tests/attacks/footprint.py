"""What a question does that could be timed: its SQL statements and commits, and the sealed files it opens, in order."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event, select

from cleanroom.consent.models import ConsentEpochRow, ConsentFileRow
from cleanroom.datasets.models import SealedFileRow
from cleanroom.datasets.types import Role
from cleanroom.room import Room

_watched: dict[Path, list[str]] = {}


def _on_open(kind: str, arguments: tuple[Any, ...]) -> None:
    if kind == "open" and _watched and isinstance(arguments[0], str | Path):
        path = Path(arguments[0])
        for objects, seen in _watched.items():
            if path.is_relative_to(objects):
                seen.append(f"file {path.relative_to(objects)}")


# A hook cannot be taken away again; this one does nothing while nobody watches.
sys.addaudithook(_on_open)


@contextmanager
def footprint(room: Room) -> Iterator[list[str]]:
    """Record what happens in a room while the block runs; the names of files are replaced by what they hold."""
    engine, objects = room.db.engine, room.settings.objects_dir.resolve()
    seen = _watched.setdefault(objects, [])
    listeners = {
        "before_cursor_execute": lambda _c, _k, statement, *_: seen.append(" ".join(statement.split())),
        "commit": lambda _c: seen.append("COMMIT"),
        "rollback": lambda _c: seen.append("ROLLBACK"),
    }
    for name, listener in listeners.items():
        event.listen(engine, name, listener)
    try:
        yield seen
    finally:
        for name, listener in listeners.items():
            event.remove(engine, name, listener)
        del _watched[objects]
        seen[:] = _described(room, seen)


def files(seen: list[str]) -> list[str]:
    """The files among what was seen."""
    return [item for item in seen if item.startswith("file ")]


def _described(room: Room, seen: list[str]) -> list[str]:
    with room.db.reading() as tx:
        held = {
            f"file {row.object_key}": f"file {Role(row.role).name} {row.column}"
            for row in tx.session.scalars(select(SealedFileRow))
        }
        for row in tx.session.scalars(select(ConsentEpochRow).where(ConsentEpochRow.object_key.is_not(None))):
            held[f"file {row.object_key}"] = f"file changes {row.epoch}"
        for row in tx.session.scalars(select(ConsentFileRow)):
            held[f"file {row.object_key}"] = f"file {Role(row.role).name} {row.column}"
    return [held.get(item, re.sub(r"\.[0-9a-f]{16}\.tmp$", ".tmp", item)) for item in seen]
