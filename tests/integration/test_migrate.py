"""Migrations run on both databases in one transaction, from a source tree or an installed package."""

from pathlib import Path

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, inspect

from cleanroom.db import migrate
from cleanroom.db.database import open_engine

REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "{name}"
down_revision = {parent!r}
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("{name}", sa.Column("id", sa.Integer, primary_key=True))
    {extra}


def downgrade() -> None:
    op.drop_table("{name}")
"""


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A history of its own, with the project's env.py, in a directory whose name needs escaping."""
    directory = tmp_path / "100% mine"
    (directory / "versions").mkdir(parents=True)
    for name in ("env.py", "script.py.mako"):
        (directory / name).write_text((migrate.migrations_directory() / name).read_text())
    add(directory, "first", None)
    add(directory, "second", "first")
    monkeypatch.setattr(migrate, "migrations_directory", lambda: directory)
    return directory


def add(directory: Path, name: str, parent: str | None, extra: str = "pass") -> None:
    content = REVISION.format(name=name, parent=parent, extra=extra)
    (directory / "versions" / f"{name}.py").write_text(content)


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names()) & {"first", "second", "third"}


@pytest.fixture
def empty(database_url: str):  # type: ignore[no-untyped-def]
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


def test_up_again_and_down(history: Path, empty: Engine) -> None:
    migrate.upgrade(empty)
    assert tables(empty) == {"first", "second"}
    migrate.upgrade(empty)
    migrate.downgrade(empty, "first")
    assert tables(empty) == {"first"}
    migrate.downgrade(empty)
    assert tables(empty) == set()


def test_a_migration_that_fails_leaves_nothing_of_the_upgrade(history: Path, empty: Engine) -> None:
    add(history, "third", "second", "raise RuntimeError")
    with pytest.raises(RuntimeError):
        migrate.upgrade(empty)
    assert tables(empty) == set()


def test_differences_between_models_and_database_are_listed(history: Path, empty: Engine) -> None:
    metadata = MetaData()
    for name in ("first", "second"):
        Table(name, metadata, Column("id", Integer, primary_key=True))
    migrate.upgrade(empty)
    assert migrate.differences(empty, metadata) == []
    Table("third", metadata, Column("id", Integer, primary_key=True))
    assert len(migrate.differences(empty, metadata)) == 1


def test_a_package_without_migrations_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(migrate, "__file__", str(tmp_path / "cleanroom" / "db" / "migrate.py"))
    with pytest.raises(migrate.MigrationsMissingError, match="not installed"):
        migrate.migrations_directory()
    shipped = tmp_path / "cleanroom" / "_migrations"
    shipped.mkdir(parents=True)
    (shipped / "env.py").touch()
    assert migrate.migrations_directory() == shipped
