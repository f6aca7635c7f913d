"""`cleanroom audit` on a room's home, with the public key alone."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from cleanroom.audit.log import AuditLog
from cleanroom.cli.main import main
from cleanroom.clock import SystemClock
from cleanroom.datasets.files import files_root
from cleanroom.datasets.models import DatasetRow, DatasetVersionRow, SealedFileRow
from cleanroom.datasets.types import Role, SealedFile
from cleanroom.db.base import Base
from cleanroom.db.database import Database, open_engine
from cleanroom.settings import load_settings
from cleanroom.storage import LocalDirectory
from cleanroom.witness.home import WitnessHome
from cleanroom.witness.service import Witness
from crypto.key_file import LocalKeyFile
from crypto.keys import BoundKek
from crypto.sealed import SealedContext, SealedWriter, ciphertext_sha256
from tests.answering import Answering
from tests.rooms import MovableClock

Run = Callable[..., tuple[int, str, str]]
NOW = datetime(2026, 5, 1, tzinfo=UTC)
KEY = "ws_1/dv_1/fl_1"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        output = capsys.readouterr()
        return int(left.value.code or 0), output.out, output.err

    return call


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a small log and one published version of one sealed file; its private keys are gone."""
    home = tmp_path / "home"
    settings = load_settings({}, home=home)
    settings.keys_dir.mkdir(parents=True)
    log = AuditLog(origin="test.room/log", seed=bytes(range(32)), clock=SystemClock())
    settings.verifier_key_path.write_text(log.verifier_key + "\n")
    keys = LocalKeyFile.create(tmp_path / "private" / "room.json")
    store = LocalDirectory(settings.objects_dir)
    context = SealedContext(kind=1, workspace=UUID(int=1), dataset=UUID(int=2), version=UUID(int=3), column=0)
    with store.create(KEY) as sink:
        writer = SealedWriter(sink, context=context, kek=BoundKek(keys, keys.create_kek("x")))
        writer.write(b"rows")
        info = writer.close()
    file = SealedFile("fl_1", Role.REPORT, 0, info.file_id.hex, 4, info.sha256, KEY)
    engine = open_engine(settings.database_url)
    Base.metadata.create_all(engine)
    db = Database(engine, log)
    with db.transaction() as tx:
        tx.audit("test.event", subject_id="x")
    with db.transaction() as tx:
        add_version(tx.session, file)
        body = {"dataset_id": "ds_1", "files_root": files_root([file])}
        tx.audit("ingestion.published", subject_id="dv_1", body=body)
    engine.dispose()
    shutil.rmtree(tmp_path / "private")
    return home


def add_version(session, file: SealedFile) -> None:  # type: ignore[no-untyped-def]
    dataset = DatasetRow(
        id="ds_1", workspace_id="ws_1", kind="dataset", name="crm", schema={}, schema_sha256="0" * 64,
        current_version_id="dv_1", created_at=NOW,
    )  # fmt: skip
    session.add(dataset)
    session.flush()
    version = DatasetVersionRow(
        id="dv_1", dataset_id="ds_1", number=1, status="published", mode="full", package_id="pk_1",
        token_key_version=1, created_at=NOW,
    )  # fmt: skip
    session.add(version)
    session.flush()
    row = SealedFileRow(
        id=file.id, version_id="dv_1", role=int(file.role), column=0, file_id=file.file_id, bytes=4,
        ciphertext_sha256=file.ciphertext_sha256, object_key=KEY,
    )  # fmt: skip
    session.add(row)


def sql(home: Path, *statements: str) -> None:
    engine = open_engine(load_settings({}, home=home).database_url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def test_an_intact_home_leaves_with_0_and_the_root(run: Run, home: Path) -> None:
    code, out, err = run("audit", "verify", "--home", home)
    assert (code, err) == (0, "")
    assert out.startswith("INTACT 2 events, 1 sealed files, root ")


def test_a_moved_home_is_still_intact(run: Run, home: Path, tmp_path: Path) -> None:
    moved = tmp_path / "other name #1"
    home.rename(moved)
    assert run("audit", "verify", "--home", moved)[0] == 0


def test_a_damaged_record_leaves_with_1_and_its_name(run: Run, home: Path) -> None:
    edit = "UPDATE audit_events SET record = x'00' WHERE \"index\" = 1"
    sql(home, "DROP TRIGGER audit_events_no_update", edit)
    code, out, _err = run("audit", "verify", "--home", home)
    assert code == 1
    assert out.startswith("DAMAGED event 1: ")


@pytest.mark.parametrize("position", [0, 20, -1])
def test_a_flipped_byte_of_a_sealed_file_leaves_with_1_and_its_name(
    run: Run, home: Path, position: int
) -> None:
    path = home / "objects" / KEY
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    code, out, _err = run("audit", "verify", "--home", home)
    assert (code, out) == (1, f"DAMAGED file {KEY}: the sealed file was changed\n")


def test_a_truncated_and_a_missing_sealed_file_are_named(run: Run, home: Path) -> None:
    path = home / "objects" / KEY
    path.write_bytes(path.read_bytes()[:-1])
    assert run("audit", "verify", "--home", home)[1].startswith(f"DAMAGED file {KEY}: the sealed file was")
    path.write_bytes(b"CLNR")
    assert f"{KEY}: the sealed file cannot be read" in run("audit", "verify", "--home", home)[1]
    path.unlink()
    assert f"{KEY}: the sealed file is missing" in run("audit", "verify", "--home", home)[1]


def test_a_file_exchanged_together_with_its_row_is_named_by_its_version(run: Run, home: Path) -> None:
    path = home / "objects" / KEY
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    digest = ciphertext_sha256(path)
    sql(home, f"UPDATE sealed_files SET ciphertext_sha256 = '{digest}'")
    code, out, _err = run("audit", "verify", "--home", home)
    assert (code, out) == (
        1,
        "DAMAGED files dv_1: the list of sealed files is not the one that the log states\n",
    )


def test_a_role_that_does_not_exist_is_named_by_its_version(run: Run, home: Path) -> None:
    sql(home, "UPDATE sealed_files SET role = 9999")
    assert "DAMAGED files dv_1" in run("audit", "verify", "--home", home)[1]


def test_a_rolled_back_home_is_detected_with_against(run: Run, home: Path, tmp_path: Path) -> None:
    shutil.copytree(home, tmp_path / "older")
    engine = open_engine(load_settings({}, home=home).database_url)
    log = AuditLog(origin="test.room/log", seed=bytes(range(32)), clock=SystemClock())
    with Database(engine, log).transaction() as tx:
        tx.audit("test.event", subject_id="later")
    engine.dispose()
    kept = tmp_path / "checkpoint.txt"
    kept.write_text(run("audit", "checkpoint", "--home", home)[1])
    assert run("audit", "verify", "--home", home, "--against", kept)[0] == 0
    assert run("audit", "verify", "--home", tmp_path / "older")[0] == 0
    code, out, _err = run("audit", "verify", "--home", tmp_path / "older", "--against", kept)
    assert code == 1
    assert "DAMAGED against size 3: the log was rolled back" in out


def test_a_key_can_be_given_as_text_or_as_a_file(run: Run, home: Path, tmp_path: Path) -> None:
    path = home / "keys" / "verifier.key"
    key = path.read_text().strip()
    path.unlink()
    assert run("audit", "verify", "--home", home, "--key", key)[0] == 0
    (tmp_path / "key").write_text(key)
    assert run("audit", "verify", "--home", home, "--key", tmp_path / "key")[0] == 0
    code, _out, err = run("audit", "verify", "--home", home)
    assert (code, "keys/verifier.key is missing" in err, "[audit.unreadable]" in err) == (3, True, True)


def test_an_empty_home_is_not_intact(run: Run, home: Path) -> None:
    (home / "room.sqlite3").unlink()
    code, out, _err = run("audit", "verify", "--home", home)
    assert (code, out) == (1, "DAMAGED database room.sqlite3: the file is missing\n")


def test_proofs_and_export_are_json(run: Run, home: Path) -> None:
    inclusion = json.loads(run("audit", "proof", "--home", home, "--index", 0)[1])
    assert (inclusion["index"], len(inclusion["proof"])) == (0, 1)
    consistency = json.loads(run("audit", "proof", "--home", home, "--since", 1)[1])
    assert (consistency["since"], len(consistency["proof"])) == (1, 1)
    lines = run("audit", "export", "--home", home, "--no-proofs")[1].splitlines()
    assert [json.loads(line).get("index") for line in lines] == [None, 0, 1]


def test_a_proof_of_nothing_or_of_two_things_is_wrong_usage(run: Run, home: Path) -> None:
    assert run("audit", "proof", "--home", home)[0] == 2
    assert run("audit", "proof", "--home", home, "--index", 0, "--since", 1)[0] == 2
    assert run("audit", "proof", "--home", home, "--index", 7)[0] == 3


def test_unknown_commands_are_wrong_usage_and_help_lists_the_groups(run: Run) -> None:
    assert run("conquer")[0] == 2
    assert run("audit", "conquer")[0] == 2
    code, out, _err = run("audit", "--help")
    assert (code, "verify" in out) == (0, True)


def test_a_witness_is_believed_when_it_vouches_itself_and_now(home: Path, run: Run, tmp_path: Path) -> None:
    key = load_settings({}, home=home).verifier_key_path.read_text().strip()
    keeps = WitnessHome.make(tmp_path / "w1", "w1.example/witness")
    keeps.trust(key, None)
    _, note, _ = run("audit", "checkpoint", "--home", home)
    clock = MovableClock(SystemClock().now())
    witness = Witness(keeps, clock)
    assert witness.add_checkpoint(f"old 0\n\n{note}".encode()).status == 200
    stranger = WitnessHome.make(tmp_path / "w2", "w1.example/witness").key.text

    with Answering(witness) as url:

        def verify(named: str) -> tuple[int, str, str]:
            return run("audit", "verify", "--home", home, "--witness", f"{named}@{url}")

        code, out, _ = verify(keeps.key.text)
        assert (code, out.split(" ")[0]) == (0, "INTACT")
        code, _, error = verify(stranger)
        assert code != 0
        assert "did not vouch for the checkpoint" in error
        code, _, _ = run("audit", "verify", "--home", home, "--witness", url)
        assert code != 0
        # Somebody in between shows what the witness signed a while ago.
        clock.move(minutes=-11)
        code, _, error = verify(keeps.key.text)
        assert code != 0
        assert "within the last 10 minutes" in error
