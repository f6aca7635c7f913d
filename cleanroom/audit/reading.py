"""Opening a log's database for reading only, as somebody who may not trust it."""

import os
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, NullPool, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from cleanroom.audit.errors import LogUnreadableError

_ROWS_AT_ONCE = 5_000


@contextmanager
def open_log(database: str | Path) -> Iterator[Connection]:
    """Open a log's database in one read-only transaction, so that all its tables are seen at one instant.

    Args:
        database: the path of a SQLite file, or SQLAlchemy's URL of either database.

    Yields:
        A connection; nothing is written, not even SQLite's journal mode.

    Raises:
        LogUnreadableError: the URL is malformed or the server cannot be reached.
    """
    path = database if isinstance(database, Path) else sqlite_path(database)
    if path is not None:
        engine = create_engine("sqlite://", creator=lambda: _open_sqlite(path), poolclass=NullPool)
    else:
        engine = create_engine(str(database), poolclass=NullPool, isolation_level="REPEATABLE READ")
    try:
        connection = engine.connect()
    except DBAPIError:
        raise LogUnreadableError("The log's database cannot be opened.", remedy="Check its URL.") from None
    with connection:
        if path is not None:
            connection.exec_driver_sql("BEGIN")
        else:
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        yield connection


def sqlite_path(url: str) -> Path | None:
    """Return the path of a SQLite URL, None for another database; raises LogUnreadableError for no URL."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise LogUnreadableError(
            "The database's URL is malformed.", remedy="Use SQLAlchemy's form."
        ) from None
    if parsed.get_backend_name() != "sqlite":
        return None
    return Path(parsed.database or "")


def stream(connection: Connection, query: str) -> Generator[Any, None, None]:
    """Run a query and yield its rows without holding them all; close it when you stop before its end."""
    with connection.exec_driver_sql(query, execution_options={"yield_per": _ROWS_AT_ONCE}) as rows:
        yield from rows


def _open_sqlite(path: Path) -> sqlite3.Connection:
    # A write-ahead log needs a writable directory even for readers; evidence on a read-only disk has none.
    mode = "mode=ro" if os.access(path.parent, os.W_OK) else "mode=ro&immutable=1"
    return sqlite3.connect(f"file:{quote(str(path.absolute()))}?{mode}", uri=True, isolation_level=None)
