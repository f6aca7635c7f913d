"""The usual room on either database, its repository, and an empty place to put it back to."""

import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import create_engine, make_url, text

from cleanroom.backup.making import make_backup
from cleanroom.backup.repository import Repository
from cleanroom.backup.restoring import restore_backup
from cleanroom.backup.types import Manifest
from cleanroom.bootstrap import open_room
from cleanroom.settings import load_settings
from crypto.package import generate_identity
from tests.integration.conftest import postgresql_copy, postgresql_template, stage
from tests.rooms import PURPOSE, Stage, make_room, sqlite_template

__all__ = ["make_room", "postgresql_copy", "postgresql_template", "sqlite_template", "stage"]


@dataclass
class Shelf:
    """A room with a repository of its backups; short names for what these tests do most."""

    stage: Stage
    directory: Path
    another_url: Callable[[], str | None]
    identity: str = field(init=False)
    recipient: str = field(init=False)

    def __post_init__(self) -> None:
        self.identity, self.recipient = generate_identity()

    @property
    def repository(self) -> Repository:
        return Repository(self.directory)

    def make(self, *, keys: bool = True, **options: Any) -> Manifest:
        # Ids carry the milliseconds, and stand for the order of backups.
        self.stage.clock.move(milliseconds=1)
        return make_backup(
            self.stage.room.settings,
            self.directory,
            clock=self.stage.clock,
            keys=keys,
            recipients=(self.recipient,) if keys else (),
            **options,
        )

    def put_back(self, backup_id: str = "latest", *, keep: tuple[str, ...] = ()) -> Stage:
        """Lose the room but for some folders of its home, and put a backup back elsewhere."""
        self.stage.room.close()
        home = self.stage.home.parent / f"restored-{secrets.token_hex(4)}"
        for name in keep:
            shutil.copytree(self.stage.home / name, home / name)
        url = self.another_url()
        settings = load_settings({"CLEANROOM_DATABASE_URL": url} if url else {}, home=home)
        restore_backup(settings, self.directory, backup_id, identity=self.identity)
        old, self.stage = (
            self.stage,
            Stage(
                home,
                open_room(settings, clock=self.stage.clock),
                self.stage.clock,
                dict(self.stage.parties),
                self.stage.dataset_id,
                self.stage.base_id,
            ),
        )
        old.room = self.stage.room
        return self.stage


def counted(stage: Stage, numbers: range) -> int:
    """How many of some persons may be counted now, by the room's own consent mask: persons stand in no file's order."""
    room = stage.room
    with room.db.reading() as tx:
        dataset = room.datasets.dataset(tx, stage.dataset_id)
        version = room.datasets.current(tx, dataset.id)
        epoch = room.consents.epoch(tx, dataset.id)
        view = room.consents.view(tx, version.id, purpose=PURPOSE, epoch=epoch)
    mask = view.mask(stage.clock.now())
    assert mask.size >= len(numbers)
    return int(np.count_nonzero(mask))


@pytest.fixture
def another_url(request: pytest.FixtureRequest, stage: Stage) -> Iterator[Callable[[], str | None]]:
    """Give an empty database of the same kind; None for SQLite, which lies in the home."""
    if stage.room.settings.database_url.startswith("sqlite"):
        yield lambda: None
        return
    url = request.getfixturevalue("postgres_url")
    admin, names = create_engine(url, isolation_level="AUTOCOMMIT"), list[str]()

    def make() -> str:
        names.append(f"restored_{secrets.token_hex(8)}")
        with admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {names[-1]}"))
        return make_url(url).set(database=names[-1]).render_as_string(hide_password=False)

    yield make
    with admin.connect() as connection:
        for name in names:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture
def shelf(stage: Stage, another_url: Callable[[], str | None], tmp_path: Path) -> Iterator[Shelf]:
    """The room and its repository; every test runs on SQLite and on PostgreSQL."""
    made = Shelf(stage, tmp_path / "repository", another_url)
    yield made
    made.stage.room.close()
