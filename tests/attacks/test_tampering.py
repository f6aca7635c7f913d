"""Whatever is flipped, cut, swapped, dropped or replayed in a room is detected, and what it was is named."""

import json
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
from cleanroom.bootstrap import Room, init_room, open_room
from cleanroom.cli.main import main
from cleanroom.client.prepare import Prepared
from cleanroom.client.receipts import ReceiptError, verify_receipt
from cleanroom.consent.types import Withdrawal
from cleanroom.datasets.types import DatasetKind
from cleanroom.errors import KNOWN_ERRORS
from crypto.hash_profiles import digest, hash_profile

_FIXED, _SLOT = 512, 512
_TAG = 16
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


def objects(stage: Stage) -> list[Path]:
    return sorted(path for path in stage.settings.objects_dir.rglob("*") if path.is_file())


def key_of(stage: Stage, path: Path) -> str:
    return path.relative_to(stage.settings.objects_dir).as_posix()


def kind_of(path: Path) -> str:
    return path.parent.name.partition("_")[0]


@pytest.fixture
def sql(stage: Stage) -> Iterator[sqlite3.Connection]:
    """The room's database in the hands of somebody who owns it."""
    with closing(sqlite3.connect(stage.settings.home / "room.sqlite3")) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f'DROP TRIGGER "{name}"')
        connection.commit()
        yield connection


def test_the_untouched_room_is_intact_with_every_file_it_stores(
    stage: Stage, original: Original, verify: Verify, tmp_path: Path
) -> None:
    kept = tmp_path / "checkpoint.txt"
    kept.write_text(original.checkpoint, encoding="utf-8")
    code, out = verify(stage, "--against", kept)
    assert code == 0
    # Retired versions, junk lists and consent segments included: nothing lies there unchecked.
    assert f", {len(objects(stage))} sealed files, " in out
    assert {kind_of(path) for path in objects(stage)} == {"dv", "ce"}


def _flip(place: Callable[[int], int]) -> Callable[[bytes], bytes]:
    def tamper(data: bytes) -> bytes:
        at = place(len(data))
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]

    return tamper


_TAMPERINGS: dict[str, Callable[[bytes], bytes]] = {
    "a byte of the header": _flip(lambda _size: 20),
    "the header's checksum": _flip(lambda _size: _FIXED - 1),
    "a byte of the first chunk": _flip(lambda _size: _FIXED + _SLOT),
    "a byte of the last tag": _flip(lambda size: size - 1),
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
    """The older home stood before the second withdrawal; its consent segment and rows are valid by themselves."""
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
        path.write_bytes(_flip(lambda _size: at)(whole))
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


@pytest.mark.parametrize("table", ["audit_events", "audit_nodes", "audit_checkpoints", "audit_head"])
def test_a_changed_or_dropped_record_or_checkpoint_is_named(
    stage: Stage, verify: Verify, sql: sqlite3.Connection, table: str
) -> None:
    (last,) = sql.execute(f"SELECT max(rowid) FROM {table}").fetchone()
    column, name = {
        "audit_events": ("record", "event"),
        "audit_nodes": ("hash", "node"),
        "audit_checkpoints": ("note", "checkpoint"),
        "audit_head": ("note", "head"),
    }[table]
    (value,) = sql.execute(f"SELECT {column} FROM {table} WHERE rowid = ?", (last,)).fetchone()
    middle = len(value) // 2
    if isinstance(value, bytes):
        changed: bytes | str = value[:middle] + bytes([value[middle] ^ 1]) + value[middle + 1 :]
    else:
        changed = value[:middle] + ("A" if value[middle] != "A" else "B") + value[middle + 1 :]
    sql.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (changed, last))
    sql.commit()
    code, out = verify(stage)
    assert code == 1
    assert f"DAMAGED {name} " in out

    sql.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value, last))
    sql.commit()
    assert verify(stage)[0] == 0
    if table != "audit_checkpoints":
        # A kept checkpoint that is gone leaves the log as whole as if nobody had asked for it.
        sql.execute(f"DELETE FROM {table} WHERE rowid = ?", (last,))
        sql.commit()
        code, out = verify(stage)
        assert (code, f"DAMAGED {name} " in out) == (1, True)


def test_swapped_and_replayed_records_are_named(
    stage: Stage, verify: Verify, sql: sqlite3.Connection
) -> None:
    columns = "recorded_at, kind, organisation_id, subject_id, record, leaf_hash"
    setters = ", ".join(f"{name} = ?" for name in columns.split(", "))
    rows = [
        sql.execute(f'SELECT {columns} FROM audit_events WHERE "index" = ?', (at,)).fetchone()
        for at in (5, 9)
    ]
    for at, row in ((5, rows[1]), (9, rows[0])):
        sql.execute(f'UPDATE audit_events SET {setters} WHERE "index" = ?', (*row, at))
    sql.commit()
    code, out = verify(stage)
    assert code == 1
    assert "DAMAGED node over records 4 to 5: " in out
    assert "DAMAGED node over records 8 to 9: " in out

    # An older record in place of a newer one.
    sql.execute(f'UPDATE audit_events SET {setters} WHERE "index" = ?', (*rows[0], 5))
    sql.commit()
    code, out = verify(stage)
    assert code == 1
    assert "DAMAGED node over records 8 to 9: " in out


def test_a_room_rolled_back_as_a_whole_is_caught_only_from_outside(
    original: Original, stage: Stage, verify: Verify, tmp_path: Path
) -> None:
    shutil.rmtree(stage.home)
    shutil.copytree(original.older, stage.home)
    assert verify(stage)[0] == 0
    kept = tmp_path / "checkpoint.txt"
    kept.write_text(original.checkpoint, encoding="utf-8")
    code, out = verify(stage, "--against", kept)
    assert code == 1
    assert "DAMAGED against size " in out
    assert "the log was rolled back" in out


def test_a_room_that_went_on_after_a_roll_back_is_caught_from_outside(
    original: Original, stage: Stage, verify: Verify, tmp_path: Path
) -> None:
    shutil.rmtree(stage.home)
    shutil.copytree(original.older, stage.home)
    room = open_room(stage.settings)
    for number in range(40, 46):
        ask(room, stage, number)
    room.close()
    assert verify(stage)[0] == 0
    kept = tmp_path / "checkpoint.txt"
    kept.write_text(original.checkpoint, encoding="utf-8")
    code, out = verify(stage, "--against", kept)
    assert code == 1
    assert "DAMAGED against size " in out
    assert "the log was rewritten" in out


def test_an_older_database_under_newer_files_is_caught(
    original: Original, stage: Stage, verify: Verify, tmp_path: Path
) -> None:
    shutil.copy(original.older / "room.sqlite3", stage.settings.home / "room.sqlite3")
    kept = tmp_path / "checkpoint.txt"
    kept.write_text(original.checkpoint, encoding="utf-8")
    assert verify(stage, "--against", kept)[0] == 1


def test_older_files_under_a_newer_database_are_named(
    original: Original, stage: Stage, verify: Verify
) -> None:
    shutil.rmtree(stage.settings.objects_dir)
    shutil.copytree(original.older / "objects", stage.settings.objects_dir)
    code, out = verify(stage)
    assert code == 1
    assert "/ce_" in out
    assert "the sealed file is missing" in out


def test_no_byte_of_a_receipt_can_change_what_it_proves(
    original: Original, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    key, whole = original.verifier_key, original.receipts[0].read_bytes()
    proven = verify_receipt(whole, verifier_key=key)
    still = 0
    for at in range(0, len(whole), 3):
        try:
            found = verify_receipt(_flip(lambda _size, at=at: at)(whole), verifier_key=key)  # type: ignore[misc]
        except ReceiptError:
            continue
        # White space, and bits of base64 that mean nothing.
        assert (found.record, found.index, found.size) == (proven.record, proven.index, proven.size)
        still += 1
    assert still < len(whole) / 3 / 5

    broken = tmp_path / "receipt.json"
    broken.write_bytes(whole.replace(b'"rho_micro": ', b'"rho_micro": 1', 1))
    with pytest.raises(SystemExit) as left:
        main(["receipt", "verify", str(broken), "--key", key])
    assert left.value.code == 1
    assert "NOT PROVEN" in capsys.readouterr().err


def test_parts_of_two_receipts_do_not_mix(original: Original) -> None:
    first, second = (json.loads(path.read_bytes()) for path in original.receipts)
    for part in ("record", "index", "proof", "checkpoint"):
        mixed = json.dumps({**second, part: first[part]}).encode()
        with pytest.raises(ReceiptError):
            verify_receipt(mixed, verifier_key=original.verifier_key)
    cut = json.dumps({**second, "proof": second["proof"][:-1]}).encode()
    with pytest.raises(ReceiptError):
        verify_receipt(cut, verifier_key=original.verifier_key)
    with pytest.raises(ReceiptError):
        verify_receipt(original.receipts[0].read_bytes()[:-40], verifier_key=original.verifier_key)


def test_no_byte_of_a_manifest_or_package_can_change(
    stage: Stage, original: Original, tmp_path: Path
) -> None:
    room = open_room(stage.settings)
    manifest, payload = (
        original.package.manifest_path.read_bytes(),
        original.package.package_path.read_bytes(),
    )
    damaged = tmp_path / "payload.age"
    codes = set()

    def refused(manifest: bytes, payload: bytes) -> str:
        damaged.write_bytes(payload)
        with pytest.raises(KNOWN_ERRORS) as caught:
            room.ingestion.ingest(manifest, damaged)
        return str(getattr(caught.value, "code", ""))

    for at in range(0, len(manifest), 11):
        codes.add(refused(_flip(lambda _size, at=at: at)(manifest), payload))  # type: ignore[misc]
    assert codes <= {
        "crypto.manifest_format",
        "crypto.signature",
        "crypto.unknown_signer",
        "datasets.not_found",
    }
    for at in range(0, len(payload), len(payload) // 60):
        changed = refused(manifest, _flip(lambda _size, at=at: at)(payload))  # type: ignore[misc]
        assert changed == "crypto.package_damaged"
    assert refused(manifest, payload[:-1]) == "crypto.package_truncated"
    assert refused(manifest, payload + b"\0") == "crypto.package_damaged"
    # The right manifest of another package of the same file.
    other = original.second.package_path.read_bytes()
    assert refused(manifest, other) in {"crypto.package_damaged", "crypto.package_truncated"}
    room.ingestion.ingest(manifest, original.package.package_path)
    assert refused(manifest, payload) == "ingestion.package_used"
    room.close()
