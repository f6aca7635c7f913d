"""`cleanroom ledger`: what the operator does with the room's budget after a backup was put back."""

import os
from pathlib import Path
from typing import Annotated

import typer

from cleanroom.backup.mark import mark
from cleanroom.bootstrap import open_room
from cleanroom.cli.keys import UnreadableFileError, read_text
from cleanroom.cli.main import EXIT_PROBLEM_FOUND
from cleanroom.cli.server import opened
from cleanroom.client.receipts import MAX_RECEIPT_BYTES
from cleanroom.clock import rfc3339
from cleanroom.consent.checks import unconfirmed_all
from cleanroom.errors import CleanroomError
from cleanroom.reconciling import RoomReconciled, reconcile_room
from cleanroom.settings import Settings, load_settings

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Settle the privacy budget after a backup was put back."
)

Home = Annotated[Path | None, typer.Option(help="The room's home; CLEANROOM_HOME when not given.")]


class NotRestoredError(CleanroomError):
    """A room is to be reconciled that has nothing to reconcile."""

    code = "cli.not_restored"


@app.command()
def status(home: Home = None) -> None:
    """Tell whether the room's database is the one that it wrote last; exit code 1 when it is not."""
    room = open_room(load_settings(os.environ, home=home))
    try:
        with room.db.reading() as tx:
            restored, doubted = room.audit.restored(tx), unconfirmed_all(tx)
    finally:
        room.close()
    if restored is None:
        typer.echo("CURRENT the database holds everything that the room has signed")
        for dataset_id, since in doubted:
            typer.echo(
                f"UNCONFIRMED {dataset_id}: its owner has to confirm the consents since {rfc3339(since)}"
            )
        return
    known = "unknown" if restored.known is None else str(restored.known)
    typer.echo(f"RESTORED the log holds {restored.held} events, the newest signed head counts {known}")
    raise typer.Exit(EXIT_PROBLEM_FOUND)


@app.command()
def mark_restored(home: Home = None) -> None:
    """Declare that keys and database were put back together, which the room cannot notice by itself."""
    settings = load_settings(os.environ, home=home)
    _room_exists(settings)
    mark(settings)
    typer.echo("MARKED the room answers and sells nothing until it is reconciled")


@app.command()
def reconcile(
    home: Home = None,
    receipts: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Receipts of questions asked since the backup; all that are left.",
        ),
    ] = None,
    withdrawals: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="The mirror, if all of it has outlived the loss: what holds people back.",
        ),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="The newest checkpoint that somebody outside has kept."
        ),
    ] = None,
) -> None:
    """Charge all budget that may have been spent since the backup, and let the room work again."""
    signed = None if checkpoint is None else read_text(checkpoint)
    room = open_room(load_settings(os.environ, home=home))
    try:
        with room.db.reading() as tx:
            if room.audit.restored(tx) is None:
                raise NotRestoredError(
                    "The room's database holds everything that it has signed: there is nothing to reconcile.",
                    remedy="If keys and database were put back together, first run: cleanroom ledger mark-restored",
                )
        done = reconcile_room(
            room, _files(receipts) if receipts else (), mirror=withdrawals, checkpoint=signed
        )
    finally:
        room.close()
    _tell(done)


@app.command()
def confirm_consents(
    dataset: Annotated[str, typer.Argument(help="The dataset's id, ds_...")],
    home: Home = None,
) -> None:
    """Let people of a dataset be counted again: its owner has sent all that was withdrawn since the backup."""
    with opened(home) as room, room.db.transaction() as tx:
        epoch = room.consents.confirm(tx, dataset, by="operator")
    typer.echo(f"CONFIRMED {dataset} is counted again, from epoch {epoch} on")


def _tell(done: RoomReconciled) -> None:
    typer.echo(f"RECONCILED {done.receipts_entered} questions entered from receipts")
    typer.echo(
        f"{done.grants_written_off} grants count as spent, {done.written_off.rho_micro} micro-rho of them unproven; "
        f"{done.allocations_lost} grants and public releases that the backup does not know are charged"
    )
    if done.events_missing is not None:
        typer.echo(f"{done.events_missing} events of the log are lost at least")
    typer.echo(f"{done.batches_replayed} batches that hold people back taken again from the mirror")
    for dataset_id in done.to_confirm:
        typer.echo(
            f"CONFIRM {dataset_id}: nobody is counted until its owner has sent again whom to hold back since "
            f"the backup, and confirmed it: cleanroom ledger confirm-consents {dataset_id}"
        )
    if done.allocations_unchargeable:
        typer.echo(
            f"WARNING {done.allocations_unchargeable} more are about people of workspaces that the backup does not "
            "know: no account could be charged. Do not take the same people in again under a new workspace."
        )


def _files(directory: Path) -> list[bytes]:
    found = []
    for path in sorted(directory.glob("*.json")):
        if path.stat().st_size > MAX_RECEIPT_BYTES:
            raise UnreadableFileError(
                f"The file {path.name} is no receipt.", remedy="Take it out of the folder."
            )
        found.append(path.read_bytes())
    return found


def _room_exists(settings: Settings) -> None:
    # Opening the room would clean up after crashes, and that must not happen before it is reconciled.
    if not (settings.keys_dir / "room").exists():
        raise UnreadableFileError(
            "This home has no room: keys/room is missing.", remedy="Name the home of a room."
        )
