"""`cleanroom client`: programs that call the room, on the server's own machine."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from cleanroom.access.client_keys import generate_private_key, public_set
from cleanroom.access.types import Client, NewClient
from cleanroom.cli.server import AsJson, Home, opened, read_json, show, show_all, when
from cleanroom.errors import CleanroomError
from crypto.durable import write_private

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Register, rotate and revoke API clients.")
Id = Annotated[str, typer.Argument(help="The client's id, cl_...")]
Jwks = Annotated[Path | None, typer.Option(help="A JWKS file of the client's public keys.")]
KeyPath = Annotated[
    Path | None,
    typer.Option(help="Generate a key pair here; the private key is written, only its owner reads it."),
]


class KeyOptionError(CleanroomError):
    """The options about a client's keys exclude each other, or the file is there already."""

    code = "cli.client_key"


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="For people.")],
    org: Annotated[str, typer.Option(help="The organisation's id.")],
    role: Annotated[str | None, typer.Option(help="One of the roles of the organisation's kind.")] = None,
    scope: Annotated[list[str] | None, typer.Option(help="A scope; repeat it. Instead of a role.")] = None,
    jwks: Jwks = None,
    generate_key: KeyPath = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Register a client; without keys the room makes a secret and prints it, this once."""
    with _key_set(jwks, generate_key) as keys, opened(home) as room, room.db.transaction() as tx:
        made = room.access.clients.register(
            tx, organisation_id=org, name=name, role=role, scopes=scope or None, key_set=keys
        )
    _show_new(made, as_json=as_json)


@app.command("list")
def list_(
    org: Annotated[str | None, typer.Option(help="Of this organisation only.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List clients, revoked ones too."""
    with opened(home) as room, room.db.reading() as tx:
        found = [
            _as_dict(client)
            | {
                "credentials": [
                    {
                        "id": one.id,
                        "kid": one.kid,
                        "added_at": when(one.added_at),
                        "expires_at": when(one.expires_at),
                    }
                    for one in room.access.clients.credentials(tx, client.id)
                ]
            }
            for client in room.access.clients.of(tx, org)
        ]
    columns = ("id", "organisation_id", "name", "method", "role", "revoked_at")
    show_all(found, as_json=as_json, columns=columns)


@app.command()
def revoke(client: Id, home: Home = None, as_json: AsJson = False) -> None:
    """End a client and all its tokens now."""
    with opened(home) as room, room.db.transaction() as tx:
        ended = room.access.clients.revoke(tx, client)
    show(_as_dict(ended), as_json=as_json, line=f"REVOKED {ended.id}")


@app.command()
def rotate(
    client: Id,
    jwks: Jwks = None,
    generate_key: KeyPath = None,
    overlap_hours: Annotated[
        float, typer.Option(min=0, max=24 * 90, help="How long the old ones work.")
    ] = 24,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Give a client new keys, or a new secret; the old ones end after the overlap."""
    with _key_set(jwks, generate_key) as keys, opened(home) as room, room.db.transaction() as tx:
        end = room.clock.now() + timedelta(hours=overlap_hours)
        made = room.access.clients.rotate(tx, client, old_ends_at=end, key_set=keys)
    _show_new(made, as_json=as_json)


@contextmanager
def _key_set(jwks: Path | None, generate_key: Path | None) -> Iterator[Mapping[str, Any] | None]:
    """Give the public keys of the options; a key that was generated goes again when nothing came of it."""
    if jwks is not None and generate_key is not None:
        raise KeyOptionError(
            "A key set is given and one is to be generated.", remedy="Use one of the options."
        )
    if generate_key is None:
        yield None if jwks is None else read_json(jwks)
        return
    private = generate_private_key()
    try:
        write_private(generate_key, json.dumps(private, indent=1).encode() + b"\n")
    except OSError as error:
        raise KeyOptionError(
            f"The file {generate_key.name} cannot be written ({type(error).__name__}).",
            remedy="Name a file that is not there yet, in a directory that is.",
        ) from None
    try:
        yield public_set(private)
    except BaseException:
        generate_key.unlink(missing_ok=True)
        raise


def _show_new(made: NewClient, *, as_json: bool) -> None:
    value = _as_dict(made.client)
    line = f"CLIENT {made.client.id}"
    if made.secret is not None:
        value["secret"] = made.secret
        line += f"\nSECRET {made.secret}"
    show(value, as_json=as_json, line=line)


def _as_dict(client: Client) -> dict[str, Any]:
    return {
        "id": client.id,
        "organisation_id": client.organisation_id,
        "name": client.name,
        "method": client.method.value,
        "role": client.role,
        "scopes": sorted(client.scopes),
        "created_at": when(client.created_at),
        "revoked_at": when(client.revoked_at),
    }
