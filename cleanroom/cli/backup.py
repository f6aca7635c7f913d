"""`cleanroom backup`: back a running room up, and look after its backups."""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cleanroom.backup.making import make_backup
from cleanroom.backup.repository import Repository
from cleanroom.backup.types import Tell
from cleanroom.backup.verifying import verify_backup
from cleanroom.cli.keys import UnreadableFileError
from cleanroom.cli.server import AsJson, Home, opened, show, show_all
from cleanroom.clock import SystemClock
from cleanroom.settings import load_settings
from cleanroom.thinning import thin_mirror

app = typer.Typer(add_completion=False, help="Back a running room up, and look after its backups.")
At = Annotated[Path, typer.Argument(help="The repository that backups were made in.", file_okay=False)]
_EVERY_SECONDS = 1.0


@app.callback(invoke_without_command=True)
def backup(
    ctx: typer.Context,
    to: Annotated[
        Path | None, typer.Option(help="The repository: a directory on another disk.", file_okay=False)
    ] = None,
    keys: Annotated[
        str, typer.Option(help="none: keys are kept elsewhere; wrapped: sealed to --recipient.")
    ] = "none",
    recipient: Annotated[
        list[str] | None, typer.Option(help="age1..., who can open the archive of keys; may be repeated.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Back a room up while it runs; what the repository has already is not copied again."""
    if ctx.invoked_subcommand is not None:
        return
    if to is None or keys not in ("none", "wrapped"):
        raise typer.BadParameter("--to names the repository, and --keys is none or wrapped.")
    settings = load_settings(os.environ, home=home)
    if not (settings.keys_dir / "room").exists():
        raise UnreadableFileError(
            "This home has no room: keys/room is missing.", remedy="Name the home of a room."
        )
    made = make_backup(
        settings,
        to,
        clock=SystemClock(),
        keys=keys == "wrapped",
        recipients=tuple(recipient or ()),
        tell=shown(),
    )
    facts = {
        "id": made.id,
        "made_at": made.made_at,
        "files": made.files,
        "bytes": made.bytes,
        "log_size": made.log_size,
        "keys": made.keys is not None,
    }
    line = f"BACKED UP {made.id}: {made.files} sealed files, {made.bytes} bytes, {made.log_size} events"
    show(facts, as_json=as_json, line=line)


@app.command("list")
def list_(at: At, as_json: AsJson = False) -> None:
    """List the backups of a repository, the oldest first."""
    repository = Repository(at)
    found = [repository.manifest(one) for one in repository.ids()]
    rows = [
        {
            "id": one.id,
            "made_at": one.made_at,
            "files": one.files,
            "bytes": one.bytes,
            "log_size": one.log_size,
            "keys": one.keys is not None,
        }
        for one in found
    ]
    show_all(rows, as_json=as_json, columns=("id", "made_at", "files", "bytes", "log_size", "keys"))


@app.command()
def verify(
    at: At,
    which: Annotated[str, typer.Argument(help="A backup's id; the newest when not given.")] = "latest",
    key: Annotated[
        str | None, typer.Option(help="The public key that must have signed it, hex, kept elsewhere.")
    ] = None,
) -> None:
    """Read every block of a backup again, and compare it with its hash."""
    repository = Repository(at)
    manifest = repository.manifest(which, public=None if key is None else _public(key))
    verify_backup(repository, manifest, tell=shown())
    typer.echo(f"VERIFIED {manifest.id}: {manifest.bytes} bytes; signed by {repository.about()[1].hex()}")


@app.command()
def prune(
    at: At,
    keep: Annotated[int, typer.Option(help="How many of the newest stay.", min=1)],
    mirror: Annotated[
        bool,
        typer.Option("--mirror", help="Remove from the room's mirror too what every backup that stays has."),
    ] = False,
    besides: Annotated[
        list[Path] | None,
        typer.Option(
            help="With --mirror: another repository of backups that are kept; may be repeated.",
            file_okay=False,
        ),
    ] = None,
    home: Home = None,
) -> None:
    """Remove all backups but the newest ones, and what nobody needs any more."""
    if besides and not mirror:
        raise typer.BadParameter("--besides goes with --mirror.")
    repository = Repository(at)
    with repository.writing():
        gone, freed = repository.prune(keep)
        typer.echo(f"PRUNED {gone} backups, {freed} bytes")
        if mirror:
            _thin((repository, *map(Repository, besides or ())), home)


def shown() -> Tell:
    """Return what writes progress to a terminal, at most once a second; nothing elsewhere."""
    last = time.monotonic()

    def tell(part: str, done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _EVERY_SECONDS and sys.stderr.isatty():
            last = time.monotonic()
            of = f" of {total}" if total else ""
            typer.echo(f"\r{part}: {done}{of} bytes", err=True, nl=False)

    return tell


def _thin(repositories: Sequence[Repository], home: Path | None) -> None:
    heads = [one.manifest(backup_id).log_head for one in repositories for backup_id in one.ids()]
    with opened(home) as room:
        done = thin_mirror(room, heads)
    typer.echo(f"THINNED the mirror by {done.files} files, {done.bytes} bytes; {done.left} stay")


def _public(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise typer.BadParameter("--key is written in hex.") from None
