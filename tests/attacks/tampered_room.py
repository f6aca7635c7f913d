"""A room that was closed, to be tampered with; the fixtures are imported by the tests that use them."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from small_room import (
    BASE_SCHEMA,
    PROVIDER_SCHEMA,
    Stage,
    agree,
    ask,
    hand_in,
    people,
    prepare,
    register,
    sign_up,
    write_base,
    write_dataset,
)

from cleanroom.accounts.types import OrganisationKind
from cleanroom.bootstrap import init_room, open_room
from cleanroom.cli.main import main
from cleanroom.client.preparing import Prepared
from cleanroom.consent.types import Withdrawal
from cleanroom.datasets.types import DatasetKind
from cleanroom.room import Room
from crypto.hash_profiles import digest, hash_profile

Verify = Callable[..., tuple[int, str]]


@dataclass(frozen=True)
class Original:
    """A room that was closed, an older copy of it, and a package that it has not taken yet.

    Attributes:
        stage: of the room.
        older: a copy of the home, taken before the last withdrawal and question.
        checkpoint: the newest one, kept outside.
        verifier_key: of the room.
        package: prepared and not loaded.
        second: another package of the same file.
        receipts: of two questions.
    """

    stage: Stage
    older: Path
    checkpoint: str
    verifier_key: str
    package: Prepared
    second: Prepared
    receipts: tuple[Path, ...]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    place = tmp_path_factory.mktemp("original")
    home, known = place / "home", people(600)
    stage = Stage(str(home), f"sqlite:///{home / 'room.sqlite3'}")
    room = init_room(stage.settings)
    provider = sign_up(room, OrganisationKind.PROVIDER, "Telecom")
    advertiser = sign_up(room, OrganisationKind.ADVERTISER, "Shop")
    dataset = register(room, provider, DatasetKind.DATASET, schema=PROVIDER_SCHEMA)
    base = register(room, advertiser, DatasetKind.BASE, schema=BASE_SCHEMA)
    source = write_dataset(place / "provider.csv", known)

    def package() -> Prepared:
        return prepare(provider, dataset, source, schema=PROVIDER_SCHEMA, out_dir=place / "uploads")

    for _ in range(2):
        made = package()
        hand_in(room, made.manifest_path, made.package_path)
    listed = write_base(place / "base.csv", known[:300])
    made = prepare(advertiser, base, listed, schema=BASE_SCHEMA, out_dir=place / "uploads")
    hand_in(room, made.manifest_path, made.package_path)
    grant = agree(room, provider, advertiser, dataset)
    stage = replace(stage, provider_dataset=dataset, base_dataset=base)
    stage = replace(stage, grant_id=grant.id, asker_id=advertiser.organisation_id)
    receipts = [ask(room, stage, 30).receipt]
    withdraw(room, stage, known[7].email)
    room.rotation.rotate_token_key(provider.workspace_id)
    room.close()
    older = place / "older"
    shutil.copytree(home, older)
    room = open_room(stage.settings)
    withdraw(room, stage, known[8].email)
    receipts.append(ask(room, stage, 31).receipt)
    with room.db.transaction() as tx:
        note = room.audit.checkpoint(tx)
    key = room.audit.verifier_key
    room.close()
    return Original(stage, older, note, key, package(), package(), tuple(receipts))


def withdraw(room: Room, stage: Stage, email: str) -> None:
    hashed = digest(hash_profile("room"), "email", email)
    assert hashed is not None
    room.consents.withdraw(stage.provider_dataset, [Withdrawal("email/room", hashed)])


@pytest.fixture
def stage(original: Original, tmp_path: Path) -> Stage:
    """A copy of the room to be tampered with."""
    home = tmp_path / "home"
    shutil.copytree(original.stage.home, home)
    return replace(original.stage, home=str(home), database_url=f"sqlite:///{home / 'room.sqlite3'}")


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str]) -> Verify:
    def run(stage: Stage, *more: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as left:
            main(["audit", "verify", "--home", stage.home, *map(str, more)])
        return int(left.value.code or 0), capsys.readouterr().out

    return run


@pytest.fixture
def sql(stage: Stage) -> Iterator[sqlite3.Connection]:
    """The room's database in the hands of somebody who owns it."""
    with closing(sqlite3.connect(stage.settings.home / "room.sqlite3")) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f'DROP TRIGGER "{name}"')
        connection.commit()
        yield connection


def flip(place: Callable[[int], int]) -> Callable[[bytes], bytes]:
    """Return what flips one bit of the byte at a place that may depend on the size."""

    def tamper(data: bytes) -> bytes:
        at = place(len(data))
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]

    return tamper
