"""`cleanroom unseal`: people give their shares, one after the other, to the room that was started."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from cleanroom.cli.keys import read_text
from cleanroom.cli.memory import forbid_core_dumps
from cleanroom.cli.server import AsJson, Home, show
from cleanroom.settings import load_settings
from cleanroom.unsealing import Standing, ask_standing, give_share

app = typer.Typer(add_completion=False)


@app.command()
def unseal(
    home: Home = None,
    share_file: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True, dir_okay=False, help="A file with a share; repeat it. Else shares are typed."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Give shares of the room's root key; each person may do so in a session of their own, within 15 minutes."""
    forbid_core_dumps()
    keys_dir = load_settings(os.environ, home=home).keys_dir
    standing = ask_standing(keys_dir)
    if standing.sealed:
        for text in _shares(share_file):
            standing = give_share(keys_dir, text)
            if not standing.sealed:
                break
            typer.echo(f"TAKEN {standing.have} of {standing.need}", err=True)
    value = {"sealed": standing.sealed, "have": standing.have, "need": standing.need}
    show(value, as_json=as_json, line=_line(standing))


def _shares(files: list[Path] | None) -> Iterator[str]:
    if files:
        yield from (read_text(file) for file in files)
    elif sys.stdin.isatty():
        while text := typer.prompt(
            "Share (nothing to leave)", hide_input=True, default="", show_default=False
        ):
            yield text
    else:
        yield from filter(str.strip, sys.stdin)


def _line(standing: Standing) -> str:
    if standing.sealed:
        return f"SEALED {standing.have} of {standing.need} shares"
    return "UNSEALED" if standing.need else "UNSEALED its keys lie in clear"
