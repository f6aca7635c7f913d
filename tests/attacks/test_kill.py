"""`kill -9` at any point of loading and asking: nothing half-published, no budget back, no gap in the log."""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from killable import Ended, Killable
from small_room import (
    BASE_SCHEMA,
    PROVIDER_SCHEMA,
    Party,
    Stage,
    agree,
    ask,
    hand_in,
    people,
    prepare,
    publish,
    register,
    sign_up,
    write_base,
    write_dataset,
)
from sqlalchemy import NullPool, create_engine, select, text

from cleanroom.accounts.types import OrganisationKind
from cleanroom.analyses.models import AnalysisRow
from cleanroom.analyses.types import Outcome
from cleanroom.bootstrap import init_room, open_room
from cleanroom.cli.main import main
from cleanroom.client.preparing import Prepared
from cleanroom.consent.changes import ChangeState
from cleanroom.consent.models import ConfirmationRow, ConsentEpochRow, ConsentFileRow
from cleanroom.consent.optout_models import BarSegmentRow, OptOutListRow
from cleanroom.consent.terms import Terms
from cleanroom.consent.types import Change
from cleanroom.datasets.models import PackageRow, SealedFileRow
from cleanroom.datasets.types import DatasetKind, VersionStatus
from cleanroom.grants.models import LedgerRow
from cleanroom.ingestion.errors import PackageUsedError
from cleanroom.room import Room
from crypto.hash_profiles import digest, hash_profile

_PEOPLE, _BASE = 1_200, 400
_ALL_STATUSES = {VersionStatus.PUBLISHED, VersionStatus.RETIRED, VersionStatus.FAILED, VersionStatus.LOADED}
_ALL_STATUSES |= {VersionStatus.AWAITING_JUNK}
Verify = Callable[..., None]


@dataclass(frozen=True)
class LaterClock:
    """The system's time and some hours more, when every leftover of a crash is old."""

    hours: int = 2

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(hours=self.hours)


@dataclass(frozen=True)
class Scene:
    """A room on disk with a published dataset and base, and everything it takes to go on."""

    stage: Stage
    provider: Party
    source: Path
    uploads: Path

    def package(self) -> Prepared:
        """Prepare the provider's file anew."""
        return prepare(
            self.provider,
            self.stage.provider_dataset,
            self.source,
            schema=PROVIDER_SCHEMA,
            out_dir=self.uploads,
        )


@pytest.fixture(scope="module")
def killable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killable]:
    with Killable(tmp_dir=tmp_path_factory.mktemp("tmpdir")) as started:
        yield started


@pytest.fixture
def verify(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Verify:
    """Run `cleanroom audit verify` against a checkpoint kept outside the room."""

    def run(stage: Stage, *, against: str) -> None:
        monkeypatch.setenv("CLEANROOM_DATABASE_URL", stage.database_url)
        monkeypatch.setenv("CLEANROOM_ORIGIN", stage.settings.origin)
        kept = Path(stage.home).parent / "checkpoint.txt"
        kept.write_text(against, encoding="utf-8")
        with pytest.raises(SystemExit) as left:
            main(["audit", "verify", "--home", stage.home, "--against", str(kept)])
        output = capsys.readouterr()
        assert (left.value.code or 0, output.out[:6]) == (0, "INTACT"), output.out + output.err

    return run


def make_scene(place: Path, database_url: str, *, rows: int = _PEOPLE) -> Scene:
    stage, known = Stage(str(place / "home"), database_url), people(rows)
    room = init_room(stage.settings)
    provider = sign_up(room, OrganisationKind.PROVIDER, "Telecom")
    advertiser = sign_up(room, OrganisationKind.ADVERTISER, "Shop")
    stage = replace(
        stage,
        provider_dataset=register(room, provider, DatasetKind.DATASET, schema=PROVIDER_SCHEMA),
        base_dataset=register(room, advertiser, DatasetKind.BASE, schema=BASE_SCHEMA),
        asker_id=advertiser.organisation_id,
    )
    scene = Scene(stage, provider, write_dataset(place / "provider.csv", known), place / "uploads")
    package = scene.package()
    hand_in(room, package.manifest_path, package.package_path)
    listed = write_base(place / "base.csv", known[: rows // 3])
    package = prepare(advertiser, stage.base_dataset, listed, schema=BASE_SCHEMA, out_dir=scene.uploads)
    hand_in(room, package.manifest_path, package.package_path)
    grant = agree(room, provider, advertiser, stage.provider_dataset)
    room.close()
    return replace(scene, stage=replace(stage, grant_id=grant.id))


def strike(
    run: Callable[..., Ended], *, seed: str, random_kills: int, targeted_kills: int
) -> Iterator[Ended]:
    """Run again and again, killed just before operations spread over all of them, then at random instants.

    Args:
        run: does the work, given the point at which to kill it.
        seed: of the random instants, which are spread over the work's duration.
        random_kills: how many of them must hit; one that comes too late is drawn anew, earlier.
        targeted_kills: how many operations, the first and the last included.

    Yields:
        Each run, so that the caller looks at what it left.
    """
    # The first one warms up: its time would set the instants too late.
    whole = min((run() for _ in range(2)), key=lambda ended: ended.seconds)
    for number in range(targeted_kills):
        yield run(at_operation=1 + number * (whole.operations - 1) // (targeted_kills - 1))
    rng, seconds, left = random.Random(seed), whole.seconds, random_kills
    while left:
        ended = run(after=seconds * (left - 1 + rng.random()) / random_kills)
        if ended.killed:
            left -= 1
        else:
            seconds *= 0.8
        yield ended


def checkpoint(stage: Stage) -> str:
    room = open_room(stage.settings)
    with room.db.transaction() as tx:
        note = room.audit.checkpoint(tx)
    room.close()
    return note


def await_the_server(stage: Stage) -> None:
    """Wait until PostgreSQL has finished what the killed client left under way: a commit may still come through."""
    if stage.database_url.startswith("sqlite"):
        return
    engine = create_engine(stage.database_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    others = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    deadline = time.monotonic() + 60
    with engine.connect() as connection:
        while connection.scalar(others):
            assert time.monotonic() < deadline
            time.sleep(0.005)


def check_versions(room: Room, stage: Stage) -> None:
    """One published version, which is the current one; no load under way; no file that SQL does not name."""
    with room.db.reading() as tx:
        for dataset_id in (stage.provider_dataset, stage.base_dataset):
            versions = room.datasets.versions(tx, dataset_id)
            assert {version.status for version in versions} <= _ALL_STATUSES
            published = [version.id for version in versions if version.status is VersionStatus.PUBLISHED]
            assert published == [room.datasets.dataset(tx, dataset_id).current_version_id]
        named = set(tx.session.scalars(select(SealedFileRow.object_key)))
        named |= {key for key in tx.session.scalars(select(ConsentEpochRow.object_key)) if key}
        named |= set(tx.session.scalars(select(ConsentFileRow.object_key)))
        named |= {key for key in tx.session.scalars(select(BarSegmentRow.object_key)) if key}
        named |= set(tx.session.scalars(select(OptOutListRow.object_key)))
    stored = {
        path.relative_to(room.store.root).as_posix() for path in room.store.root.rglob("*") if path.is_file()
    }
    assert stored == named


def load_again(room: Room, package: Prepared) -> None:
    """Repeat what was killed; a package that had become a version needs publishing only."""
    try:
        hand_in(room, package.manifest_path, package.package_path)
    except PackageUsedError:
        with room.db.reading() as tx:
            version_id = tx.session.get_one(PackageRow, package.manifest.package_id).version_id
        publish(room, version_id)


def kill_loads(
    scene: Scene, killable: Killable, verify: Verify, *, random_kills: int, targeted_kills: int
) -> None:
    notes, packages = [""], [scene.package()]

    def run(**point: float) -> Ended:
        notes.append(checkpoint(scene.stage))
        packages.append(scene.package())
        manifest, payload = str(packages[-1].manifest_path), str(packages[-1].package_path)
        return killable.run("load", scene.stage, manifest=manifest, payload=payload, **point)

    kills = 0
    for ended in strike(run, seed="load", random_kills=random_kills, targeted_kills=targeted_kills):
        kills += ended.killed
        await_the_server(scene.stage)
        room = open_room(scene.stage.settings, clock=LaterClock())
        check_versions(room, scene.stage)
        verify(scene.stage, against=notes[-1])
        load_again(room, packages[-1])
        with room.db.reading() as tx:
            current = room.datasets.current(tx, scene.stage.provider_dataset)
            used = tx.session.get_one(PackageRow, packages[-1].manifest.package_id).version_id
        assert (current.id, current.persons) == (used, _persons(scene))
        check_versions(room, scene.stage)
        room.close()
    assert kills >= random_kills + targeted_kills - 1


def _persons(scene: Scene) -> int:
    return len(scene.source.read_text(encoding="utf-8").splitlines()) - 1


def kill_questions(
    scene: Scene, killable: Killable, verify: Verify, *, random_kills: int, targeted_kills: int
) -> None:
    stage, notes = scene.stage, [""]

    def run(**point: float) -> Ended:
        notes.append(checkpoint(stage))
        return killable.run("ask", stage, number=len(notes), **point)

    kills = spent = 0
    for ended in strike(run, seed="ask", random_kills=random_kills, targeted_kills=targeted_kills):
        kills += ended.killed
        await_the_server(stage)
        room = open_room(stage.settings)
        spent = check_budget(room, stage, at_least=spent)
        verify(stage, against=notes[-1])
        answer = ask(room, stage, len(notes))
        assert answer.outcome in (Outcome.RELEASED, Outcome.STORED)
        assert answer.receipt.exists()
        spent = check_budget(room, stage, at_least=spent + answer.charged_micro)
        check_versions(room, stage)
        room.close()
    assert kills >= random_kills + targeted_kills - 1


def check_budget(room: Room, stage: Stage, *, at_least: int) -> int:
    """What was reserved is spent for good, and every reservation ended as released or lost."""
    with room.db.reading() as tx:
        spent = room.grants.status(tx, stage.grant_id).spent_micro
        moved = tx.session.scalars(select(LedgerRow).where(LedgerRow.grant_id == stage.grant_id)).all()
        status = {row.id: row.status for row in tx.session.scalars(select(AnalysisRow))}
        reserved = {row.subject_id: row.rho_micro for row in moved if row.kind == "reserved"}
        settled = {row.subject_id for row in moved if row.kind == "settled"}
    assert spent == sum(reserved.values())
    assert spent >= at_least
    assert Outcome.RESERVED not in status.values()
    assert {status[analysis_id] for analysis_id in reserved} <= {Outcome.RELEASED, Outcome.LOST}
    assert {analysis_id for analysis_id in reserved if status[analysis_id] == Outcome.RELEASED} == settled
    return spent


def few_or_many(few: tuple[int, int], many: tuple[int, int]) -> pytest.MarkDecorator:
    """Kills at random and at chosen points: a few in every run of the tests, many in the long one."""
    kills = [pytest.param(*few, id="few"), pytest.param(*many, id="many", marks=pytest.mark.long)]
    return pytest.mark.parametrize(("random_kills", "targeted_kills"), kills)


@few_or_many((2, 3), (10, 11))
def test_a_killed_load_leaves_nothing_half_published_and_can_be_repeated(
    tmp_path: Path, killable: Killable, verify: Verify, random_kills: int, targeted_kills: int
) -> None:
    scene = make_scene(tmp_path, f"sqlite:///{tmp_path / 'home' / 'room.sqlite3'}")
    kill_loads(scene, killable, verify, random_kills=random_kills, targeted_kills=targeted_kills)


@pytest.mark.slow_on("postgresql")
@few_or_many((3, 2), (15, 6))
def test_a_killed_question_costs_its_budget_and_can_be_repeated(
    tmp_path: Path,
    database_url: str,
    killable: Killable,
    verify: Verify,
    random_kills: int,
    targeted_kills: int,
) -> None:
    url = database_url.replace(str(tmp_path / "room"), str(tmp_path / "home" / "room"))
    scene = make_scene(tmp_path, url)
    kill_questions(scene, killable, verify, random_kills=random_kills, targeted_kills=targeted_kills)


@few_or_many((1, 2), (2, 5))
@pytest.mark.slow
@pytest.mark.parametrize("job", ["withdraw", "suppress", "rotate"])
def test_a_killed_withdrawal_list_or_rotation_leaves_no_file_behind_and_can_be_repeated(
    tmp_path: Path, killable: Killable, verify: Verify, job: str, random_kills: int, targeted_kills: int
) -> None:
    scene = make_scene(tmp_path, f"sqlite:///{tmp_path / 'home' / 'room.sqlite3'}", rows=300)
    stage = scene.stage
    hashed = digest(hash_profile("room"), "email", people(300)[7].email)
    assert hashed is not None
    options = {
        "withdraw": {"digests": hashed.hex()},
        "suppress": {"digests": hashed.hex(), "organisation_id": scene.provider.organisation_id},
        "rotate": {"workspace_id": scene.provider.workspace_id},
    }[job]
    note = checkpoint(stage)
    for _ in strike(
        lambda **point: killable.run(job, stage, **point, **options),
        seed=job,
        random_kills=random_kills,
        targeted_kills=targeted_kills,
    ):
        room = open_room(stage.settings, clock=LaterClock())
        check_versions(room, stage)
        verify(stage, against=note)
        room.close()
        assert not killable.run(job, stage, **options).killed
        verify(stage, against=note)


@few_or_many((1, 3), (6, 12))
@pytest.mark.slow
def test_a_killed_confirmation_is_made_wholly_or_not_at_all_and_once(
    tmp_path: Path, killable: Killable, verify: Verify, random_kills: int, targeted_kills: int
) -> None:
    scene = make_scene(tmp_path, f"sqlite:///{tmp_path / 'home' / 'room.sqlite3'}", rows=300)
    stage, note, tokens = scene.stage, checkpoint(scene.stage), list[str]()
    hashed = digest(hash_profile("room"), "email", people(300)[7].email)
    assert hashed is not None
    pending = Change("email/room", hashed, ChangeState.PENDING, "advertising", terms=(Terms(),))

    def run(**point: float) -> Ended:
        room = open_room(stage.settings)
        requests = room.consent_requests
        asked = requests.prepare(stage.provider_dataset, [pending], within=timedelta(days=1))
        with room.db.transaction() as tx:
            (token,) = requests.ask(tx, asked)[1]
        room.close()
        assert token is not None
        tokens.append(token)
        return killable.run("confirm_consent", stage, token=token, **point)

    def spent() -> int:
        room = open_room(stage.settings, clock=LaterClock())
        check_versions(room, stage)
        with room.db.reading() as tx:
            rows = len(tx.session.scalars(select(ConfirmationRow)).all())
            epochs = select(ConsentEpochRow).where(ConsentEpochRow.kind == "confirmation")
            assert len(tx.session.scalars(epochs).all()) == rows
        room.close()
        verify(stage, against=note)
        return rows

    for _ in strike(run, seed="confirm", random_kills=random_kills, targeted_kills=targeted_kills):
        assert len(tokens) - 1 <= spent() <= len(tokens)
        assert not killable.run("confirm_consent", stage, token=tokens[-1]).killed
        assert spent() == len(tokens)


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_many_kills_of_a_larger_load_and_of_questions_to_it(
    tmp_path: Path, database_url: str, killable: Killable, verify: Verify
) -> None:
    url = database_url.replace(str(tmp_path / "room"), str(tmp_path / "home" / "room"))
    scene = make_scene(tmp_path, url, rows=20_000)
    kill_loads(scene, killable, verify, random_kills=12, targeted_kills=20)
    kill_questions(scene, killable, verify, random_kills=24, targeted_kills=6)
