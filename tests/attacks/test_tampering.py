"""Sealed files and versions: whatever is flipped, cut, swapped, dropped or replayed is detected and named."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from small_room import Stage
from tampered_room import Original, Verify, flip, original, sql, stage, verify

from cleanroom.bootstrap import open_room
from cleanroom.errors import KNOWN_ERRORS

__all__ = ["original", "sql", "stage", "verify"]

_FIXED, _SLOT = 512, 512
_TAG = 16


def objects(stage: Stage) -> list[Path]:
    return sorted(path for path in stage.settings.objects_dir.rglob("*") if path.is_file())


def key_of(stage: Stage, path: Path) -> str:
    return path.relative_to(stage.settings.objects_dir).as_posix()


def kind_of(path: Path) -> str:
    return path.parent.name.partition("_")[0]


def test_the_untouched_room_is_intact_with_every_file_it_stores(
    stage: Stage, original: Original, verify: Verify, tmp_path: Path
) -> None:
    kept = tmp_path / "checkpoint.txt"
    kept.write_text(original.checkpoint, encoding="utf-8")
    code, out = verify(stage, "--against", kept)
    assert code == 0
    # Retired versions, junk lists and batch of withdrawalss included: nothing lies there unchecked.
    assert f", {len(objects(stage))} sealed files, " in out
    assert {kind_of(path) for path in objects(stage)} == {"dv", "ce"}


_TAMPERINGS: dict[str, Callable[[bytes], bytes]] = {
    "a byte of the header": flip(lambda _size: 20),
    "the header's checksum": flip(lambda _size: _FIXED - 1),
    "a byte of the first chunk": flip(lambda _size: _FIXED + _SLOT),
    "a byte of the last tag": flip(lambda size: size - 1),
    "cut by a byte": lambda data: data[:-1],
    "cut by a tag": lambda data: data[:-_TAG],
    "cut inside the header": lambda data: data[:700],
    "emptied": lambda _data: b"",
    "a byte more": lambda data: data + b"\0",
}


@pytest.mark.parametrize("name", _TAMPERINGS)
def test_every_tampered_sealed_file_is_named(stage: Stage, verify: Verify, name: str) -> None:
    for path in objects(stage):
        whole = path.read_bytes()
        path.write_bytes(_TAMPERINGS[name](whole))
    code, out = verify(stage)
    assert code == 1
    for path in objects(stage):
        assert f"DAMAGED file {key_of(stage, path)}: " in out


def test_a_dropped_file_is_named(stage: Stage, verify: Verify) -> None:
    gone = objects(stage)
    keys = [key_of(stage, path) for path in gone]
    for path in gone:
        path.unlink()
    code, out = verify(stage)
    assert code == 1
    for key in keys:
        assert f"DAMAGED file {key}: the sealed file is missing" in out


def test_two_swapped_files_are_both_named(stage: Stage, verify: Verify) -> None:
    first, second = objects(stage)[0], objects(stage)[-1]
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)
    code, out = verify(stage)
    assert code == 1
    assert out.count("DAMAGED") == 2
    for path in (first, second):
        assert f"DAMAGED file {key_of(stage, path)}: the sealed file was changed" in out


def test_the_same_column_of_an_older_version_is_named(
    stage: Stage, verify: Verify, sql: sqlite3.Connection
) -> None:
    query = (
        "SELECT object_key FROM sealed_files JOIN dataset_versions ON version_id = dataset_versions.id "
        'WHERE dataset_id = ? AND role = 3 AND "column" = 0 ORDER BY number'
    )
    older, newer = (key for (key,) in sql.execute(query, (stage.provider_dataset,)))
    root = stage.settings.objects_dir
    (root / newer).write_bytes((root / older).read_bytes())
    code, out = verify(stage)
    assert (code, out.count("DAMAGED")) == (1, 1)
    assert f"file {newer}: the sealed file was changed" in out


def test_a_file_replayed_together_with_its_row_is_named(
    stage: Stage, verify: Verify, sql: sqlite3.Connection, original: Original
) -> None:
    """The older home stood before the second withdrawal; its batch of withdrawals and rows are valid by themselves."""
    columns = "id, file_id, ciphertext_sha256, object_key"
    (first, *old), (second, *_new) = sql.execute(
        f"SELECT {columns} FROM consent_epochs WHERE object_key IS NOT NULL ORDER BY epoch"
    ).fetchall()
    sql.execute("UPDATE consent_epochs SET object_key = 'gone' WHERE id = ?", (first,))
    sql.execute(
        "UPDATE consent_epochs SET file_id = ?, ciphertext_sha256 = ?, object_key = ? WHERE id = ?",
        (*old, second),
    )
    sql.commit()
    code, out = verify(stage)
    assert code == 1
    assert f"DAMAGED files {second}: the list of sealed files is not the one that the log states" in out


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ("UPDATE dataset_versions SET status = 'failed' WHERE id = ?", "dataset_versions"),
        ("UPDATE consent_epochs SET object_key = NULL WHERE id = ?", "consent_epochs"),
        ("UPDATE consent_epochs SET file_id = NULL WHERE id = ?", "consent_epochs"),
        ("DELETE FROM consent_epochs WHERE id = ?", "consent_epochs"),
    ],
)
def test_a_version_or_withdrawal_taken_out_of_sql_is_named(
    stage: Stage, verify: Verify, sql: sqlite3.Connection, statement: str, table: str
) -> None:
    (chosen,) = sql.execute(f"SELECT min(id) FROM {table}").fetchone()
    sql.execute(statement, (chosen,))
    sql.commit()
    code, out = verify(stage)
    assert code == 1
    assert f"DAMAGED files {chosen}: " in out


def test_an_older_version_made_current_again_is_named(
    stage: Stage, verify: Verify, sql: sqlite3.Connection
) -> None:
    query = "SELECT id FROM dataset_versions WHERE dataset_id = ? ORDER BY number LIMIT 1"
    (oldest,) = sql.execute(query, (stage.provider_dataset,)).fetchone()
    sql.execute("UPDATE datasets SET current_version_id = ? WHERE id = ?", (oldest, stage.provider_dataset))
    sql.commit()
    code, out = verify(stage)
    assert code == 1
    assert f"DAMAGED dataset {stage.provider_dataset}: " in out


def _read_everything(stage: Stage) -> dict[str, str]:
    """Open and read every sealed file through the services; returns the errors' codes by object key."""
    room, failed = open_room(stage.settings), {}
    with room.db.reading() as tx:
        for dataset_id in (stage.provider_dataset, stage.base_dataset):
            for version in room.datasets.versions(tx, dataset_id):
                reader = room.datasets.reader(tx, version.id)
                for file in room.datasets.files(tx, version.id):
                    try:
                        reader.read_bytes(file.role, file.column)
                    except KNOWN_ERRORS as error:
                        failed[file.object_key] = getattr(error, "code", "")
    room.close()
    return failed


@pytest.mark.parametrize(
    ("name", "at"),
    [
        ("its length", _FIXED),
        ("the key", _FIXED + 20),
        ("its tag", _FIXED + 60),
        ("the filling", _FIXED + 400),
    ],
)
def test_a_byte_of_the_wrapped_key_is_found_on_opening(stage: Stage, name: str, at: int) -> None:
    """Rotation rewrites this sector, so it stands outside the hashes and inside the authentication."""
    versions = [path for path in objects(stage) if kind_of(path) == "dv"]
    for path in versions:
        whole = path.read_bytes()
        path.write_bytes(flip(lambda _size: at)(whole))
    failed = _read_everything(stage)
    assert failed.keys() == {key_of(stage, path) for path in versions}
    assert set(failed.values()) <= {"crypto.sealed_key", "crypto.sealed_header"}


def test_an_intact_room_is_read_whole(stage: Stage) -> None:
    assert _read_everything(stage) == {}


def test_files_of_another_version_or_of_an_older_attempt_do_not_open(
    stage: Stage, original: Original
) -> None:
    """With the log and every hash out of the way, the files themselves still know where they belong."""
    paths = [path for path in objects(stage) if kind_of(path) == "dv"]
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, [*contents[1:], contents[0]], strict=True):
        path.write_bytes(content)
    failed = _read_everything(stage)
    assert failed == {key_of(stage, path): "crypto.sealed_context" for path in paths}
