"""`cleanroom ledger`: a restored room is named, reconciled, and works again; nothing else is touched."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cleanroom.cli.main import EXIT_KNOWN_ERROR, EXIT_PROBLEM_FOUND, main
from cleanroom.consent.checks import require_confirmation
from cleanroom.grants.types import Grant
from tests.backups import Backup
from tests.rooms import Stage


def run(capsys: pytest.CaptureFixture[str], command: str, home: Path, *options: str) -> tuple[int, str]:
    """Run a command; its exit code, and all that it wrote."""
    with pytest.raises(SystemExit) as ended:
        main(["ledger", command, "--home", str(home), *options])
    code = ended.value.code
    captured = capsys.readouterr()
    return (code if isinstance(code, int) else 0), captured.out + captured.err


def test_a_restored_room_is_named_and_reconciled_with_the_receipts_that_are_left(
    make_room: Callable[..., Stage], capsys: pytest.CaptureFixture[str]
) -> None:
    stage = make_room()
    grant = stage.grant("M")
    assert run(capsys, "status", stage.home)[0] == 0
    backup = Backup(stage)
    stage.ask(grant, precision="fine")
    backup.put_back()

    code, text = run(capsys, "status", stage.home)
    assert code == EXIT_PROBLEM_FOUND
    assert text.startswith("RESTORED the log holds ")
    held, known = (int(word) for word in text.split() if word.isdecimal())
    code, text = run(capsys, "reconcile", stage.home, "--receipts", str(stage.home / "receipts"))
    assert (code, text.splitlines()) == (
        0,
        [
            "RECONCILED 1 questions entered from receipts",
            "1 grants count as spent, 15000 micro-rho of them unproven; "
            "0 grants and public releases that the backup does not know are charged",
            f"{known - held} events of the log are lost at least",
            "0 batches that hold people back taken again from the mirror",
        ],
    )
    assert run(capsys, "status", stage.home)[0] == 0
    assert isinstance(stage.try_grant("M"), Grant)


def test_the_status_names_datasets_whose_consents_are_in_doubt(
    make_room: Callable[..., Stage], capsys: pytest.CaptureFixture[str]
) -> None:
    stage = make_room()
    with stage.room.db.transaction() as tx:
        require_confirmation(
            tx,
            stage.dataset_id,
            organisation_id=stage.provider.organisation_id,
            since=stage.clock.now(),
            now=stage.clock.now(),
        )
    code, text = run(capsys, "status", stage.home)
    assert (code, text.splitlines()[0][:8]) == (0, "CURRENT ")
    assert text.splitlines()[1].startswith(f"UNCONFIRMED {stage.dataset_id}: ")
    with stage.room.db.transaction() as tx:
        stage.room.consents.confirm(tx, stage.dataset_id, by="operator")
    assert "UNCONFIRMED" not in run(capsys, "status", stage.home)[1]


def test_a_room_that_misses_nothing_is_not_reconciled_unless_its_operator_says_so(
    make_room: Callable[..., Stage], capsys: pytest.CaptureFixture[str]
) -> None:
    stage = make_room()
    grant = stage.grant("M")
    code, text = run(capsys, "reconcile", stage.home)
    assert code == EXIT_KNOWN_ERROR
    assert "cleanroom ledger mark-restored" in text
    assert stage.left(grant) == 20_000

    assert run(capsys, "mark-restored", stage.home)[0] == 0
    assert not isinstance(stage.try_grant("S"), Grant)
    assert run(capsys, "reconcile", stage.home)[0] == 0
    assert stage.left(grant) == 0


def test_what_is_no_room_or_no_receipt_is_named(
    make_room: Callable[..., Stage], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, text = run(capsys, "mark-restored", tmp_path)
    assert (code, "keys/room is missing" in text) == (EXIT_KNOWN_ERROR, True)
    stage = make_room()
    run(capsys, "mark-restored", stage.home)
    (tmp_path / "x.json").write_text("{}")
    code, text = run(capsys, "reconcile", stage.home, "--receipts", str(tmp_path))
    assert (code, "not a receipt" in text) == (EXIT_KNOWN_ERROR, True)
