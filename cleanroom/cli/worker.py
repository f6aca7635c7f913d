"""`cleanroom worker`: counts questions and loads uploads of a room that `cleanroom serve` answers for."""

import os
from pathlib import Path
from typing import Annotated

import typer

from cleanroom.cli.memory import forbid_core_dumps
from cleanroom.settings import load_settings
from cleanroom.worker import run

app = typer.Typer(add_completion=False)


@app.command()
def worker(
    home: Annotated[Path | None, typer.Option(help="The room's home; CLEANROOM_HOME when not given.")] = None,
) -> None:
    """Work until told to end; what is under way is finished. Run as many as you like."""
    forbid_core_dumps()
    run(load_settings(os.environ, home=home))
