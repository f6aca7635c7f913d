"""A load that is killed anywhere leaves nothing half-published, and running it again completes."""

import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from cleanroom.datasets.types import VersionStatus
from cleanroom.ids import new_id
from cleanroom.ingestion.errors import PayloadError

SCHEMA = """\
person_id: {column: id}
match_keys: {email: {column: email}}
attributes: {city: {type: category, kind: descriptive, values: [Moscow]}}
"""
TEXT = "id,email,city\n" + "".join(f"{at},u{at}@example.org,Moscow\n" for at in range(500))
CHILD = """
import importlib.util, os, signal, sys
from pathlib import Path
home, url, manifest, payload, conftest, calls = sys.argv[1:]
spec = importlib.util.spec_from_file_location("room_conftest", conftest)
module = importlib.util.module_from_spec(spec)
sys.modules["room_conftest"] = module
spec.loader.exec_module(module)
room = module.Room(Path(home), module.MovableClock(), url, memory_bytes=20_000)
left = int(calls)
def dying(step):
    def wrapped(*arguments, **named):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(*arguments, **named)
    return wrapped
# Whatever is synced, and what is not but replaced or begun: the spilled runs too.
os.fsync, os.replace, os.open = dying(os.fsync), dying(os.replace), dying(os.open)
room.ingestion.ingest(Path(manifest).read_bytes(), Path(payload))
"""


def run_child(room, package, *, calls: int) -> int:
    conftest = Path(__file__).with_name("conftest.py")
    arguments = [room.home, room.database_url, package.manifest_path, package.package_path, conftest, calls]
    command = [sys.executable, "-c", CHILD, *map(str, arguments)]
    return subprocess.run(command, check=False, cwd=Path(__file__).parents[3]).returncode


@pytest.mark.parametrize("calls", [3, 8, 21, 40, 55, 10_000])
def test_a_killed_load_is_swept_and_can_be_repeated(room, calls):
    dataset = room.register(SCHEMA)
    package = room.prepare(dataset, TEXT)
    killed = run_child(room, package, calls=calls) == -signal.SIGKILL
    assert killed == (calls < 10_000)
    if not killed:
        return
    with room.db.reading() as tx:
        assert room.datasets.dataset(tx, dataset).current_version_id is None
        (dead,) = room.datasets.versions(tx, dataset)
        assert dead.status is VersionStatus.LOADING
    assert room.ingestion.recover() == (dead.id,)
    assert room.version(dead.id).status is VersionStatus.FAILED
    assert room.version(dead.id).failure == "ingestion.interrupted"
    assert [path for path in (room.home / "objects").rglob("*") if path.is_file()] == []
    assert room.ingestion.recover() == ()
    version = room.ingest(package)
    assert room.version(version).number == 2
    assert room.version(version).persons == 500


def test_a_load_that_runs_is_left_alone(room):
    dataset = room.register(SCHEMA)
    seen = []

    def look(_done: int, _total: int) -> None:
        seen.append(room.ingestion.recover())

    package = room.prepare(dataset, TEXT)
    version = room.ingestion.ingest(package.manifest_path.read_bytes(), package.package_path, progress=look)
    assert seen
    assert set(seen) == {()}
    assert room.version(version).status is VersionStatus.LOADED


def test_progress_rises_over_the_whole_load_and_ends_at_all_rows(room):
    package = room.prepare(room.register(SCHEMA), TEXT)
    seen = []
    room.ingestion.ingest(
        package.manifest_path.read_bytes(), package.package_path, progress=lambda *step: seen.append(step)
    )
    done, totals = zip(*seen, strict=True)
    assert set(totals) == {500}
    assert sorted(done) == list(done)
    assert done[0] < 500
    assert done[-1] == 500


def test_a_load_that_fails_is_marked_with_its_reason_and_leaves_no_file(room, monkeypatch):
    dataset = room.register(SCHEMA)
    package = room.prepare(dataset, TEXT)

    def broken(*_arguments: object) -> None:
        raise PayloadError("The payload is odd.")

    with monkeypatch.context() as patch:
        patch.setattr("cleanroom.ingestion.loading.Load._report", broken)
        with pytest.raises(PayloadError):
            room.ingest(package)
    with room.db.reading() as tx:
        versions = room.datasets.versions(tx, dataset)
    assert [(version.status, version.failure) for version in versions] == [("failed", "ingestion.payload")]
    assert room.objects() == []
    room.ingest(package)


def test_files_that_are_not_the_rooms_are_left_alone_and_do_not_stop_it(room):
    dataset = room.register(SCHEMA)
    version = room.load(dataset, TEXT)
    workspace = room.party("provider").workspace_id
    names = ("notes", ".notes.tmp", "backup.zip", f"{workspace}/notes", f"{workspace}/{version}/fl_1")
    # Another directory may hold a copy of a file of ours.
    strays = {room.home / "objects" / name for name in (*names, f"copies/{new_id('fl', room.clock.now())}")}
    for path in strays:
        path.parent.mkdir(exist_ok=True)
        path.write_text("not ours")
    room.clock.instant += timedelta(hours=1)
    assert room.ingestion.recover() == ()
    assert {path for path in strays if path.exists()} == strays


def test_files_that_nothing_names_are_swept_once_they_are_old(room):
    dataset = room.register(SCHEMA)
    version = room.load(dataset, TEXT)
    known = set(room.objects())
    workspace = room.party("provider").workspace_id
    with room.store.create(f"{workspace}/{version}/{new_id('fl', room.clock.now())}") as sink:
        sink.write(b"left by a crash")
    room.ingestion.recover()
    assert len(room.objects()) == len(known) + 1
    room.clock.instant += timedelta(hours=1)
    room.ingestion.recover()
    assert set(room.objects()) == known
