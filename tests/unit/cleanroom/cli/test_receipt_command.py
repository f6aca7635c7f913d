"""`cleanroom receipt verify`: a verdict, its exit code, and no traceback whatever is given."""

import json
from pathlib import Path

import pytest

from cleanroom.canonical import canonical_json
from cleanroom.cli.main import main
from cleanroom.client.receipts import assemble_receipt
from crypto import merkle
from crypto.checkpoint import format_checkpoint, sign_note, verifier_key
from crypto.keys import public_key

ORIGIN, SEED = "room.test/cleanroom", bytes(range(32))
KEY = verifier_key(ORIGIN, public_key(SEED))


def write(tmp_path: Path, kind: str = "release.refused") -> Path:
    body = {"outcome": "refused", "reasons": []}
    record = canonical_json(
        {"v": 1, "kind": kind, "subject": "an_1", "at": "2026-03-01T00:00:00.000000Z", "body": body}
    )
    leaf = merkle.leaf_hash(record)
    note = sign_note(format_checkpoint(ORIGIN, 1, merkle.root([leaf])), name=ORIGIN, seed=SEED)
    path = tmp_path / "receipt.json"
    path.write_bytes(assemble_receipt(record=record, index=0, proof=[], checkpoint=note))
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["receipt", "verify", *map(str, arguments)])
    out = capsys.readouterr()
    return int(ended.value.code or 0), out.out, out.err


def test_a_proven_receipt_says_what_it_proves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, write(tmp_path), "--key", KEY)

    assert code == 0
    assert out.startswith(
        "PROVEN refused an_1 at 2026-03-01T00:00:00.000000Z\nrecord 0 of 1 in the log room.test"
    )


def test_the_key_may_stand_in_a_file_and_the_record_come_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "key").write_text(KEY + "\n")

    code, out, _ = run(capsys, write(tmp_path), "--key", tmp_path / "key", "--json")

    assert (code, json.loads(out)["body"]["outcome"]) == (0, "refused")


def test_an_altered_receipt_is_not_proven(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path)
    path.write_text(path.read_text().replace('"refused"', '"released"', 1))

    code, _, err = run(capsys, path, "--key", KEY)

    assert code == 1
    assert err.startswith("NOT PROVEN")


def test_another_record_of_the_log_is_no_receipt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, write(tmp_path, kind="datasets.registered"), "--key", KEY)

    assert code == 1
    assert "no release and no refusal" in err


def test_a_missing_key_file_is_named_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, write(tmp_path), "--key", tmp_path / "absent")

    assert code == 3
    assert err.strip() == (
        "The file absent cannot be read (FileNotFoundError). Check the path. [cli.unreadable_file]"
    )
