"""`cleanroom keys`: the room's own keys, on the server's own machine."""

from datetime import timedelta
from typing import Annotated

import typer

from cleanroom.access.token_keys import DEFAULT_OVERLAP
from cleanroom.cli.server import AsJson, Home, opened, show

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Rotate the room's own keys.")


@app.callback()
def keys() -> None:
    """Rotate the room's own keys."""


@app.command()
def rotate_tokens(
    end_now: Annotated[bool, typer.Option("--end-now", help="End every access token at once.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Sign access tokens with a new key; tokens of the old one stay good until they end."""
    with opened(home) as room, room.db.transaction() as tx:
        kid = room.access.rotate_token_keys(tx, overlap=timedelta(0) if end_now else DEFAULT_OVERLAP)
    show({"kid": kid}, as_json=as_json, line=f"ROTATED {kid}")
