"""Databases with all tables, made once by the real means and then copied: to make one takes a second."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine, inspect, make_url, text

from cleanroom.db.base import Base
from cleanroom.db.database import open_engine
from cleanroom.db.migrate import upgrade


class ReadyDatabases:
    """Lays a copy where a database is missing or empty, and takes away what it made on servers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[tuple[str, object], str] = {}

    def migrated(self, url: str) -> None:
        """Give a database the tables that the migrations make."""
        self._lay(url, "migrated", upgrade)

    def with_tables(self, url: str) -> None:
        """Give a database the tables of every model that is imported."""
        self._lay(url, frozenset(Base.metadata.tables), Base.metadata.create_all)

    def close(self) -> None:
        """Drop the templates on a server that stays."""
        for (server, _), name in self._made.items():
            if server != "sqlite" and os.environ.get("TEST_DATABASE_URL"):
                with _administering(server) as connection:
                    connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))

    def _lay(self, url: str, kind: object, make: Callable[[Engine], object]) -> None:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            path = Path(parsed.database or "")
            if path.exists():
                return
            template = self._template("sqlite", kind, make)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            shutil.copyfile(template, path)
            return
        engine = create_engine(url)
        laid = bool(inspect(engine).get_table_names())
        engine.dispose()
        if laid:
            return
        server = parsed.set(database="postgres").render_as_string(hide_password=False)
        template = self._template(server, kind, make)
        with _administering(server) as connection:
            connection.execute(text(f"DROP DATABASE {parsed.database}"))
            connection.execute(text(f"CREATE DATABASE {parsed.database} TEMPLATE {template}"))

    def _template(self, server: str, kind: object, make: Callable[[Engine], object]) -> str:
        if (server, kind) not in self._made:
            name = f"template_{secrets.token_hex(8)}"
            if server == "sqlite":
                name = str(self._folder / name)
                url = f"sqlite:///{name}"
            else:
                with _administering(server) as connection:
                    connection.execute(text(f"CREATE DATABASE {name}"))
                url = make_url(server).set(database=name).render_as_string(hide_password=False)
            engine = open_engine(url)
            make(engine)
            engine.dispose()
            self._made[server, kind] = name
        return self._made[server, kind]


@contextmanager
def _administering(server: str) -> Iterator[Connection]:
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.fixture(scope="session")
def ready_databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadyDatabases]:
    made = ReadyDatabases(tmp_path_factory.mktemp("databases"))
    yield made
    made.close()
