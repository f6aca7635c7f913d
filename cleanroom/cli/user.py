"""`cleanroom user`: people who sign in, on the server's own machine."""

from typing import Annotated, Any

import typer

from cleanroom.access.types import User
from cleanroom.cli.links import invitation_link, reset_link, say_where
from cleanroom.cli.server import AsJson, Home, opened, show, show_all, when

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Invite, let in again, and disable users.")


@app.command()
def invite(
    email: Annotated[str, typer.Argument(help="Of the person; nothing is sent.")],
    org: Annotated[str, typer.Option(help="The organisation's id.")],
    role: Annotated[str, typer.Option(help="One of the roles of the organisation's kind.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make a user's record and print the link with which the person sets a password, this once."""
    with opened(home) as room:
        with room.db.transaction() as tx:
            made = room.access.users.invite(tx, organisation_id=org, email=email, role=role)
        link = invitation_link(room, made.invitation)
        say_where(room)
    value = _as_dict(made.user) | {
        "invitation": made.invitation,
        "link": link,
        "invitation_expires_at": when(made.invitation_expires_at),
    }
    show(value, as_json=as_json, line=f"USER {made.user.id}\nLINK {link}")


@app.command("reset-password")
def reset_password(
    user: Annotated[str, typer.Argument(help="The user's id, us_...")],
    drop_second_factor: Annotated[
        bool, typer.Option("--drop-second-factor", help="For a person who lost theirs.")
    ] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Print a link with which a person sets a new password, this once; make sure that it is the person who asks."""
    with opened(home) as room:
        with room.db.transaction() as tx:
            made = room.signin.links.reset(tx, user, drop_second_factor=drop_second_factor)
        link = reset_link(room, made.token)
        say_where(room)
    value = {"user_id": user, "link": link, "expires_at": when(made.expires_at)}
    show(value, as_json=as_json, line=f"LINK {link}")


@app.command("list")
def list_(
    org: Annotated[str | None, typer.Option(help="Of this organisation only.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List users, disabled ones too."""
    with opened(home) as room, room.db.reading() as tx:
        found = room.access.users.of(tx, org)
    columns = ("id", "organisation_id", "email", "role", "disabled_at")
    show_all([_as_dict(user) for user in found], as_json=as_json, columns=columns)


@app.command()
def disable(
    user: Annotated[str, typer.Argument(help="The user's id, us_...")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """End a user's access now."""
    with opened(home) as room, room.db.transaction() as tx:
        ended = room.access.users.disable(tx, user)
        room.signin.end_all(tx, user)
    show(_as_dict(ended), as_json=as_json, line=f"DISABLED {ended.id}")


def _as_dict(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "organisation_id": user.organisation_id,
        "email": user.email,
        "role": user.role,
        "created_at": when(user.created_at),
        "disabled_at": when(user.disabled_at),
    }
