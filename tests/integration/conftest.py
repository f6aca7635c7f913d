"""Whole rooms on either database."""

import secrets
from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, make_url, text

from tests.rooms import MakeRoom, Stage, build, clients, make_room, people, sqlite_template

__all__ = ["make_room", "postgresql_template", "sqlite_template", "stage"]


@pytest.fixture(scope="session")
def postgresql_template(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The usual room on PostgreSQL, closed; home and database are copied for each test."""
    name = f"template_{secrets.token_hex(8)}"
    admin = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    url = make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    home = tmp_path_factory.mktemp("template") / "home"
    stage = build(home, database_url=url, rows=people(), base_rows=clients())
    stage.room.close()
    yield stage
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture
def postgresql_copy(postgresql_template: Stage, postgres_url: str) -> Iterator[str]:
    """A database with the usual room in it, dropped afterwards."""
    name = f"test_{secrets.token_hex(8)}"
    template = make_url(postgresql_template.room.settings.database_url).database
    admin = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    yield make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def stage(request: pytest.FixtureRequest, make_room: MakeRoom) -> Stage:
    """The usual room; every test that asks for it runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return make_room()
    url = request.getfixturevalue("postgresql_copy")
    return make_room(template=request.getfixturevalue("postgresql_template"), database_url=url)
