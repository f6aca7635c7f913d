"""`cleanroom restore`: put a backup back."""

import os
from pathlib import Path
from typing import Annotated

import typer

from cleanroom.backup.restoring import restore_backup
from cleanroom.cli.backup import shown
from cleanroom.cli.keys import read_text
from cleanroom.cli.server import Home
from cleanroom.settings import load_settings

app = typer.Typer(add_completion=False, help="Put a backup back into an empty home and database.")


@app.command()
def restore(
    source: Annotated[Path, typer.Option("--from", help="The repository.", exists=True, file_okay=False)],
    backup: Annotated[str, typer.Option(help="A backup's id; the newest when not given.")] = "latest",
    identity: Annotated[
        Path | None,
        typer.Option(help="A file with AGE-SECRET-KEY-1..., for the archive of keys.", dir_okay=False),
    ] = None,
    home: Home = None,
) -> None:
    """Put a backup back; the room then answers and sells nothing until it is reconciled."""
    settings = load_settings(os.environ, home=home)
    secret = None if identity is None else _secret(read_text(identity))
    made = restore_backup(settings, source, backup, identity=secret, tell=shown())
    typer.echo(
        f"RESTORED {made.id}, made at {made.made_at}: {made.files} sealed files, {made.log_size} events"
    )
    typer.echo(
        "The room answers and sells nothing until it is reconciled: cleanroom ledger reconcile --receipts DIR "
        "--withdrawals DIR"
    )


def _secret(text: str) -> str:
    """Return the identity out of a file as age-keygen writes it, with comments."""
    lines = [line.strip() for line in text.splitlines()]
    return next((line for line in lines if line.startswith("AGE-SECRET-KEY-1")), "")
