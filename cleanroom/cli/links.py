"""Links to the room's pages that commands print; whoever follows one is let in once."""

from cleanroom.room import Room


def invitation_link(room: Room, invitation: str) -> str:
    """Return where an invited person sets a password."""
    return f"{room.settings.public_url}/invitation/{invitation}"


def reset_link(room: Room, token: str) -> str:
    """Return where a person sets a new password."""
    return f"{room.settings.public_url}/reset/{token}"


def first_run_link(room: Room, token: str) -> str:
    """Return where the room's first organisation is made."""
    return f"{room.settings.public_url}/welcome/{token}"
