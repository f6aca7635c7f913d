"""`cleanroom user`: people who sign in, on the server's own machine."""

from typing import Annotated, Any

import typer

from cleanroom.access.types import User
from cleanroom.cli.server import AsJson, Home, opened, show, show_all, when

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Invite and disable users.")


@app.command()
def add(
    email: Annotated[str, typer.Argument(help="Where the invitation goes; nothing is sent.")],
    org: Annotated[str, typer.Option(help="The organisation's id.")],
    role: Annotated[str, typer.Option(help="One of the roles of the organisation's kind.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make a user's record and print the invitation, this once."""
    with opened(home) as room, room.db.transaction() as tx:
        made = room.access.users.invite(tx, organisation_id=org, email=email, role=role)
    value = _as_dict(made.user) | {
        "invitation": made.invitation,
        "invitation_expires_at": when(made.invitation_expires_at),
    }
    show(value, as_json=as_json, line=f"USER {made.user.id}\nINVITATION {made.invitation}")


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
