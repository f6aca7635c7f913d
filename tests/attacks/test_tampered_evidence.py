"""Records, checkpoints, receipts, manifests and packages: what is changed, replayed or rolled back is named."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from small_room import Stage, ask
from tampered_room import Original, Verify, flip, original, sql, stage, verify

from cleanroom.bootstrap import open_room
from cleanroom.cli.main import main
from cleanroom.client.receipts import ReceiptError, verify_receipt
from cleanroom.errors import KNOWN_ERRORS

__all__ = ["original", "sql", "stage", "verify"]


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
            found = verify_receipt(flip(lambda _size, at=at: at)(whole), verifier_key=key)  # type: ignore[misc]
        except ReceiptError:
            continue
        # White space, and bits of base64 that mean nothing.
        assert (found.record, found.index, found.size) == (proven.record, proven.index, proven.size)
        still += 1
    assert still < len(whole) / 3 / 5

    broken = tmp_path / "receipt.json"
    changed = whole.replace(b'"rho_micro":', b'"rho_micro":1', 1)
    assert changed != whole
    broken.write_bytes(changed)
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
        codes.add(refused(flip(lambda _size, at=at: at)(manifest), payload))  # type: ignore[misc]
    assert codes <= {
        "crypto.manifest_format",
        "crypto.signature",
        "crypto.unknown_signer",
        "datasets.not_found",
    }
    for at in range(0, len(payload), len(payload) // 60):
        changed = refused(manifest, flip(lambda _size, at=at: at)(payload))  # type: ignore[misc]
        assert changed == "crypto.package_damaged"
    assert refused(manifest, payload[:-1]) == "crypto.package_truncated"
    assert refused(manifest, payload + b"\0") == "crypto.package_damaged"
    # The right manifest of another package of the same file.
    other = original.second.package_path.read_bytes()
    assert refused(manifest, other) in {"crypto.package_damaged", "crypto.package_truncated"}
    room.ingestion.ingest(manifest, original.package.package_path)
    assert refused(manifest, payload) == "ingestion.package_used"
    room.close()
