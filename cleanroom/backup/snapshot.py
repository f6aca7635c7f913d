"""The database at one instant, while the room goes on writing."""

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from sqlalchemy import NullPool, create_engine

from cleanroom.audit.reading import open_log, sqlite_path

_PIECE = 1 << 20
_ROWS_AT_ONCE = 2_000
SEALED = ("sealed_files", "consent_epochs", "consent_files", "opt_out_lists", "bar_segments")
"""Every table that names sealed files; an epoch or a segment may have none."""
_NAMED = " UNION ALL ".join(
    f"SELECT object_key, ciphertext_sha256 FROM {table} WHERE object_key IS NOT NULL"  # noqa: S608 - named above
    for table in SEALED
)
_FILES = f"SELECT object_key, ciphertext_sha256 FROM ({_NAMED}) named ORDER BY object_key"  # noqa: S608 - as above
_KEKS = (
    "SELECT kek_id FROM workspaces WHERE destroyed_at IS NULL "
    "UNION SELECT next_kek_id FROM workspaces WHERE destroyed_at IS NULL AND next_kek_id IS NOT NULL ORDER BY 1"
)
_HEAD = "SELECT size, note FROM audit_head"
_REVISION = "SELECT version_num FROM alembic_version"
# In the order in which rows can be put back: what is referred to comes first.
_TABLES = (
    "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind = 'r' AND n.nspname = current_schema() AND c.relname <> 'alembic_version' ORDER BY 1"
)
_REFERS = (
    "SELECT s.relname, t.relname FROM pg_constraint k JOIN pg_class s ON s.oid = k.conrelid "
    "JOIN pg_class t ON t.oid = k.confrelid JOIN pg_namespace n ON n.oid = s.relnamespace "
    "WHERE k.contype = 'f' AND n.nspname = current_schema() AND s.oid <> t.oid"
)
_COLUMNS = (
    "SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema() "
    "AND table_name = %s ORDER BY ordinal_position"
)
_KEY = (
    "SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) "
    "WHERE i.indisprimary AND i.indrelid = %s::regclass ORDER BY array_position(i.indkey::int[], a.attnum::int)"
)


class Snapshot(Protocol):
    """A database as it was at one instant."""

    kind: str

    def scalars(self, query: str) -> list[Any]:
        """Return the rows of a small query."""
        ...

    def files(self) -> Iterator[tuple[str, str]]:
        """Return the sealed files that it names, by key: object key and ciphertext hash."""
        ...

    def tables(self) -> list[str]:
        """Return its parts, in the order in which they can be put back."""
        ...

    def columns(self, table: str) -> tuple[str, ...]:
        """Return the columns of a part; none for one that is a whole file."""
        ...

    def read(self, table: str) -> Iterator[bytes]:
        """Return a part, piece by piece."""
        ...


def head_of(snapshot: Snapshot) -> tuple[int, str]:
    """Return how many events the log has, and its signed head."""
    ((size, note),) = snapshot.scalars(_HEAD)
    return int(size), str(note)


def revision_of(snapshot: Snapshot) -> str:
    """Return the revision of the database's schema."""
    ((revision,),) = snapshot.scalars(_REVISION)
    return str(revision)


def keks_of(snapshot: Snapshot) -> tuple[str, ...]:
    """Return the keys that open what the database names."""
    return tuple(str(row[0]) for row in snapshot.scalars(_KEKS))


def live_keks(database_url: str) -> tuple[str, ...]:
    """Return the keys that the room uses now."""
    with open_log(database_url) as connection:
        return tuple(str(row[0]) for row in connection.exec_driver_sql(_KEKS))


@contextmanager
def snapshot_of(database_url: str, scratch: Path) -> Iterator[Snapshot]:
    """Take a snapshot of a database.

    Args:
        database_url: SQLAlchemy's.
        scratch: a directory for the copy of a SQLite file, which goes afterwards.
    """
    path = sqlite_path(database_url)
    if path is not None:
        copy = scratch / "room.sqlite3"
        _copy_sqlite(path, copy)
        try:
            with _SqliteSnapshot(copy) as taken:
                yield taken
        finally:
            copy.unlink()
        return
    engine = create_engine(database_url, poolclass=NullPool)
    connection = engine.raw_connection()
    try:
        driver: Any = connection.driver_connection
        driver.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield _PostgresSnapshot(driver)
    finally:
        connection.close()


def _copy_sqlite(path: Path, copy: Path) -> None:
    """Copy a SQLite database by its own online backup: readers see one instant, and writers go on."""
    source = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)
    try:
        copy.touch(mode=0o600)
        sink = sqlite3.connect(copy)
        try:
            source.backup(sink, pages=-1)
            # One file, without a journal beside it.
            sink.execute("PRAGMA journal_mode=DELETE")
        finally:
            sink.close()
    finally:
        source.close()


class _SqliteSnapshot:
    kind = "sqlite"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = sqlite3.connect(
            f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1", uri=True
        )

    def __enter__(self) -> "_SqliteSnapshot":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def scalars(self, query: str) -> list[Any]:
        return self._connection.execute(query).fetchall()

    def files(self) -> Generator[tuple[str, str], None, None]:
        for key, digest in self._connection.execute(_FILES):
            yield str(key), str(digest)

    def tables(self) -> list[str]:
        return ["room.sqlite3"]

    def columns(self, table: str) -> tuple[str, ...]:  # noqa: ARG002 - a whole file has none
        return ()

    def read(self, table: str) -> Iterator[bytes]:  # noqa: ARG002 - there is only one
        with self._path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece


class _PostgresSnapshot:
    kind = "postgresql"

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def scalars(self, query: str) -> list[Any]:
        return list(self._connection.execute(query).fetchall())

    def files(self) -> Iterator[tuple[str, str]]:
        # Of the server's own, not by language: the list of another backup is merged with it.
        query = _FILES + ' COLLATE "C"'
        with self._connection.cursor("files") as cursor:
            cursor.itersize = _ROWS_AT_ONCE
            for key, digest in cursor.execute(query):
                yield str(key), str(digest)

    def tables(self) -> list[str]:
        names = [str(row[0]) for row in self.scalars(_TABLES)]
        needs = {name: {str(to) for of, to in self.scalars(_REFERS) if of == name} for name in names}
        ordered: list[str] = []
        while len(ordered) < len(names):
            ready = [name for name in names if name not in ordered and needs[name] <= set(ordered)]
            if not ready:
                raise RuntimeError("tables refer to each other in a circle")
            ordered += ready
        return ordered

    def columns(self, table: str) -> tuple[str, ...]:
        return tuple(str(row[0]) for row in self._connection.execute(_COLUMNS, (table,)).fetchall())

    def read(self, table: str) -> Iterator[bytes]:
        key = [row[0] for row in self._connection.execute(_KEY, (quoted(table),)).fetchall()]
        # In the order of keys: a table that only grows then begins with the same blocks again.
        order = f" ORDER BY {', '.join(map(quoted, key))}" if key else ""
        listed = ", ".join(map(quoted, self.columns(table)))
        query = f"COPY (SELECT {listed} FROM {quoted(table)}{order}) TO STDOUT"  # noqa: S608 - names of the catalogue
        with self._connection.cursor() as cursor, cursor.copy(query) as copy:
            for piece in copy:
                yield bytes(piece)


def quoted(name: str) -> str:
    """Write an identifier of PostgreSQL."""
    return '"' + name.replace('"', '""') + '"'
