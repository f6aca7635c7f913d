"""`cleanroom entitlements`: rights to use a listing, as held or given."""

from typing import Annotated

import typer

from cleanroom.cli.remote import AsJson, DryRun, Profile, calling, echo

app = typer.Typer(no_args_is_help=True, add_completion=False, help="List and revoke entitlements.")


@app.callback()
def entitlements() -> None:
    """List and revoke entitlements."""


@app.command("list")
def list_(profile: Profile = None, as_json: AsJson = False) -> None:
    """List entitlements that one has, or gave."""
    with calling(profile) as room:
        found = room.entitlements()
    lines = [
        f"{one['id']}\t{one['state']}\t{one['advertiser']['name']}\t{one['listing_id']}\tuntil {one['expires_at']}"
        for one in found
    ]
    echo(found, as_json=as_json, lines=lines or ["There is none."])


@app.command()
def revoke(
    entitlement: Annotated[str, typer.Argument(help="ent_...")],
    reason: Annotated[str, typer.Option(help="For the buyer to read.")],
    profile: Profile = None,
    as_json: AsJson = False,
    dry_run: DryRun = False,
) -> None:
    """End an entitlement that one gave: its next question is refused."""
    with calling(profile) as room:
        if dry_run:
            echo({"id": entitlement}, as_json=as_json, lines=[f"WOULD REVOKE {entitlement}"])
            return
        ended = room.revoke(entitlement, reason=reason)
    echo(ended, as_json=as_json, lines=[f"{ended['state'].upper()} {ended['id']}"])
