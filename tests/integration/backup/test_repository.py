"""A backup is whole or is none, a second one copies what is new, and damage anywhere is named before it is put back."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from cleanroom.backup import making
from cleanroom.backup.errors import (
    BackupBusyError,
    DamagedBackupError,
    KeyPolicyError,
    NotARepositoryError,
    NotEmptyError,
    UnknownBackupError,
)
from cleanroom.backup.repository import Repository, public_of
from cleanroom.backup.restoring import restore_backup
from cleanroom.backup.verifying import verify_backup
from cleanroom.cli.main import EXIT_KNOWN_ERROR, main
from cleanroom.settings import load_settings
from crypto.errors import CryptoError
from crypto.package import generate_identity
from tests.integration.backup.conftest import Shelf
from tests.rooms import DATASET_HEADER, MakeRoom, people

# The snapshot is all that differs between databases, and the drill runs on both.
pytestmark = pytest.mark.slow_on("postgresql")


class Killed(BaseException):
    """As if the process had ended here."""


def blocks(shelf: Shelf) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in (shelf.directory / "blocks").glob("*/*")}


def target(shelf: Shelf, name: str = "elsewhere") -> Any:
    url = shelf.another_url()
    home = shelf.directory.parent / name
    return load_settings({"CLEANROOM_DATABASE_URL": url} if url else {}, home=home)


def test_a_second_backup_copies_what_is_new_and_each_can_be_put_back(shelf: Shelf) -> None:
    first = shelf.make()
    before = blocks(shelf)
    again = shelf.make(keys=False)
    # The same sealed files: no block of theirs is written again, nor any that did not change.
    assert (again.files, again.files_bytes, again.files_sha256) == (
        first.files,
        first.files_bytes,
        first.files_sha256,
    )
    assert len(blocks(shelf)) <= len(before) + len(again.tables)
    shelf.stage.load(shelf.stage.dataset_id, DATASET_HEADER, people(2_000))
    third = shelf.make()
    assert third.files > first.files
    for made in (first, again, third):
        verify_backup(shelf.repository, shelf.repository.manifest(made.id))

    shelf.put_back(first.id)

    with shelf.stage.room.db.reading() as tx:
        assert shelf.stage.room.datasets.current(tx, shelf.stage.dataset_id).number == 1


def test_nothing_of_the_keys_stands_in_the_repository(shelf: Shelf) -> None:
    shelf.make()
    keys = shelf.stage.room.settings.keys_dir
    everything = b"".join(path.read_bytes() for path in shelf.directory.rglob("*") if path.is_file())
    assert (keys / "log.key").read_bytes() not in everything
    secrets = re.findall(rb'"([A-Za-z0-9+/=_-]{40,})"', (keys / "keyring.json").read_bytes())
    assert secrets
    assert [one for one in secrets if one in everything] == []
    for path in shelf.directory.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda path: path.unlink(), "missing"),
        (
            lambda path: path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1])),
            "changed",
        ),
        (lambda path: path.write_bytes(b""), "changed"),
    ],
)
def test_every_damaged_block_is_found_and_nothing_is_written(shelf: Shelf, spoil: Any, error: str) -> None:
    made = shelf.make()
    for place, block in enumerate(sorted((shelf.directory / "blocks").glob("*/*"))):
        kept = block.read_bytes()
        spoil(block)
        with pytest.raises(DamagedBackupError, match=error):
            verify_backup(shelf.repository, shelf.repository.manifest(made.id))
        if place == 0:
            settings = target(shelf)
            with pytest.raises(DamagedBackupError):
                restore_backup(settings, shelf.directory, made.id, identity=shelf.identity)
            assert not settings.home.exists()
        block.write_bytes(kept)
    verify_backup(shelf.repository, shelf.repository.manifest(made.id))


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sig", "files.jsonl"])
def test_a_changed_manifest_or_list_is_found(shelf: Shelf, name: str) -> None:
    made = shelf.make()
    path = shelf.directory / "backups" / made.id / name
    kept = path.read_bytes()
    path.write_bytes(kept[:-2] + bytes([kept[-2] ^ 1]) + kept[-1:])
    with pytest.raises(DamagedBackupError):
        shelf.repository.manifest(made.id)


def test_a_repository_that_somebody_else_signed_is_not_put_back(shelf: Shelf, make_room: MakeRoom) -> None:
    made = shelf.make()
    about = shelf.directory / "repository.json"
    forged = json.loads(about.read_bytes()) | {"key": public_of(bytes(32)).hex()}
    folder = shelf.directory / "backups" / made.id
    about.write_text(json.dumps(forged))
    text = (folder / "manifest.json").read_bytes()
    from cleanroom.backup.repository import _PURPOSE, backup_seed
    from crypto.keys import sign

    (folder / "manifest.sig").write_bytes(sign(backup_seed(bytes(32)), _PURPOSE + text))
    assert shelf.repository.manifest(made.id).id == made.id
    with pytest.raises(DamagedBackupError):
        restore_backup(target(shelf), shelf.directory, made.id, identity=shelf.identity)
    with pytest.raises(NotARepositoryError):
        shelf.make()


def test_a_backup_that_is_killed_anywhere_is_none_and_the_next_one_ends(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, plain = 0, Repository._settle
    fails_at = 0

    def settle(self: Repository, partial: Path, digest: str) -> None:
        nonlocal steps
        steps += 1
        if steps == fails_at:
            raise Killed
        plain(self, partial, digest)

    monkeypatch.setattr(Repository, "_settle", settle)
    for step in (1, 2, 5, 9):
        steps, fails_at = 0, step
        with pytest.raises(Killed):
            shelf.make()
        assert shelf.repository.ids() == ()
        shutil.rmtree(shelf.directory / "blocks" / "00", ignore_errors=True)
    fails_at = 0
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            shelf.make()
    assert shelf.repository.ids() == ()

    made = shelf.make()

    assert shelf.repository.ids() == (made.id,)
    verify_backup(shelf.repository, shelf.repository.manifest(made.id))
    assert not list((shelf.directory / "blocks").rglob("*.partial"))


def test_a_block_that_a_power_cut_left_short_is_written_again(shelf: Shelf) -> None:
    shelf.make()
    for folder in (shelf.directory / "backups").iterdir():
        shutil.rmtree(folder)
    for block in (shelf.directory / "blocks").glob("*/*"):
        os.truncate(block, block.stat().st_size // 2)
    made = shelf.make()
    verify_backup(shelf.repository, shelf.repository.manifest(made.id))


def test_a_rotation_meanwhile_makes_it_take_the_snapshot_anew(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotated, plain = 0, making._files
    room = shelf.stage.room

    def files(*given: Any) -> Any:
        nonlocal rotated
        done = plain(*given)
        if rotated < most:
            rotated += 1
            room.rotation.rotate_kek(shelf.stage.provider.workspace_id)
        return done

    monkeypatch.setattr(making, "_files", files)
    most = 1
    made = shelf.make()
    assert rotated == 1
    assert shelf.repository.ids() == (made.id,)
    rotated, most = 0, 3
    with pytest.raises(BackupBusyError):
        shelf.make()
    # What was made opens: its headers are those of the keys that it names.
    shelf.put_back(made.id)
    grant = shelf.stage.room.grants
    assert grant is not None


def test_prune_keeps_the_newest_and_what_they_need(shelf: Shelf) -> None:
    first = shelf.make()
    shelf.stage.load(shelf.stage.dataset_id, DATASET_HEADER, people(2_000))
    second = shelf.make()
    before = sum(blocks(shelf).values())

    gone, freed = shelf.repository.prune(1)

    assert gone == 1
    assert 0 < freed == before - sum(blocks(shelf).values())
    assert shelf.repository.ids() == (second.id,)
    verify_backup(shelf.repository, shelf.repository.manifest(second.id))
    with pytest.raises(UnknownBackupError):
        shelf.repository.manifest(first.id)
    assert shelf.repository.prune(1) == (0, 0)


def test_keys_are_kept_sealed_or_not_at_all_and_a_home_without_them_is_refused(shelf: Shelf) -> None:
    with pytest.raises(KeyPolicyError):
        making.make_backup(
            shelf.stage.room.settings, shelf.directory, clock=shelf.stage.clock, keys=True, recipients=()
        )
    without = shelf.make(keys=False)
    sealed = shelf.make()
    settings = target(shelf)
    other, _ = generate_identity()
    with pytest.raises(KeyPolicyError):
        restore_backup(settings, shelf.directory, without.id, identity=shelf.identity)
    with pytest.raises(KeyPolicyError):
        restore_backup(settings, shelf.directory, sealed.id)
    with pytest.raises(CryptoError):
        restore_backup(settings, shelf.directory, sealed.id, identity=other)
    assert not settings.home.exists()
    # Keys that were destroyed since do not open it: it says so before anything is written.
    shelf.stage.room.rotation.rotate_kek(shelf.stage.provider.workspace_id)
    shutil.copytree(shelf.stage.room.settings.keys_dir, settings.keys_dir)
    with pytest.raises(KeyPolicyError):
        restore_backup(settings, shelf.directory, without.id)


def test_nothing_is_put_back_over_a_room(shelf: Shelf) -> None:
    shelf.make()
    with pytest.raises(NotEmptyError):
        restore_backup(shelf.stage.room.settings, shelf.directory, "latest", identity=shelf.identity)
    other = load_settings(
        {"CLEANROOM_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}, home=shelf.directory.parent / "x"
    )
    if shelf.stage.room.settings.database_url.startswith("sqlite"):
        with pytest.raises(NotEmptyError):
            restore_backup(other, shelf.directory, "latest", identity=shelf.identity)


def test_a_directory_of_something_else_is_left_alone(shelf: Shelf) -> None:
    shelf.directory.mkdir()
    (shelf.directory / "letter.txt").write_text("mine")
    with pytest.raises(NotARepositoryError):
        shelf.make()
    assert sorted(path.name for path in shelf.directory.iterdir()) == ["letter.txt", "lock"]
    with shelf.repository.writing(), pytest.raises(BackupBusyError):
        shelf.make()


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    code = ended.value.code
    captured = capsys.readouterr()
    return (code if isinstance(code, int) else 0), captured.out + captured.err


def test_the_commands(make_room: MakeRoom, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stage = make_room()
    identity, recipient = generate_identity()
    (tmp_path / "identity").write_text(f"# made for a test\n{identity}\n")
    home, to = ("--home", str(stage.home)), str(tmp_path / "repository")

    code, text = run(capsys, "backup", "--to", to, "--keys", "wrapped", "--recipient", recipient, *home)
    assert (code, text.startswith("BACKED UP bk_")) == (0, True), text
    assert run(capsys, "backup", "--to", to, *home)[0] == 0
    code, text = run(capsys, "backup", "list", to)
    assert [line.split("\t")[-1] for line in text.splitlines()] == ["True", "False"]
    first = text.split("\t")[0]
    code, text = run(capsys, "backup", "verify", to, first)
    assert (code, text.startswith(f"VERIFIED {first}")) == (0, True), text
    key = text.split()[-1]
    assert run(capsys, "backup", "verify", to, "--key", key)[0] == 0
    assert run(capsys, "backup", "verify", to, "--key", "00" * 32)[0] == EXIT_KNOWN_ERROR
    assert run(capsys, "backup", "--to", to, "--keys", "wrapped", *home)[0] == EXIT_KNOWN_ERROR
    back = ("--home", str(tmp_path / "back"))
    given = ("--from", to, "--backup", first, "--identity", str(tmp_path / "identity"))
    code, text = run(capsys, "restore", *given, *back)
    assert (code, "cleanroom ledger reconcile" in text) == (0, True), text
    code, text = run(capsys, "ledger", "status", *back)
    assert text.startswith("RESTORED"), text
    code, text = run(capsys, "ledger", "reconcile", *back)
    assert f"CONFIRM {stage.dataset_id}" in text
    code, text = run(capsys, "ledger", "confirm-consents", stage.dataset_id, *back)
    assert (code, text.startswith("CONFIRMED")) == (0, True), text
    code, text = run(capsys, "backup", "prune", to, "--keep", "1")
    assert text.startswith("PRUNED 1 backups"), text
    # What came after the backup that stays is kept; another repository, of an older one, keeps more.
    stage.withdraw(1)
    other = str(tmp_path / "other")
    assert run(capsys, "backup", "prune", to, "--keep", "1", "--besides", other)[0] == 2
    assert run(capsys, "backup", "--to", other, *home)[0] == 0
    stage.withdraw(2)
    files = len(list(stage.room.consents.mirror.files()))
    thin = ("backup", "prune", other, "--keep", "1", "--mirror", *home)
    code, text = run(capsys, *thin, "--besides", to)
    assert (code, "; 2 stay" in text) == (0, True), text
    code, text = run(capsys, *thin)
    assert (code, "THINNED the mirror by 1 files" in text, "; 1 stay" in text) == (0, True, True), text
    assert len(list(stage.room.consents.mirror.files())) == 1 < files
