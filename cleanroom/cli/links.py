"""Links to the room's pages that commands print; whoever follows one is let in once."""

import typer

from cleanroom.room import Room
from cleanroom.settings import DEFAULT_PUBLIC_URL


def invitation_link(room: Room, invitation: str) -> str:
    """Return where an invited person sets a password."""
    return f"{room.settings.public_url}/invitation/{invitation}"


def reset_link(room: Room, token: str) -> str:
    """Return where a person sets a new password."""
    return f"{room.settings.public_url}/reset/{token}"


def first_run_link(room: Room, token: str) -> str:
    """Return where the room's first organisation is made."""
    return f"{room.settings.public_url}/welcome/{token}"


def say_where(room: Room) -> None:
    """Say what a link takes for granted where nobody has said how the room is reached."""
    if room.settings.public_url == DEFAULT_PUBLIC_URL:
        typer.echo(
            f"The link begins with {DEFAULT_PUBLIC_URL}, because CLEANROOM_PUBLIC_URL says nothing else: if the room "
            "answers elsewhere, put that address in its place.",
            err=True,
        )
