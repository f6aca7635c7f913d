"""Bringing a database to the schema of this version of the code."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, MetaData, text

from cleanroom.errors import CleanroomError

# Two processes may start on the same database at once; only one of them may change its schema.
_ADVISORY_LOCK = 0x6D69677261746573


class MigrationsMissingError(CleanroomError):
    """The migrations were not installed with the code."""

    code = "db.migrations_missing"


def migrations_directory() -> Path:
    """Return where the migrations lie: inside the installed package, or beside it in a source tree."""
    package = Path(__file__).resolve().parent.parent
    for directory in (package / "_migrations", package.parent / "alembic"):
        if (directory / "env.py").is_file():
            return directory
    raise MigrationsMissingError(
        "The database migrations are not installed.",
        remedy="Install Cleanroom from its wheel or source tree.",
    )


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring a database up to a revision in one transaction; one that is there already is left alone."""
    with engine.begin() as connection:
        _lock(connection)
        if revision == "head" and MigrationContext.configure(connection).get_current_heads() == _newest():
            return
        command.upgrade(_config(connection), revision)


def upgrade_within(connection: Connection, revision: str) -> None:
    """Bring a database up to a revision in the caller's transaction."""
    command.upgrade(_config(connection), revision)


def downgrade(engine: Engine, revision: str = "base") -> None:
    """Take a database back to a revision in one transaction; what later revisions store is lost."""
    with engine.begin() as connection:
        _lock(connection)
        command.downgrade(_config(connection), revision)


def differences(engine: Engine, metadata: MetaData) -> list[object]:
    """List what stands in the models but not in the database, or the reverse; empty when they agree."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))


def _newest() -> tuple[str, ...]:
    directory = migrations_directory()
    return _heads(directory, tuple(sorted(path.name for path in (directory / "versions").glob("*.py"))))


@cache
def _heads(directory: Path, _names: tuple[str, ...]) -> tuple[str, ...]:
    # To find the newest all are loaded, and a program opens a room more than once.
    return tuple(ScriptDirectory.from_config(_config_of(directory)).get_heads())


def _config(connection: Connection) -> Config:
    config = _config_of(migrations_directory())
    config.attributes["connection"] = connection
    return config


def _config_of(directory: Path) -> Config:
    config = Config()
    # The parser of the configuration gives percent signs a meaning.
    config.set_main_option("script_location", str(directory).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
