"""What commands on the server's own machine share: they open the room itself and ask for no login."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from cleanroom.bootstrap import init_room, open_room
from cleanroom.cli.keys import UnreadableFileError, read_text
from cleanroom.clock import rfc3339
from cleanroom.room import Room
from cleanroom.settings import load_settings

Home = Annotated[Path | None, typer.Option(help="The room's home; CLEANROOM_HOME when not given.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@contextmanager
def opened(home: Path | None, *, make: bool = False) -> Iterator[Room]:
    """Open the room in a home; with `make`, make one when there is none."""
    settings = load_settings(os.environ, home=home)
    missing = make and not (settings.keys_dir / "room").exists()
    room = init_room(settings) if missing else open_room(settings)
    try:
        yield room
    finally:
        room.close()


def show(value: Mapping[str, Any], *, as_json: bool, line: str) -> None:
    """Print one thing: as JSON, or as a line for people."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2) if as_json else line)


def show_all(values: Sequence[Mapping[str, Any]], *, as_json: bool, columns: Sequence[str]) -> None:
    """Print a list: as JSON, or as lines with tabs between the columns named."""
    if as_json:
        typer.echo(json.dumps(list(values), ensure_ascii=False, indent=2))
        return
    for value in values:
        typer.echo("\t".join("-" if value[column] is None else str(value[column]) for column in columns))


def when(instant: datetime | None) -> str | None:
    """Write an instant for people and programs."""
    return None if instant is None else rfc3339(instant)


def read_json(path: Path) -> Mapping[str, Any]:
    """Read a JSON object from a small file; raises UnreadableFileError."""
    try:
        value = json.loads(read_text(path))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise UnreadableFileError(f"The file {path.name} is no JSON object.", remedy="Check its content.")
    return value
