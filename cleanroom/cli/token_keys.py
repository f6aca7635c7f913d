"""`cleanroom keys`: the keys of the room and of its workspaces, on the server's own machine."""

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from cleanroom.access.token_keys import DEFAULT_OVERLAP
from cleanroom.cli.key_moves import move_keys
from cleanroom.cli.memory import forbid_core_dumps
from cleanroom.cli.server import AsJson, Home, opened, show, show_all, when
from cleanroom.cli.splitting import split as split_keys
from cleanroom.cli.splitting import unsplit as unsplit_keys
from cleanroom.cli.splitting import write_shares
from cleanroom.errors import CleanroomError
from cleanroom.rekeying.service import OPERATOR
from cleanroom.rekeying.shelf import keys_of
from cleanroom.rekeying.types import KeyRotation, RotationState, What
from cleanroom.room import Room
from crypto.shares import Seal, Share

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Rotate the keys of a room.")


class Store(StrEnum):
    """Where key-encryption keys can be."""

    LOCAL = "local"
    PKCS11 = "pkcs11"
    KMS = "kms"


class OtherStoreError(CleanroomError):
    """Keys are to move into a store in which the room does not make its keys."""

    code = "cli.other_store"


class RotationNotDoneError(CleanroomError):
    """A rotation that a command began has not come to its end."""

    code = "cli.rotation_not_done"


@app.callback()
def keys() -> None:
    """Rotate the keys of a room."""


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


@app.command()
def rotate_wrapping(home: Home = None, as_json: AsJson = False) -> None:
    """Wrap the secrets of sign-ins and webhooks under new keys; the old keys are destroyed."""
    with opened(home) as room, room.db.transaction() as tx:
        now = room.clock.now()
        made = {
            "sign_ins": room.signin.secret.rotate(tx, now),
            "webhooks": room.webhooks.endpoints.sealing.rotate(tx, now),
        }
    lines = [f"ROTATED {name} {kek_id}" for name, kek_id in made.items() if kek_id is not None]
    show(made, as_json=as_json, line="\n".join(lines) or "NOTHING is wrapped yet")


@app.command("list")
def list_(
    org: Annotated[str, typer.Option(help="The organisation's id.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the workspaces of an organisation, and since when their keys are in use."""
    with opened(home) as room, room.db.reading() as tx:
        found = [
            {
                "workspace_id": one.workspace.id,
                "name": one.workspace.name,
                "token_secret_since": when(one.token_since),
                "wrapping_key_since": when(one.kek_since),
                "rotation": one.under_way.state.value if one.under_way else None,
                "destroyed_at": when(one.workspace.destroyed_at),
            }
            for one in keys_of(tx, org)
        ]
    show_all(found, as_json=as_json, columns=tuple(found[0]) if found else ())


@app.command()
def rotate(
    workspace: Annotated[str, typer.Argument(help="The workspace's id, ws_...")],
    what: Annotated[What, typer.Option(help="The secret of tokens, or the key that wraps all others.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Replace a key of a workspace now; killed at any point, a worker goes on with it, or this command again."""
    with opened(home) as room:
        with room.db.transaction() as tx:
            asked = room.rekeying.ask(tx, workspace, what, by=OPERATOR)
        done = _watched(room, asked)
    if done is None or done.state is not RotationState.DONE:
        raise RotationNotDoneError(
            "The rotation has not come to its end"
            + (f" ({done.failure})." if done is not None and done.failure else "."),
            remedy="A worker tries it again; see `cleanroom keys list`.",
        )
    value = {
        "id": done.id,
        "workspace_id": workspace,
        "what": done.what.value,
        "ended_at": when(done.ended_at),
    }
    show(value, as_json=as_json, line=f"ROTATED {done.what.value} of {workspace}")


@app.command()
def migrate(
    to: Annotated[
        Store, typer.Option(help="The store that keys move into: what CLEANROOM_KEYS says already.")
    ],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Move every key-encryption key into another store while the room works; killed at any point, run it again."""
    with opened(home) as room:
        if room.settings.key_stores.kind != to.value:
            raise OtherStoreError(
                f"New keys are made in the store {room.settings.key_stores.kind}, not in {to.value}.",
                remedy=f"Set CLEANROOM_KEYS={to.value}, restart the room and its workers, and run this again.",
            )
        moved = move_keys(room, _watched)
    value = {
        "store": to.value,
        "workspaces": list(moved.workspaces),
        "waiting": list(moved.waiting),
        "secrets": list(moved.secrets),
        "unused": list(moved.unused),
    }
    lines = [f"MOVED {name}" for name in (*moved.workspaces, *moved.secrets)]
    lines += [f"UNUSED {kek_id}" for kek_id in moved.unused]
    if not moved.waiting:
        lines.append(f"ALL keys in use are in the store {to.value}")
    show(value, as_json=as_json, line="\n".join(lines + [f"WAITING {name}" for name in moved.waiting]))
    if moved.waiting:
        raise RotationNotDoneError(
            f"{len(moved.waiting)} workspaces have not moved yet.",
            remedy="Let loads into them end, and run this again.",
        )


@app.command()
def split(
    shares: Annotated[int, typer.Option(help="How many people get one.")],
    threshold: Annotated[int, typer.Option(help="How many of them open the room.")],
    out: Annotated[
        Path | None,
        typer.Option(
            file_okay=False, exists=True, help="A folder for a file per share; else they are printed, once."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether the shares are kept.")] = False,
    home: Home = None,
) -> None:
    """Encrypt the local key file under a root key that people open together after each start; again for new shares."""

    def hand_out(_seal: Seal, made: tuple[Share, ...]) -> bool:
        if out is not None:
            for path in write_shares(out, made):
                typer.echo(f"WRITTEN {path}")
        else:
            for share in made:
                typer.echo(f"SHARE {share.index} {share.text()}")
        return yes or typer.confirm("Does everybody have their share? They are not shown again", err=True)

    forbid_core_dumps()
    with opened(home) as room:
        done = split_keys(room, shares=shares, threshold=threshold, hand_out=hand_out)
    typer.echo(f"SEALED {threshold} of {shares} shares open the room when it is started")
    if not done.served:
        typer.echo("No server of the room runs: start it, and give shares with cleanroom unseal", err=True)


@app.command()
def unsplit(home: Home = None) -> None:
    """Write the local key file in clear again, so that the room starts without people; their shares open nothing."""
    with opened(home) as room:
        unsplit_keys(room)
    typer.echo("CLEAR the room starts without shares")


def _watched(room: Room, asked: KeyRotation) -> KeyRotation | None:
    # Standard output is for the result.
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(asked.what.value, total=None)
        return room.rekeying.run(
            asked.id, watch=lambda done, total: bar.update(task, completed=done, total=total)
        )
